package wal

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/vfs"
)

// Clock is where the log takes time from.
type Clock interface {
	Now() time.Time
	NewTicker(d time.Duration) (ticks <-chan time.Time, stop func())
}

// Options are what a Log needs to know.
type Options struct {
	FS     vfs.FS
	Shards int
	Policy Policy
	Clock  Clock
	Logger hclog.Logger // nil discards
}

// maxPending is how many bytes may wait to be written before Commit holds
// clients back.
const maxPending = 64 << 20

// Log is an open log. Append, AppendTx and Cut are for callers that hold shard
// locks and never wait for I/O; the other methods are for callers that hold
// none. All are safe for concurrent use.
//
// Time within the log is counted in gathers: the open generation is the one
// that appends go to now; a gather closes it.
type Log struct {
	fs     vfs.FS
	clock  Clock
	logger hclog.Logger
	policy atomic.Int32

	buffers  []buffer
	queue    queue
	dirty    atomic.Bool   // there is something to gather
	gen      atomic.Uint64 // the open generation
	dropping bool          // appends go nowhere; read under any buffer's mutex, written under all
	closed   bool          // for good; guarded as dropping is
	pending  atomic.Int64  // bytes not yet written, roughly

	written atomic.Uint64 // generations up to this one were handed to the file
	synced  atomic.Uint64 // and up to this one are durable
	overdue atomic.Uint64 // and up to this one should be, under EverySec
	due     uint64        // will be overdue at the next beat; beatLoop's own
	failure atomic.Pointer[failure]
	lost    atomic.Pointer[span] // generations that were dropped, nil: none

	baton baton
	idle  atomic.Bool // the writer goroutine sleeps until woken
	wake  chan struct{}
	beat  chan struct{}
	quit  chan struct{}
	loops sync.WaitGroup
	once  sync.Once // Close
	close error

	seg segment // touched by the holder of the baton

	syncMu    vfs.IOLock // held while the segment is fsynced or replaced
	syncedSeq atomic.Uint64

	syncedBytes atomic.Int64 // of the segment, at least

	cutMu  sync.Mutex
	cutErr error  // of the last cut that failed
	cutBad span   // which cuts that were
	cutsOK uint64 // cuts up to this one are over, one way or the other

	counters counters
}

// failure is why the log does not take appends.
type failure struct{ err error }

// span is the numbers in (after, upTo].
type span struct{ after, upTo uint64 }

func (s span) has(n uint64) bool { return n > s.after && n <= s.upTo }

type counters struct {
	segmentBytes, headBytes, totalBytes, blocks, fsyncs, delayed, lastSync, lastSeq atomic.Int64
}

// Stats is what a log has done.
type Stats struct {
	SegmentBytes  int64         // size of the active segment
	LoggedBytes   int64         // of these, behind its header: 0 is a segment without a block
	TotalBytes    int64         // written since Open
	Blocks        int64         // written since Open
	Fsyncs        int64         // since Open
	DelayedFsyncs int64         // that took longer than a second
	PendingBytes  int64         // appended and not yet written, roughly
	LastFsync     time.Duration // how long it took
	LastSeq       uint64        // of the last block written
}

// Create makes a new segment with nothing in it, durable together with its
// directory, which is made if it is missing. A file that is already there is
// left alone and is an error. id is what the segment calls itself, unlike any
// other; who replays it later says which one is meant (see ReplayOptions).
func Create(fs vfs.FS, path string, now time.Time) (id string, err error) {
	return createSegment(fs, path, now.UnixMilli())
}

// Open goes on at the end of an existing segment, which must end in a whole
// block (see RepairTail). seq is the sequence of the last block of the log so
// far, 0 if there is none.
func Open(opts Options, path string, seq uint64) (*Log, error) {
	if opts.Logger == nil {
		opts.Logger = hclog.NewNullLogger()
	}
	if opts.Shards < 1 || opts.Clock == nil {
		return nil, errors.New("open log: it needs at least one shard and a clock")
	}
	l := &Log{
		fs: opts.FS, clock: opts.Clock, logger: opts.Logger,
		buffers: make([]buffer, opts.Shards),
		wake:    make(chan struct{}, 1), beat: make(chan struct{}, 1), quit: make(chan struct{}),
		syncMu: vfs.NewIOLock(),
	}
	l.baton.full = make(chan struct{}, 1)
	l.policy.Store(int32(opts.Policy))
	l.gen.Store(1)
	if err := l.seg.open(opts.FS, path, seq); err != nil {
		return nil, err
	}
	// What an earlier process wrote may not be on the disk yet, and what
	// this one writes will rely on it.
	if err := l.seg.file.Sync(); err != nil {
		_ = l.seg.file.Close()
		return nil, fmt.Errorf("open log segment %s: fsync: %w", path, err)
	}
	l.syncedSeq.Store(seq)
	l.counters.lastSeq.Store(int64(seq))
	l.counters.segmentBytes.Store(l.seg.size)
	l.counters.headBytes.Store(l.seg.head)
	l.syncedBytes.Store(l.seg.size)
	l.idle.Store(true)
	l.loops.Add(3)
	go l.writeLoop()
	go l.beatLoop()
	go l.tickLoop()
	return l, nil
}

// Append logs one command. The caller holds the lock of the shard; args are
// copied.
func (l *Log) Append(shard, db int, args [][]byte) {
	b := &l.buffers[shard]
	b.mu.Lock()
	if !l.dropping {
		b.run.add(db, args)
		b.last = l.gen.Load()
		l.added(b)
	}
	b.mu.Unlock()
}

// AppendTx logs commands that are replayed all or not at all. The caller holds
// the locks of all shards in locked, which are those the commands touch: what
// was appended for them before comes before, what will be comes after.
func (l *Log) AppendTx(locked []int, cmds []Cmd) {
	if len(cmds) == 0 {
		return
	}
	if len(locked) == 1 {
		b := &l.buffers[locked[0]]
		b.mu.Lock()
		if !l.dropping {
			b.run.addTx(cmds)
			b.last = l.gen.Load()
			l.added(b)
		}
		b.mu.Unlock()
		return
	}
	q := &l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range locked {
		b := &l.buffers[n]
		b.mu.Lock()
		l.count(b)
		b.counted = 0
		b.last = l.gen.Load()
		q.move(b)
		b.mu.Unlock()
	}
	// dropping is written under queue.mu too.
	if l.dropping {
		return
	}
	t := q.tail()
	before := len(t.buf)
	t.addTx(cmds)
	l.pending.Add(int64(len(t.buf) - before))
	l.dirty.Store(true)
}

// added notes that something was added to b, whose mutex is held.
func (l *Log) added(b *buffer) {
	if len(b.run.buf)-b.counted >= countEvery {
		l.count(b)
	}
	if !l.dirty.Load() {
		l.dirty.Store(true)
	}
}

func (l *Log) count(b *buffer) {
	l.pending.Add(int64(len(b.run.buf) - b.counted))
	b.counted = len(b.run.buf)
}

// Cut ends the segment here: everything appended so far belongs to it, and
// everything appended from now on to the segment at path, which Create has
// made. The caller holds the locks of all shards. Nothing is written yet, see
// WaitCut. On a log that has failed, Cut leaves the old segment as it is and
// begins anew: the failure is over once the new segment is open, and then it is
// up to the caller to let a checkpoint of the state at this instant replace
// what the old segment lacks.
func (l *Log) Cut(path string) {
	q := &l.queue
	q.mu.Lock()
	l.lockBuffers()
	q.cuts++
	c := &cut{n: q.cuts, path: path}
	if l.dropping && l.closed {
		l.unlockBuffers()
		q.mu.Unlock()
		return // WaitCut will say so
	}
	if l.dropping {
		c.heal = true
		l.dropping = false
		lost := *l.lost.Load()
		lost.upTo = l.gen.Load()
		l.lost.Store(&lost)
		l.gen.Add(1)
	}
	for i := range l.buffers {
		b := &l.buffers[i]
		l.count(b)
		b.counted = 0
		q.handOver(b)
	}
	q.items = append(q.items, item{cut: c})
	l.dirty.Store(true)
	l.unlockBuffers()
	q.mu.Unlock()
	l.kick()
}

// WaitCut waits until the last Cut has taken place: the old segment is whole
// and durable, the new one is open.
func (l *Log) WaitCut() error {
	l.queue.mu.Lock()
	n := l.queue.cuts
	l.queue.mu.Unlock()
	l.lead(never, false)
	l.cutMu.Lock()
	defer l.cutMu.Unlock()
	if l.cutBad.has(n) {
		return l.cutErr
	}
	if l.cutsOK < n {
		return ErrClosed
	}
	return nil
}

// Mark names everything appended so far, for CommitTo. Called right after an
// append, before the shard is unlocked, it is as precise as can be. It costs
// two loads.
func (l *Log) Mark() uint64 {
	dirty := l.dirty.Load() // before gen: a gather advances gen first
	gen := l.gen.Load()
	if dirty {
		return gen
	}
	return gen - 1
}

// ShardMark names everything appended so far for a shard, for CommitTo. The caller
// holds the lock of the shard.
func (l *Log) ShardMark(shard int) uint64 { return min(l.buffers[shard].last, l.Mark()) }

// SetPolicy changes when the log is made durable, for the Commits to come.
func (l *Log) SetPolicy(p Policy) { l.policy.Store(int32(p)) }

// Policy is when the log is made durable.
func (l *Log) Policy() Policy { return Policy(l.policy.Load()) }

// Err is the failure that the log is stuck in, a *FailedError, or ErrClosed,
// or nil.
func (l *Log) Err() error {
	if f := l.failure.Load(); f != nil {
		return f.err
	}
	return nil
}

// Healthy tells whether the log takes appends.
func (l *Log) Healthy() bool { return l.failure.Load() == nil }

// Stats returns what the log has done so far.
func (l *Log) Stats() Stats {
	c := &l.counters
	size := c.segmentBytes.Load()
	return Stats{
		SegmentBytes: size, LoggedBytes: max(0, size-c.headBytes.Load()), TotalBytes: c.totalBytes.Load(), Blocks: c.blocks.Load(),
		Fsyncs: c.fsyncs.Load(), DelayedFsyncs: c.delayed.Load(), PendingBytes: max(0, l.pending.Load()),
		LastFsync: time.Duration(c.lastSync.Load()), LastSeq: uint64(c.lastSeq.Load()),
	}
}

// Abandon makes the log fail, as a failed write would: nothing that is in the
// segment is worth anything. It is for a caller whose checkpoint behind a Cut
// came to nothing, with the reason. Another Cut ends the failure. The caller
// holds no locks.
func (l *Log) Abandon(reason error) {
	l.take() // a cut that is taking place has taken place
	l.fail(&FailedError{Path: l.seg.path, Op: "the checkpoint before it", Err: reason}, true)
	l.release()
}

// Close writes and fsyncs what was appended and closes the segment. It returns
// the log's failure if there is one. Appends that come later are dropped, and
// Commits for them fail. Closing again returns the same.
func (l *Log) Close() error {
	l.once.Do(func() {
		close(l.quit)
		l.loops.Wait()
		l.take()
		l.round(true)
		l.close = l.Err()
		if l.close == nil {
			l.sealSegment()
			l.close = l.Err()
		}
		l.fail(ErrClosed, true)
		l.syncMu.Lock()
		err := l.seg.file.Close()
		l.syncMu.Unlock()
		l.release()
		if err != nil && l.close == nil {
			l.close = fmt.Errorf("close log segment %s: %w", l.seg.path, err)
		}
	})
	return l.close
}

func (l *Log) lockBuffers() {
	for i := range l.buffers {
		l.buffers[i].mu.Lock()
	}
}

func (l *Log) unlockBuffers() {
	for i := range l.buffers {
		l.buffers[i].mu.Unlock()
	}
}

// fail ends the current segment: what is pending is dropped, and appends are
// until the next Cut. again replaces an earlier failure; otherwise the first
// one stays. It tells whether this is now the failure.
func (l *Log) fail(err error, again bool) bool {
	q := &l.queue
	q.mu.Lock()
	if l.failure.Load() != nil && !again {
		q.mu.Unlock()
		return false
	}
	l.lockBuffers()
	l.dropping = true
	l.closed = l.closed || errors.Is(err, ErrClosed)
	lost := span{after: l.synced.Load(), upTo: never}
	if old := l.lost.Load(); old != nil {
		lost.after = min(lost.after, old.after)
	}
	l.lost.Store(&lost)
	l.failure.Store(&failure{err})
	for i := range l.buffers {
		l.buffers[i].run.buf = l.buffers[i].run.buf[:0]
		l.buffers[i].counted = 0
	}
	clear(q.items)
	q.items = q.items[:0]
	cuts := q.cuts
	l.pending.Store(0)
	l.gen.Add(1)
	l.dirty.Store(false)
	l.unlockBuffers()
	q.mu.Unlock()

	l.cutMu.Lock()
	if l.cutsOK < cuts {
		l.cutBad, l.cutErr = span{l.cutsOK, cuts}, err
		l.cutsOK = cuts
	}
	l.cutMu.Unlock()
	return true
}
