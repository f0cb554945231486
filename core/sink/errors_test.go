package sink_test

import (
	"errors"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
)

// TestCorruptError: the text and the field say the same place.
func TestCorruptError(t *testing.T) {
	p := sink.SetPart{Bytes: 7, SHA256: "aa"}
	for _, c := range []struct {
		err    error
		text   string
		offset int64
	}{
		{p.CheckSize(5), "stored bytes are damaged at offset 5: it ends there, 7 bytes are recorded", 5},
		{p.CheckSize(8), "stored bytes are damaged at offset 7: there are more, 7 bytes are recorded", 7},
		{p.CheckSum("bb"), "stored bytes are damaged, somewhere from offset 0 to 7: SHA-256 aa is recorded, they have bb", 0},
		{&sink.CorruptError{Offset: 3, Decoded: true, Err: errors.New("no")}, "stored bytes are damaged at offset 3 of the decoded bytes: no", 3},
	} {
		var e *sink.CorruptError
		if c.err.Error() != c.text || !errors.As(c.err, &e) || e.Offset != c.offset || !errors.Is(c.err, sink.ErrCorrupt) {
			t.Errorf("%v at %d; want %s at %d", c.err, e.Offset, c.text, c.offset)
		}
	}
	if p.CheckSize(7) != nil || p.CheckSum("aa") != nil {
		t.Error("what is whole is damaged")
	}
}
