package coretest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest/model"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/plugins/age"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

// player plays one history in a bubble of testing/synctest, and compares the
// engine with the model after every step.
type player struct {
	seed  uint64
	bug   Bug // to be found
	disk  *slowDisk
	other *slowDisk // of the second sink: another machine, which never loses power
	keys  keyPair
	m     *machine
	w     *witness
	setup setup
	at    int // the step being played

	started   int64     // checkpoints committed when the one in flight was begun, -1: none is known of
	mark      int       // what that one will make durable
	syncSince time.Time // since then the log is synced every second; zero: it is not

	crashes, faults, checkpoints, commands, serves int
}

// keyPair is an age identity and its recipient. They are fixed, so that sizes
// are.
type keyPair struct{ secret, public string }

var testKeys = keyPair{
	"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
	"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
}

// play plays a history. The error says at which step what went wrong.
func (p *player) play(steps []step) error {
	p.disk = newSlowDisk(memfs.New(), p.seed)
	p.other = newSlowDisk(memfs.New(), p.seed+1)
	p.m = &machine{clock: core.SystemClock{}}
	p.w = &witness{history: model.NewHistory()}
	p.started = -1
	defer func() {
		if p.m.db != nil {
			_ = p.m.close()
		}
	}()
	for i, s := range steps {
		p.at = i
		if err := p.step(s); err != nil {
			return fmt.Errorf("step %d (%s): %w\n%s", i+1, s, err, p.recent())
		}
	}
	if err := p.finish(); err != nil {
		return fmt.Errorf("at the end: %w\n%s", err, p.recent())
	}
	return nil
}

// recent shows the last operations of the disk.
func (p *player) recent() string {
	p.disk.mu.Lock()
	defer p.disk.mu.Unlock()
	t := p.disk.trace
	return "the last operations of the disk:\n  " + strings.Join(t[max(0, len(t)-12):], "\n  ")
}

func (p *player) step(s step) error {
	if s.verb != "open" && s.verb != "restart" && p.m.db == nil {
		if err := p.open(defaultSetup); err != nil { // a script without its first line
			return err
		}
	}
	switch s.verb {
	case "open", "restart":
		return p.restart(s.setup)
	case "command":
		return p.command(s.args)
	case "served":
		return p.served(s.args, s.by)
	case "advance":
		time.Sleep(s.d)
		return p.after(nil)
	case "wait":
		return p.wait()
	case "crash":
		p.disk.with(func() {
			p.disk.crash, p.disk.crashSeed = s.in, s.disk
			if s.in == 0 {
				p.disk.pullPlug()
			}
		})
		return p.after(nil)
	case "fault":
		d := p.disk
		if s.other {
			d = p.other
		}
		d.with(func() { d.fault, d.err, d.times = s.in, s.err, s.times })
		return nil
	}
	return fmt.Errorf("unknown step %q", s.verb)
}

// options are the engine's for the setup.
func (p *player) options(o *core.Options) {
	s := p.setup
	o.ManualTick = false
	o.Shards, o.NoLog = s.shards, s.log != "yes"
	o.Fsync, _ = wal.ParsePolicy(s.fsync)
	z, zerr := zstd.New(zstd.Options{})
	a, aerr := age.New(age.Options{Recipients: []string{p.keys.public}, Identities: []string{p.keys.secret}})
	if err := errors.Join(zerr, aerr); err != nil {
		panic(err)
	}
	o.DecodeStages = []sink.Stage{z, a}
	switch s.stages {
	case "zstd":
		o.Stages = []sink.Stage{z}
	case "age":
		o.Stages = []sink.Stage{a}
	case "zstd+age":
		o.Stages = []sink.Stage{z, a}
	}
	if s.sink != "none" {
		o.Targets = []sink.Target{{Name: "other", Sink: p.otherSink(), Required: s.sink == "required", Keep: sink.Retention{Last: 2}}}
	}
}

func (p *player) otherSink() sink.Sink { return sink.NewFSSink("other", p.other.fs, "backups") }

// open starts the engine and compares what it has recovered. A fault may spoil
// that; then the disk is repaired.
func (p *player) open(s setup) error {
	p.setup = s
	p.m.change = []func(*core.Options){p.options}
	for try := 0; ; try++ {
		before := p.faultCount()
		err := p.m.open(p.bug.wrap(p.disk.fs))
		if p.disk.isDead() {
			_ = p.m.close()
			p.replug(nil)
			continue
		}
		if err == nil {
			break
		}
		if p.faultCount() == before {
			return err
		}
		p.disk.repair()
	}
	p.w.opened(options(nil, p.m.clock, p.m.change))
	p.w.shaken = false
	p.started = -1
	p.synced(s.fsync)
	there, err := p.m.read()
	if dead, derr := p.died(nil); dead {
		return derr
	}
	if err != nil {
		return err
	}
	return p.w.history.Adopt(there, p.m.now(), nil)
}

func (d *slowDisk) isDead() (dead bool) {
	d.with(func() { dead = d.dead })
	return dead
}

// faultCount is how many faults there were on the disks of this machine's life.
func (p *player) faultCount() (n int) {
	p.disk.with(func() { n = p.disk.struck })
	p.other.with(func() { n += p.other.struck })
	return n
}

func (d *slowDisk) repair() { d.with(func() { d.fault = 0 }) }

// died recovers, if the power is gone, from what that has left, given how the
// command in flight can end.
func (p *player) died(running []model.Outcome) (bool, error) {
	if !p.disk.isDead() {
		return false, nil
	}
	_ = p.m.close()
	p.replug(running)
	return true, p.open(p.setup)
}

// replug puts what a power loss has left in the place of the disk.
func (p *player) replug(running []model.Outcome) {
	p.crashes++
	p.w.shaken = p.w.shaken || p.faultCount() > 0 // one may have struck in the step in which the power went
	p.faults += p.disk.struck
	p.noteDurable()
	before := p.disk
	p.disk = newSlowDisk(before.left, mix(before.seed))
	p.disk.trace = append(p.disk.trace, before.trace...)
	p.disk.trace = append(p.disk.trace, fmt.Sprintf("(power lost, disk seed %d)", before.crashSeed))
	// The states that the running command may have led to are as legal as
	// those before it.
	for _, o := range running {
		p.w.history.Add(o.State, p.m.now())
	}
}

// after is called when a step is over: it deals with a power loss, and notes
// what has become durable meanwhile.
func (p *player) after(running []model.Outcome) error {
	if dead, err := p.died(running); dead || err != nil {
		return err
	}
	p.w.shaken = p.w.shaken || p.faultCount() > 0
	p.noteDurable()
	return nil
}

// noteDurable takes in what time and a checkpoint in the background have done.
func (p *player) noteDurable() {
	if p.m.db != nil && p.started >= 0 {
		if _, n := p.m.db.Checkpoints(); n > p.started {
			p.w.history.DurableTo(p.mark)
			p.started = -1
			p.checkpoints++
		}
	}
	// The promise of everysec, and as much again for a slow disk.
	const second = 2500 * time.Millisecond
	now := time.Now()
	if p.disk.isDead() {
		now = p.disk.died
	}
	if limit := now.Add(-second); !p.w.shaken && p.w.logging && !p.syncSince.IsZero() && p.syncSince.Before(limit) {
		p.w.history.DurableUntil(limit.UnixMilli())
	}
}

// synced notes that the policy is this one from here on.
func (p *player) synced(policy string) {
	p.syncSince = time.Now()
	if policy == "no" {
		p.syncSince = time.Time{}
	}
}

func (p *player) command(args []string) error {
	p.commands++
	now := p.m.now()
	outcomes, err := p.w.predict(now, args)
	if errors.Is(err, model.ErrUnknown) && p.w.client.InMulti {
		return nil // administration is kept out of transactions
	}
	if err != nil {
		return err
	}
	got, err := p.m.do(args)
	if err != nil {
		return err
	}
	dead, faults := false, p.faultCount()
	refused := isRefusal(got)
	p.disk.with(func() {
		if dead = p.disk.dead; dead {
			return
		}
		p.w.shaken = p.w.shaken || faults > 0 || p.disk.struck > 0
		if !refused {
			err = p.w.told(now, args, outcomes, got, nil)
		}
	})
	if dead {
		return p.after(outcomes)
	}
	if refused {
		err = p.w.told(now, args, outcomes, got, p.m.look)
		if p.disk.isDead() { // reading may write, so the power may have gone meanwhile
			return p.after(outcomes)
		}
	}
	if err != nil {
		return err
	}
	p.noteCommand(args, got)
	return p.after(nil)
}

// noteCommand takes in what commands do that take effect later.
func (p *player) noteCommand(args []string, got resp.Value) {
	switch {
	case got.Kind == resp.KindError:
	case args[0] == "SAVE":
		p.checkpoints++
	case (args[0] == "BGSAVE" || args[0] == "BGREWRITEAOF") && strings.HasSuffix(got.Text(), "started"):
		_, p.started = p.m.db.Checkpoints()
		p.mark = p.w.history.Mark()
	case args[0] == "CONFIG":
		for i, a := range args {
			switch {
			case a == "appendfsync":
				p.synced(args[i+1])
			case a == "appendonly" && !p.syncSince.IsZero():
				p.syncSince = time.Now()
			}
		}
	}
}

// wait lets time pass until no checkpoint is in flight.
func (p *player) wait() error {
	for range 10000 {
		if err := p.after(nil); err != nil {
			return err
		}
		if inFlight, _ := p.m.db.Checkpoints(); !inFlight {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errHangs
}

func (p *player) restart(s setup) error {
	if p.m.db != nil {
		faults := p.faultCount()
		shaken := p.w.shaken
		err := p.m.close()
		if dead := p.disk.isDead(); !dead {
			switch {
			case err == nil:
				p.w.closed()
			case !shaken && p.faultCount() == faults:
				return err
			}
		} else {
			p.replug(nil)
		}
	}
	return p.open(s)
}

// finish makes the disk a good one, and requires that the engine heals, takes
// writes and checkpoints, and keeps everything over a restart and a power loss.
func (p *player) finish() error {
	p.disk.with(func() { p.disk.crash, p.disk.fault = 0, 0 })
	p.other.repair()
	if p.m.db == nil {
		return nil
	}
	if err := p.command([]string{"DISCARD"}); err != nil {
		return err
	}
	if err := p.healed(); err != nil {
		return err
	}
	for _, args := range [][]string{{"SET", "last", "1"}, {"SAVE"}, {"RPUSH", "last:list", "a"}} {
		if err := p.wait(); err != nil {
			return err
		}
		if err := p.command(args); err != nil {
			return err
		}
	}
	there, err := p.m.read()
	if err == nil {
		err = p.w.compare(p.m.now(), there)
	}
	if err != nil {
		return err
	}
	for _, s := range []step{
		{verb: "restart", setup: setup{3, "always", "yes", p.setup.stages, p.setup.sink}},
		{verb: "command", args: []string{"RPUSH", "last:list", "b"}},
		{verb: "crash", disk: memfs.LoseAll},
	} {
		if err := p.step(s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	_, err = p.otherSink().List(context.Background())
	return err
}

// healed lets time pass until writes are accepted.
func (p *player) healed() error {
	for range 20 {
		time.Sleep(10 * time.Second)
		if err := p.wait(); err != nil {
			return err
		}
		got, err := p.m.db.Session().Do("DEL", "nothing")
		if err != nil {
			return err
		}
		if !isRefusal(got) {
			p.w.shaken = false
			for _, d := range []*slowDisk{p.disk, p.other} {
				d.with(func() { p.faults += d.struck; d.struck = 0 })
			}
			return nil
		}
	}
	return errors.New("the disk is good again and yet writes are refused for good")
}
