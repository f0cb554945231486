package persist

import (
	"cmp"
	"strconv"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// Archive says where the log goes besides the data directory. A segment that
// has data is sealed when it is old or large enough, without a checkpoint; the
// sealed ones go through the stages to every target, in order and in the
// background. With a checkpoint they give every moment back, not only the last
// one. A target that is down holds nobody up: it gets what it missed when it is
// back, after a restart too.
type Archive struct {
	// Stages transform every segment on its way, in order.
	Stages []sink.Stage
	// Targets are the sinks, each with its own pace; none means no archive.
	// Required has no meaning here. Keep counts the checkpoints that the
	// segments continue, wherever these are.
	Targets []sink.Target
	// SealAfter is how long data wait in the active segment: with the time
	// of the transfer it is what a loss of the machine can cost. 0 means 10 s.
	SealAfter time.Duration
	// SealSize seals a segment of so many bytes earlier; 0 means 64 MiB.
	SealSize int64
	// MaxWaiting bounds the bytes of segments that no start needs any more
	// and that are kept only until they are archived; 0 means 16 GiB. Beyond
	// it the oldest is given up: nothing can be restored across that gap.
	MaxWaiting int64
	// ShutdownWait bounds how long a shutdown waits for the last segment to
	// be archived; 0 means 10 s.
	ShutdownWait time.Duration
}

func (a Archive) withDefaults() Archive {
	if a.SealAfter <= 0 {
		a.SealAfter = 10 * time.Second
	}
	if a.SealSize <= 0 {
		a.SealSize = 64 << 20
	}
	if a.MaxWaiting <= 0 {
		a.MaxWaiting = 16 << 30
	}
	if a.ShutdownWait <= 0 {
		a.ShutdownWait = 10 * time.Second
	}
	return a
}

// ArchiveStats is how the archive stands.
type ArchiveStats struct {
	// Sealing tells that a segment is being sealed now.
	Sealing bool
	// LastSegment is the newest segment that every target has, as far as
	// this process knows; 0: none yet.
	LastSegment uint64
	// Waiting is how many sealed segments some target lacks, and
	// WaitingBytes their size.
	Waiting      int
	WaitingBytes int64
	// Lag is the age of the oldest write that some target lacks, 0 when all
	// have everything: what a loss of the machine would cost now.
	Lag time.Duration
	// Gap is the newest segment that was given up, 0: none was.
	Gap uint64
	// Err is why the last attempt at a target failed, nil if it did not.
	Err error
}

// Archive tells how the archive stands; it is zero where there is none.
func (p *Persister) Archive() ArchiveStats { return p.archive.Load().stats() }

func (a *archiver) stats() ArchiveStats {
	if a == nil {
		return ArchiveStats{}
	}
	now := a.clock.Now()
	a.mu.Lock()
	oldest := cmp.Or(a.cut, a.since)
	s := ArchiveStats{Sealing: a.sealing}
	a.mu.Unlock()
	// After the lock: what leaves cut is in the queue by then.
	b := a.queue.backlog()
	s.LastSegment, s.Gap = b.last, max(b.lost, a.ledger.current().ArchiveGap)
	s.Waiting, s.WaitingBytes = b.segments, b.bytes
	if !b.since.IsZero() && (oldest.IsZero() || b.since.Before(oldest)) {
		oldest = b.since
	}
	if !oldest.IsZero() {
		s.Lag = max(0, now.Sub(oldest))
	}
	for _, sh := range a.shippers {
		if err := sh.lastError(); err != nil {
			s.Err = err
		}
	}
	return s
}

// sinks tells how every target stands.
func (a *archiver) sinks() (out []ArchiveSinkStats) {
	if a == nil {
		return nil
	}
	now := a.clock.Now()
	for _, sh := range a.shippers {
		b := a.queue.lacking(sh)
		s := ArchiveSinkStats{Name: sh.name, Pending: b.segments}
		if !b.since.IsZero() {
			s.Lag = max(0, now.Sub(b.since))
		}
		s.Bytes, s.Errors = sh.sent()
		out = append(out, s)
	}
	return out
}

// wantsBase says why a checkpoint is wanted, "" if none is: without one that
// says which segment follows it, and behind a gap, nothing archived can be
// restored. Behind a gap it waits until the targets have caught up: as long as
// one is down, there would be one gap after the other.
func (a *archiver) wantsBase() string {
	if a == nil {
		return ""
	}
	if log := a.log(); log == nil || !log.Healthy() {
		return ""
	}
	m := a.ledger.current()
	now := a.clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.baseAsked.IsZero() && now.Sub(a.baseAsked) < baseInterval {
		return ""
	}
	if m.Base == nil || m.Base.Meta[sink.MetaLineage] != m.Lineage || m.Base.Meta[sink.MetaSegment] == "" {
		a.baseAsked = now
		return "the archive needs a checkpoint to begin with"
	}
	first, _ := strconv.ParseUint(m.Base.Meta[sink.MetaSegment], 10, 64) // the engine's own
	b := a.queue.backlog()
	if b.segments > 0 || max(m.ArchiveGap, b.lost) < first {
		return ""
	}
	a.baseAsked = now
	return "the archive has a gap behind the last checkpoint"
}
