package session_test

import (
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
)

// boxed is a client that keeps what is pushed to it until its next command.
type boxed struct {
	*core.Session
	box []byte
}

func (b *boxed) Deliver(msg []byte) bool     { b.box = append(b.box, msg...); return true }
func (b *boxed) Classify(command.ClientType) {}
func (b *boxed) HoldBack(out *resp.Writer)   { out.Raw(b.box); b.box = nil }

// TestPushedBeforeReplyOff: a message that has come before CLIENT REPLY OFF or SKIP is
// executed is no part of its reply, and is not left out with it.
func TestPushedBeforeReplyOff(t *testing.T) {
	for _, mode := range []string{"OFF", "SKIP"} {
		h := coretest.New(t)
		c := new(boxed)
		c.Session = h.DB.SessionFor(c, func() {})
		var out resp.Writer
		send := func(line string) {
			var args [][]byte
			for _, w := range strings.Fields(line) {
				args = append(args, []byte(w))
			}
			c.Run(args, &out)
			c.Finish(&out)
		}
		for _, line := range []string{"HELLO 3", "CLIENT TRACKING ON", "GET k"} {
			send(line)
		}
		h.Do("SET", "k", "v")
		out = resp.Writer{}
		send("CLIENT REPLY " + mode)
		if got, want := string(out.Buf), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"; got != want {
			t.Errorf("CLIENT REPLY %s: %q, and %q was expected", mode, got, want)
		}
		c.Close()
	}
}
