package model_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest/model"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// clock stands still until it is moved.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func (c *clock) NewTicker(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// TestAgreesWithTheEngine runs random commands on both: without crashes and
// faults the two are the same, reply for reply and key for key.
func TestAgreesWithTheEngine(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			at := &clock{time.UnixMilli(1_700_000_000_000)}
			db, err := core.Open(core.Options{FS: memfs.New(), Shards: 3, Clock: at, ManualTick: true})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			rng := rand.New(rand.NewPCG(seed, 1))
			sess, state, client := db.Session(), new(model.State), model.Client{}
			for range testutil.Rounds(1500) {
				args := model.Random(rng)
				now := at.now.UnixMilli()
				outcomes, err := client.Run(state, now, args)
				if err != nil {
					t.Fatal(err)
				}
				got, err := sess.Do(args...)
				if err != nil {
					t.Fatal(err)
				}
				o, err := model.Match(outcomes, got)
				if err != nil {
					t.Fatalf("%q: %v\n%s", args, err, state.Text(now))
				}
				state, client = o.State, o.Client
				if rng.IntN(20) == 0 {
					at.now = at.now.Add(time.Duration(rng.IntN(3000)) * time.Millisecond)
				}
				if rng.IntN(30) != 0 {
					continue
				}
				there, err := model.Read(db.Session().Do)
				if err != nil {
					t.Fatal(err)
				}
				now = at.now.UnixMilli()
				if there.Text(now) != state.Text(now) {
					t.Fatalf("after %q:\n%s", args, model.Diff(there, state, now))
				}
			}
			if len(state.Text(0)) == 0 && len(state.Text(at.now.UnixMilli())) == 0 {
				t.Fatal("nothing was ever stored: the test shows nothing")
			}
		})
	}
}

func TestUnknown(t *testing.T) {
	if _, err := (model.Client{}).Run(new(model.State), 0, []string{"PFADD", "k", "v"}); !errors.Is(err, model.ErrUnknown) {
		t.Fatal(err)
	}
}

// run executes commands that have one outcome each.
func run(t *testing.T, s *model.State, cmds ...string) *model.State {
	t.Helper()
	c := model.Client{}
	for _, cmd := range cmds {
		out, err := c.Run(s, 1000, strings.Fields(cmd))
		if err != nil || len(out) != 1 {
			t.Fatalf("%s: %d outcomes, %v", cmd, len(out), err)
		}
		s, c = out[0].State, out[0].Client
	}
	return s
}

// TestOutcomes: a random command has all its outcomes, within a transaction too.
func TestOutcomes(t *testing.T) {
	s := run(t, new(model.State), "SADD s a b c d")
	for cmd, want := range map[string]int{"SPOP s": 4, "SPOP s 2": 6, "SPOP s 9": 1, "SCARD s": 1} {
		out, err := (model.Client{}).Run(s, 0, strings.Fields(cmd))
		if err != nil || len(out) != want {
			t.Errorf("%s: %d outcomes, want %d (%v)", cmd, len(out), want, err)
		}
	}
	c := model.Client{}
	for _, cmd := range []string{"MULTI", "SPOP s", "SPOP s"} {
		out, err := c.Run(s, 0, strings.Fields(cmd))
		if err != nil || len(out) != 1 {
			t.Fatal(out, err)
		}
		c = out[0].Client
	}
	if out, err := c.Run(s, 0, []string{"EXEC"}); err != nil || len(out) != 12 {
		t.Errorf("two SPOPs in a transaction: %d outcomes, want 12 (%v)", len(out), err)
	}
}

// TestHistory: a crash leaves a state since the last promise, or the one the
// running command leads to, and nothing else.
func TestHistory(t *testing.T) {
	states := []*model.State{new(model.State)}
	for _, cmd := range []string{"SET k 1", "SET k 2", "RPUSH l x", "DEL k"} {
		states = append(states, run(t, states[len(states)-1], cmd))
	}
	running, err := (model.Client{}).Run(states[3], 0, []string{"DEL", "k"})
	if err != nil {
		t.Fatal(err)
	}
	for i, legal := range []bool{false, false, true, true, true} {
		h := model.NewHistory()
		for n, s := range states[1:4] {
			h.Add(s, int64(n))
			if n == 1 {
				h.Durable()
			}
		}
		err := h.Adopt(states[i], 0, running)
		if (err == nil) != legal {
			t.Errorf("state %d: %v", i, err)
		}
		if err == nil && h.Now().Text(0) != states[i].Text(0) {
			t.Errorf("state %d was not adopted", i)
		}
	}
	h := model.NewHistory()
	for n, s := range states[1:4] {
		h.Add(s, int64(10*n))
	}
	h.DurableUntil(15) // the second was there at 10
	if err := h.Adopt(states[1], 0, nil); err == nil {
		t.Error("a state that was replaced before the limit is legal")
	}
	if err := h.Adopt(states[2], 0, nil); err != nil {
		t.Error(err)
	}
}
