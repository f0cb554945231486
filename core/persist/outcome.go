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
	cutAt   time.Time
	parent  context.Context // of the request: its end means that the job is not wanted any more
	ctx     context.Context
	cancel  context.CancelFunc
	waiters []chan error
	in      *route // to its end, whatever replaces that meanwhile

	given    bool // given up, by Cancel; guarded by Persister.mu
	again    bool // it repeats one that failed: the log does not repeat what it said of that
	startLog bool // the log begins at this job's cut
	rotated  bool // appends go to next since the cut
	next     manifest.Segment
	changes  int64 // changes that the cut covers
	apart    bool  // next joins the manifest only together with the base

	unsure bool // a manifest of this job may be on disk, or not

	total    atomic.Int64 // keys frozen
	progress sink.Progress
	parts    []sink.SetPart
	phase    atomic.Pointer[string]
}

func (j *job) enter(phase string) { j.phase.Store(&phase) }

// ErrShuttingDown is the refusal of a job because Close has begun.
var ErrShuttingDown = errors.New("the engine is shutting down")

// The replies to a request that has to wait, as Redis words them.
var (
	errSaveInFlight    = errors.New("ERR Background save already in progress")
	errRewriteInFlight = errors.New("ERR Background append only file rewriting already in progress")
	ErrOtherInFlight   = errors.New("ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.")
)
