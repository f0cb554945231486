package server

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestClientMemoryFields: CLIENT LIST tells what a connection's buffers, its queued
// commands and the arguments of the command that it executes take.
func TestClientMemoryFields(t *testing.T) {
	s, addr := serve(t, Options{}, nil, nil)
	other := dial(t, addr)
	fields := func(id int64) func(name string) int {
		list := other.ask(fmt.Sprintf("CLIENT LIST ID %d", id))
		return func(name string) int {
			_, rest, _ := strings.Cut(list, " "+name+"=")
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatalf("%s in %s: %v", name, list, err)
			}
			return n
		}
	}
	c, conn := dialed(t, s, addr)
	c.ask("SET k " + strings.Repeat("v", 20_000))
	c.ask("GET k")
	testutil.Eventually(t, "the buffers are told", func() bool {
		f := fields(conn.ID())
		if eventLoops > 0 { // an idle client has no buffers
			return f("qbuf") == 0 && f("qbuf-free") == 0 && f("rbs") == 0 && f("rbp") >= 20_000 && f("multi-mem") == 0 && f("tot-mem") < 10_000
		}
		return f("qbuf") == 0 && f("qbuf-free") >= readBuffer && f("rbs") >= 20_000 && f("rbp") >= 20_000 && f("rbp") <= f("rbs") &&
			f("multi-mem") == 0 && f("argv-mem") == 0 && f("tot-mem") >= f("qbuf-free")+f("rbs")
	})
	const half = "*2\r\n$3\r\nGET\r\n$5\r\nab"
	_, _ = io.WriteString(c, half)
	testutil.Eventually(t, "half a command is told", func() bool {
		f := fields(conn.ID())
		return f("qbuf") == len(half) && f("qbuf")+f("qbuf-free") >= readBuffer
	})
	_, _ = io.WriteString(c, "cde\r\n")
	c.want("the rest of it", "(nil)")
	c.ask("MULTI")
	c.ask("SET k " + strings.Repeat("w", 1000))
	testutil.Eventually(t, "what is queued is told", func() bool { n := fields(conn.ID())("multi-mem"); return n >= 1000 && n < 2000 })
	c.ask("DISCARD")
	testutil.Eventually(t, "nothing is queued", func() bool { return fields(conn.ID())("multi-mem") == 0 })
	_, _ = io.WriteString(c, "BLPOP list 0\r\n")
	testutil.Eventually(t, "the arguments are told", func() bool { return fields(conn.ID())("argv-mem") == len("BLPOP"+"list"+"0") })
	if got := fields(idOf(t, other))("argv-mem"); got != len("CLIENT"+"LIST"+"ID")+len(fmt.Sprint(idOf(t, other))) {
		t.Errorf("the arguments of CLIENT LIST itself: %d", got)
	}
}

func idOf(t *testing.T, c *client) int64 {
	t.Helper()
	id, err := strconv.ParseInt(c.ask("CLIENT ID"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
