package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/repair"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/wal"
)

// loadPart reads one part of the base back through the stages it went through.
func (db *DB) loadPart(ctx context.Context, set *sink.Set, p sink.SetPart, progress *loading) (keys int64, err error) {
	err = db.ckpt.pipe.Read(ctx, p, func(r io.Reader) error {
		r = progress.reader(r)
		if set.ID.Kind == sink.KindRewrite {
			return db.loadCommands(r, p.Part.Name)
		}
		return rdb.Read(r, rdb.Handler{Object: func(o *rdb.Object) error {
			if o.DB >= db.opts.Databases {
				return fmt.Errorf("key %q is in database %d, but only %d are configured", o.Key, o.DB, db.opts.Databases)
			}
			keys++
			return db.ks.Load(o)
		}})
	})
	if err == nil && set.ID.Kind == sink.KindRewrite {
		keys = p.Keys
	}
	return keys, err
}

// loadCommands applies a rewrite part: plain RESP commands.
func (db *DB) loadCommands(r io.Reader, part string) error {
	a := newApplier(db)
	defer a.close()
	var (
		parser resp.Parser
		buf    []byte
		n      = 0
		at     int64
	)
	for {
		args, used, err := parser.Next(buf, nil)
		if err == nil {
			buf = buf[used:]
			at += int64(used)
			if len(args) == 0 {
				continue
			}
			if command.Lookup(args[0]) == selectCommand && len(args) == 2 {
				if n, err = parseDB(args[1], db.opts.Databases); err != nil {
					return err
				}
				continue
			}
			if err := a.apply(n, args); err != nil {
				return err
			}
			continue
		}
		if !errors.Is(err, resp.ErrIncomplete) {
			return fmt.Errorf("offset %d: %w", at, err)
		}
		next, readErr := parser.Fill(r, buf)
		switch {
		case len(next) > len(buf):
		case errors.Is(readErr, io.EOF) && len(buf) == 0:
			return a.wait()
		case errors.Is(readErr, io.EOF):
			return fmt.Errorf("offset %d: %w", at, io.ErrUnexpectedEOF)
		case readErr != nil:
			return fmt.Errorf("offset %d: %w", at, readErr)
		}
		buf = next
		a.at = origin{path: part, offset: at}
		parser.Reset()
	}
}

var selectCommand = command.Lookup([]byte("select"))

// replayLog applies the segments behind the base. Only the last one that has
// blocks may end in a torn tail: one is left behind by a crash between the
// rotation and the first append to the new segment as well.
func (db *DB) replayLog(ctx context.Context, m *manifest.Manifest, progress *loading) ([]logTail, error) {
	last, err := repair.LastWithBlocks(db.fs, m)
	if err != nil {
		return nil, fmt.Errorf("replaying the log: %w", err)
	}
	a := newApplier(db)
	defer a.close()
	var tails []logTail
	seq := uint64(0)
	for i, s := range m.Segments {
		res, err := wal.Replay(db.fs, s.Path, wal.ReplayOptions{Last: i >= last, ID: s.LogID, StartSeq: seq, Logger: db.logger}, func(b wal.Block) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			a.at = origin{path: s.Path, block: b.Seq, offset: b.Offset}
			for _, c := range b.Cmds {
				if err := a.apply(c.DB, c.Args); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			err = a.wait()
		}
		if err != nil {
			return nil, fmt.Errorf("replaying the log: %w", err)
		}
		seq = res.LastSeq
		progress.done.Add(res.Size)
		r := &db.recovered
		r.Segments++
		r.Blocks += res.Blocks
		r.Commands += res.Commands
		if i >= last {
			tails = append(tails, logTail{s.Path, res})
		}
	}
	db.lastSeq = seq
	return tails, nil
}

// applier replays commands on all shards at once: one goroutine a shard, fed
// in the order of the log. A command on several shards waits for all of them.
type applier struct {
	db     *DB
	at     origin // of what comes next
	lanes  []lane
	direct *command.Ctx // for commands on several shards
	keys   []command.Key
	mu     sync.Mutex
	err    error
}

// lane is one shard's share of the work.
type lane struct {
	batch batch
	feed  chan batch
	idle  sync.WaitGroup // batches handed over and not applied yet
	done  chan struct{}
}

// batch is commands in their order, and where they come from.
type batch struct {
	cmds []wal.Cmd
	from []stretch
}

// stretch is a batch's commands from an index on.
type stretch struct {
	index int
	origin
}

// origin is a place in a file that commands come from, to be named in an error.
type origin struct {
	path   string
	block  uint64 // of the log
	offset int64  // where the block begins, or near which it is in a part

	foreign bool // another program wrote it
}

func (b *batch) add(c wal.Cmd, from origin) {
	if n := len(b.from); n == 0 || b.from[n-1].origin != from {
		b.from = append(b.from, stretch{len(b.cmds), from})
	}
	b.cmds = append(b.cmds, c)
}

// origin tells where the command at index i comes from.
func (b *batch) origin(i int) origin {
	n, _ := slices.BinarySearchFunc(b.from, i+1, func(s stretch, i int) int { return s.index - i })
	return b.from[n-1].origin
}

// refuse says that what is at o cannot be applied, and what helps.
func (o origin) refuse(err error) error {
	place := fmt.Sprintf("log segment %s, block %d at offset %d", o.path, o.block, o.offset)
	if o.block == 0 {
		place = fmt.Sprintf("%s, near offset %d", o.path, o.offset)
	}
	if o.foreign {
		return fmt.Errorf("%s: %w", place, err)
	}
	return fmt.Errorf("%s: %w; start the version that wrote it, restore a backup, "+
		"or go back to an older checkpoint with `spillway repair --generation` (nothing was changed on disk)", place, err)
}

const applyBatch = 256

// prefetchBatch is how many of them are looked up ahead.
const prefetchBatch = 32

func newApplier(db *DB) *applier {
	a := &applier{db: db, lanes: make([]lane, db.ks.NumShards()), direct: replayCtx(db)}
	for i := range a.lanes {
		l := &a.lanes[i]
		l.feed = make(chan batch, 8)
		l.done = make(chan struct{})
		go a.run(i)
	}
	return a
}

func replayCtx(db *DB) *command.Ctx {
	return &command.Ctx{KS: db.ks, Replaying: true, Engine: db, Rand: rand.New(rand.NewPCG(1, 1))} // effects are not random
}

// apply queues one command behind those of its shard. args must stay valid.
func (a *applier) apply(n int, args [][]byte) error {
	cmd := command.Lookup(args[0])
	switch {
	case cmd == nil || cmd.Flags&command.Write == 0:
		return a.at.refuse(fmt.Errorf("%.100q is no write command", args[0]))
	case n >= a.db.opts.Databases:
		return fmt.Errorf("%s in database %d, but only %d are configured: configure more (nothing was changed on disk)", cmd.Name, n, a.db.opts.Databases)
	}
	if msg := command.CheckArity(cmd, args); msg != "" {
		return a.at.refuse(errors.New(msg))
	}
	if shard, ok := a.single(cmd, args); ok {
		l := &a.lanes[shard]
		l.batch.add(wal.Cmd{DB: n, Args: args}, a.at)
		if len(l.batch.cmds) >= applyBatch {
			a.hand(l)
		}
		return nil
	}
	if err := a.wait(); err != nil {
		return err
	}
	a.db.lockAll()
	defer a.db.unlockAll()
	if err := a.run1(a.direct, wal.Cmd{DB: n, Args: args}, -1, new(resp.Writer)); err != nil {
		return a.at.refuse(err)
	}
	return nil
}

// single tells the one shard that a command's keys live on.
func (a *applier) single(cmd *command.Command, args [][]byte) (int, bool) {
	if cmd.Flags&command.AllShards != 0 {
		return 0, false
	}
	if cmd.OnlyKey > 0 {
		return a.db.ks.ShardOf(args[cmd.OnlyKey]), true
	}
	var err error
	a.keys, err = cmd.AppendKeys(a.keys[:0], args)
	if err != nil || len(a.keys) == 0 {
		return 0, false
	}
	shard := a.db.ks.ShardOf(args[a.keys[0].At])
	for _, k := range a.keys[1:] {
		if a.db.ks.ShardOf(args[k.At]) != shard {
			return 0, false
		}
	}
	return shard, true
}

func (a *applier) hand(l *lane) {
	if len(l.batch.cmds) > 0 {
		l.idle.Add(1)
		l.feed <- l.batch
		l.batch = batch{cmds: make([]wal.Cmd, 0, applyBatch)}
	}
}

func (a *applier) run(i int) {
	l := &a.lanes[i]
	defer close(l.done)
	ctx := replayCtx(a.db)
	var out resp.Writer
	var ahead [][]byte
	shard := a.db.ks.Shard(i)
	for b := range l.feed {
		shard.Lock()
		for j, c := range b.cmds {
			if j%prefetchBatch == 0 {
				ahead = a.prefetch(shard, b.cmds[j:min(j+prefetchBatch, len(b.cmds))], ahead)
			}
			if err := a.run1(ctx, c, i, &out); err != nil {
				at := b.origin(j)
				a.fail(at.refuse(err))
				break
			}
		}
		shard.Unlock()
		l.idle.Done()
	}
}

// prefetch brings what a few commands, usually of one database, will look up
// into the processor's cache. ahead is scratch.
func (a *applier) prefetch(shard *keyspace.Shard, cmds []wal.Cmd, ahead [][]byte) [][]byte {
	ahead = ahead[:0]
	for _, c := range cmds {
		if len(c.Args) > 1 {
			ahead = append(ahead, c.Args[1])
		}
	}
	shard.DB(cmds[0].DB).Prefetch(ahead)
	return ahead
}

// run1 applies one command. What was executed once must execute again: an
// error reply means that the log and the keyspace do not agree.
func (a *applier) run1(ctx *command.Ctx, c wal.Cmd, shard int, out *resp.Writer) error {
	out.Buf = out.Buf[:0]
	ctx.Reset(c.Args, out, c.DB, shard, 0)
	command.Call(ctx, command.Lookup(c.Args[0]))
	if len(out.Buf) > 0 && out.Buf[0] == '-' {
		return fmt.Errorf("%.100q does not apply to the state before it: %s", c.Args[0], bytes.TrimSpace(out.Buf[1:]))
	}
	return nil
}

func (a *applier) fail(err error) {
	a.mu.Lock()
	if a.err == nil {
		a.err = err
	}
	a.mu.Unlock()
}

// wait returns when everything queued is applied.
func (a *applier) wait() error {
	for i := range a.lanes {
		a.hand(&a.lanes[i])
	}
	for i := range a.lanes {
		a.lanes[i].idle.Wait()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

func (a *applier) close() {
	for i := range a.lanes {
		close(a.lanes[i].feed)
		<-a.lanes[i].done
	}
}

func parseDB(b []byte, limit int) (int, error) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > limit {
			return 0, fmt.Errorf("SELECT %q: not one of %d databases", b, limit)
		}
		n = n*10 + int(c-'0')
	}
	if n >= limit || len(b) == 0 {
		return 0, fmt.Errorf("SELECT %q: only %d databases are configured", b, limit)
	}
	return n, nil
}
