package wal

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Clock is where the log takes time from.
type Clock interface {
	Now() time.Time
	NewTicker(d time.Duration) (ticks <-chan time.Time, stop func())
}

// OrderOptions are what an Order needs to know.
type OrderOptions struct {
	Shards int
	Clock  Clock
	Seq    uint64       // of the last block before its first, 0 if there is none
	Logger hclog.Logger // nil discards
}

// Order is the one order of everything that is appended, in numbered blocks, and
// hands each block to its takers (see Taker): the segment file of a Log, a
// Backlog. It needs no file, and without a taker it costs next to nothing:
// commands are not copied, appends are only counted (see Seq).
//
// Append, AppendTx, Skip and Join are for callers that hold shard locks and
// never wait for I/O; the other methods are for callers that hold none. All are
// safe for concurrent use. doc.go has the whole picture: generations, marks,
// failure, and the order of the locks.
type Order struct {
	clock  Clock
	logger hclog.Logger

	buffers []buffer
	queue   queue
	dirty   atomic.Bool   // there is something to gather
	gen     atomic.Uint64 // the open generation
	taken   atomic.Bool   // there is a taker; set with every shard locked, cleared under the mutexes of the queue and of every buffer
	pending atomic.Int64  // bytes appended and not handed out yet, roughly

	members atomic.Pointer[[]*Member] // never changed but replaced, under queue.mu
	block   builder                   // belongs to the leader
	seq     atomic.Uint64             // of the last block; the leader's to write
	safe    atomic.Uint64             // generations up to this one are safe with every taker that is not Optional, whatever comes

	group     group // of commits, and who leads it
	maxQueued int   // the constant, but for tests

	idle  atomic.Bool // the writer goroutine sleeps until woken
	wake  chan struct{}
	quit  chan struct{}
	loops sync.WaitGroup
	start sync.Once // the writer goroutine, at the first Join
	once  sync.Once // Close
}

// maxPending is how many bytes may wait to be handed out before Commit holds
// clients back.
const maxPending = 64 << 20

// NewOrder returns an order that nobody takes blocks of yet.
func NewOrder(opts OrderOptions) (*Order, error) {
	if opts.Logger == nil {
		opts.Logger = hclog.NewNullLogger()
	}
	if opts.Shards < 1 || opts.Clock == nil {
		return nil, errors.New("open log: it needs at least one shard and a clock")
	}
	o := &Order{
		clock: opts.Clock, logger: opts.Logger,
		buffers: make([]buffer, opts.Shards),
		wake:    make(chan struct{}, 1), quit: make(chan struct{}), maxQueued: maxQueued,
	}
	o.group.full = make(chan struct{}, 1)
	o.members.Store(new([]*Member))
	o.seq.Store(opts.Seq)
	o.gen.Store(1)
	o.idle.Store(true)
	return o, nil
}

// Continue has the order go on behind block seq. It is for the start: nobody has
// appended or joined yet.
func (o *Order) Continue(seq uint64) { o.seq.Store(seq) }

// Append orders one command. The caller holds the lock of the shard; args are
// copied.
func (o *Order) Append(shard, db int, args [][]byte) {
	b := &o.buffers[shard]
	if !o.taken.Load() {
		b.untaken++
		return
	}
	b.mu.Lock()
	if o.taken.Load() {
		b.run.add(db, args)
		b.last = o.gen.Load()
		o.added(b)
	} else {
		b.untaken++
	}
	b.mu.Unlock()
}

// AppendTx orders commands that are replayed all or not at all. The caller holds
// the locks of all shards in locked, which are those that the commands touch:
// what was appended for them before comes before, what will be comes after.
func (o *Order) AppendTx(locked []int, cmds []Cmd) {
	if len(cmds) == 0 {
		return
	}
	if len(locked) > 0 && !o.taken.Load() {
		o.buffers[locked[0]].untaken++
		return
	}
	if len(locked) == 1 {
		first := &o.buffers[locked[0]]
		first.mu.Lock()
		if o.taken.Load() {
			first.run.addTx(cmds)
			first.last = o.gen.Load()
			o.added(first)
		} else {
			first.untaken++
		}
		first.mu.Unlock()
		return
	}
	q := &o.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if !o.taken.Load() { // it is cleared under queue.mu, too
		q.skipped++
		return
	}
	for _, n := range locked {
		b := &o.buffers[n]
		b.mu.Lock()
		o.count(b)
		b.counted = 0
		b.last = o.gen.Load()
		q.move(b)
		b.mu.Unlock()
	}
	t := q.tail()
	before := len(t.buf)
	t.addTx(cmds)
	o.pending.Add(int64(len(t.buf) - before))
	o.dirty.Store(true)
}

// Taken tells whether anybody takes blocks. A caller that would have to build
// what it appends may ask first, and call Skip where the answer is no. The
// caller holds the lock of a shard; for that shard the answer does not change
// from no to yes before it gives the lock up.
func (o *Order) Taken() bool { return o.taken.Load() }

// Skip is Append of a command or transaction that nobody takes. The caller holds
// the lock of the shard, and Taken has told it so.
func (o *Order) Skip(shard int) { o.buffers[shard].untaken++ }

// added notes that something was added to b, whose mutex is held.
func (o *Order) added(b *buffer) {
	if len(b.run.buf)-b.counted >= countEvery {
		o.count(b)
	}
	if !o.dirty.Load() {
		o.dirty.Store(true)
	}
}

func (o *Order) count(b *buffer) {
	o.pending.Add(int64(len(b.run.buf) - b.counted))
	b.counted = len(b.run.buf)
}

// Mark names everything appended so far, for CommitTo. Called right after an
// append, before the shard is unlocked, it is as precise as can be. It costs
// two loads.
func (o *Order) Mark() uint64 {
	dirty := o.dirty.Load() // before gen: a gather advances gen first
	gen := o.gen.Load()
	if dirty {
		return gen
	}
	return gen - 1
}

// ShardMark names everything appended so far for a shard, for CommitTo. The
// caller holds the lock of the shard.
func (o *Order) ShardMark(shard int) uint64 { return min(o.buffers[shard].last, o.Mark()) }

// Seq is a number that no other state of the data has: that of the last block,
// and, while nobody takes blocks, one more for each command or transaction that
// was appended since. The caller holds the locks of all shards and has called
// Flush, or it gets the number of an earlier state.
func (o *Order) Seq() uint64 {
	q := &o.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	n := o.seq.Load() + q.skipped
	for i := range o.buffers {
		n += o.buffers[i].untaken
	}
	return n
}

// Close hands out what was appended and ends the order: its members fail with
// ErrClosed, and what is appended later is only counted.
func (o *Order) Close() {
	o.once.Do(func() {
		close(o.quit)
		o.loops.Wait()
		o.acquire()
		o.round(false)
		o.queue.mu.Lock()
		o.queue.closed = true
		o.queue.mu.Unlock()
		for _, m := range *o.members.Load() {
			m.fail(ErrClosed, true)
		}
		o.release()
	})
}

func (o *Order) lockBuffers() {
	for i := range o.buffers {
		o.buffers[i].mu.Lock()
	}
}

func (o *Order) unlockBuffers() {
	for i := range o.buffers {
		o.buffers[i].mu.Unlock()
	}
}

// divide has the leader call at between what was appended so far and what will
// be. The caller holds the locks of all shards, queue.mu and every buffer.mu.
func (o *Order) divide(at func()) {
	q := &o.queue
	o.enqueueBuffers()
	q.items = append(q.items, item{at: at})
	o.dirty.Store(true)
}

// enqueueBuffers moves what is in the buffers to the queue. The caller holds
// queue.mu and every buffer.mu.
func (o *Order) enqueueBuffers() {
	for i := range o.buffers {
		b := &o.buffers[i]
		o.count(b)
		b.counted = 0
		o.queue.handOver(b)
	}
}

// admit counts one more taker, and returns how many units were appended while
// there was none. The caller holds the locks of all shards, queue.mu and every
// buffer.mu.
func (o *Order) admit() (skipped uint64) {
	q := &o.queue
	q.takers++
	o.taken.Store(true)
	skipped, q.skipped = q.skipped, 0
	for i := range o.buffers {
		b := &o.buffers[i]
		skipped += b.untaken
		b.untaken = 0
	}
	return skipped
}

// dismiss counts one taker less. With the last one goes what is not handed out
// yet. The caller holds queue.mu and every buffer.mu.
func (o *Order) dismiss() {
	q := &o.queue
	if q.takers--; q.takers > 0 {
		return
	}
	for i := range o.buffers {
		b := &o.buffers[i]
		b.run.buf = b.run.buf[:0]
		b.counted = 0
	}
	clear(q.items)
	q.items = q.items[:0]
	q.drops++
	if o.dirty.Load() {
		q.skipped++ // what is dropped has changed the data all the same
	}
	o.pending.Store(0)
	o.taken.Store(false)
	o.dirty.Store(false)
}

// round gathers everything appended so far and hands it out, as one block unless
// something divides it; with sync, those takers have it safely afterwards that
// replies wait for. The caller leads. A taker's failure is its member's.
func (o *Order) round(sync bool) {
	items, gen, drops := o.gather()
	size := 0
	for i := range items {
		it := &items[i]
		size += len(it.run.buf)
		if it.at != nil {
			o.handOut()
			it.at()
			continue
		}
		o.block.add(&it.run)
	}
	o.handOut()
	o.recycle(items, size, drops)
	for _, m := range *o.members.Load() {
		if m.takes() {
			m.written.Store(gen)
		}
	}
	if sync {
		o.syncAwaited()
	}
}

// gather closes the open generation and takes all of it, at one instant.
func (o *Order) gather() (items []item, gen, drops uint64) {
	q := &o.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	o.lockBuffers()
	defer o.unlockBuffers()
	gen = o.gen.Load()
	if !o.dirty.Load() {
		return nil, gen - 1, q.drops
	}
	o.enqueueBuffers()
	items = q.items
	q.items = q.spare
	q.spare = nil
	o.gen.Store(gen + 1)
	o.dirty.Store(false) // after gen, see Mark
	return items, gen, q.drops
}

// recycle keeps the storage of gathered items, and takes their size off what is
// pending, unless all that was pending has been dropped since.
func (o *Order) recycle(items []item, size int, drops uint64) {
	if items == nil {
		return
	}
	q := &o.queue
	q.mu.Lock()
	for i := range items {
		q.give(items[i].run.buf)
	}
	clear(items)
	q.spare = items[:0]
	if q.drops == drops {
		o.pending.Add(-int64(size))
	}
	q.mu.Unlock()
}

// handOut numbers the block that was built, if any, and hands it to every member.
func (o *Order) handOut() {
	if o.block.empty() {
		return
	}
	b := o.block.finish(o.seq.Add(1), o.clock.Now().UnixMilli())
	o.hand(&b)
	o.block.reset()
}

// skipNumber uses a block's number up: the members, but for one that is out of
// order, get a block without commands.
func (o *Order) skipNumber() {
	b := o.block.finish(o.seq.Add(1), o.clock.Now().UnixMilli())
	o.hand(&b)
}

func (o *Order) hand(b *RawBlock) {
	for _, m := range *o.members.Load() {
		if !m.takes() {
			continue
		}
		if err := m.taker.Take(b); err != nil {
			m.fail(err, false)
		}
	}
}

// syncAwaited has those takers sync that replies wait for.
func (o *Order) syncAwaited() {
	start, waited := o.clock.Now(), false
	for _, m := range *o.members.Load() {
		gen := m.written.Load()
		if !m.takes() || m.need() != Awaited || gen <= m.synced.Load() {
			continue
		}
		waited = true
		if err := m.taker.Sync(); err != nil {
			m.fail(err, false)
			continue
		}
		m.advance(gen)
	}
	if waited {
		o.group.lastFor.Store(int64(o.clock.Now().Sub(start)))
	}
}
