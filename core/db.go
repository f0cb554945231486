package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/acl"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/persist"
	"github.com/spillwaydb/spillway/core/pubsub"
	"github.com/spillwaydb/spillway/core/session"
	"github.com/spillwaydb/spillway/core/tracking"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// DB is an open engine. All its methods are safe for concurrent use.
type DB struct {
	opts   Options
	fs     vfs.FS
	clock  Clock
	logger hclog.Logger
	lock   io.Closer // on the data directory
	root   io.Closer // the data directory itself where OpenDir has opened it

	ks      *keyspace.Keyspace
	order   *wal.Order // of what changes the data, with a log or without
	persist *persist.Persister
	lastSeq uint64 // of the last block replayed

	// gate is held for reading by everything that touches the keyspace, and
	// for writing by what replaces it whole (DEBUG RELOAD).
	gate sync.RWMutex
	// swapping is held while the pipelines are replaced, and while DEBUG RELOAD reads
	// back what it has written through them.
	swapping sync.Mutex

	events      *command.KeyEvents
	watches     *command.Watches
	hub         *pubsub.Hub
	notifier    *command.Notifier
	announced   *command.Announced
	tracking    *tracking.Table
	stats       *command.Stats
	opsRate     *command.Rate
	percentiles atomic.Pointer[[]float64] // latency-tracking-info-percentiles
	peak        atomic.Int64              // of the memory of keys and values
	config      *command.Config
	info        *command.InfoRegistry
	slowlog     *command.SlowLog
	latency     *command.LatencyMonitor
	users       *acl.Store
	runtime     session.Runtime

	settings     atomic.Pointer[settings]
	setMu        sync.Mutex // serialises changes of settings
	activeExpire atomic.Bool
	debugging    command.Debugging
	runID        string
	started      time.Time
	recovered    Recovery
	loading      atomic.Pointer[loading]   // nil once Recover has returned
	following    atomic.Pointer[following] // nil unless another server is followed
	stopping     atomic.Pointer[stopping]  // nil unless a shutdown is under way

	tickMu vfs.IOLock // held by the tick
	ticks  atomic.Uint64

	closing  chan struct{}
	loopDone chan struct{}
	closeOne sync.Once
	closeErr error
	usedPeak int64 // the most memory that keys took since reclaim; the loop's own
}

// Open is [Prepare] and [DB.Recover]: it returns only when every key is back.
// It fails, and changes nothing on disk, when anything but the log's torn tail
// is damaged. The caller must Close the DB.
func Open(opts Options) (*DB, error) {
	db, err := Prepare(opts)
	if err != nil {
		return nil, err
	}
	if err := db.Recover(context.Background()); err != nil {
		_ = db.Close() // the caller wants to know why it did not open
		return nil, err
	}
	return db, nil
}

// Prepare locks the data directory and returns an engine that has not read it
// yet: sessions of it serve the commands that are allowed while loading (AUTH,
// HELLO, INFO, CONFIG …) and refuse the others with LOADING. A directory that is
// marked as half restored is a *manifest.UnfinishedError. With Options.ReadOnly
// nothing is locked. The caller must
// call [DB.Recover], once, and Close, after Recover has returned.
func Prepare(opts Options) (*DB, error) {
	opts = opts.withDefaults()
	if err := opts.check(); err != nil {
		return nil, err
	}
	if err := vfs.RequireData(opts.FS); err != nil && !opts.ReadOnly {
		return nil, fmt.Errorf("opening the data directory: %w", err)
	}
	config := command.NewConfig()
	db := &DB{
		opts: opts, fs: opts.FS, clock: opts.Clock, logger: opts.Logger,
		stats:  command.NewStats(),
		config: config, info: new(command.InfoRegistry),
		slowlog: command.NewSlowLog(config.Secret), latency: command.NewLatencyMonitor(),
		users: acl.NewStore(), announced: command.NewAnnounced(),
		tickMu: vfs.NewIOLock(), closing: make(chan struct{}), loopDone: make(chan struct{}),
	}
	db.events = command.NewKeyEvents(db.stats)
	db.watches = command.NewWatches(opts.Shards, db.events)
	db.opsRate = db.stats.Rate(db.stats.Commands)
	db.hub = pubsub.NewHub(func(pattern, name []byte) bool { return command.GlobMatch(pattern, name, false) })
	db.tracking = command.NewTracker(opts.Shards, db.events) // told first, as most of Redis's commands do it
	db.notifier = command.NewNotifier(db.hub, db.events)
	db.started = db.clock.Now()
	db.runID = fmt.Sprintf("%016x%016x%08x", rand.Uint64(), rand.Uint64(), rand.Uint32()) // an identifier
	db.activeExpire.Store(true)
	db.loading.Store(&loading{began: db.started})
	db.runtime.Loads(true)
	close(db.loopDone) // until there is a loop
	if l, ok := db.fs.(vfs.Locker); ok {
		lock, err := l.Lock(LockFile)
		if err != nil {
			return nil, fmt.Errorf("locking the data directory: %w", err)
		}
		db.lock = lock
	}
	if err := manifest.RefuseMarked(db.fs); err != nil {
		_ = db.unlock()
		return nil, err
	}
	db.ks = keyspace.New(keyspace.Config{Shards: opts.Shards, Databases: opts.Databases, Now: db.started.UnixMilli()})
	order, err := wal.NewOrder(wal.OrderOptions{Shards: opts.Shards, Clock: opts.Clock, Logger: db.logger.Named("wal")})
	if err != nil {
		return nil, errors.Join(err, db.unlock())
	}
	db.order = order
	db.persist = persist.New(db.persistEnv())
	if err := db.initParams(); err != nil {
		_ = db.Close()
		return nil, err
	}
	if err := db.initUsers(); err != nil {
		_ = db.Close()
		return nil, err
	}
	db.registerInfo()
	db.initSessions()
	return db, nil
}

// Recover reads the data directory back and starts the engine: from its return
// on every command is served. When ctx ends before that, it gives up. After an
// error, which Close must follow, nothing on disk has changed.
func (db *DB) Recover(ctx context.Context) error {
	if db.opts.ReadOnly {
		m, err := db.recoverReadOnly(ctx)
		if err == nil {
			db.persist.Show(m)
			db.run()
		}
		return err
	}
	if err := db.recover(ctx); err != nil {
		return err
	}
	if err := db.persist.Start(!db.opts.NoLog); err != nil {
		return err
	}
	if err := db.startFollowing(); err != nil {
		return err
	}
	db.run()
	return nil
}

// run begins to serve.
func (db *DB) run() {
	db.runtime.CompileLibraries()
	if !db.opts.ManualTick {
		db.loopDone = make(chan struct{})
		go db.loop()
	}
	db.loading.Store(nil)
	db.runtime.Loads(false)
}

// LockFile is the file in the data directory that its owner holds locked.
const LockFile = manifest.LockFile

// Close stops the engine: the job in flight is cancelled and rolled back, the
// log is flushed and synced, the data directory unlocked. It takes no
// checkpoint; see [DB.Shutdown]. Calling it again returns the same error.
func (db *DB) Close() error {
	db.closeOne.Do(func() {
		close(db.closing)
		<-db.loopDone
		if f := db.following.Load(); f != nil {
			f.stop()
		}
		var errs []error
		if err := db.persist.Close(); err != nil {
			errs = append(errs, err)
		}
		db.runtime.EndScripts(true)
		db.gate.Lock() // sessions that are still at it finish first
		db.order.Close()
		db.ks.Close()
		if err := db.unlock(); err != nil {
			errs = append(errs, err)
		}
		if db.root != nil {
			errs = append(errs, db.root.Close())
		}
		db.closeErr = errors.Join(errs...)
	})
	return db.closeErr
}

func (db *DB) unlock() error {
	if db.lock == nil {
		return nil
	}
	if err := db.lock.Close(); err != nil {
		return fmt.Errorf("unlocking the data directory: %w", err)
	}
	return nil
}

// Clock is the engine's source of time.
func (db *DB) Clock() Clock { return db.clock }

// Keyspace is the engine's data, for the server's own commands and for tests.
func (db *DB) Keyspace() *keyspace.Keyspace { return db.ks }

// InfoFields returns what INFO shows, as values, for an exporter of metrics. It
// locks one shard at a time, as INFO does.
func (db *DB) InfoFields() []command.InfoField {
	db.gate.RLock()
	defer db.gate.RUnlock()
	return db.info.Fields(func(shard int, f func()) bool {
		s := db.ks.Shard(shard)
		s.Lock()
		defer s.Unlock()
		f()
		return true
	})
}

// Healthy tells why the engine does not do its work: it is still loading or
// about to end, refuses writes because persistence has failed, or cannot switch
// the log on as it was told. nil means that it does.
func (db *DB) Healthy() error {
	if db.Loading() {
		return errors.New("loading the data")
	}
	if err := db.persist.Refusing(); err != nil {
		return err
	}
	if db.takingOver() {
		return errors.New("taking over the dataset of the server that is followed")
	}
	if db.stopping.Load() != nil {
		return errors.New("shutting down: writes wait")
	}
	if err := db.persist.LogStartError(); err != nil {
		return fmt.Errorf("the log cannot be switched on: %w", err)
	}
	return nil
}

// Recovered tells what Recover found and did. It is zero until then.
func (db *DB) Recovered() Recovery { return db.recovered }

// Version is Options.Version.
func (db *DB) Version() string { return db.opts.Version }

// Lineage is the life of the data directory, "" until Recover knows it.
func (db *DB) Lineage() string { return db.persist.Lineage() }

// RunID identifies this Open, as INFO's run_id.
func (db *DB) RunID() string { return db.runID }

// Stats are the engine's counters.
func (db *DB) Stats() *command.Stats { return db.stats }

// Uptime is the time since Open.
func (db *DB) Uptime() time.Duration { return db.clock.Now().Sub(db.started) }
