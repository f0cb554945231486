package core

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/wal"
)

// commit installs the new base and retires the log before it, by one rename.
func (c *checkpointer) commit(j *job) error {
	if j.err != nil {
		return j.err
	}
	j.enter("commit")
	db := c.db
	c.writing.Lock()
	defer c.writing.Unlock()
	log := db.log.Load()
	if j.startLog && !log.Healthy() {
		return fmt.Errorf("the log has failed before its base was committed: %w", log.Err())
	}
	m, gone := c.succeed(c.current(), j, log)
	if err := c.commitManifest(m); err != nil {
		if j.unsure = errors.Is(err, manifest.ErrUnknownOutcome); !j.unsure {
			return err
		}
		on, loadErr := c.store.Load()
		if loadErr != nil || on.Generation != m.Generation || j.startLog || j.apart {
			// A segment that only this manifest names is no place for what
			// is to be durable, before it is certain that it stays.
			c.later.staged = append(c.later.staged, j.set)
			return errors.Join(err, loadErr)
		}
		// Visible, but perhaps not durable: what it retired must stay, in
		// case a power loss brings the old manifest back.
		c.log.Warn("the commit reported an error but is on disk; nothing is removed before the next one", "job", j.id, "error", err)
		c.install(m)
		c.later.add(gone)
		gone = leftovers{}
	} else {
		c.archive.committed(m)
		gone.add(c.later)
		c.later = leftovers{}
	}
	if j.startLog {
		db.based.Store(log)
	}
	db.changesSaved(j.dirty)
	if log == nil || j.rotated && log.Healthy() {
		db.healed() // all that is in memory is safe now, or will be with the log
	}
	c.retire(m, gone)
	c.part()
	return nil
}

// succeed makes the manifest that follows old when the job is committed, and
// tells what it no longer names.
func (c *checkpointer) succeed(old *manifest.Manifest, j *job, log *wal.Log) (*manifest.Manifest, leftovers) {
	m := old.Clone()
	set := c.set(j)
	var gone leftovers
	keep := c.db.keep() - 1 // besides the base
	if j.rotated || log == nil {
		if old.Base != nil {
			m.History = slices.Insert(m.History, 0, old.Base.ID)
		}
		m.Base = &set
		// What was sealed since the cut follows j.next.
		behind := func(s manifest.Segment) bool { return !j.rotated || s.ID < j.next.ID }
		after := func(s manifest.Segment) bool { return behind(s) || s.ID == j.next.ID }
		m.Segments = slices.DeleteFunc(slices.Clone(old.Segments), after)
		if j.rotated {
			m.Segments = slices.Insert(m.Segments, 0, j.next)
			m.NextSegment = max(m.NextSegment, j.next.ID+1)
		}
		m.Owed, gone.segments = c.archive.retire(m, slices.DeleteFunc(slices.Clone(old.Segments), func(s manifest.Segment) bool { return !behind(s) }))
	} else {
		// The log could not be rotated: it goes on from the old base, and
		// the snapshot is one to restore from by hand, and stays until the
		// next even where only the base is kept.
		m.History = slices.Insert(m.History, 0, set.ID)
		keep = max(keep, 1)
	}
	if len(m.History) > keep {
		gone.sets = slices.Clone(m.History[keep:])
		m.History = m.History[:keep]
	}
	m.LastSave = j.cutAt.Unix()
	if m.Base != nil {
		m.GrowthBase = m.Base.Bytes()
	}
	if log != nil {
		m.GrowthBase += log.Stats().SegmentBytes
	}
	return m, gone
}

// leftovers are on disk, or on a sink, and of no use to the manifest any more.
type leftovers struct {
	segments []string
	sets     []sink.SetID // that were committed: targets keep theirs, see Prune
	staged   []sink.SetID // that may have been committed, and turned out not to be
}

func (l *leftovers) add(o leftovers) {
	l.segments = append(l.segments, o.segments...)
	l.sets = append(l.sets, o.sets...)
	l.staged = append(l.staged, o.staged...)
}

// retire removes, off the serving path, what the manifest does not name.
func (c *checkpointer) retire(now *manifest.Manifest, gone leftovers) {
	c.bg.Add(1)
	go func() {
		defer c.bg.Done()
		c.discard(now, gone)
		if err := c.pipe.Prune(context.Background(), now.Lineage, c.own.firstGeneration); err != nil && !errors.Is(err, sink.ErrClosed) {
			c.log.Warn("pruning old checkpoints on a sink failed", "error", err)
		}
		c.archive.prune()
	}()
}

// discard removes what the manifest does not name.
func (c *checkpointer) discard(now *manifest.Manifest, gone leftovers) {
	for _, p := range gone.segments {
		if err := c.db.fs.Remove(p); err != nil {
			c.log.Warn("removing a retired log segment failed; the next start sweeps it", "path", p, "error", err)
		}
	}
	for _, id := range gone.sets {
		if err := c.local.Remove(context.Background(), id); err != nil {
			c.log.Warn("removing an old checkpoint failed; the next start sweeps it", "generation", id.Generation, "error", err)
		}
	}
	for _, id := range gone.staged {
		if !slices.Contains(now.Sets(), id) {
			c.abort(id, hclog.Warn)
		}
	}
}

// abort removes a set that is not to be, wherever parts of it are.
func (c *checkpointer) abort(id sink.SetID, level hclog.Level) {
	if err := c.pipe.Abort(context.Background(), id); err != nil {
		c.log.Log(level, "removing staged files failed; the next start sweeps them", "generation", id.Generation, "error", err)
	}
}

// rollback removes what a failed job staged. When it cannot be known whether
// a manifest of the job is on disk, nothing is removed before the next commit.
func (c *checkpointer) rollback(j *job, cause error) {
	switch log := c.db.log.Load(); {
	case !j.rotated:
	case j.startLog:
		c.db.stopLog(false)
	case j.apart && log != nil:
		log.Abandon(cause) // it goes on in a segment that nothing names
	}
	if j.unsure {
		c.writing.Lock()
		c.follow()
		c.writing.Unlock()
		c.log.Error("the outcome of the commit is unknown: nothing is removed", "job", j.id, "error", cause)
		return
	}
	if j.set != (sink.SetID{}) {
		c.abort(j.set, j.level(hclog.Warn))
	}
	if (j.startLog || j.apart) && j.next.Path != "" {
		_ = c.db.fs.Remove(j.next.Path) // unreferenced: swept at the next start otherwise
	}
}
