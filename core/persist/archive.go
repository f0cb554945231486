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
func (p *Persister) Archive() ArchiveStats {
	a := p.archive
	if a == nil {
		return ArchiveStats{}
	}
	gap := p.current().ArchiveGap
	now := p.clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	s := ArchiveStats{Sealing: a.sealing, LastSegment: a.last, Gap: gap}
	oldest := cmp.Or(a.cut, a.since)
	for _, e := range a.queue {
		switch {
		case e.lost:
			s.Gap = max(s.Gap, e.seg.ID)
		case !e.archived():
			s.Waiting++
			s.WaitingBytes += e.bytes
			if oldest.IsZero() || e.since.Before(oldest) {
				oldest = e.since
			}
		}
	}
	if !oldest.IsZero() {
		s.Lag = max(0, now.Sub(oldest))
	}
	for _, l := range a.shippers {
		if l.err != nil {
			s.Err = l.err
		}
	}
	return s
}

// sinks tells how every target stands.
func (a *archiver) sinks() (out []ArchiveSinkStats) {
	if a == nil {
		return nil
	}
	for _, l := range a.shippers {
		s := ArchiveSinkStats{Name: l.name}
		s.Pending, s.Lag = a.behind(l)
		s.Bytes, s.Errors = l.sent()
		out = append(out, s)
	}
	return out
}

// behind is how many sealed segments a target lacks, and since when.
func (a *archiver) behind(l *shipper) (pending int, lag time.Duration) {
	now := a.p.clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.queue {
		if !e.lost && !e.has[l] {
			pending++
			lag = max(lag, now.Sub(e.since))
		}
	}
	return pending, lag
}

// wantsBase says why a checkpoint is wanted, "" if none is: without one that
// says which segment follows it, and behind a gap, nothing archived can be
// restored. Behind a gap it waits until the targets have caught up: as long as
// one is down, there would be one gap after the other.
func (a *archiver) wantsBase() string {
	if a == nil {
		return ""
	}
	if log := a.p.log.Load(); log == nil || !log.Healthy() {
		return ""
	}
	m := a.p.current()
	now := a.p.clock.Now()
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
	broken := m.ArchiveGap >= first
	for _, e := range a.queue {
		if !e.lost && !e.archived() {
			return ""
		}
		broken = broken || e.lost && e.seg.ID >= first
	}
	if !broken {
		return ""
	}
	a.baseAsked = now
	return "the archive has a gap behind the last checkpoint"
}
