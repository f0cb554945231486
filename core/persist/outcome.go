package persist

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
)

// job is one checkpoint in flight.
type job struct {
	id      uint64
	kind    sink.Kind
	gen     uint64
	set     sink.SetID // drawn when the log is rotated; zero before that: nothing is staged
	began   time.Time
	entered time.Time // the phase
	cutAt   time.Time
	parent  context.Context // of the request: its end means that the job is not wanted any more
	ctx     context.Context
	cancel  context.CancelFunc
	waiters []chan error
	ended   chan struct{} // closed when it is in flight no more
	in      *route        // to its end, whatever replaces that meanwhile

	given    bool // given up, by Cancel; guarded by Persister.mu
	again    bool // it repeats one that failed: the log does not repeat what it said of that
	startLog bool // the log begins at this job's cut
	rotated  bool // appends go to next since the cut
	next     manifest.Segment
	changes  int64 // changes that the cut covers
	apart    bool  // next joins the manifest only together with the base

	unsure bool               // a manifest of this job may be on disk, or not
	made   *manifest.Manifest // by the commit
	gone   garbage            // what made does not name any more

	total    atomic.Int64 // keys frozen
	progress sink.Progress
	parts    []sink.SetPart
	phase    atomic.Pointer[string]
}

// enter begins a phase of the job, which ends the one before.
func (p *Persister) enter(j *job, phase string) {
	now := p.clock.Now()
	if before := j.phase.Swap(&phase); before != nil {
		p.stepped(j, *before, j.entered, now, nil)
	}
	j.entered = now
}

// stepped tells of a step of the job.
func (p *Persister) stepped(j *job, step string, began, now time.Time, err error) {
	tell(p.events, p.events.CheckpointStep, StepEvent{Generation: j.gen, Step: step, Began: began, Took: now.Sub(began), Err: err})
}

// memberStepped tells of what a stage or a sink has done.
func (p *Persister) memberStepped(s sink.Step) {
	tell(p.events, p.events.CheckpointStep, StepEvent{
		Generation: s.Set.Generation, Step: StepMember, Shard: s.Part.Shard, Began: s.Began, Took: s.Took, Err: s.Err, Member: s,
	})
}

// ErrShuttingDown is the refusal of a job because Close has begun.
var ErrShuttingDown = errors.New("the engine is shutting down")

// The replies to a request that has to wait, as Redis words them.
var (
	errSaveInFlight    = inFlight("ERR Background save already in progress")
	errRewriteInFlight = inFlight("ERR Background append only file rewriting already in progress")
	ErrOtherInFlight   = inFlight("ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.")
)

// ErrInFlight is what each of them is.
var ErrInFlight = errors.New("a checkpoint is in flight")

type inFlightError struct{ text string }

func inFlight(text string) error { return &inFlightError{text} }

func (e *inFlightError) Error() string   { return e.text }
func (e *inFlightError) Is(o error) bool { return o == ErrInFlight }
