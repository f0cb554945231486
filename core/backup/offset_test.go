package backup_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/sink"
)

// tape is a sink whose error names an offset of its own, which says nothing about
// the bytes of the part.
type tape struct{ sink.Sink }

func (tape) Open(context.Context, sink.Part, sink.Receipt) (io.ReadCloser, error) {
	return nil, fmt.Errorf("the tape jams at offset 12")
}

// TestOffsetOfDamage: where the damage is comes from whoever found it, never from
// what a text happens to say.
func TestOffsetOfDamage(t *testing.T) {
	w, p := small(t)
	for _, stored := range []bool{false, true} {
		states, err := backup.Verify(context.Background(), tape{w.src}, p.Sets(), backup.VerifyOptions{Stages: w.options().Stages, Stored: stored})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range states {
			if !strings.Contains(s.Damage, "the tape jams") || s.Offset != -1 {
				t.Errorf("stored %v: %s: damage %q at %d; want -1", stored, s.Part, s.Damage, s.Offset)
			}
		}
	}
}
