package command

import (
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
)

// TestRepeatBeyondLimit: a reply that is too large is an error, but for a client that
// may not be owed so much: it is lost, as Redis closes it in the middle of the reply.
func TestRepeatBeyondLimit(t *testing.T) {
	for _, tc := range []struct {
		max  int
		n    int64
		over bool
	}{
		{0, 10, false},
		{0, 1 << 40, false},
		{1 << 20, 10, false},
		{1 << 20, 1 << 40, true},
	} {
		w := &resp.Writer{Max: tc.max}
		c := &Ctx{Out: w}
		start := w.Len()
		c.repeat(start, tc.n, func() { w.BulkString("element") })
		if w.Over != tc.over {
			t.Errorf("max %d, %d elements: the client is lost: %v", tc.max, tc.n, w.Over)
		}
		isError := strings.HasPrefix(string(w.Buf), "-ERR reply exceeds")
		if want := !tc.over && tc.n > 10; isError != want {
			t.Errorf("max %d, %d elements: %q", tc.max, tc.n, w.Buf[:min(len(w.Buf), 60)])
		}
	}
}
