package coretest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest/model"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// A Run is one execution of a scenario, on a disk to which something may happen
// at any moment. It is one client of an engine: two shards, the log on with
// appendfsync always, no automatic checkpoints, a clock that stands still, or
// whatever EveryCrashPoint and EveryFault were told.
//
// Everything a Run does is compared with a model of the commands as it goes
// along: replies, what is in memory, what a power loss leaves. A write that the
// model does not know fails the test; what only reads may be anything.
//
// When the power goes the call that notices does not return: the scenario is
// unwound, its deferred calls are made, and the disk is looked at. A Run is for
// the goroutine that the scenario was called on.
type Run struct {
	m      *machine
	clock  *Clock
	disk   *disk
	w      *witness
	always []func(do func(args ...string) string) error

	begun        int64           // operations on the disk before the scenario
	acknowledged int             // commands
	running      []model.Outcome // of the command that the power loss met
	last         string          // what was asked for last, for error messages
}

// unwinding is the panic that ends a scenario early: err is nil when the power
// is gone, else what is wrong.
type unwinding struct{ err error }

func newRun(d *disk, change []func(*core.Options)) *Run {
	clock := newClock(beginning)
	m := &machine{clock: clock, change: change}
	return &Run{m: m, clock: clock, disk: d, w: newWitness(options(d.fs, m.clock, change))}
}

// play runs the scenario to its end. dead tells that the power went before that.
func (r *Run) play(scenario func(*Run)) (dead bool, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case unwinding:
			dead, err = p.err == nil, p.err
		default:
			panic(p)
		}
	}()
	r.open()
	r.begun = r.disk.operations()
	scenario(r)
	r.settle()
	return false, nil
}

// fail ends the scenario with an error, unless the power is what is wrong.
func (r *Run) fail(err error) {
	r.alive()
	panic(unwinding{fmt.Errorf("%s: %w", r.last, err)})
}

// alive ends the scenario when the power is gone.
func (r *Run) alive() {
	if r.disk.isDead() {
		panic(unwinding{})
	}
}

// Value runs a command and returns its reply, which is as the model says. When
// a fault has struck, a write may be refused instead.
func (r *Run) Value(args ...string) resp.Value {
	r.last = fmt.Sprintf("%q", args)
	r.alive()
	r.running = nil
	r.w.shaken = r.disk.hasStruck()
	now := r.m.now()
	outcomes, err := r.w.predict(now, args)
	if err != nil {
		r.fail(err)
	}
	got, err := r.m.do(args)
	if err != nil {
		r.fail(err)
	}
	// While the lock is held the power cannot go: what is acknowledged is so
	// in time, or not at all.
	r.disk.mu.Lock()
	dead := r.disk.dead
	if dead {
		r.running = outcomes
	} else {
		r.w.shaken = r.disk.struck != nil
		refused := r.w.shaken && isRefusal(got)
		if !refused {
			r.acknowledged++
			err = r.w.told(now, args, outcomes, got, nil)
		}
		r.disk.mu.Unlock()
		if refused {
			err = r.w.told(now, args, outcomes, got, r.m.look)
		}
		if err != nil {
			r.fail(err)
		}
		return got
	}
	r.disk.mu.Unlock()
	r.alive()
	return got
}

// Do is Value as redis-cli shows it.
func (r *Run) Do(args ...string) string { return r.Value(args...).String() }

// MustDo is Do for a command that must not end in an error, but for the refusal
// of a write after a fault has struck.
func (r *Run) MustDo(args ...string) string {
	v := r.Value(args...)
	if v.Kind == resp.KindError && !(r.w.shaken && isRefusal(v)) {
		r.fail(errors.New(v.String()))
	}
	return v.String()
}

// Save takes a snapshot in the foreground. Only after a fault has struck may it
// fail.
func (r *Run) Save() { r.checkpoint("SAVE") }

// BGSave takes a snapshot in the background and waits for its end.
func (r *Run) BGSave() { r.checkpoint("BGSAVE") }

// RewriteAOF rewrites the log in the background and waits for its end.
func (r *Run) RewriteAOF() { r.checkpoint("BGREWRITEAOF") }

func (r *Run) checkpoint(name string) {
	mark := r.w.history.Mark()
	_, before := r.m.db.Checkpoints()
	got := r.Value(name)
	refused := got.Kind == resp.KindError
	r.Wait()
	_, after := r.m.db.Checkpoints()
	switch {
	case after > before && !refused:
		r.w.history.DurableTo(mark)
	case !r.disk.hasStruck():
		r.fail(fmt.Errorf("no checkpoint was committed; the reply is %s", got))
	}
}

// Wait lets the checkpoint in flight, if any, come to its end.
func (r *Run) Wait() {
	r.alive()
	if err := r.m.wait(); err != nil {
		r.fail(err)
	}
	r.alive()
}

// Tick does once what the engine does ten times a second.
func (r *Run) Tick() {
	r.alive()
	r.m.db.Tick()
	r.alive()
}

// Advance moves the clock and ticks.
func (r *Run) Advance(d time.Duration) {
	r.clock.Advance(d)
	r.Tick()
}

// Archived lets time pass until every target of the archive has everything, and
// tells whether it came to that. Only after a fault has struck may it not.
func (r *Run) Archived() bool {
	r.last = "Archived"
	for try := 0; try < 4 || try < 2000 && !r.disk.hasStruck(); try++ {
		r.Wait()
		r.Advance(time.Minute)
		for range 100 {
			s := r.m.db.Archive()
			if inFlight, _ := r.m.db.Checkpoints(); s.Waiting == 0 && s.Lag == 0 && !s.Sealing && !inFlight {
				return !r.disk.hasStruck()
			}
			time.Sleep(50 * time.Microsecond)
			r.Tick()
		}
	}
	if !r.disk.hasStruck() {
		r.fail(fmt.Errorf("the archive does not get everything: %+v", r.m.db.Archive()))
	}
	return false
}

// Restart closes the engine and opens it again, from here on with the further
// options, if any. A transaction being queued and the selected database are
// forgotten, as they are when a connection ends.
func (r *Run) Restart(change ...func(*core.Options)) {
	r.last = "restart"
	r.alive()
	r.running = nil
	err := r.m.close()
	r.alive()
	switch {
	case err == nil:
		r.w.closed()
	case !r.disk.hasStruck():
		r.fail(err)
	}
	r.m.change = append(r.m.change[:len(r.m.change):len(r.m.change)], change...)
	r.open()
}

// open starts the engine and checks what it has recovered. A fault may spoil
// the first attempt.
func (r *Run) open() {
	r.last = "open"
	err := r.m.open(r.disk.fs)
	r.alive()
	if err != nil && r.disk.hasStruck() {
		r.disk.repair()
		err = r.m.open(r.disk.fs)
		r.alive()
	}
	if err != nil {
		r.fail(err)
	}
	r.w.opened(options(nil, nil, r.m.change))
	there, err := r.m.read()
	if err != nil {
		r.fail(err)
	}
	r.disk.mu.Lock()
	if r.disk.dead {
		r.disk.mu.Unlock()
		r.alive()
	}
	err = r.w.history.Adopt(there, r.m.now(), nil)
	r.disk.mu.Unlock()
	if err != nil {
		r.fail(err)
	}
}

// Always has check called now and after every recovery from here on: what it
// says must hold whatever happens. It runs commands that read, on a connection
// of its own.
func (r *Run) Always(check func(do func(args ...string) string) error) {
	r.always = append(r.always, check)
	r.last = "Always"
	if err := r.m.hold(r.always[len(r.always)-1:]); err != nil {
		r.fail(err)
	}
}

// hold asks every check.
func (m *machine) hold(checks []func(do func(args ...string) string) error) error {
	for _, check := range checks {
		sess := m.db.Session()
		err := check(func(args ...string) string {
			v, err := sess.Do(args...)
			if err != nil {
				return "(error) " + err.Error()
			}
			return v.String()
		})
		if err != nil {
			return fmt.Errorf("what must always hold does not: %w", err)
		}
	}
	return nil
}

// settle waits for what is in flight and compares the memory with the model.
func (r *Run) settle() {
	r.Wait()
	r.last = "at the end of the scenario"
	there, err := r.m.read()
	if err == nil {
		err = r.w.compare(r.m.now(), there)
	}
	if err == nil {
		err = r.m.hold(r.always)
	}
	if err != nil {
		r.fail(err)
	}
	r.alive()
}

// goOn works with an engine that has recovered: it must take writes and a
// checkpoint as if nothing had happened, and hold all of it after a restart or
// a further loss of power. Which of these is up to the variant.
func (r *Run) goOn(variant int64) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case unwinding:
			err = p.err
		default:
			panic(p)
		}
	}()
	r.write("1")
	if variant%2 == 0 {
		r.Save()
	} else {
		r.RewriteAOF()
	}
	r.write("2")
	if variant%3 == 0 {
		r.settle()
		r.last = "power loss after going on"
		return r.lose(r.disk.mem.CrashClone(memfs.LoseAll))
	}
	r.Restart()
	return nil
}

// lose goes on with what a further power loss has left, if that is legal.
func (r *Run) lose(left *memfs.FS) error {
	again := r.after(left)
	defer func() { _ = again.m.close() }()
	return again.recover()
}

// write writes one key of every type.
func (r *Run) write(tag string) {
	for _, cmd := range []string{
		"SET coretest:str %", "RPUSH coretest:list %", "HSET coretest:hash % 1", "SADD coretest:set %", "ZADD coretest:zset 1.5 %",
		"MULTI", "INCR coretest:n", "APPEND coretest:log %", "EXEC",
	} {
		r.MustDo(strings.Fields(strings.ReplaceAll(cmd, "%", tag))...)
	}
}
