package persist

import (
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// Stats is how persistence stands, for INFO.
type Stats struct {
	// Job is the checkpoint in flight, nil if there is none.
	Job *JobStats
	// Snapshot and Rewrite are how the last job of the kind ended.
	Snapshot, Rewrite Outcome
	// RewriteScheduled tells that a rewrite begins when the job in flight ends.
	RewriteScheduled bool

	LastSave       time.Time     // of the last snapshot committed
	Saves          int64         // checkpoints committed since New
	Rewrites       int64         // rewrites that have succeeded since New
	FailedRewrites int64         // how many have failed since the last that succeeded
	Unsaved        int64         // changes that no committed checkpoint covers
	Generation     uint64        // of the base, 0 without one
	Lineage        string        // of the data directory
	Freeze         time.Duration // what the last cut cost
	GrowthBase     int64         // LogSize after the last checkpoint

	// Failure is why writes are refused since the log failed.
	Failure error
	// LogStart is why the log could not be switched on at the last attempt.
	LogStart error

	Targets  []TargetStats     // in their order
	Pipeline []sink.StageStats // of every stage and sink, in their order
	// ArchiveSinks are the targets of the archive, in their order.
	ArchiveSinks []ArchiveSinkStats
}

// JobStats is how far a checkpoint has come.
type JobStats struct {
	Kind  sink.Kind
	Phase string
	Began time.Time
	Keys  int64 // written, of Total
	Total int64 // frozen
	Raw   int64 // bytes encoded
	Bytes int64 // of these, as they are stored
}

// TargetStats is how a sink beside the data directory stands.
type TargetStats struct {
	sink.StageStats
	// OtherLineages counts the directories beside this one that have sets there.
	OtherLineages int
}

// ArchiveSinkStats is how one target of the archive stands.
type ArchiveSinkStats struct {
	Name    string
	Pending int           // sealed segments that it lacks
	Lag     time.Duration // the age of the oldest write in them
	Bytes   int64         // given to it since New
	Errors  int64         // attempts that failed since New
}

// Outcome is how the last job of a kind ended.
type Outcome struct {
	Err  error
	Took time.Duration
	Ran  bool // one has ended
}

// Stats tells how persistence stands.
func (p *Persister) Stats() Stats {
	m := p.ledger.current()
	p.mu.Lock()
	s := Stats{
		Snapshot: p.snapshot, Rewrite: p.rewrite, RewriteScheduled: p.scheduled == sink.KindRewrite,
		LastSave: p.lastSave, Freeze: p.freeze, Lineage: m.Lineage, GrowthBase: m.GrowthBase,
		LogStart: p.logStarts.err, Rewrites: p.rewrites, FailedRewrites: p.failedRewrites,
	}
	if m.Base != nil {
		s.Generation = m.Base.ID.Generation
	}
	if j := p.job; j != nil {
		s.Job = &JobStats{
			Kind: j.kind, Phase: *j.phase.Load(), Began: j.began,
			Keys: j.progress.Keys.Load(), Total: j.total.Load(),
			Raw: j.progress.RawBytes.Load(), Bytes: j.progress.StoredBytes.Load(),
		}
	}
	p.mu.Unlock()
	s.Saves, s.Unsaved, s.Failure = p.saves.Load(), p.Unsaved(), p.Failure()
	others := make(map[string]int)
	in := p.route.Load()
	for _, g := range in.guards {
		others[g.name] = g.strangers()
	}
	s.Pipeline = in.pipe.Stats()
	for _, st := range s.Pipeline {
		if st.Role == sink.RoleRequired || st.Role == sink.RoleBestEffort {
			s.Targets = append(s.Targets, TargetStats{st, others[st.Name]})
		}
	}
	s.ArchiveSinks = p.archive.Load().sinks()
	return s
}

// LastSave is when the last snapshot was taken that is committed.
func (p *Persister) LastSave() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastSave
}

// Lineage is the life of the data directory.
func (p *Persister) Lineage() string { return p.ledger.current().Lineage }

// Checkpoints tells whether a checkpoint is in flight, or scheduled behind one that has
// just ended, and how many have been committed since New.
func (p *Persister) Checkpoints() (inFlight bool, committed int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.job != nil || p.scheduled != "", p.saves.Load()
}

// LogSize is what a start would have to read: the base and the log behind it,
// in bytes. The growth trigger compares it with what it was after the last
// checkpoint.
func (p *Persister) LogSize() int64 {
	log := p.log.Load()
	if log == nil {
		return 0
	}
	m := p.ledger.current()
	size := log.Stats().SegmentBytes
	if m.Base != nil {
		size += m.Base.Bytes()
	}
	for i := 0; i+1 < len(m.Segments); i++ {
		size += p.ledger.sizeOf(m.Segments[i])
	}
	return size
}
