package persist

import (
	"sync"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// Events are functions that the owner of an engine has called when something has
// happened. Each may be nil. They are called one after the other, in the order in
// which it happened, on a goroutine of their own and without any lock: they may run
// commands and ask for checkpoints, but must not close the engine, whose Close
// waits for them. A slow one holds up the later ones and nothing else.
type Events struct {
	// CheckpointBegun is followed by CheckpointCommitted, once the checkpoint is
	// what a start loads, or by CheckpointFailed, after which everything is as
	// it was before.
	CheckpointBegun     func(CheckpointEvent)
	CheckpointCommitted func(CheckpointEvent)
	CheckpointFailed    func(CheckpointEvent)

	// CheckpointStep tells of a step of a checkpoint that has ended, in the order in
	// which they end: between CheckpointBegun and what follows it, but for what
	// goes on behind that, such as StepPrune.
	CheckpointStep func(StepEvent)

	// SegmentSealed tells that the log goes on in another segment, and all that
	// is before that is whole and durable.
	SegmentSealed func(SegmentEvent)

	// SinkBehind tells that a sink has missed a checkpoint or a segment of the
	// archive, and is fed again until it has it: then SinkCaughtUp follows.
	SinkBehind   func(SinkEvent)
	SinkCaughtUp func(SinkEvent)

	// LogFailed tells that the log has failed, and that writes are refused until
	// a checkpoint has made up for it: then LogHealed follows.
	LogFailed func(LogEvent)
	LogHealed func(LogEvent)
}

// CheckpointEvent is about one checkpoint.
type CheckpointEvent struct {
	Kind       sink.Kind // snapshot or rewrite
	Generation uint64
	Began      time.Time     // by the engine's clock
	Keys       int64         // written; 0 when it begins
	Bytes      int64         // stored, of all parts; 0 when it begins
	Took       time.Duration // 0 when it begins
	Err        error         // of one that failed
}

// The steps of a checkpoint. Those of the job itself follow each other; the others
// are parts of them.
const (
	StepRotate  = "rotate"  // the log got its next segment
	StepCut     = "cut"     // the shards are frozen; StepFreeze is a part of it
	StepFreeze  = "freeze"  // of StepCut: the time in which no command ran
	StepEncode  = "encode"  // all shards are on the sinks; a StepShard each
	StepShard   = "shard"   // of StepEncode: a shard is on the sinks; a StepMember for each member
	StepMember  = "member"  // what a stage or a sink has done: of StepShard, or of StepPublish
	StepPublish = "publish" // the set is visible on the sinks
	StepCommit  = "commit"  // a start loads it
	StepPrune   = "prune"   // what it takes the place of is gone; after the commit
)

// StepEvent is about one step of a checkpoint.
type StepEvent struct {
	Generation uint64
	Step       string
	Shard      int // of StepShard
	Began      time.Time
	Took       time.Duration
	Keys       int64 // of StepShard
	Bytes      int64 // stored, of StepShard
	Err        error

	// Member is what a stage or a sink has done, of StepMember: for the part of a
	// shard, or for the whole checkpoint when publishing.
	Member sink.Step
}

// SegmentEvent is about the segments of the log.
type SegmentEvent struct {
	Active uint64 // the ID of the segment that takes what is appended now
}

// SinkEvent is about a sink beside the data directory.
type SinkEvent struct {
	Sink    string
	Archive bool  // it is about segments of the archive, not about checkpoints
	Err     error // why it is behind, where that is known; nil when it has caught up
}

// LogEvent is about the log in service.
type LogEvent struct {
	Err     error         // of a log that failed
	Refused time.Duration // for how long writes were refused, of one that healed
}

// notifier calls Events in their order. What has happened is queued, since it
// happens under locks, and a goroutine runs as long as something is queued.
type notifier struct {
	Events

	mu     sync.Mutex
	queue  []func()
	busy   bool
	idle   sync.WaitGroup  // while busy
	behind map[string]bool // what SinkBehind was told of, see sink
}

// tell queues a call of one of the Events. Any goroutine, under any lock.
func tell[E any](n *notifier, call func(E), e E) {
	if call == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, func() { call(e) })
	if !n.busy {
		n.busy = true
		n.idle.Go(n.run)
	}
}

func (n *notifier) run() {
	for {
		n.mu.Lock()
		if len(n.queue) == 0 {
			n.busy = false
			n.mu.Unlock()
			return
		}
		call := n.queue[0]
		n.queue = n.queue[1:]
		n.mu.Unlock()
		call()
	}
}

// wait returns when all that has happened was told. Nothing more may happen.
func (n *notifier) wait() { n.idle.Wait() }

// What a sink is for.
const (
	useArchive     = "archive"
	useCheckpoints = "checkpoints"
)

// sink tells how a sink stands with what it is for, checkpoints or the archive, if
// that is another state than the one told last.
func (n *notifier) sink(use, name string, behind bool, err error) {
	if n.SinkBehind == nil && n.SinkCaughtUp == nil {
		return
	}
	n.mu.Lock()
	key := use + " " + name
	changed := n.behind[key] != behind
	if changed {
		if n.behind == nil {
			n.behind = make(map[string]bool)
		}
		n.behind[key] = behind
	}
	n.mu.Unlock()
	switch {
	case !changed:
	case behind:
		tell(n, n.SinkBehind, SinkEvent{Sink: name, Archive: use == useArchive, Err: err})
	default:
		tell(n, n.SinkCaughtUp, SinkEvent{Sink: name, Archive: use == useArchive})
	}
}
