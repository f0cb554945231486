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

const (
	syncEvery = time.Second
	slowSync  = time.Second
)

// logFile is the taker that writes blocks to the active segment and has its own
// ideas of when they are durable.
type logFile struct {
	fs     vfs.FS
	clock  Clock
	logger hclog.Logger
	order  *Order
	member *Member
	policy atomic.Int32

	overdue atomic.Uint64 // generations up to this one should be durable, under EverySec
	due     uint64        // will be overdue at the next beat; beatLoop's own

	seg         segment    // the leader's
	syncMu      vfs.IOLock // held while the segment is fsynced or replaced
	syncedSeq   atomic.Uint64
	syncedBytes atomic.Int64 // of the segment, at least

	cuts   uint64 // asked for so far; guarded by queue.mu
	cutMu  sync.Mutex
	cutErr error  // of the last cut that failed
	cutBad span   // which cuts that were
	cutsOK uint64 // cuts up to this one are over, one way or the other

	begun    bool // guarded by queue.mu, as closed is
	closed   bool
	beat     chan struct{}
	quit     chan struct{}
	loops    sync.WaitGroup
	once     sync.Once // Close
	closeErr error

	counters counters
}

var _ Taker = (*logFile)(nil)

type counters struct {
	segmentBytes, headBytes, totalBytes, blocks, fsyncs, delayed, lastSync, lastSeq atomic.Int64
}

// nextSegment is a cut: the switch to another segment.
type nextSegment struct {
	n       uint64 // which cut, counting from 1
	path    string
	heal    bool   // the old segment has failed: leave it alone
	skipped uint64 // numbers of blocks that nobody took while it had failed
}

func openFile(o *Order, fs vfs.FS, path string, p Policy) (*logFile, error) {
	f := &logFile{
		fs: fs, clock: o.clock, logger: o.logger, order: o,
		syncMu: vfs.NewIOLock(), beat: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	f.member = &Member{order: o, taker: f, file: f}
	f.policy.Store(int32(p))
	if err := f.seg.open(fs, path, o.seq.Load()); err != nil {
		return nil, err
	}
	// What an earlier process wrote may not be on the disk yet, and what
	// this one writes will rely on it.
	if err := f.seg.file.Sync(); err != nil {
		_ = f.seg.file.Close()
		return nil, opened(path, "fsync", err)
	}
	f.installed()
	return f, nil
}

// installed takes in that seg is a segment that was just opened and fsynced. The
// caller holds syncMu if anybody else can know f.
func (f *logFile) installed() {
	f.syncedSeq.Store(f.seg.seq)
	f.syncedBytes.Store(f.seg.size)
	f.counters.lastSeq.Store(int64(f.seg.seq))
	f.counters.segmentBytes.Store(f.seg.size)
	f.counters.headBytes.Store(f.seg.head)
}

func (f *logFile) begin() {
	f.order.queue.mu.Lock()
	f.begun = true
	f.order.queue.mu.Unlock()
	f.order.join(f.member)
	f.loops.Add(2)
	go f.beatLoop()
	go f.tickLoop()
}

// Begin implements Taker.
func (f *logFile) Begin(after uint64) {
	f.syncMu.Lock()
	f.seg.startAfter(after)
	f.installed()
	f.syncMu.Unlock()
}

// Policy is when the file is made durable.
func (f *logFile) Policy() Policy { return Policy(f.policy.Load()) }

// Need implements Taker: replies wait for an fsync under Always only, but no
// policy acknowledges what is known to be lost.
func (f *logFile) Need() Need {
	if f.Policy() != Always {
		return Required
	}
	return Awaited
}

// Take implements Taker.
func (f *logFile) Take(b *RawBlock) error {
	f.seg.aside = f.Policy() != Always
	n, err := f.seg.writeBlock(b, f.syncedSeq.Load())
	f.counters.segmentBytes.Store(f.seg.size)
	if err != nil {
		f.broke("write", err)
		return err
	}
	f.counters.blocks.Add(1)
	f.counters.totalBytes.Add(n)
	f.counters.lastSeq.Store(int64(b.Seq))
	return nil
}

// Sync implements Taker.
func (f *logFile) Sync() error {
	if !f.fsync(never) {
		return f.member.Err()
	}
	return nil
}

// fsync makes durable what was written before the call, or leaves it at mark if
// that is durable when its turn has come. The caller need not lead.
func (f *logFile) fsync(mark uint64) bool {
	f.syncMu.Lock()
	defer f.syncMu.Unlock()
	if f.member.synced.Load() >= mark {
		return true
	}
	if f.member.failure.Load() != nil {
		return false // perhaps by losing the very pages that this fsync would not miss
	}
	gen, seq := f.member.written.Load(), uint64(f.counters.lastSeq.Load())
	if seq != f.syncedSeq.Load() && !f.fsyncFile() {
		return false
	}
	f.syncedSeq.Store(seq)
	f.member.advance(gen)
	return true
}

// fsyncFile is fsync(2) with its accounts. The caller holds syncMu.
func (f *logFile) fsyncFile() bool {
	start, size := f.clock.Now(), f.counters.segmentBytes.Load()
	err := f.syncSegment(f.seg.file)
	took := f.clock.Now().Sub(start)
	f.counters.fsyncs.Add(1)
	f.counters.lastSync.Store(int64(took))
	if took > slowSync {
		f.counters.delayed.Add(1)
	}
	if err != nil {
		f.broke("fsync", err)
		return false
	}
	f.syncedBytes.Store(size)
	return true
}

// syncSegment is fsync(2) of a segment. Clients wait for it under Always only.
func (f *logFile) syncSegment(segment vfs.File) error {
	if f.Policy() == Always {
		return segment.Sync()
	}
	return vfs.SyncAside(segment)
}

// broke makes err the log's failure, unless there is one.
func (f *logFile) broke(op string, err error) {
	e := &FailedError{Path: f.seg.path, Op: op, Err: err}
	if f.fail(e, false) {
		f.logger.Error("the log has failed", "segment", e.Path, "op", op, "error", err)
	}
}

// fail ends the current segment: it takes nothing until the next Cut, and the
// cuts asked for so far come to nothing. again replaces an earlier failure;
// otherwise the first one stays. It tells whether this is now the failure.
func (f *logFile) fail(err error, again bool) bool {
	q := &f.order.queue
	q.mu.Lock()
	failed, cuts := f.member.failLocked(err, again), f.cuts
	if failed {
		f.closed = f.closed || errors.Is(err, ErrClosed)
	}
	q.mu.Unlock()
	if !failed {
		return false
	}
	f.cutMu.Lock()
	if f.cutsOK < cuts {
		f.cutBad, f.cutErr = span{f.cutsOK, cuts}, err
		f.cutsOK = cuts
	}
	f.cutMu.Unlock()
	return true
}

// close is Log.Close, once.
func (f *logFile) close() error {
	o := f.order
	o.queue.mu.Lock()
	begun := f.begun
	o.queue.mu.Unlock()
	close(f.quit)
	f.loops.Wait()
	o.acquire()
	var failed error
	if begun {
		o.round(false)
		if failed = f.member.Err(); failed == nil {
			f.seal()
			failed = f.member.Err()
		}
	}
	f.fail(ErrClosed, true)
	f.member.remove()
	f.syncMu.Lock()
	err := f.seg.file.Close()
	f.syncMu.Unlock()
	o.release()
	if err != nil && failed == nil {
		return fmt.Errorf("close log segment %s: %w", f.seg.path, err)
	}
	return failed
}

// beatLoop gives the beat of tickLoop, and never waits for the disk.
func (f *logFile) beatLoop() {
	defer f.loops.Done()
	ticks, stop := f.clock.NewTicker(syncEvery)
	defer stop()
	for {
		select {
		case <-f.quit:
			return
		case <-ticks:
		}
		f.watch()
		select {
		case f.beat <- struct{}{}:
		default: // it is late already
		}
	}
}

// tickLoop does once a second what nobody may be waiting for: the fsync of
// EverySec, appends without a Commit, and the mark of a log gone quiet.
func (f *logFile) tickLoop() {
	defer f.loops.Done()
	for {
		select {
		case <-f.quit:
			return
		case <-f.beat:
			f.tick()
		}
	}
}

func (f *logFile) tick() {
	p := f.Policy()
	// What is being written is not dirty any more, and is to be in this fsync too: at the
	// next beat it would be overdue.
	busy := f.order.dirty.Load() || f.member.written.Load() < f.order.Mark()
	if busy {
		f.order.handOutAll()
	}
	if p == No {
		return
	}
	f.fsync(never)
	if !busy {
		f.markQuiet()
	}
}

// markQuiet says in a segment whose every block is durable that they are.
func (f *logFile) markQuiet() {
	f.order.acquire()
	defer f.order.release()
	if seq := f.syncedSeq.Load(); f.member.failure.Load() == nil && seq == f.seg.seq && f.seg.marked < seq {
		f.writeMark(seq)
	}
}

func (f *logFile) writeMark(seq uint64) bool {
	err := f.seg.writeMark(seq)
	f.counters.segmentBytes.Store(f.seg.size)
	if err != nil {
		f.broke("write", err)
		return false
	}
	return true
}
