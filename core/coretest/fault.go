package coretest

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// faultKind is a way for an operation to fail.
type faultKind struct {
	name   string
	sticky bool // every later operation that it applies to fails too, until the scenario is over
	counts func(op faultfs.Op) bool
	err    func(op faultfs.Op) error
}

func kinds(kinds ...faultfs.OpKind) func(faultfs.Op) bool {
	return func(op faultfs.Op) bool { return slices.Contains(kinds, op.Kind) }
}

func mutates(op faultfs.Op) bool { return op.Kind.Mutates() }

func always(err error) func(faultfs.Op) error { return func(faultfs.Op) error { return err } }

// faultKinds are the errors that EveryFault tries, each on the operations that
// can have it.
func faultKinds() []faultKind {
	needsRoom := kinds(faultfs.OpCreate, faultfs.OpWrite, faultfs.OpMkdir, faultfs.OpSync, faultfs.OpSyncDir, faultfs.OpRename)
	return []faultKind{
		{"EIO", false, func(op faultfs.Op) bool { return op.Kind != faultfs.OpLock }, always(syscall.EIO)},
		{"ENOSPC", false, needsRoom, always(syscall.ENOSPC)},
		{"EROFS", false, mutates, always(syscall.EROFS)},
		{"EMFILE", false, kinds(faultfs.OpCreate, faultfs.OpOpen), always(syscall.EMFILE)},
		{"a short write", false, kinds(faultfs.OpWrite), func(op faultfs.Op) error { return &faultfs.Short{N: op.N / 2, Err: syscall.ENOSPC} }},
		{"EIO after it was done", false, mutates, always(&faultfs.After{Err: syscall.EIO})},
		{"ENOSPC from here on", true, needsRoom, always(syscall.ENOSPC)},
		{"EIO from here on", true, mutates, always(syscall.EIO)},
	}
}

// EveryFault runs a scenario once to count what it does to its disk, and then
// for every operation once with each error the operation can have: EIO, ENOSPC,
// EROFS, EMFILE, a short write, an error although it was done, and a disk that
// fails from there on until the scenario is over.
//
// From the fault on a write may be refused (MISCONF), or be executed and not made
// durable (NOTDURABLE), and a checkpoint may fail; whatever is acknowledged must be true all the same. When the scenario is over
// the memory must be the model's, a power loss must leave what EveryCrashPoint
// asks for, and the engine, on a disk that is good again, must take writes
// again by itself within minutes of its clock, and go on working.
//
// The test fails when there was nothing to fail. The functions change the
// engine's options, see New.
//
// SPILLWAY_LAB_STRIDE=n tries each error at every n-th operation only, one beginning
// where the last did not: for runs in which each takes long, as under the race
// detector.
func EveryFault(t testing.TB, scenario func(*Run), change ...func(*core.Options)) Tried {
	t.Helper()
	var all Tried
	step, met := stride(), false
	for i, kind := range faultKinds() {
		first := 1 + int64(i)%step
		tried, within := sweep(t, kind.name, first, step, func(n int64) (outcome, error) { return faultAt(n, kind, scenario, change) })
		if met = met || within; !within && step == 1 {
			nothing(t, kind.name)
		}
		t.Logf("%s: %d of %d operations, %d recoveries", kind.name, tried.Struck, tried.Operations, tried.Recoveries)
		all.Operations = max(all.Operations, tried.Operations)
		all.Struck += tried.Struck
		all.LeftOut += tried.LeftOut
		all.Recoveries += tried.Recoveries
	}
	if !met {
		nothing(t, "a fault")
	}
	return all
}

// faultAt runs the scenario with a fault at its n-th operation that can have it.
func faultAt(n int64, kind faultKind, scenario func(*Run), change []func(*core.Options)) (o outcome, err error) {
	d := newDisk(n, kind.counts, func(_ *disk, op faultfs.Op) error { return kind.err(op) })
	d.sticky = kind.sticky
	r := newRun(d, change)
	defer func() { _ = r.m.close() }()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nthe last operations:\n%s", err, d.trace())
		}
	}()
	if _, err := r.play(scenario); err != nil {
		return o, err
	}
	o.operations, o.struck = d.operations(), d.hasStruck()
	o.within = o.struck && n > r.begun
	if !o.struck {
		return o, nil
	}
	// The power goes before anything has healed.
	for _, s := range []int64{memfs.LoseAll, 1 + n} {
		o.recoveries++
		if err := r.survive(d.mem.CrashClone(s), n); err != nil {
			return o, fmt.Errorf("power loss right after the scenario, disk seed %d: %w", s, err)
		}
	}
	d.repair()
	if err := r.heal(); err != nil {
		return o, err
	}
	o.recoveries++
	if err := r.lose(d.mem.CrashClone(memfs.LoseAll)); err != nil {
		return o, fmt.Errorf("power loss after it has healed: %w", err)
	}
	return o, nil
}

// heal lets time pass on a good disk until a write is accepted.
func (r *Run) heal() (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case unwinding:
			err = p.err
		default:
			panic(p)
		}
	}()
	r.Do("DISCARD") // what the scenario may have left open
	last := ""
	for range 10 {
		r.Advance(10 * time.Second)
		r.Wait()
		if last = r.Do("SET", "coretest:healed", "1"); last == `"OK"` {
			return nil
		}
	}
	return fmt.Errorf("the disk is good again and yet writes are refused for good: %s", last)
}
