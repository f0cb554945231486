package persist

import (
	"errors"
	"fmt"

	"github.com/spillwaydb/spillway/core/manifest"
)

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
	next, err := p.ledger.rotate(true, true)
	if err != nil {
		if errors.Is(err, manifest.ErrUnknownOutcome) {
			p.ledger.adoptOnDisk()
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

// sealed tells that the log goes on in the segment of this ID: those before it
// that it was written to are whole and durable, and go to the archive.
func (p *Persister) sealed(id uint64) {
	if p.ledger.seal(id) {
		tell(p.events, p.events.SegmentSealed, SegmentEvent{Active: id})
	}
	p.archive.Load().sealed(id)
}
