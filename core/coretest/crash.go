package coretest

import (
	"fmt"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// Tried is how much a laboratory run has tried.
type Tried struct {
	// Operations of the filesystem in one run of the scenario.
	Operations int
	// Struck counts the runs in which the crash or the fault happened.
	Struck int
	// LeftOut is about how many more such runs there would have been, had
	// SPILLWAY_LAB_STRIDE not left them out.
	LeftOut int
	// Recoveries counts the disks that an engine was opened on afterwards.
	Recoveries int
}

// EveryCrashPoint runs a scenario once to count what it does to its disk, and
// then once per operation with the power gone just before it. What is left of
// the disk then is a matter of chance, so several of the possibilities are
// tried (see memfs.FS.CrashClone): nothing that was not synced, everything, and
// random ones. An engine opened on each must hold, under appendfsync always,
// every acknowledged write, whole and once, and of the command that was running
// all or nothing; under the other policies a state that the engine has been in
// since the last durable one. Then it must go on working.
//
// Operations that change nothing on a disk are not counted: a power loss there
// leaves what one at the next operation leaves. The test fails when there was
// nothing to crash. The functions change the engine's options, see New.
//
// SPILLWAY_LAB=long tries more of what a disk may be like, SPILLWAY_LAB_STRIDE=n
// every n-th operation only, SPILLWAY_LAB_POINT=n operation n alone.
func EveryCrashPoint(t testing.TB, scenario func(*Run), change ...func(*core.Options)) Tried {
	t.Helper()
	seeds := crashSeeds(3)
	const what = "the power was lost"
	step := stride()
	try := func(n int64) (outcome, error) { return crashAt(n, seeds, scenario, change) }
	tried, within := sweep(t, what, 1, step, try)
	if !within && step > 1 { // the scenario has fewer operations than that
		tried, within = sweep(t, what, 1, 1, try)
	}
	if !within {
		nothing(t, what)
	}
	t.Logf("%d operations, power lost at %d, %d recoveries", tried.Operations, tried.Struck, tried.Recoveries)
	return tried
}

// crashSeeds returns the seeds for CrashClone at an operation: lose all, keep
// all, and some that differ from operation to operation.
func crashSeeds(random int64) func(n int64) []int64 {
	if long() {
		random *= 8
	}
	return func(n int64) []int64 {
		s := []int64{memfs.LoseAll, memfs.KeepAll}
		for i := range random {
			s = append(s, 2+random*n+i)
		}
		return s
	}
}

// crashAt runs the scenario with the power gone at its n-th operation, and
// checks what that leaves.
func crashAt(n int64, seeds func(int64) []int64, scenario func(*Run), change []func(*core.Options)) (o outcome, err error) {
	clones := map[int64]*memfs.FS{}
	take := func(d *disk) {
		for _, s := range seeds(n) {
			clones[s] = d.mem.CrashClone(s)
		}
	}
	d := newDisk(n, func(op faultfs.Op) bool { return op.Kind.Mutates() }, func(d *disk, _ faultfs.Op) error {
		take(d)
		d.dead = true
		return errNoPower
	})
	r := newRun(d, change)
	defer func() { _ = r.m.close() }()
	dead, err := r.play(scenario)
	o.within = d.hasStruck() && r.begun > 0 && n > r.begun
	if err != nil {
		return o, fmt.Errorf("%w\nthe last operations:\n%s", err, d.trace())
	}
	if !dead {
		// Closing is a part of it, and when all of it was done the power
		// goes as well.
		r.last = "close"
		if err = r.m.close(); err == nil && !d.isDead() {
			r.w.closed()
			take(d)
		}
	}
	o.operations, o.struck = d.operations(), d.hasStruck()
	if err != nil && !o.struck {
		return o, err
	}
	for i, s := range seeds(n) {
		o.recoveries++
		if err := r.survive(clones[s], n+int64(i)); err != nil {
			return o, fmt.Errorf("disk seed %d: after %d acknowledged commands, at %s: %w\nthe last operations:\n%s", s, r.acknowledged, r.last, err, d.trace())
		}
	}
	return o, nil
}

// survive opens an engine on what a power loss has left of the run's disk,
// checks it and goes on.
func (r *Run) survive(left *memfs.FS, variant int64) error {
	again := r.after(left)
	defer func() { _ = again.m.close() }()
	if err := again.recover(); err != nil {
		return err
	}
	if err := again.goOn(variant); err != nil {
		return fmt.Errorf("going on after it: %w", err)
	}
	return nil
}

// after is a run that continues this one on a good disk with a content of its own.
func (r *Run) after(left *memfs.FS) *Run {
	d := newDisk(0, nil, nil)
	d.mem = left
	d.fs = faultfs.New(left, d.inject)
	w := *r.w
	w.history = r.w.history.Clone()
	w.shaken = false
	clock := newClock(r.clock.Now())
	return &Run{
		m: &machine{clock: clock, change: r.m.change}, clock: clock,
		disk: d, w: &w, always: r.always, running: r.running,
	}
}

// recover opens the engine and checks that what it has found is legal.
func (r *Run) recover() error {
	if err := r.m.open(r.disk.fs); err != nil {
		return err
	}
	there, err := r.m.read()
	if err != nil {
		return err
	}
	if err := r.w.history.Adopt(there, r.m.now(), r.running); err != nil {
		return err
	}
	r.w.opened(options(nil, nil, r.m.change))
	return r.m.hold(r.always)
}
