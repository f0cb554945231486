package vfs_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/vfs"
)

// TestContextReader: it reads until the context ends, and then says why that has.
func TestContextReader(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	r := vfs.ContextReader(ctx, strings.NewReader("abcdef"))
	b := make([]byte, 3)
	if n, err := r.Read(b); n != 3 || err != nil || string(b) != "abc" {
		t.Fatalf("%d, %v, %q", n, err, b)
	}
	why := errors.New("the operator is tired of it")
	cancel(why)
	if b, err := io.ReadAll(r); len(b) != 0 || !errors.Is(err, why) {
		t.Fatalf("%q, %v", b, err)
	}
}
