package persist

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// shipTimeout bounds a call of a target that has no timeout of its own.
const shipTimeout = 10 * time.Minute

// shipper sends the queue to one target, oldest first. It runs while there is
// something to send; after a failure the tick waits before it begins again.
type shipper struct {
	archiveEnv
	name  string
	queue *queue
	pipe  *sink.Pipeline

	onTarget map[uint64][]sink.Set // what the target has of the queue's numbers; nil: to be asked. For send alone

	mu        sync.Mutex // for what is below it; held for the locks of queue and events only
	busy      bool
	err       error // of the last attempt
	wait      time.Duration
	notBefore time.Time
}

// newShipper returns the shipper to t that follows before, nil for none.
func newShipper(env archiveEnv, stages []sink.Stage, q *queue, t sink.Target, before *shipper) *shipper {
	if t.Timeout <= 0 {
		t.Timeout = shipTimeout
	}
	t.Required = true
	s := &shipper{archiveEnv: env, name: t.Name, queue: q}
	var pipe *sink.Pipeline
	if before != nil {
		pipe = before.pipe
	}
	s.pipe = sink.NewPipeline("archive", stages, nil, []sink.Target{t}, sink.PipelineOptions{
		Logger: env.logger, Clock: env.clock, Known: env.own.knows, After: pipe,
	})
	s.logger = env.logger.Named("archive")
	return s
}

// sent is how much the target was given since the start, and how often that
// failed.
func (l *shipper) sent() (bytes, errs int64) {
	for _, s := range l.pipe.Stats() {
		if s.Role == sink.RoleRequired {
			bytes, errs = s.BytesIn, s.Errors
		}
	}
	return bytes, errs
}

// lastError is why the last attempt failed, nil if it did not.
func (l *shipper) lastError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// ship begins to send what the target lacks, until ctx ends, unless that is under
// way or is to wait.
func (l *shipper) ship(ctx context.Context, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy || now.Before(l.notBefore) || l.queue.next(l) == nil {
		return
	}
	l.busy = l.run(func() {
		l.sendAll(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.busy = false
	})
}

// sendAll sends everything there is, or up to a failure.
func (l *shipper) sendAll(ctx context.Context) {
	for e := l.queue.next(l); e != nil && ctx.Err() == nil; e = l.queue.next(l) {
		if err := l.send(ctx, e); !l.noteAttempt(ctx, e, err) {
			return
		}
	}
}

// noteAttempt takes in how an attempt ended, and tells whether to go on at once.
func (l *shipper) noteAttempt(ctx context.Context, e *entry, err error) (goOn bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var damaged *wal.CorruptError
	switch {
	case l.queue.isLost(e): // given up meanwhile
		return true
	case err == nil:
		if l.err != nil {
			l.logger.Info("a target of the archive is back", "sink", l.name)
		}
		l.err, l.wait = nil, 0
		l.events.sink(useArchive, l.name, false, nil)
		l.queue.delivered(e, l)
		return true
	case errors.As(err, &damaged) || errors.Is(err, errSegmentGone):
		l.queue.lose(e)
		l.logger.Error("a log segment cannot be archived; nothing can be restored across it", "segment", e.seg.ID, "error", err)
		return true
	case ctx.Err() != nil:
		return false
	}
	first := l.err == nil
	l.err = err
	l.wait = min(max(2*l.wait, retryFirst), retryLast)
	l.notBefore = l.clock.Now().Add(l.wait)
	l.events.sink(useArchive, l.name, true, err)
	if first {
		l.logger.Warn("a target of the archive is behind", "sink", l.name, "segment", e.seg.ID, "error", err)
	}
	return false
}

// errSegmentGone says that the file of a segment is not there.
var errSegmentGone = errors.New("the segment's file is gone")

// send has the target hold one segment.
func (l *shipper) send(ctx context.Context, e *entry) error {
	if err := l.listTarget(ctx); err != nil {
		return fmt.Errorf("asking %s what it has: %w", l.name, err)
	}
	span, err := wal.Scan(l.fs, e.seg.Path, e.seg.LogID)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errSegmentGone, err)
	}
	if err != nil {
		return err
	}
	m := l.ledger.current()
	set := sink.Set{
		ID: sink.NewSetID(e.seg.ID, sink.KindSegment, m.Lineage), CreatedAt: e.at.UTC(), Stages: l.pipe.StageRecords(),
		CreatedBy: m.CreatedBy, Meta: segmentMeta(span, e.seg.PrevLogID, m.Lineage),
	}
	if e.at.IsZero() {
		set.CreatedAt = span.Created
		if span.Blocks > 0 {
			set.CreatedAt = span.Last
		}
	}
	if done, err := l.has(ctx, e.seg, span, m.Lineage); done || err != nil {
		return err
	}
	part, err := l.pipe.Write(ctx, l.pipe.Part(0, set.ID, 0, 1), func(w io.Writer) (int64, error) {
		f, err := l.fs.OpenFile(e.seg.Path, os.O_RDONLY, 0)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return 0, err
	}, nil)
	if err == nil {
		set.Parts = []sink.SetPart{part}
		err = l.pipe.Publish(ctx, set)
	}
	if err != nil {
		_ = l.pipe.Abort(ctx, set.ID) // what is left is swept later
		l.onTarget = nil              // it may have it all the same
	}
	return err
}

// listTarget finds out which segments of the queue the target has already, from an
// earlier process or an attempt that seemed to fail.
func (l *shipper) listTarget(ctx context.Context) error {
	if l.onTarget != nil {
		return nil
	}
	sets, err := l.pipe.Segments(ctx)
	if err != nil && !errors.Is(err, sink.ErrCorrupt) { // one set's damage hides no other
		return err
	}
	l.onTarget = make(map[uint64][]sink.Set)
	first, queued := l.queue.first()
	for _, s := range sets {
		if queued && s.ID.Generation >= first {
			l.onTarget[s.ID.Generation] = append(l.onTarget[s.ID.Generation], s)
		}
	}
	return nil
}

// has tells whether the target has these very bytes under our lineage: another
// life's segment of this number does not count, and neither does a shorter copy
// of this one, from before a power loss took back that it was finished and the
// log went on in it, or one that a copy of this directory went on with.
func (l *shipper) has(ctx context.Context, seg manifest.Segment, span wal.Span, lineage string) (bool, error) {
	own := ""
	for _, old := range l.onTarget[seg.ID] {
		if old.Lineage() != lineage || old.Meta[sink.MetaLogID] != span.ID || len(old.Parts) != 1 || old.RawBytes() != span.Size {
			continue
		}
		if own == "" {
			sum, err := digest(ctx, l.fs, seg.Path)
			if err != nil {
				return false, err
			}
			own = sum
		}
		if old.Parts[0].RawSHA256 == own {
			return true, nil
		}
	}
	return false, nil
}

// digest is the SHA-256 of a file, in hex.
func digest(ctx context.Context, disk vfs.FS, name string) (string, error) {
	f, err := disk.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, vfs.ContextReader(ctx, f)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// segmentMeta is what a restore has to know of a segment.
func segmentMeta(s wal.Span, prev, lineage string) map[string]string {
	meta := map[string]string{sink.MetaLogID: s.ID, sink.MetaPrevLogID: prev, sink.MetaLineage: lineage}
	if s.Blocks > 0 {
		meta[sink.MetaFirstSeq] = strconv.FormatUint(s.FirstSeq, 10)
		meta[sink.MetaLastSeq] = strconv.FormatUint(s.LastSeq, 10)
		meta[sink.MetaFirstTime] = s.First.Format(time.RFC3339Nano)
		meta[sink.MetaLastTime] = s.Last.Format(time.RFC3339Nano)
	}
	return meta
}
