package core_test

import (
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
)

// TestNestedMulti: a MULTI inside MULTI is an error that changes nothing: the
// transaction goes on, and one that a refused command has spoiled stays so.
func TestNestedMulti(t *testing.T) {
	for queued, want := range map[string]string{"SET k v": `["OK"]`, "NOSUCHCOMMAND": "EXECABORT"} {
		h := coretest.New(t)
		h.Do("MULTI")
		h.Do(strings.Fields(queued)...)
		if got := h.Do("MULTI"); !strings.Contains(got, "nested") {
			t.Error(got)
		}
		if got := h.Do("EXEC"); !strings.Contains(got, want) {
			t.Errorf("%s: EXEC: %s, want %s", queued, got, want)
		}
	}
}
