package wal

import (
	"sync"

	"github.com/spillwaydb/spillway/core/resp"
)

// Cmd is one command as the log holds it.
type Cmd struct {
	DB   int
	Args [][]byte
}

// run is encoded commands in order. The SELECT that leads to the first one's
// database is not in it: only the writer knows what comes before.
type run struct {
	buf         []byte
	first, last int // databases
}

func (r *run) add(db int, args [][]byte) {
	r.enter(db)
	r.buf = resp.AppendCommand(r.buf, args...)
}

// addTx adds cmds so that all or none of them is replayed.
func (r *run) addTx(cmds []Cmd) {
	if len(cmds) == 1 {
		r.add(cmds[0].DB, cmds[0].Args)
		return
	}
	r.enter(cmds[0].DB)
	r.buf = append(r.buf, multiCommand...)
	for i := range cmds {
		r.add(cmds[i].DB, cmds[i].Args)
	}
	r.buf = append(r.buf, execCommand...)
}

// addRun adds a copy of o.
func (r *run) addRun(o *run) {
	r.enter(o.first)
	r.buf = append(r.buf, o.buf...)
	r.last = o.last
}

func (r *run) enter(db int) {
	switch {
	case len(r.buf) == 0:
		r.first = db
	case r.last != db:
		r.buf = appendSelect(r.buf, db)
	}
	r.last = db
}

// buffer is what a shard has appended since the last gather. Its mutex is there
// for the gather: appends to one shard already exclude each other.
type buffer struct {
	mu      sync.Mutex
	run     run
	counted int    // bytes of it that Order.pending knows of
	last    uint64 // generation of the last append for the shard; guarded by mu and by the shard's lock, either is enough to read it
	untaken uint64 // commands and transactions that nobody took, since the last join; guarded by the shard's lock
	_       [64]byte
}

// item is an entry of the queue: commands, or something that happens between
// two blocks.
type item struct {
	run run
	at  func() // called by the leader; nil: commands
}

// queue holds what has to be handed out before the buffers' contents.
type queue struct {
	mu      sync.Mutex
	items   []item
	spare   []item   // storage for items to use again
	free    [][]byte // storage to use again
	takers  int      // members that have joined, have not left and have not failed
	skipped uint64   // what was dropped since the last join, as numbers of blocks
	drops   uint64   // how often everything that was pending has been dropped
	closed  bool     // for good
}

const (
	copyBelow    = 64 << 10 // a buffer smaller than this is copied to the queue, a larger one handed over
	countEvery   = 32 << 10 // how stale a buffer's share of Order.pending may be
	keepStorage  = 1 << 20  // storage larger than this is left to the garbage collector
	keepStorages = 64
)

// tail is the run at the end of the queue, to add to.
func (q *queue) tail() *run {
	if n := len(q.items); n > 0 && q.items[n-1].at == nil {
		return &q.items[n-1].run
	}
	q.items = append(q.items, item{run: run{buf: q.take()}})
	return &q.items[len(q.items)-1].run
}

// move appends b's contents to the queue and empties it. The caller holds both
// mutexes.
func (q *queue) move(b *buffer) {
	switch {
	case len(b.run.buf) == 0:
	case len(b.run.buf) < copyBelow:
		q.tail().addRun(&b.run)
		b.run.buf = b.run.buf[:0]
	default:
		q.handOver(b)
	}
}

// handOver is move without copying.
func (q *queue) handOver(b *buffer) {
	if len(b.run.buf) == 0 {
		return
	}
	q.items = append(q.items, item{run: b.run})
	b.run = run{buf: q.take()}
}

func (q *queue) take() []byte {
	n := len(q.free)
	if n == 0 {
		return nil
	}
	b := q.free[n-1]
	q.free[n-1] = nil
	q.free = q.free[:n-1]
	return b
}

func (q *queue) give(b []byte) {
	if cap(b) > 0 && cap(b) <= keepStorage && len(q.free) < keepStorages {
		q.free = append(q.free, b[:0])
	}
}
