package persist

import (
	"context"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

const (
	healInterval = 5 * time.Second // between attempts to re-establish failed persistence
	maxSegments  = 1000            // of the log, before a rewrite makes them one
)

// triggers starts the checkpoint that a save point or the log's growth asks
// for. While one is in flight it is skipped, never queued.
func (p *Persister) triggers() {
	kind, why, again := p.dueTrigger()
	if kind == "" {
		p.skipped = ""
		return
	}
	if j := p.inFlight(); j != nil {
		// One line per job in flight, not ten a second.
		if note := string(kind) + why; p.skipped != note {
			p.skipped = note
			p.logger.Info("automatic checkpoint skipped: one is in flight", "wanted", kind, "why", why, "in_flight", j.kind, "job", j.id)
		}
		return
	}
	p.skipped = ""
	if _, err := p.try(context.Background(), kind, why, false, again); err != nil {
		p.logger.Warn("automatic checkpoint not started", "kind", kind, "why", why, "error", err)
	}
}

// dueTrigger says which checkpoint is due now and why; "" means none. again says
// that it repeats one that failed.
func (p *Persister) dueTrigger() (kind sink.Kind, why string, again bool) {
	now := p.clock.Now()
	p.mu.Lock()
	last, failed := p.lastSave, p.attempts
	inFlight := p.job
	p.mu.Unlock()
	if f := p.health.failed.Load(); f != nil {
		// Persistence is broken: only a fresh checkpoint heals it.
		if inFlight == nil && now.Sub(p.healTried) >= healInterval {
			again = !p.healTried.Before(f.at)
			p.healTried = now
			return sink.KindSnapshot, "re-establishing persistence after a log failure", again
		}
		return "", "", false
	}
	if p.health.unsaved() != nil {
		// While writes are refused nothing changes, and a save point may never fire.
		if inFlight == nil && failed.due(now, heldRetry) {
			return sink.KindSnapshot, "writes are refused until a save succeeds", true
		}
		return "", "", false
	}
	if !failed.due(now, saveRetry) {
		return "", "", false
	}
	s := p.env.Settings()
	changes := p.Unsaved()
	for _, point := range s.Save {
		if changes > 0 && changes >= point.Changes && now.Sub(last) >= time.Duration(point.Seconds)*time.Second {
			if inFlight != nil && inFlight.kind == sink.KindSnapshot {
				return "", "", false // that very save is what is running
			}
			return sink.KindSnapshot, point.String(), false
		}
	}
	if why := p.archive.Load().wantsBase(); why != "" && inFlight == nil {
		return sink.KindSnapshot, why, false
	}
	m := p.ledger.current()
	if log := p.log.Load(); log != nil && s.RewritePercentage > 0 {
		size, base := p.LogSize(), max(m.GrowthBase, 1)
		if size >= s.RewriteMinSize && (size-base)*100 >= base*int64(s.RewritePercentage) {
			if inFlight != nil && inFlight.kind == sink.KindRewrite {
				return "", "", false
			}
			return sink.KindRewrite, "log growth", false
		}
	}
	if len(m.Segments) > maxSegments && inFlight == nil {
		return sink.KindRewrite, "the log has many segments", false
	}
	return "", "", false
}
