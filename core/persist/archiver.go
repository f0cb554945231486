package persist

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
)

const (
	// patientSeals is how many segments may wait for a target before the age of
	// the active one is no reason to seal it: while a target is down, more and
	// smaller segments would help nobody.
	patientSeals = 64
	// baseInterval is the time between checkpoints that the archive asks for.
	baseInterval = time.Minute
	// drainPoll is how often a drain looks whether everything is archived.
	drainPoll = 10 * time.Millisecond
)

// archiver seals the log's segments and brings them to the targets. A nil one
// is an engine without an archive.
//
//	active segment ──seal──▶ queue ──shipper per target──▶ archived
//	                           │ its checkpoint is committed first:
//	                           └──▶ manifest.Owed, until archived or given up
//
// The tick begins everything; sealing and shipping run in goroutines of the
// Persister, and no command and no checkpoint waits for them.
type archiver struct {
	p        *Persister
	log      hclog.Logger
	opts     Archive
	shippers []*shipper

	ctx  context.Context // of the shipping
	stop context.CancelFunc

	mu        sync.Mutex
	closed    bool
	queue     []*entry  // the sealed segments that the manifest names, oldest first
	last      uint64    // the newest that every target has got
	since     time.Time // of the first data in the active segment; zero: it has none
	cut       time.Time // the same for the one before it, until that is queued
	sealing   bool
	notBefore time.Time // no seal before that, after a failure
	release   time.Time // nothing is taken off the manifest before that
	releasing bool
	baseAsked time.Time
}

// entry is a sealed segment.
type entry struct {
	seg   manifest.Segment
	at    time.Time // when it was sealed; zero: by an earlier process
	since time.Time // its first data, roughly
	bytes int64
	has   map[*shipper]bool // the targets that have it
	want  int               // how many are to have it
	lost  bool              // it is damaged, or gone: no target will get it
}

func (e *entry) archived() bool { return len(e.has) == e.want }

func newArchiver(p *Persister) *archiver {
	opts := p.env.Archive
	if len(opts.Targets) == 0 {
		return nil
	}
	a := &archiver{p: p, log: p.logger.Named("archive"), opts: opts}
	a.ctx, a.stop = context.WithCancel(context.Background())
	targets, guards := guarded(p.own, opts.Targets)
	p.guards = append(p.guards, guards...)
	for _, t := range targets {
		a.shippers = append(a.shippers, newShipper(a, t))
	}
	return a
}

// close ends what is under way. What was not archived is owed.
func (a *archiver) close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.stop()
	for _, l := range a.shippers {
		l.pipe.Close()
	}
}

// background runs f in a goroutine that close waits for, and tells whether it
// will. The caller holds mu.
func (a *archiver) background(f func()) bool {
	if a.closed {
		return false
	}
	a.p.bg.Go(f)
	return true
}

// sealed queues the segments before this one.
func (a *archiver) sealed(before uint64) {
	if a == nil {
		return
	}
	a.mu.Lock()
	if a.cut.IsZero() { // no tick has seen yet that the log goes on in the next one
		a.cut, a.since = a.since, time.Time{}
	}
	since := a.cut
	a.mu.Unlock()
	all := slices.Clone(a.p.current().Segments)
	a.queueUp(slices.DeleteFunc(all, func(s manifest.Segment) bool { return s.ID >= before }), a.p.clock.Now(), since)
	a.mu.Lock()
	a.cut = time.Time{}
	a.mu.Unlock()
}

// found queues segments that are owed since an earlier process.
func (a *archiver) found(owed []manifest.Segment) {
	if a != nil {
		a.queueUp(owed, time.Time{}, time.Time{})
	}
}

// queueUp queues segments that were sealed now, and have held data since then;
// zero times are unknown.
func (a *archiver) queueUp(segments []manifest.Segment, now, since time.Time) {
	for _, s := range segments {
		size := a.p.sizeOf(s)
		a.mu.Lock()
		if a.find(s.ID) == nil {
			e := &entry{seg: s, at: now, since: since, bytes: size, has: map[*shipper]bool{}, want: len(a.shippers)}
			if e.since.IsZero() {
				e.since = a.p.clock.Now()
			}
			i, _ := slices.BinarySearchFunc(a.queue, s.ID, func(e *entry, id uint64) int {
				return int(min(max(int64(e.seg.ID)-int64(id), -1), 1))
			})
			a.queue = slices.Insert(a.queue, i, e)
		}
		a.mu.Unlock()
	}
}

// find returns the entry of a segment, or nil. The caller holds mu.
func (a *archiver) find(id uint64) *entry {
	for _, e := range a.queue {
		if e.seg.ID == id {
			return e
		}
	}
	return nil
}

// tick begins what is due.
func (a *archiver) tick() {
	if a == nil {
		return
	}
	now := a.p.clock.Now()
	if a.sealDue(now) {
		a.mu.Lock()
		a.sealing = a.background(a.seal)
		a.mu.Unlock()
	}
	for _, l := range a.shippers {
		a.ship(l, now)
	}
	a.settle(now)
}

// sealDue watches the active segment and says whether it is to be sealed.
func (a *archiver) sealDue(now time.Time) bool {
	log := a.p.log.Load()
	a.mu.Lock()
	defer a.mu.Unlock()
	if log == nil || !log.Healthy() {
		a.since, a.cut = time.Time{}, time.Time{}
		return false
	}
	st := log.Stats()
	if st.LoggedBytes == 0 {
		if !a.since.IsZero() { // a cut, which sealed is still to hear of
			a.cut, a.since = a.since, time.Time{}
		}
		return false
	}
	if a.since.IsZero() {
		a.since = now
	}
	if a.sealing || now.Before(a.notBefore) {
		return false
	}
	if st.SegmentBytes >= a.opts.SealSize {
		return true
	}
	waiting := 0
	for _, e := range a.queue {
		if !e.lost && !e.archived() {
			waiting++
		}
	}
	return waiting < patientSeals && now.Sub(a.since) >= a.opts.SealAfter
}

// seal seals the active segment.
func (a *archiver) seal() {
	err := a.p.seal()
	now := a.p.clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sealing = false
	if err != nil {
		a.notBefore = now.Add(saveRetry.first)
		a.log.Warn("sealing the active segment failed; the log goes on in it", "error", err, "next_attempt_in", saveRetry)
	}
}

// settle has what is archived by now, and was kept for that only, removed.
func (a *archiver) settle(now time.Time) {
	owed := a.p.current().Owed
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.releasing || now.Before(a.release) || !slices.ContainsFunc(owed, func(s manifest.Segment) bool {
		e := a.find(s.ID)
		return e == nil || e.lost || e.archived()
	}) {
		return
	}
	a.releasing = a.background(func() {
		err := a.p.release()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.releasing = false
		if err != nil {
			a.release = a.p.clock.Now().Add(saveRetry.first)
			a.log.Warn("archived segments could not be taken off the manifest yet", "error", err)
		}
	})
}

// retire says which segments the manifest m goes on owing when it retires
// further ones from the log, and what may be removed when it is committed; a
// gap is noted in m. Nothing changes here before that, see committed.
func (a *archiver) retire(m *manifest.Manifest, retired []manifest.Segment) (owed []manifest.Segment, gone []string) {
	all := slices.Concat(m.Owed, retired)
	if a == nil {
		for _, s := range all {
			gone = append(gone, s.Path)
		}
		return nil, gone
	}
	sizes := make(map[uint64]int64)
	for _, s := range all {
		sizes[s.ID] = a.p.sizeOf(s)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	waiting := int64(0)
	for _, s := range all {
		e := a.find(s.ID)
		switch {
		case e != nil && e.lost:
			m.ArchiveGap = max(m.ArchiveGap, s.ID)
			gone = append(gone, s.Path)
		case e != nil && e.archived():
			gone = append(gone, s.Path)
		default:
			owed = append(owed, s)
			waiting += sizes[s.ID]
		}
	}
	for waiting > a.opts.MaxWaiting && len(owed) > 0 {
		s := owed[0]
		owed, waiting = owed[1:], waiting-sizes[s.ID]
		m.ArchiveGap = max(m.ArchiveGap, s.ID)
		gone = append(gone, s.Path)
	}
	return owed, gone
}

// committed brings the queue in line with m, which is now the manifest and durable.
// A segment that m does not name leaves the queue; if a target still lacked it, it
// is given up, and said to be. A segment that m owes joins the queue. That may be
// the last one of a log that has failed or was switched off: what is whole in it is
// archived.
func (a *archiver) committed(m *manifest.Manifest) {
	if a == nil {
		return
	}
	named := make(map[uint64]bool)
	for _, s := range slices.Concat(m.Owed, m.Segments) {
		named[s.ID] = true
	}
	a.mu.Lock()
	a.queue = slices.DeleteFunc(a.queue, func(e *entry) bool {
		if !named[e.seg.ID] && !e.lost && !e.archived() {
			e.lost = true
			a.log.Error("too much waits for the archive: a log segment is given up; nothing can be restored across it",
				"segment", e.seg.ID, "bytes", e.bytes, "max_waiting", a.opts.MaxWaiting)
		}
		return !named[e.seg.ID]
	})
	a.mu.Unlock()
	a.found(m.Owed)
}

// prune removes from the targets the segments that no kept checkpoint needs,
// and what attempts left staged.
func (a *archiver) prune() {
	if a == nil {
		return
	}
	lineage := a.p.current().Lineage
	var checkpoints []sink.Set
	var err error
	if slices.ContainsFunc(a.opts.Targets, func(t sink.Target) bool { return !t.Keep.All() }) {
		checkpoints, err = a.p.pipe.Checkpoints(a.ctx)
	}
	if err == nil {
		for _, l := range a.shippers {
			err = errors.Join(err, l.pipe.PruneSegments(a.ctx, lineage, a.p.own.firstSegment, checkpoints))
		}
	}
	if err != nil && a.ctx.Err() == nil {
		a.log.Warn("pruning the archive failed", "error", err)
	}
}

// drain seals the active segment and waits, for a while and until ctx ends,
// for the targets to have everything. The next start goes on where it ends.
func (a *archiver) drain(ctx context.Context) {
	if a == nil {
		return
	}
	late, stopLate := a.p.clock.NewTicker(a.opts.ShutdownWait)
	defer stopLate()
	look, stopLook := a.p.clock.NewTicker(drainPoll)
	defer stopLook()
	if log := a.p.log.Load(); log != nil && log.Healthy() && log.Stats().LoggedBytes > 0 {
		if err := a.p.seal(); err != nil {
			a.log.Warn("the last segment could not be sealed", "error", err)
		}
	}
	for {
		for _, l := range a.shippers {
			a.ship(l, a.p.clock.Now())
		}
		s := a.p.Archive()
		if s.Waiting == 0 {
			return
		}
		select {
		case <-look:
			continue
		case <-late:
		case <-ctx.Done():
		}
		a.log.Warn("the archive is behind at the end; the next start goes on", "segments", s.Waiting, "bytes", s.WaitingBytes, "error", s.Err)
		return
	}
}
