package wal

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/vfs"
)

// Options are what a Log needs to know.
type Options struct {
	FS     vfs.FS
	Shards int
	Policy Policy
	Clock  Clock
	Logger hclog.Logger // nil discards
}

// Log is an order and the segment file that takes it, the one taker whose
// durability a Policy is about. A commit of a Log depends on that file and on
// whatever other takers the order has.
//
// Append, AppendTx, Begin, Cut and End are for callers that hold shard locks and
// never wait for I/O; the other methods are for callers that hold none. All are
// safe for concurrent use.
type Log struct {
	*Order
	file *logFile
	own  bool // the order has no other use: Close ends it
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
// other; ReplayOptions.ID says later which segment is meant.
func Create(fs vfs.FS, path string, now time.Time) (id string, err error) {
	return createSegment(fs, path, now.UnixMilli())
}

// Open goes on at the end of an existing segment, which must end in a whole
// block (see RepairTail), with an order of its own. seq is the sequence of the
// last block of the log so far, 0 if there is none.
func Open(opts Options, path string, seq uint64) (*Log, error) {
	o, err := NewOrder(OrderOptions{Shards: opts.Shards, Clock: opts.Clock, Seq: seq, Logger: opts.Logger})
	if err != nil {
		return nil, err
	}
	l, err := o.OpenLog(opts.FS, path, opts.Policy)
	if err != nil {
		return nil, err
	}
	l.own = true
	l.Begin()
	o.Flush()
	return l, nil
}

// OpenLog opens an existing segment, which must end in a whole block, for a log
// of this order. It takes nothing before Begin.
func (o *Order) OpenLog(fs vfs.FS, path string, p Policy) (*Log, error) {
	f, err := openFile(o, fs, path, p)
	if err != nil {
		return nil, err
	}
	return &Log{Order: o, file: f}, nil
}

// Begin has the segment take everything that is appended from now on. The caller
// holds the locks of all shards, and calls it once.
func (l *Log) Begin() { l.file.begin() }

// End has the segment take nothing that is appended from now on, where the order
// goes on without it: what is appended before End is the file's, and commits for
// it depend on the file; what is appended later is not, and they do not. The
// caller holds the locks of all shards, and calls Close when it does not.
func (l *Log) End() { l.file.member.end() }

// Cut ends the segment here: everything appended so far belongs to it, and
// everything appended from now on to the segment at path, which Create has
// made. The caller holds the locks of all shards. Nothing is written yet, see
// WaitCut. On a log that has failed, Cut leaves the old segment as it is and
// begins anew: the failure is over once the new segment is open, and then it is
// up to the caller to let a checkpoint of the state at this instant replace
// what the old segment lacks.
func (l *Log) Cut(path string) { l.file.cut(path) }

// WaitCut waits until the last Cut has taken place: the old segment is whole
// and durable, the new one is open.
func (l *Log) WaitCut() error { return l.file.waitCut() }

// Commit is CommitTo for everything appended before the call.
func (l *Log) Commit() error { return l.CommitTo(l.Mark()) }

// CommitTo makes what was appended before Mark returned mark as durable as the
// policy says, and waits for the order's other takers, see Order.CommitTo. Under
// Always it returns when it is fsynced. Under the others it returns at once,
// unless too much is waiting to be written or, under EverySec, what should be
// durable by now is not. An error means that what was appended may be lost, and
// must not be acknowledged. On a log that is closed it tells whether that is so.
func (l *Log) CommitTo(mark uint64) error {
	if mark <= l.safe.Load() && l.file.member.lost.Load() == nil {
		return nil
	}
	if err := l.Order.CommitTo(mark); err != nil {
		return err
	}
	return l.file.member.outcome(mark)
}

// Sync writes and fsyncs everything appended before the call, whatever the
// policy.
func (l *Log) Sync() error {
	mark := l.Mark()
	l.lead(never, false)
	l.file.fsync(mark)
	return l.file.member.outcome(mark)
}

// Synced tells whether what was appended before Mark returned mark is fsynced.
func (l *Log) Synced(mark uint64) bool { return l.file.member.synced.Load() >= mark }

// Flush writes everything appended before the call, without fsync.
func (l *Log) Flush() error {
	l.lead(never, false)
	return l.Err()
}

// SetPolicy changes when the log is made durable, for the Commits to come.
func (l *Log) SetPolicy(p Policy) { l.file.policy.Store(int32(p)) }

// Policy is when the log is made durable.
func (l *Log) Policy() Policy { return l.file.Policy() }

// Err is the failure that the log is stuck in, a *FailedError, or ErrClosed,
// or nil.
func (l *Log) Err() error { return l.file.member.Err() }

// Healthy tells whether the log takes appends.
func (l *Log) Healthy() bool { return l.Err() == nil }

// Stats returns what the log has done so far.
func (l *Log) Stats() Stats {
	c := &l.file.counters
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
	l.acquire() // a cut that is taking place has taken place
	l.file.fail(&FailedError{Path: l.file.seg.path, Op: "the checkpoint before it", Err: reason}, true)
	l.release()
}

// Close writes and fsyncs what was appended and closes the segment. It returns
// the log's failure if there is one. Without an End before it, appends that come
// later are not written, and Commits for them fail. An order that Open has made
// ends with its log. Closing again returns the same.
func (l *Log) Close() error {
	f := l.file
	f.once.Do(func() {
		f.closeErr = f.close()
		if l.own {
			l.Order.Close()
		}
	})
	return f.closeErr
}

// opened wraps an error of opening a segment.
func opened(path, doing string, err error) error {
	return fmt.Errorf("open log segment %s: %s: %w", path, doing, err)
}
