//go:build linux && (amd64 || arm64) && syscalls

package sysfault_test

import (
	"testing"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/sysfault"
)

// TestAvailable is the question that make lab asks.
func TestAvailable(t *testing.T) {
	if err := sysfault.Available(); err != nil {
		t.Fatal(err)
	}
}
