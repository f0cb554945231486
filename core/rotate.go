package core

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
func (c *checkpointer) current() *manifest.Manifest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.manifest
}

// rotate commits a manifest that reserves the generations drawn so far, so that
// no later life of the data directory uses them again, and, if there is to be
// one, the next segment of the log, pre-created, before any write can reach
// that. A segment that does not follow on what is on disk, because there was no
// log or it has failed, is not named: it joins the manifest only together with
// the base that it follows, and until then a start must not see it.
func (c *checkpointer) rotate(segment, named bool) (next manifest.Segment, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	m := c.current().Clone()
	c.fork(m)
	if segment {
		if next, err = c.reserve(); err != nil {
			return manifest.Segment{}, err
		}
		if named {
			if n := len(m.Segments); n > 0 {
				next.PrevLogID = m.Segments[n-1].LogID
			}
			m.Segments = append(m.Segments, next)
		}
	}
	if err := c.commitManifest(m); err != nil {
		if segment && !errors.Is(err, manifest.ErrUnknownOutcome) {
			c.unreserve(next)
		}
		return manifest.Segment{}, err
	}
	return next, nil
}

// part gives the data directory a lineage of its own when the one it has is found
// to be shared. A checkpoint that has found that out ends with it: a process that
// dies before its next rotation would not know any more. The caller holds writing.
func (c *checkpointer) part() {
	m := c.current().Clone()
	if !c.fork(m) {
		return
	}
	if err := c.commitManifest(m); err != nil {
		c.log.Warn("taking a lineage of its own failed; the next checkpoint tries again", "error", err)
	}
}

// fork gives m a lineage of its own if the one it has is found to be shared, and
// tells whether it did.
func (c *checkpointer) fork(m *manifest.Manifest) bool {
	f, shared := c.own.fork()
	if shared {
		m.Follows, m.Lineage = sink.AddFollow(m.Ancestry(), f), manifest.NewLineage()
	}
	return shared
}

// reserve draws the number of the next segment and makes its file.
func (c *checkpointer) reserve() (next manifest.Segment, err error) {
	c.mu.Lock()
	c.own.above(&c.nextGeneration, &c.nextSegment)
	next.ID = c.nextSegment
	c.nextSegment++ // a file of this name may stay behind whatever comes
	c.mu.Unlock()
	next.Path = manifest.SegmentPath(next.ID)
	if next.LogID, err = wal.Create(c.db.fs, next.Path, c.db.clock.Now()); err != nil {
		c.unreserve(next)
	}
	c.own.created(next)
	return next, err
}

// unreserve takes back a segment that no manifest has named: what is archived is
// to have numbers without gaps. Where its file cannot be removed the number is
// gone; the sweep of the next start takes the file.
func (c *checkpointer) unreserve(next manifest.Segment) {
	err := c.db.fs.Remove(next.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nextSegment == next.ID+1 {
		c.nextSegment = next.ID
	}
}

// commitManifest makes m the manifest on disk and in memory. An error that wraps
// ErrUnknownOutcome leaves open which one is on disk. The caller holds writing.
func (c *checkpointer) commitManifest(m *manifest.Manifest) error {
	c.mu.Lock()
	m.NextGeneration = max(m.NextGeneration, c.nextGeneration)
	m.NextSegment = max(m.NextSegment, c.nextSegment)
	c.mu.Unlock()
	m.CreatedAt = c.db.clock.Now().UTC()
	m.CreatedBy = "spillway " + c.db.opts.Version
	err := c.store.Commit(m)
	if err != nil {
		return err
	}
	c.install(m)
	return nil
}

// install makes m the manifest in memory. Numbers that were drawn meanwhile
// stay drawn.
func (c *checkpointer) install(m *manifest.Manifest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextGeneration = max(c.nextGeneration, m.NextGeneration)
	c.nextSegment = max(c.nextSegment, m.NextSegment)
	c.manifest = m
	c.own.become(m)
}

// follow makes the manifest on disk that in memory, after a commit of unknown
// outcome. When it cannot be read the old one stays, until a later commit
// succeeds. The caller holds writing.
func (c *checkpointer) follow() {
	if on, err := c.store.Load(); err == nil {
		c.install(on)
	}
}

// seal ends the active segment, without a checkpoint: the log goes on in the
// next one. The same rotation as a job's makes that, in turn with the jobs. It
// does nothing when there is no log, or a job is in flight whose segment joins
// the manifest only with its base.
func (c *checkpointer) seal() error {
	c.turn.Lock()
	defer c.turn.Unlock()
	db := c.db
	log := db.log.Load()
	if j := c.inFlight(); log == nil || !log.Healthy() || j != nil && (j.apart || j.startLog) {
		return nil
	}
	next, err := c.rotate(true, true)
	if err != nil {
		if errors.Is(err, manifest.ErrUnknownOutcome) {
			c.writing.Lock()
			c.follow()
			c.writing.Unlock()
		}
		return fmt.Errorf("rotating the log: %w", err)
	}
	db.gate.RLock()
	db.lockAll()
	cut := db.log.Load() == log && log.Healthy()
	if cut {
		log.Cut(next.Path)
	}
	db.unlockAll()
	db.gate.RUnlock()
	if !cut {
		return nil // next is an empty segment that the log passes over
	}
	if err := log.WaitCut(); err != nil {
		return fmt.Errorf("switching the log to %s: %w", next.Path, err)
	}
	c.sealed(next.ID)
	return nil
}

// release takes what is archived off the manifest's list of what is owed, and
// removes it.
func (c *checkpointer) release() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	m := c.current().Clone()
	var gone leftovers
	before := len(m.Owed)
	if m.Owed, gone.segments = c.archive.retire(m, nil); len(m.Owed) == before {
		return nil
	}
	if err := c.commitManifest(m); err != nil {
		if errors.Is(err, manifest.ErrUnknownOutcome) {
			c.later.add(gone)
			c.follow()
		}
		return err
	}
	c.archive.committed(m)
	gone.add(c.later)
	c.later = leftovers{}
	c.discard(m, gone)
	return nil
}

// sealed notes that the log goes on in the segment of this ID: those before it
// that it was written to are whole and durable.
func (c *checkpointer) sealed(id uint64) {
	c.mu.Lock()
	c.whole = max(c.whole, id)
	c.mu.Unlock()
	c.archive.sealed(id)
}

// sizeOf is the size of a segment that is not written to any more, 0 if it
// cannot be told. It is asked for at every tick.
func (c *checkpointer) sizeOf(s manifest.Segment) int64 {
	c.mu.Lock()
	size, ok := c.sizes[s.ID]
	c.mu.Unlock()
	if ok {
		return size
	}
	st, err := c.db.fs.Stat(s.Path)
	if err != nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.whole > s.ID {
		if len(c.sizes) > 2*len(c.manifest.Segments)+16 {
			named := func(id uint64) bool {
				return slices.ContainsFunc(c.manifest.Segments, func(s manifest.Segment) bool { return s.ID == id })
			}
			for id := range c.sizes {
				if !named(id) {
					delete(c.sizes, id)
				}
			}
		}
		c.sizes[s.ID] = st.Size()
	}
	return st.Size()
}
