package persist

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// Env is what persistence needs of the engine around it. Nothing in it changes
// after New.
type Env struct {
	FS       vfs.FS // the data directory
	Keyspace *keyspace.Keyspace
	Order    *wal.Order // of what changes it; the log takes that
	Clock    wal.Clock
	Logger   hclog.Logger
	Version  string // of the engine, for manifests
	ReadOnly bool   // nothing is saved, logged or sent

	Pipelines    Pipelines    // that a start begins with
	DecodeStages []sink.Stage // further ones that older parts may have gone through
	Adopt        bool         // what a target holds does not stop a start

	// Barrier calls f with every shard locked, while nobody replaces the
	// keyspace as a whole.
	Barrier func(f func())
	// Settings are the parameters that CONFIG SET may change, as they are now.
	Settings func() Settings
	// Frozen calls f with the settings; nobody changes them before it returns.
	Frozen func(f func(Settings))
	// Events are what the owner has called.
	Events Events
	// Latency notes how long an event took, for LATENCY.
	Latency func(event string, took time.Duration, at time.Time)
}

// Settings are the parameters of persistence that may change at run time.
type Settings struct {
	AppendOnly        bool // the log is wanted; whether it is on, LogOn tells
	Fsync             wal.Policy
	Save              []SavePoint
	RewritePercentage int
	RewriteMinSize    int64
	StopOnSaveError   bool // writes are refused after a failed background save
}

// SavePoint asks for a snapshot after Seconds when at least Changes keys changed.
type SavePoint struct {
	Seconds int
	Changes int64
}

// String is the save point as a log line shows it: "100 changes in 300 seconds".
func (p SavePoint) String() string {
	return fmt.Sprintf("%d changes in %d seconds", p.Changes, p.Seconds)
}

// ErrReadOnly is wrapped by what an engine refuses that only reads its directory.
var ErrReadOnly = errors.New("read-only: nothing is written, saved or logged")

// Persister keeps a keyspace on disk: it takes checkpoints, one at a time, owns
// the log in service and the reasons why writes are refused, and brings
// checkpoints and log to the sinks.
//
// A checkpoint is one function, on a goroutine of its own, that ends when the
// manifest is committed or the job has failed (see checkpoint in job.go):
//
//	rotate → cut → encode (a goroutine per shard) → publish → commit → finish
//
// The tick only begins jobs; nobody but those who asked for a job waits for it. The
// parts are types that do not know the Persister: the package comment has their
// locks.
type Persister struct {
	env    Env
	fs     vfs.FS
	ks     *keyspace.Keyspace
	clock  wal.Clock
	logger hclog.Logger
	jobLog hclog.Logger

	ledger *ledger   // the manifest in force
	health *health   // why writes are refused
	own    *ancestry // who we are on a sink
	local  sink.Sink
	events *notifier
	bg     background

	route   atomic.Pointer[route]    // that checkpoints go through
	archive atomic.Pointer[archiver] // nil: there is none; changes under turn and ledger.writing

	views   vfs.IOLock   // held while the shards have views; see lockViews
	spools  spools       // snapshots for clients
	spooled atomic.Int64 // how many were begun

	turn  vfs.IOLock              // held from a rotation of the log to its cut
	log   atomic.Pointer[wal.Log] // nil: no log is kept
	based atomic.Pointer[wal.Log] // the last log whose base was committed; see LogOn

	changes atomic.Int64 // of keys since New
	saved   atomic.Int64 // of these, covered by the last committed checkpoint
	saves   atomic.Int64 // checkpoints committed since New

	// The next three belong to the tick.
	skipped      string
	healTried    time.Time
	targetsTried time.Time
	retrying     atomic.Bool
	retryAfter   atomic.Int64 // nanoseconds until the next attempt

	mu                       sync.Mutex
	job                      *job // in flight
	nextJob                  uint64
	scheduled                sink.Kind // asked for with SCHEDULE while a job was in flight
	closed                   bool
	snapshot                 Outcome
	rewrite                  Outcome
	rewrites, failedRewrites int64 // succeeded since New, failed since
	lastSave                 time.Time
	attempts                 attempts      // that failed, automatic or asked for
	logStarts                attempts      // at switching the log on that failed
	freeze                   time.Duration // of the last cut
}

// New builds the pipelines of the data directory, its targets and its archive.
// Nothing is read or written before the calls of a start: Survey, LoadManifest,
// Settle, Accept and Start, in this order. Close must follow.
func New(env Env) *Persister {
	now := env.Clock.Now
	jobLog := env.Logger.Named("checkpoint")
	local := sink.NewFSSink("local", env.FS, sink.SetsDir)
	events := &notifier{Events: env.Events}
	own := &ancestry{log: jobLog, now: now, adopt: env.Adopt}
	p := &Persister{
		env: env, fs: env.FS, ks: env.Keyspace, clock: env.Clock, logger: env.Logger, jobLog: jobLog,
		ledger: newLedger(env.FS, own, now, env.Version), health: newHealth(env, events), own: own,
		local: local, events: events,
		views: vfs.NewIOLock(), turn: vfs.NewIOLock(), targetsTried: now(), lastSave: now(),
	}
	p.spools.ctx, p.spools.end = context.WithCancel(context.Background())
	p.retryAfter.Store(int64(retryFirst))
	spec := env.Pipelines
	spec.Archive = Archive{}
	p.route.Store(p.newRoute(spec, nil))
	p.archive.Store(p.newArchive(env.Pipelines.Archive, nil))
	return p
}

// newArchive makes the archive that follows before, nil for none.
func (p *Persister) newArchive(opts Archive, before *archiver) *archiver {
	return newArchiver(archiveEnv{
		fs: p.env.FS, clock: p.env.Clock, logger: p.env.Logger, own: p.own, ledger: p.ledger, events: p.events, run: p.bg.run,
		log: p.Log, seal: p.seal, discard: p.discard, checkpoints: p.checkpoints,
	}, opts.withDefaults(), before)
}

// Manifest is the one in force, which nobody changes.
func (p *Persister) Manifest() *manifest.Manifest { return p.ledger.current() }

// Changed counts changes of keys: save points look at them.
func (p *Persister) Changed(n int64) { p.changes.Add(n) }

// Unsaved is how many changes no committed checkpoint covers.
func (p *Persister) Unsaved() int64 { return p.changes.Load() - p.saved.Load() }

// Tick does once what is done ten times a second: it pulls the automatic triggers
// and retries what failed. Calls must not overlap.
func (p *Persister) Tick() {
	p.reconcileLog()
	p.triggers()
	p.retryTargets()
	p.archive.Load().tick()
}

// Drain is the end of the archive's work before the engine's end: the active
// segment is sealed, and the targets get what they lack, for a while and until
// ctx ends. The next start goes on where it stops.
func (p *Persister) Drain(ctx context.Context) { p.archive.Load().drain(ctx) }

// Close refuses further jobs, cancels the one in flight, waits for every
// goroutine, and closes the log: all that was logged is durable when it returns
// nil.
func (p *Persister) Close() error {
	p.close()
	if l := p.log.Load(); l != nil {
		if err := l.Close(); err != nil {
			return fmt.Errorf("closing the log: %w", err)
		}
	}
	return nil
}
