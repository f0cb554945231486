package coretest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaydb/spillway/internal/testutil"
)

var (
	historySeed   = flag.Uint64("history.seed", 0, "play the history of this seed only")
	historyScript = flag.String("history.script", "", "play the history in this file only; with -history.seed on the disk of that seed")
	historyCount  = flag.Int("history.count", 0, "play so many histories (default 150, under the race detector 50, with SPILLWAY_LAB=long 20000)")
	historySteps  = flag.Int("history.steps", 80, "steps in a history")
)

// TestHistory plays random histories: commands of every type, transactions,
// checkpoints, configuration changes, restarts with other shard counts, stages
// and sinks, crashes and faults at any operation. Whatever happens, the engine
// must be in a state that the model allows. A history that fails is shrunk to
// the few steps that matter.
func TestHistory(t *testing.T) {
	if *historyScript != "" {
		text, err := os.ReadFile(*historyScript)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := parseScript(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := playIn(t, *historySeed, steps, Bug{}); err != nil {
			t.Fatal(err)
		}
		return
	}
	if *historySeed != 0 {
		judgeHistory(t, *historySeed)
		return
	}
	count := *historyCount
	if count == 0 {
		switch {
		case long():
			count = 20000
		case testutil.Race:
			count = 50
		default:
			count = 150
		}
	}
	first := uint64(1)
	if long() {
		first = uint64(time.Now().UnixNano()) // any number will do
	}
	var next atomic.Uint64
	for w := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprint("worker", w), func(t *testing.T) {
			t.Parallel()
			sum := player{}
			for n := next.Add(1); n <= uint64(count) && !t.Failed(); n = next.Add(1) {
				p := judgeHistory(t, first+n-1)
				sum.add(p)
			}
			t.Logf("%d commands, %d of other clients that had waited, %d checkpoints, %d power losses, %d faults", sum.commands, sum.serves, sum.checkpoints, sum.crashes, sum.faults)
		})
	}
}

func (p *player) add(q *player) {
	p.commands += q.commands
	p.serves += q.serves
	p.checkpoints += q.checkpoints
	p.crashes += q.crashes
	p.faults += q.faults
}

// judgeHistory plays the history of a seed and shrinks it when it fails.
func judgeHistory(t *testing.T, seed uint64) *player {
	t.Helper()
	steps := generate(seed, *historySteps)
	p, err := playIn(t, seed, steps, Bug{})
	if err == nil {
		return p
	}
	short, serr := shrink(steps, err, func(s []step) error {
		_, err := playIn(t, seed, s, Bug{})
		return err
	})
	file, ferr := os.CreateTemp("", "spillway-history-*.script")
	if ferr == nil {
		_, _ = fmt.Fprintf(file, "# seed %d\n%s", seed, scriptText(short))
		_ = file.Close()
	} else {
		t.Error(ferr)
	}
	t.Errorf("seed %d: %v\n\nshrunk from %d to %d steps:\n\n%s\nwhich fails with: %v\n\nagain: go test ./core/coretest -run '^TestHistory$' -history.seed=%d\n   or: go test ./core/coretest -run '^TestHistory$' -history.seed=%d -history.script=%s",
		seed, err, len(steps), len(short), scriptText(short), serr, seed, seed, file.Name())
	return p
}

// playIn plays a history in a bubble of its own: the engine's goroutines see a
// time of their own, which passes only when all of them wait. A goroutine that
// is left behind when the history is over ends the test.
func playIn(t *testing.T, seed uint64, steps []step, bug Bug) (p *player, err error) {
	p = &player{seed: seed, bug: bug, keys: testKeys}
	stop := hangGuard(fmt.Sprintf("the history of seed %d:\n%s", seed, scriptText(steps)))
	defer stop()
	synctest.Test(t, func(*testing.T) { err = p.play(steps) })
	return p, err
}

// hangGuard ends the process, with every goroutine's stack, when a bubble hangs:
// time in it stands still while a goroutine waits for a sync.Mutex, so one that
// is held across I/O is enough (see vfs.IOLock).
func hangGuard(what string) (stop func()) {
	t := time.AfterFunc(patience, func() {
		buf := make([]byte, 1<<22)
		panic(fmt.Sprintf("hangs: %s\n%s", what, buf[:runtime.Stack(buf, true)]))
	})
	return func() { t.Stop() }
}

// TestScript: what a history prints is what it reads.
func TestScript(t *testing.T) {
	for seed := range uint64(50) {
		text := scriptText(generate(seed, 100))
		steps, err := parseScript(text)
		if err != nil {
			t.Fatal(err)
		}
		if again := scriptText(steps); again != text {
			t.Fatalf("seed %d: %s\nbecomes\n%s", seed, text, again)
		}
	}
	for _, bad := range []string{"opne", "open shard=3", "crash in=x", "advance soon", `SET k "`, "fault in=1 eror=EIO"} {
		if _, err := parseScript(bad); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
