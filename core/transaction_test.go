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

// TestResetEndsTransaction: RESET drops the transaction and what is watched,
// whoever the client is.
func TestResetEndsTransaction(t *testing.T) {
	h := coretest.New(t)
	h.Do("MULTI")
	h.Do("SET", "k", "queued")
	if got := h.Do("RESET"); got != `"RESET"` {
		t.Error(got)
	}
	if got := h.Do("GET", "k"); got != "(nil)" {
		t.Errorf("GET after RESET: %s", got)
	}
	if got := h.Do("EXEC"); !strings.Contains(got, "EXEC without MULTI") {
		t.Errorf("EXEC after RESET: %s", got)
	}
	h.Do("WATCH", "k")
	h.Do("RESET")
	if _, err := h.DB.Session().Do("SET", "k", "changed"); err != nil {
		t.Fatal(err)
	}
	h.Do("MULTI")
	h.Do("GET", "k")
	if got := h.Do("EXEC"); got != `["changed"]` {
		t.Errorf("EXEC after WATCH, RESET: %s", got)
	}
}
