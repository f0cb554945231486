package command

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// compared is a family of commands that is sent to us and to a real redis-server.
type compared struct {
	// rounds is how many commands are sent, half of them in RESP2, half in RESP3; fewer
	// under the race detector.
	rounds int
	// command makes a random one. The order of an unordered reply does not matter.
	command func(w words) (line []string, unordered bool)
	// met counts what is asked of the replies; each of them must be met, where all
	// commands are sent.
	met map[string]func(line []string, v resp.Value) bool
}

// compare sends random commands to us and to a real redis-server and requires the
// same replies. Then the log of all of them must rebuild the same state.
func (c *compared) compare(t *testing.T) {
	w := words{rand.New(rand.NewPCG(seedOf(t), 11))}
	conn := redisServer(t)
	ask := asker(t, conn)
	x := newTester(t, 4)
	met := map[string]int{}
	rounds := testutil.Rounds(c.rounds)
	for i := range rounds {
		if i == rounds/2 {
			ask("HELLO", "3")
			x.out.Proto = 3
		}
		line, unordered := c.command(w)
		theirs, ours := ask(line...), x.run(line...)
		if unordered {
			ours, theirs = sortReply(ours), sortReply(theirs)
		}
		if ours.Kind != theirs.Kind || ours.String() != theirs.String() {
			t.Fatalf("command %d: %q\n  ours  %c %s\n  redis %c %s", i, line, ours.Kind, ours, theirs.Kind, theirs)
		}
		for what, is := range c.met {
			if is(line, ours) {
				met[what]++
			}
		}
	}
	for what := range c.met {
		if met[what] == 0 && !testutil.Race {
			t.Errorf("never met: %s", what)
		}
	}
	t.Log("met", met)
	twin := newTester(t, 3)
	twin.replay(x.effects)
	if want, got := strings.Join(x.state(), "\n"), strings.Join(twin.state(), "\n"); want != got {
		t.Errorf("the log replays to another state\nwant:\n%s\ngot:\n%s", want, got)
	}
}
