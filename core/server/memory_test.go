package server

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
)

// TestListeningIsCounted: what a client wants to be told of counts for
// maxmemory-clients, so that it cannot ask for any number of things, and is given
// back when it no longer wants it.
func TestListeningIsCounted(t *testing.T) {
	for _, tc := range []struct{ name, ask, undo string }{
		{"watched keys", "WATCH key:%08d", "UNWATCH"},
		{"channels", "SUBSCRIBE channel:%08d", "UNSUBSCRIBE"},
		{"patterns", "PSUBSCRIBE pattern:%08d*", "PUNSUBSCRIBE"},
		{"shard channels", "SSUBSCRIBE shard:%08d", "SUNSUBSCRIBE"},
		{"prefixes", "CLIENT TRACKING on BCAST PREFIX prefix:%08d", "CLIENT TRACKING off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, addr := serve(t, Options{}, nil, nil)
			c, conn := dialed(t, s, addr)
			c.ask("HELLO 3")
			c.ask("PING")
			before := conn.mem.Load()
			for i := range 200 {
				c.ask(fmt.Sprintf(tc.ask, i))
			}
			c.ask("PING")
			if took := conn.mem.Load() - before; took < 200*100 || took > 200*400 {
				t.Errorf("200 of them take %d bytes", took)
			}
			_, _ = io.WriteString(c, tc.undo+"\r\nPING\r\n")
			for {
				v, err := resp.ReadReply(c.r)
				if err != nil {
					t.Fatal(err)
				}
				if string(v.Str) == "PONG" {
					break
				}
			}
			c.ask("PING")                                        // what it has given back was counted before this was read
			if left := conn.mem.Load() - before; left > 16<<10 { // the buffer of the confirmations
				t.Errorf("afterwards %d bytes are left", left)
			}

			s.memLimit.Store(s.memHeld.Load() + 20_000)
			for i := range 1000 {
				if _, err := fmt.Fprintf(c, tc.ask+"\r\n", i); err != nil {
					break
				}
				if _, err := resp.ReadReply(c.r); err != nil {
					if !errors.Is(err, io.EOF) && s.memEvicted.Load() == 0 {
						t.Fatal(err)
					}
					break
				}
			}
			if s.memEvicted.Load() != 1 {
				t.Errorf("%d clients were closed", s.memEvicted.Load())
			}
		})
	}
}
