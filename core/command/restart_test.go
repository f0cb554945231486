package command_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestFamiliesThroughRestarts sends random commands of every family, transactions
// among them, to an engine and to a real redis-server, and requires the same
// replies, in RESP2 and in RESP3. In between both save, lose their power or are
// killed, and start again: the engine from a checkpoint and the log since, with
// another number of shards, Redis from what it has saved just then.
func TestFamiliesThroughRestarts(t *testing.T) {
	lives, rounds := 6, testutil.Rounds(500)
	for _, f := range command.Families() {
		t.Run(f.Name, func(t *testing.T) {
			p := newPair(t, f)
			for life := range lives {
				if life > 0 {
					p.restart()
				}
				p.say("HELLO", strconv.Itoa(2+life%2))
				for round := range rounds {
					switch {
					case round == rounds/2:
						p.checkpoint()
					case p.rng.IntN(30) == 0:
						p.transaction()
					default:
						p.both(p.random())
					}
				}
			}
		})
	}
}

// pair is an engine and a real redis-server that are told the same.
type pair struct {
	t      *testing.T
	rng    *rand.Rand
	family command.Family
	ours   *coretest.Harness
	shards int
	redis  *testutil.RedisServer
	ask    func(line ...string) resp.Value
}

func newPair(t *testing.T, f command.Family) *pair {
	p := &pair{t: t, rng: rand.New(rand.NewPCG(command.SeedOf(t), 13)), family: f, shards: 2}
	p.ours = coretest.New(t, func(o *core.Options) { o.Shards = p.shards })
	p.redis = testutil.NewRedisServer(t)
	p.ask = command.Asker(t, p.redis.Dial())
	return p
}

// random is a command of the family. Encodings are not compared: what a value was
// is forgotten at different times, here with the log and in Redis with the file.
func (p *pair) random() (line []string, unordered bool) {
	for {
		if line, unordered = p.family.Command(p.rng); line[0] != "OBJECT" {
			return line, unordered
		}
	}
}

// both sends a command to both, which must reply the same.
func (p *pair) both(line []string, unordered bool) {
	p.t.Helper()
	theirs, ours := p.ask(line...), p.ours.Value(line...)
	if p.family.Same != nil {
		theirs, ours = p.family.Same(line, theirs), p.family.Same(line, ours)
	}
	if unordered {
		theirs, ours = command.SortReply(theirs), command.SortReply(ours)
	}
	if ours.Kind != theirs.Kind || ours.String() != theirs.String() {
		p.t.Fatalf("%q\n  ours  %c %s\n  redis %c %s", line, ours.Kind, ours, theirs.Kind, theirs)
	}
}

// transaction has both execute some commands at once.
func (p *pair) transaction() {
	p.t.Helper()
	p.say("MULTI")
	var lines [][]string
	for range 1 + p.rng.IntN(4) {
		line, unordered := p.random()
		theirs, ours := p.ask(line...), p.ours.Value(line...)
		if ours.String() != theirs.String() {
			p.t.Fatalf("in MULTI, %q\n  ours  %s\n  redis %s", line, ours, theirs)
		}
		if unordered {
			line = nil
		}
		if ours.Err() == nil {
			lines = append(lines, line)
		}
	}
	theirs, ours := p.ask("EXEC"), p.ours.Value("EXEC")
	if len(ours.Elems) != len(theirs.Elems) {
		p.t.Fatalf("EXEC of %q\n  ours  %s\n  redis %s", lines, ours, theirs)
	}
	for i := range ours.Elems {
		a, b, line := ours.Elems[i], theirs.Elems[i], lines[i]
		switch {
		case line == nil:
			a, b = command.SortReply(a), command.SortReply(b)
		case p.family.Same != nil:
			a, b = p.family.Same(line, a), p.family.Same(line, b)
		}
		if a.Kind != b.Kind || a.String() != b.String() {
			p.t.Fatalf("in EXEC, %q\n  ours  %c %s\n  redis %c %s", line, a.Kind, a, b.Kind, b)
		}
	}
}

// say sends both a command whose reply is not compared.
func (p *pair) say(line ...string) {
	p.t.Helper()
	for _, v := range []resp.Value{p.ask(line...), p.ours.Value(line...)} {
		if v.Err() != nil {
			p.t.Fatalf("%q: %v", line, v.Err())
		}
	}
}

// checkpoint has the engine save, so that the log goes on from there.
func (p *pair) checkpoint() {
	p.t.Helper()
	if v := p.ours.Value(pick(p.rng, "SAVE", "BGREWRITEAOF")); v.Err() != nil {
		p.t.Fatal(v.Err())
	}
	p.ours.Settle()
}

// restart ends both, and starts them on what is on their disks.
func (p *pair) restart() {
	p.t.Helper()
	p.shards = 1 + p.rng.IntN(4)
	switch p.rng.IntN(3) {
	case 0:
		p.ours.Reopen()
	case 1:
		p.ours.Crash(memfs.LoseAll)
	default:
		p.ours.Crash(p.rng.Int64())
	}
	if v := p.ask("SAVE"); v.Err() != nil {
		p.t.Fatal(v.Err())
	}
	p.redis.Kill()
	p.redis.Start()
	p.ask = command.Asker(p.t, p.redis.Dial())
}

func pick(rng *rand.Rand, of ...string) string { return of[rng.IntN(len(of))] }
