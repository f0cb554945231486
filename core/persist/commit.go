package persist

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

// commit installs the new base by one rename. What that takes the place of is left to
// retire.
func (p *Persister) commit(j *job) error {
	p.ledger.writing.Lock()
	defer p.ledger.writing.Unlock()
	log := p.log.Load()
	if j.startLog && !log.Healthy() {
		return fmt.Errorf("the log has failed before its base was committed: %w", log.Err())
	}
	m, gone := p.nextManifest(p.ledger.current(), j, log)
	if err := p.ledger.commit(m); err != nil {
		if j.unsure = errors.Is(err, manifest.ErrUnknownOutcome); !j.unsure {
			return err
		}
		on, loadErr := p.ledger.store.Load()
		if loadErr != nil || on.Generation != m.Generation || j.startLog || j.apart {
			// A segment that only this manifest names is no place for what
			// is to be durable, before it is certain that it stays.
			p.ledger.later.add(garbage{staged: []sink.SetID{j.set}})
			return errors.Join(err, loadErr)
		}
		// Visible, but perhaps not durable: what it retired must stay, in
		// case a power loss brings the old manifest back.
		p.jobLog.Warn("the commit reported an error but is on disk; nothing is removed before the next one", "job", j.id, "error", err)
		p.ledger.install(m)
		p.ledger.later.add(gone)
		gone = garbage{}
	} else {
		p.archive.Load().committed(m)
		gone = p.ledger.removable(gone)
	}
	if j.startLog {
		p.based.Store(log)
	}
	p.saved.Store(j.changes)
	if log == nil || j.rotated && log.Healthy() {
		p.health.heal() // all that is in memory is safe now, or will be with the log
	}
	j.made, j.gone = m, gone
	if err := p.ledger.part(); err != nil {
		p.jobLog.Warn("taking a lineage of its own failed; the next checkpoint tries again", "error", err)
	}
	return nil
}

// nextManifest makes the manifest that follows old when the job is committed, and
// tells what it no longer names.
func (p *Persister) nextManifest(old *manifest.Manifest, j *job, log *wal.Log) (*manifest.Manifest, garbage) {
	m := old.Clone()
	set := p.set(j)
	var gone garbage
	keep := j.in.spec.Keep - 1 // besides the base
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
		m.Owed, gone.segments = p.archive.Load().retire(m, slices.DeleteFunc(slices.Clone(old.Segments), func(s manifest.Segment) bool { return !behind(s) }))
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

// retire removes, off the serving path, what the manifest of the job has taken the place
// of, once it is told that the job has committed.
func (p *Persister) retire(j *job) {
	in := j.in
	in.more()
	begun := p.bg.run(func() {
		defer in.done()
		began := p.clock.Now()
		p.discard(j.made, j.gone)
		err := in.pipe.Prune(context.Background(), j.made.Lineage, p.own.firstGeneration, j.set.Generation)
		if errors.Is(err, sink.ErrClosed) {
			err = nil
		} else if err != nil {
			p.jobLog.Warn("pruning old checkpoints on a sink failed", "error", err)
		}
		p.archive.Load().prune(j.set.Generation)
		p.stepped(j, StepPrune, began, p.clock.Now(), err)
	})
	if !begun {
		in.done()
	}
}

// discard removes what the manifest does not name.
func (p *Persister) discard(now *manifest.Manifest, gone garbage) {
	for _, path := range gone.segments {
		if err := p.fs.Remove(path); err != nil {
			p.jobLog.Warn("removing a retired log segment failed; the next start sweeps it", "path", path, "error", err)
		}
	}
	for _, id := range gone.sets {
		if err := p.local.Remove(context.Background(), id); err != nil {
			p.jobLog.Warn("removing an old checkpoint failed; the next start sweeps it", "generation", id.Generation, "error", err)
		}
	}
	for _, id := range gone.staged {
		if !slices.Contains(now.Sets(), id) {
			r := p.using()
			p.abort(r, id, hclog.Warn)
			r.done()
		}
	}
}

// abort removes the parts of a set that will not be committed, from the data
// directory and from every sink.
func (p *Persister) abort(r *route, id sink.SetID, level hclog.Level) {
	if err := r.pipe.Abort(context.Background(), id); err != nil {
		p.jobLog.Log(level, "removing staged files failed; the next start sweeps them", "generation", id.Generation, "error", err)
	}
}

// rollback removes what a failed job staged. When it cannot be known whether
// a manifest of the job is on disk, nothing is removed before the next commit.
func (p *Persister) rollback(j *job, cause error) {
	switch log := p.log.Load(); {
	case !j.rotated:
	case j.startLog:
		p.stopLog(false)
	case j.apart && log != nil:
		log.Abandon(cause) // it goes on in a segment that nothing names
	}
	if j.unsure {
		p.ledger.adoptOnDisk()
		p.jobLog.Error("the outcome of the commit is unknown: nothing is removed", "job", j.id, "error", cause)
		return
	}
	if j.set != (sink.SetID{}) {
		p.abort(j.in, j.set, j.level(hclog.Warn))
	}
	if (j.startLog || j.apart) && j.next.Path != "" {
		_ = p.fs.Remove(j.next.Path) // unreferenced: swept at the next start otherwise
	}
}
