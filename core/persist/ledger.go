package persist

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/wal"
)

// current is the manifest in force, which nobody changes.
func (p *Persister) current() *manifest.Manifest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.manifest
}

// rotate commits a manifest that reserves the generations drawn so far, so that
// no later life of the data directory uses them again, and, if there is to be
// one, the next segment of the log, pre-created, before any write can reach
// that. A segment that does not follow on what is on disk, because there was no
// log or it has failed, is not named: it joins the manifest only together with
// the base that it follows, and until then a start must not see it.
func (p *Persister) rotate(segment, named bool) (next manifest.Segment, err error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	m := p.current().Clone()
	p.fork(m)
	if segment {
		if next, err = p.reserve(); err != nil {
			return manifest.Segment{}, err
		}
		if named {
			if n := len(m.Segments); n > 0 {
				next.PrevLogID = m.Segments[n-1].LogID
			}
			m.Segments = append(m.Segments, next)
		}
	}
	if err := p.commitManifest(m); err != nil {
		if segment && !errors.Is(err, manifest.ErrUnknownOutcome) {
			p.unreserve(next)
		}
		return manifest.Segment{}, err
	}
	return next, nil
}

// part gives the data directory a lineage of its own when the one it has is found
// to be shared. A checkpoint that has found that out ends with it: a process that
// dies before its next rotation would not know any more. The caller holds writing.
func (p *Persister) part() {
	m := p.current().Clone()
	if !p.fork(m) {
		return
	}
	if err := p.commitManifest(m); err != nil {
		p.jobLog.Warn("taking a lineage of its own failed; the next checkpoint tries again", "error", err)
	}
}

// fork gives m a lineage of its own if the one it has is found to be shared, and
// tells whether it did.
func (p *Persister) fork(m *manifest.Manifest) bool {
	f, shared := p.own.fork()
	if shared {
		m.Follows, m.Lineage = sink.AddFollow(m.Ancestry(), f), manifest.NewLineage()
	}
	return shared
}

// reserve draws the number of the next segment and creates its file.
func (p *Persister) reserve() (next manifest.Segment, err error) {
	p.mu.Lock()
	p.own.above(&p.nextGeneration, &p.nextSegment)
	next.ID = p.nextSegment
	p.nextSegment++ // a file of this name may stay behind whatever comes
	p.mu.Unlock()
	next.Path = manifest.SegmentPath(next.ID)
	if next.LogID, err = wal.Create(p.fs, next.Path, p.clock.Now()); err != nil {
		p.unreserve(next)
	}
	p.own.created(next)
	return next, err
}

// unreserve takes back a segment that no manifest has named: what is archived is
// to have numbers without gaps. Where its file cannot be removed the number is
// gone; the sweep of the next start takes the file.
func (p *Persister) unreserve(next manifest.Segment) {
	err := p.fs.Remove(next.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nextSegment == next.ID+1 {
		p.nextSegment = next.ID
	}
}

// commitManifest makes m the manifest on disk and in memory. An error that wraps
// ErrUnknownOutcome leaves open which one is on disk. The caller holds writing.
func (p *Persister) commitManifest(m *manifest.Manifest) error {
	p.mu.Lock()
	m.NextGeneration = max(m.NextGeneration, p.nextGeneration)
	m.NextSegment = max(m.NextSegment, p.nextSegment)
	p.mu.Unlock()
	m.CreatedAt = p.clock.Now().UTC()
	m.CreatedBy = "spillway " + p.env.Version
	err := p.store.Commit(m)
	if err != nil {
		return err
	}
	p.install(m)
	return nil
}

// install makes m the manifest in memory. Numbers that were drawn meanwhile
// stay drawn.
func (p *Persister) install(m *manifest.Manifest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nextGeneration = max(p.nextGeneration, m.NextGeneration)
	p.nextSegment = max(p.nextSegment, m.NextSegment)
	p.manifest = m
	p.own.become(m)
}

// adoptOnDisk makes the manifest on disk that in memory, after a commit of unknown
// outcome. When it cannot be read the old one stays, until a later commit
// succeeds. The caller holds writing.
func (p *Persister) adoptOnDisk() {
	if on, err := p.store.Load(); err == nil {
		p.install(on)
	}
}

// seal ends the active segment, without a checkpoint: the log goes on in the
// next one. The same rotation as a job's makes that, in turn with the jobs. It
// does nothing when there is no log, or a job is in flight whose segment joins
// the manifest only with its base.
func (p *Persister) seal() error {
	p.turn.Lock()
	defer p.turn.Unlock()
	log := p.log.Load()
	if j := p.inFlight(); log == nil || !log.Healthy() || j != nil && (j.apart || j.startLog) {
		return nil
	}
	next, err := p.rotate(true, true)
	if err != nil {
		if errors.Is(err, manifest.ErrUnknownOutcome) {
			p.writing.Lock()
			p.adoptOnDisk()
			p.writing.Unlock()
		}
		return fmt.Errorf("rotating the log: %w", err)
	}
	cut := false
	p.env.Barrier(func() {
		if cut = p.log.Load() == log && log.Healthy(); cut {
			log.Cut(next.Path)
		}
	})
	if !cut {
		return nil // next is an empty segment that the log passes over
	}
	if err := log.WaitCut(); err != nil {
		return fmt.Errorf("switching the log to %s: %w", next.Path, err)
	}
	p.sealed(next.ID)
	return nil
}

// release takes what is archived off the manifest's list of what is owed, and
// removes it.
func (p *Persister) release() error {
	p.writing.Lock()
	defer p.writing.Unlock()
	m := p.current().Clone()
	var gone garbage
	before := len(m.Owed)
	if m.Owed, gone.segments = p.archive.retire(m, nil); len(m.Owed) == before {
		return nil
	}
	if err := p.commitManifest(m); err != nil {
		if errors.Is(err, manifest.ErrUnknownOutcome) {
			p.later.add(gone)
			p.adoptOnDisk()
		}
		return err
	}
	p.archive.committed(m)
	gone.add(p.later)
	p.later = garbage{}
	p.discard(m, gone)
	return nil
}

// sealed notes that the log goes on in the segment of this ID: those before it
// that it was written to are whole and durable.
func (p *Persister) sealed(id uint64) {
	p.mu.Lock()
	first, news := p.whole == 0, id > p.whole // the first is the start's
	p.whole = max(p.whole, id)
	p.mu.Unlock()
	if news && !first {
		tell(p.events, p.events.SegmentSealed, SegmentEvent{Active: id})
	}
	p.archive.sealed(id)
}

// sizeOf is the size of a segment that is not written to any more, 0 if it
// cannot be told. It is asked for at every tick.
func (p *Persister) sizeOf(s manifest.Segment) int64 {
	p.mu.Lock()
	size, ok := p.sizes[s.ID]
	p.mu.Unlock()
	if ok {
		return size
	}
	st, err := p.fs.Stat(s.Path)
	if err != nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.whole > s.ID {
		if len(p.sizes) > 2*len(p.manifest.Segments)+16 {
			named := func(id uint64) bool {
				return slices.ContainsFunc(p.manifest.Segments, func(s manifest.Segment) bool { return s.ID == id })
			}
			for id := range p.sizes {
				if !named(id) {
					delete(p.sizes, id)
				}
			}
		}
		p.sizes[s.ID] = st.Size()
	}
	return st.Size()
}
