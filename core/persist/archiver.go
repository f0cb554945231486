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
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
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

// archiveEnv is what the archive needs of persistence around it.
type archiveEnv struct {
	fs     vfs.FS
	clock  wal.Clock
	logger hclog.Logger
	own    *ancestry
	ledger *ledger
	events *notifier
	run    func(f func()) bool // in a goroutine that the engine's end waits for; false: not any more

	// log is the one in service, nil if none is; seal ends its active segment.
	log  func() *wal.Log
	seal func() error
	// discard removes what the manifest does not name any more.
	discard func(now *manifest.Manifest, gone garbage)
	// checkpoints are those that the segments continue, wherever they are.
	checkpoints func(ctx context.Context) ([]sink.Set, error)
}

// archiver has the log's segments sealed, and brings them to the targets. A nil one
// is an engine without an archive.
//
//	active segment ──seal──▶ queue ──shipper per target──▶ archived
//	                           │ its checkpoint is committed first:
//	                           └──▶ manifest.Owed, until archived or given up
//
// The tick begins everything; sealing and shipping run in the background, and no
// command and no checkpoint waits for them.
type archiver struct {
	archiveEnv
	usage             // by what runs in the background
	opts     Archive  // as it was asked for, without the guards
	guards   []*guard // in front of each target
	queue    *queue
	shippers []*shipper

	ctx  context.Context // of the shipping
	stop context.CancelFunc

	mu        sync.Mutex // for what is below it; held for queue.mu only
	since     time.Time  // of the first data in the active segment; zero: it has none
	cut       time.Time  // the same for the one before it, until that is queued
	sealing   bool
	notBefore time.Time // no seal before that, after a failure
	releasing bool
	release   time.Time // nothing is taken off the manifest before that
	baseAsked time.Time
}

// newArchiver returns an archiver of these targets; nil if there is none. A target
// that before has as well keeps its guard, and its counters.
func newArchiver(env archiveEnv, opts Archive, before *archiver) *archiver {
	if len(opts.Targets) == 0 {
		return nil
	}
	a := &archiver{opts: opts, queue: &queue{targets: len(opts.Targets)}}
	aside := env.run
	env.run = func(f func()) bool {
		if !a.begin() {
			return false
		}
		begun := aside(func() { defer a.done(); f() })
		if !begun {
			a.done()
		}
		return begun
	}
	a.archiveEnv = env
	a.ctx, a.stop = context.WithCancel(context.Background())
	var targets []sink.Target
	targets, a.guards = guarded(env.own, opts.Targets, before.guardsOf())
	for i, t := range targets {
		a.shippers = append(a.shippers, newShipper(env, opts.Stages, a.queue, t, before.shipperTo(a.guards[i])))
	}
	a.logger = env.logger.Named("archive")
	return a
}

// is tells whether it is the archive that was asked for.
func (a *archiver) is(opts Archive) bool {
	if a == nil {
		return len(opts.Targets) == 0
	}
	o := a.opts
	return sameStages(o.Stages, opts.Stages) && sameTargets(o.Targets, opts.Targets) &&
		o.SealAfter == opts.SealAfter && o.SealSize == opts.SealSize && o.MaxWaiting == opts.MaxWaiting && o.ShutdownWait == opts.ShutdownWait
}

// guardsOf are its guards.
func (a *archiver) guardsOf() []*guard {
	if a == nil {
		return nil
	}
	return a.guards
}

// shipperTo is the one behind a guard, nil if there is none.
func (a *archiver) shipperTo(g *guard) *shipper {
	if i := slices.Index(a.guardsOf(), g); i >= 0 {
		return a.shippers[i]
	}
	return nil
}

// goOn takes over what an earlier archiver knows of the active segment.
func (a *archiver) goOn(before *archiver) {
	if a == nil || before == nil {
		return
	}
	before.mu.Lock()
	since, cut, asked := before.since, before.cut, before.baseAsked
	before.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since, a.cut, a.baseAsked = since, cut, asked
}

// close ends what is under way. What was not archived is owed.
func (a *archiver) close() {
	if a == nil {
		return
	}
	a.stop()
	for _, s := range a.shippers {
		s.pipe.Close()
	}
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
	all := slices.Clone(a.ledger.current().Segments)
	a.queueUp(slices.DeleteFunc(all, func(s manifest.Segment) bool { return s.ID >= before }), a.clock.Now(), since)
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

// queueUp queues segments that were sealed at this time, and have held data since
// then; zero times are unknown.
func (a *archiver) queueUp(segments []manifest.Segment, at, since time.Time) {
	if since.IsZero() {
		since = a.clock.Now()
	}
	for _, s := range segments {
		a.queue.add(&entry{seg: s, at: at, since: since, bytes: a.ledger.sizeOf(s)})
	}
}

// tick begins what is due.
func (a *archiver) tick() {
	if a == nil {
		return
	}
	now := a.clock.Now()
	a.sealWhenDue(now)
	a.ship(now)
	a.releaseArchived(now)
}

// ship begins to bring every target what it lacks.
func (a *archiver) ship(now time.Time) {
	for _, s := range a.shippers {
		s.ship(a.ctx, now)
	}
}

// sealWhenDue begins to seal the active segment when it is old or large enough.
func (a *archiver) sealWhenDue(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.sealDue(now) {
		return
	}
	a.sealing = a.run(func() {
		err := a.seal()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.sealing = false
		if err != nil {
			a.notBefore = a.clock.Now().Add(saveRetry.first)
			a.logger.Warn("sealing the active segment failed; the log goes on in it", "error", err, "next_attempt_in", saveRetry)
		}
	})
}

// sealDue watches the active segment and says whether it is to be sealed. The
// caller holds mu.
func (a *archiver) sealDue(now time.Time) bool {
	log := a.log()
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
	return now.Sub(a.since) >= a.opts.SealAfter && a.queue.backlog().segments < patientSeals
}

// releaseArchived begins to take off the manifest what is archived by now, and was
// kept for that only.
func (a *archiver) releaseArchived(now time.Time) {
	owed := a.ledger.current().Owed
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.releasing || now.Before(a.release) || !slices.ContainsFunc(owed, func(s manifest.Segment) bool {
		return a.queue.fate(s.ID) != waiting
	}) {
		return
	}
	a.releasing = a.run(func() {
		err := a.takeOff()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.releasing = false
		if err != nil {
			a.release = a.clock.Now().Add(saveRetry.first)
			a.logger.Warn("archived segments could not be taken off the manifest yet", "error", err)
		}
	})
}

// takeOff takes what is archived off the manifest's list of what is owed, and
// removes it.
func (a *archiver) takeOff() error {
	l := a.ledger
	l.writing.Lock()
	defer l.writing.Unlock()
	if a.isRetired() {
		return nil // what is needed is the successor's to say
	}
	m := l.current().Clone()
	var gone garbage
	before := len(m.Owed)
	if m.Owed, gone.segments = a.retire(m, nil); len(m.Owed) == before {
		return nil
	}
	if err := l.commit(m); err != nil {
		if errors.Is(err, manifest.ErrUnknownOutcome) {
			l.later.add(gone)
			l.adopt()
		}
		return err
	}
	a.committed(m)
	a.discard(m, l.removable(gone))
	return nil
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
	total := int64(0)
	for _, s := range all {
		switch a.queue.fate(s.ID) {
		case lost:
			m.ArchiveGap = max(m.ArchiveGap, s.ID)
			gone = append(gone, s.Path)
		case archived:
			gone = append(gone, s.Path)
		default:
			owed = append(owed, s)
			total += a.ledger.sizeOf(s)
		}
	}
	for total > a.opts.MaxWaiting && len(owed) > 0 {
		s := owed[0]
		owed, total = owed[1:], total-a.ledger.sizeOf(s)
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
	for _, e := range a.queue.keep(named) {
		a.logger.Error("too much waits for the archive: a log segment is given up; nothing can be restored across it",
			"segment", e.seg.ID, "bytes", e.bytes, "max_waiting", a.opts.MaxWaiting)
	}
	a.found(m.Owed)
}

// prune removes from the targets the segments that no kept checkpoint needs,
// and what attempts left staged. committed is the number of the last checkpoint that is certain to stay.
func (a *archiver) prune(committed uint64) {
	if a == nil || !a.begin() {
		return
	}
	defer a.done()
	lineage := a.ledger.current().Lineage
	var checkpoints []sink.Set
	var err error
	if slices.ContainsFunc(a.opts.Targets, func(t sink.Target) bool { return !t.Keep.All() }) {
		checkpoints, err = a.checkpoints(a.ctx)
	}
	if err == nil {
		for _, s := range a.shippers {
			err = errors.Join(err, s.pipe.PruneSegments(a.ctx, lineage, a.own.firstSegment, committed, checkpoints))
		}
	}
	if err != nil && a.ctx.Err() == nil {
		a.logger.Warn("pruning the archive failed", "error", err)
	}
}

// drain seals the active segment and waits, for a while and until ctx ends,
// for the targets to have everything. The next start goes on where it ends.
func (a *archiver) drain(ctx context.Context) {
	if a == nil {
		return
	}
	late, stopLate := a.clock.NewTicker(a.opts.ShutdownWait)
	defer stopLate()
	look, stopLook := a.clock.NewTicker(drainPoll)
	defer stopLook()
	if log := a.log(); log != nil && log.Healthy() && log.Stats().LoggedBytes > 0 {
		if err := a.seal(); err != nil {
			a.logger.Warn("the last segment could not be sealed", "error", err)
		}
	}
	for {
		a.ship(a.clock.Now())
		s := a.stats()
		// The log may have let go of a segment that is being sealed and is not queued yet.
		if s.Waiting == 0 && !s.Sealing {
			return
		}
		select {
		case <-look:
			continue
		case <-late:
		case <-ctx.Done():
		}
		a.logger.Warn("the archive is behind at the end; the next start goes on", "segments", s.Waiting, "bytes", s.WaitingBytes, "error", s.Err)
		return
	}
}
