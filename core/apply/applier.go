package apply

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// Options are an Applier's.
type Options struct {
	// Readers says that others read the keyspace meanwhile, under the locks of the
	// shards that they need: a transaction over several shards must then be
	// visible as a whole or not at all. Without them, at a start, the shards take
	// their shares of it as they come to them, which is faster.
	Readers bool
}

// Applier applies commands to a keyspace. Its methods are for one goroutine at
// a time. After an error the keyspace holds a part of what was to be applied, and
// the Applier is of no more use.
type Applier struct {
	ks     *keyspace.Keyspace
	opts   Options
	lanes  []*lane
	direct executor         // of what is on several shards
	latest *command.Command // found last, unless it has subcommands
	tx     []found          // scratch
	shards []int            // scratch
	all    []int

	mu  sync.Mutex
	err error // the first of a lane
}

// New returns an Applier for ks. Close ends it.
func New(ks *keyspace.Keyspace, o Options) *Applier {
	a := &Applier{ks: ks, opts: o, direct: newExecutor(ks)}
	for i := range ks.NumShards() {
		l := newLane(ks, i)
		a.lanes, a.all = append(a.lanes, l), append(a.all, i)
		go l.run(a.fail)
	}
	return a
}

// Block applies what a block of the log segment at path holds.
func (a *Applier) Block(path string, b wal.Block) error {
	from := Origin{File: path, Block: b.Seq, Offset: b.Offset}
	if b.Tx {
		return a.transaction(b.Cmds, b.Lasts, &from)
	}
	return a.each(b.Cmds, b.Lasts, &from)
}

// Apply applies a command behind the earlier ones of its shards. It may do so
// later: Wait waits for it, and until then what its arguments refer to must stay as
// it is.
func (a *Applier) Apply(c wal.Cmd, from Origin) error { return a.one(&c, true, &from) }

// Transaction applies commands that were one transaction, as Apply does, and for
// readers (see Options) all of them at once.
func (a *Applier) Transaction(cmds []wal.Cmd, from Origin) error {
	return a.transaction(cmds, true, &from)
}

func (a *Applier) transaction(cmds []wal.Cmd, lasts bool, from *Origin) error {
	if !a.opts.Readers {
		return a.each(cmds, lasts, from)
	}
	tx, shards := a.tx[:0], a.shards[:0]
	for i := range cmds {
		cmd, err := a.find(&cmds[i], from)
		if err != nil {
			return err
		}
		tx = append(tx, found{cmds[i], cmd})
		shards = a.addShards(shards, &tx[i])
	}
	a.tx, a.shards = tx, shards
	defer clear(tx) // they may be large
	if len(shards) != 1 {
		return a.together(shards, tx, from)
	}
	l := a.lanes[shards[0]]
	for i := range tx { // a batch is applied under one lock
		l.next.add(&tx[i].Cmd, tx[i].cmd, lasts, from)
	}
	return a.sendFull(l)
}

// each applies commands each by itself.
func (a *Applier) each(cmds []wal.Cmd, lasts bool, from *Origin) error {
	for i := range cmds {
		if err := a.one(&cmds[i], lasts, from); err != nil {
			return err
		}
	}
	return nil
}

func (a *Applier) one(c *wal.Cmd, lasts bool, from *Origin) error {
	cmd, err := a.find(c, from)
	if err != nil {
		return err
	}
	var l *lane
	if n := cmd.OnlyKey; n > 0 && n < len(c.Args) && cmd.Sub == nil { // most are so
		l = a.lanes[a.ks.ShardOf(c.Args[n])]
	} else {
		f := found{*c, cmd}
		a.shards = a.addShards(a.shards[:0], &f)
		if len(a.shards) != 1 {
			return a.together(a.shards, []found{f}, from)
		}
		l = a.lanes[a.shards[0]]
	}
	l.next.add(c, cmd, lasts, from)
	return a.sendFull(l)
}

// sendFull gives a lane what it is to apply next, if that is a batch.
func (a *Applier) sendFull(l *lane) error {
	if !l.next.full() {
		return nil
	}
	l.send()
	return a.failed()
}

// find looks a command up, and checks what can be before it is executed.
func (a *Applier) find(c *wal.Cmd, from *Origin) (*command.Command, error) {
	cmd := a.latest
	if cmd == nil || !cmd.Named(c.Args[0]) { // they are often alike
		cmd = command.LookupLogged(c.Args[0])
		if cmd == nil || cmd.Resolve(c.Args).Flags&command.Write == 0 {
			return nil, from.refuse(fmt.Errorf("%.100q is no write command", c.Args[0]))
		}
		a.latest = nil
		if cmd.Sub == nil {
			a.latest = cmd
		}
	}
	if c.DB >= a.ks.NumDatabases() {
		return nil, fmt.Errorf("%s in database %d, but only %d are configured: configure more (nothing was changed on disk)", cmd.Name, c.DB, a.ks.NumDatabases())
	}
	if msg := command.CheckArity(cmd, c.Args); msg != "" {
		return nil, from.refuse(errors.New(msg))
	}
	return cmd, nil
}

// addShards adds the shards of a command to an ascending list of them.
func (a *Applier) addShards(shards []int, f *found) []int {
	shards, err := command.Shards(f.cmd, f.Args, a.ks, shards)
	if err != nil || len(shards) == 0 {
		return append(shards[:0], a.all...) // the handler says what is wrong with it
	}
	return shards
}

// together applies commands while the shards that they are about are locked,
// ascending as everybody locks them, behind what came before on those shards.
func (a *Applier) together(shards []int, cmds []found, from *Origin) error {
	for _, n := range shards {
		a.lanes[n].flying.Wait()
	}
	if err := a.failed(); err != nil {
		return err
	}
	a.ks.EnterSeveral(true)
	for _, n := range shards {
		a.ks.Shard(n).Lock()
	}
	defer func() {
		for _, n := range shards {
			a.ks.Shard(n).Unlock()
		}
		a.ks.LeaveSeveral()
	}()
	for _, n := range shards {
		l := a.lanes[n]
		err := l.apply(&l.next)
		if l.next.reset(); err != nil {
			return err
		}
	}
	for _, f := range cmds {
		if err := a.direct.execute(f.cmd, f.Args, f.DB, -1); err != nil {
			return from.refuse(err)
		}
	}
	return nil
}

// Wait returns when everything is applied that was to be.
func (a *Applier) Wait() error {
	for _, l := range a.lanes {
		l.send()
	}
	for _, l := range a.lanes {
		l.flying.Wait()
	}
	return a.failed()
}

// Close ends the Applier. What Wait has not waited for may be lost.
func (a *Applier) Close() {
	for _, l := range a.lanes {
		close(l.batches)
		<-l.ended
	}
}

func (a *Applier) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = err
	}
}

func (a *Applier) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// executor executes commands that nobody waits for.
type executor struct {
	ctx *command.Ctx
	out resp.Writer
}

func newExecutor(ks *keyspace.Keyspace) executor {
	return executor{ctx: &command.Ctx{KS: ks, Replaying: true, Rand: rand.New(rand.NewPCG(1, 1))}} // effects are not random
}

// execute executes a command; shard is as in command.Ctx. What was executed once
// must execute again: an error reply means that the commands and the keyspace do
// not agree.
func (e *executor) execute(cmd *command.Command, args [][]byte, db, shard int) error {
	e.out.Buf = e.out.Buf[:0]
	e.ctx.Reset(args, &e.out, db, shard, 0)
	if command.Call(e.ctx, cmd) == command.Failed {
		return fmt.Errorf("%.100q does not apply to the state before it: %s", args[0], bytes.TrimSpace(e.out.Buf[1:]))
	}
	return nil
}
