package core_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// vaults are the places elsewhere of one laboratory run. What a power loss
// leaves of the engine's disk has a future of its own, and so a place of its
// own, with what was there then. An engine is known by its clock.
type vaults struct {
	faults bool

	mu    sync.Mutex
	of    map[core.Clock]*offsite
	first *offsite
	now   *offsite // of the engine opened last
	floor int      // pushes that were archived
}

func (v *vaults) options(o *core.Options) {
	if o.Clock == nil {
		return // nobody is to be started
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	place := v.of[o.Clock]
	switch {
	case place != nil:
	case v.first == nil:
		place = newOffsite()
		v.first = place
	default:
		place = &offsite{fs: v.first.fs.CrashClone(memfs.KeepAll)}
	}
	v.of[o.Clock], v.now = place, place
	place.options(o)
}

// check wants the archive to give back a moment of the engine's life: one at
// which every transaction was whole, not before what was archived for certain,
// and, on a disk without faults, none that the engine has not come to.
func (v *vaults) check(do func(args ...string) string) error {
	v.mu.Lock()
	place, floor := v.now, v.floor
	v.mu.Unlock()
	data, segments, err := place.rebuild()
	if err != nil {
		if floor == 0 && strings.Contains(err.Error(), "there is no checkpoint") {
			return nil
		}
		return fmt.Errorf("the archive cannot be restored: %w", err)
	}
	db, err := core.Open(core.Options{FS: data, Shards: 2, ManualTick: true})
	if err != nil {
		return fmt.Errorf("the archive, with %d segments, cannot be opened: %w", segments, err)
	}
	defer db.Close()
	sess := db.Session()
	there := func(args ...string) string {
		reply, err := sess.Do(args...)
		if err != nil {
			return err.Error()
		}
		return reply.String()
	}
	n, list := number(there("GET", "n")), there("LRANGE", "list", "0", "-1")
	if want := count(n); list != want {
		return fmt.Errorf("restored: n is %d and the list is %s", n, list)
	}
	live := number(do("GET", "n"))
	if n < floor || !v.faults && n > live {
		return fmt.Errorf("restored: n is %d with %d segments; the engine has %d, and %d were archived", n, segments, live, floor)
	}
	return nil
}

func number(reply string) int {
	n, _ := strconv.Atoi(strings.Trim(reply, `"`))
	return n
}

// count is the reply with a list of the numbers up to n.
func count(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf("%q", strconv.Itoa(i+1))
	}
	return "[" + strings.Join(items, " ") + "]"
}

// archiving is a scenario with an archive: seals, checkpoints, restarts, a
// target that is away for a while.
func archiving(faults bool) func(r *coretest.Run) {
	return func(r *coretest.Run) {
		v := &vaults{faults: faults, of: map[core.Clock]*offsite{}}
		r.Restart(v.options)
		r.Always(v.check)
		push := func(times int) {
			for range times {
				n := number(r.Do("GET", "n")) // a fault may have taken some away
				r.Do("MULTI")
				r.Do("RPUSH", "list", strconv.Itoa(n+1))
				r.Do("INCR", "n")
				r.Do("EXEC")
			}
		}
		archived := func() {
			if n := number(r.Do("GET", "n")); r.Archived() {
				v.mu.Lock()
				v.floor = n
				v.mu.Unlock()
			}
		}
		push(2)
		archived()
		push(1)
		r.Tick()
		archived()
		v.first.down.Store(true)
		push(1)
		r.BGSave() // while it is behind
		push(1)
		r.Restart()
		push(1)
		r.RewriteAOF()
		v.first.down.Store(false)
		archived()
		push(1)
	}
}

// TestArchiveCrashes loses power before every operation of an engine with an
// archive: what is there can be restored, and the survivor goes on archiving.
func TestArchiveCrashes(t *testing.T) {
	if n := coretest.EveryCrashPoint(t, archiving(false)); n.Struck+n.LeftOut < 100 || n.Recoveries < 4*n.Struck {
		t.Errorf("only %+v", n)
	}
}

// TestArchiveFaults fails every operation of the data directory under it.
func TestArchiveFaults(t *testing.T) {
	n := coretest.EveryFault(t, archiving(true), func(o *core.Options) { o.ContinueOnSaveError = true })
	if n.Struck+n.LeftOut < 500 {
		t.Errorf("only %+v", n)
	}
}
