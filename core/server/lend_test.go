package server

import (
	"io"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestLentReplies: what a client is owed of a long value is what that was when the command
// was executed, however late it reads, and whatever others do with the key meanwhile. It
// counts as the client's memory, against its limits too.
func TestLentReplies(t *testing.T) {
	const size = 700_000
	s, addr := serve(t, Options{}, nil, tightly)
	other := dial(t, addr)
	other.ask("CONFIG SET client-output-buffer-limit 'normal 1gb 0 0'")
	was := strings.Repeat("v", size)
	for i, change := range []string{"SETRANGE key 5 other", "APPEND key more", "SET key short", "DEL key", "FLUSHALL", "SETRANGE key 900000 x", "RENAME key else", "EXPIRE key 1000"} {
		other.ask("SETRANGE key 699999 v")
		other.set("key", was)
		c, conn := dialed(t, s, addr)
		commands := "GET key\r\nMGET none key\r\nMULTI\r\nGET key\r\nEXEC\r\nGETDEL key\r\n"
		want := `"` + was + `"` + `[(nil) "` + was + `"]` + `"OK"` + `"QUEUED"` + `["` + was + `"]` + `"` + was + `"`
		if i%2 == 1 { // otherwise what is lent is gone before the change
			commands = strings.TrimSuffix(commands, "GETDEL key\r\n")
			want = strings.TrimSuffix(want, `"`+was+`"`)
		}
		_, _ = io.WriteString(c, commands)
		replies := strings.Count(commands, "\r\n")
		testutil.Eventually(t, "all is executed", func() bool { return conn.box.pending.Load() > size*int64(replies-4)/2 && conn.inLen.Load() == 0 })
		if held := conn.mem.Load(); held < conn.box.pending.Load()-size {
			t.Errorf("%d bytes are held of %d that are owed", held, conn.box.pending.Load())
		}
		for range 2 {
			other.ask(change)
		}
		var got strings.Builder
		for range replies {
			v, err := resp.ReadReply(c.r)
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString(v.String())
		}
		if got.String() != want {
			t.Errorf("%s: other replies than there would have been before: %d bytes, want %d", change, got.Len(), len(want))
		}
		_ = c.Close()
	}

	other.ask("CONFIG SET client-output-buffer-limit 'normal 2mb 0 0'")
	other.set("key", was)
	c, _ := dialed(t, s, addr)
	_, _ = io.WriteString(c, strings.Repeat("GET key\r\n", 100))
	testutil.Eventually(t, "the client that is owed 70 MB is closed", func() bool { return s.Clients() == 1 })
	_ = c.Close()
	_ = other.Close()
	wantNothingHeld(t, s)
}
