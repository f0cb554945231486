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

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/session"
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
	log     atomic.Pointer[wal.Log] // nil: no log is kept
	based   atomic.Pointer[wal.Log] // the last log whose base was committed; see logOn
	lastSeq uint64                  // of the last block replayed
	ckpt    *checkpointer

	// gate is held for reading by everything that touches the keyspace, and
	// for writing by what replaces it whole (DEBUG RELOAD).
	gate sync.RWMutex

	events  *command.KeyEvents
	watches *command.Watches
	stats   *command.Stats
	config  *command.Config
	info    *command.InfoRegistry
	slowlog *command.SlowLog
	latency *command.LatencyMonitor
	runtime session.Runtime

	settings     atomic.Pointer[settings]
	setMu        sync.Mutex // serialises changes of settings
	activeExpire atomic.Bool
	dirty        atomic.Int64 // changes since Open
	dirtySaved   atomic.Int64 // of these, covered by the last committed checkpoint
	failed       atomic.Pointer[failure]
	saveFailed   atomic.Bool // the last snapshot failed
	runID        string
	started      time.Time
	recovered    Recovery
	loading      atomic.Pointer[loading]  // nil once Recover has returned
	stopping     atomic.Pointer[stopping] // nil unless a shutdown is under way

	tickMu       vfs.IOLock // the fields below belong to the tick
	skipped      string
	healTried    time.Time
	targetsTried time.Time
	retrying     atomic.Bool
	retryAfter   atomic.Int64 // nanoseconds until the next attempt

	closing  chan struct{}
	loopDone chan struct{}
	closeOne sync.Once
	closeErr error
	usedPeak int64 // the most memory that keys took since reclaim; the loop's own
}

var _ command.Engine = (*DB)(nil)

// failure is why writes are refused since the log failed.
type failure struct {
	err  error
	at   time.Time
	text string // the reply, without its code
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
		_ = db.Close() // what is to be said is why it did not open
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
		stats:  new(command.Stats),
		config: config, info: new(command.InfoRegistry),
		slowlog: command.NewSlowLog(config.Secret), latency: command.NewLatencyMonitor(),
		tickMu: vfs.NewIOLock(), closing: make(chan struct{}), loopDone: make(chan struct{}),
	}
	db.events = command.NewKeyEvents(db.stats)
	db.watches = command.NewWatches(opts.Shards, db.events)
	db.started = db.clock.Now()
	db.runID = fmt.Sprintf("%016x%016x%08x", rand.Uint64(), rand.Uint64(), rand.Uint32()) // an identifier
	db.targetsTried = db.started
	db.retryAfter.Store(int64(retryFirst))
	db.activeExpire.Store(true)
	db.loading.Store(&loading{began: db.started})
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
	db.ckpt = newCheckpointer(db)
	if err := db.initParams(); err != nil {
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
			db.ckpt.install(m)
			db.run()
		}
		return err
	}
	if err := db.recover(ctx); err != nil {
		return err
	}
	m := db.ckpt.current()
	if err := db.startLogAfter(m); err != nil {
		return err
	}
	owed := db.ckpt.current().Owed
	if db.ckpt.archive.found(owed); db.ckpt.archive == nil && len(owed) > 0 {
		db.logger.Warn("log segments wait for an archive, and none is configured: the next checkpoint removes them", "segments", len(owed))
	}
	db.catchUp()
	db.anchor(m)
	db.run()
	return nil
}

// run begins to serve.
func (db *DB) run() {
	if !db.opts.ManualTick {
		db.loopDone = make(chan struct{})
		go db.loop()
	}
	db.loading.Store(nil)
}

// LockFile is the file in the data directory that its owner holds locked.
const LockFile = manifest.LockFile

// startLogAfter opens the log behind the recovered state, creating its first
// segment when there is none.
func (db *DB) startLogAfter(m *manifest.Manifest) error {
	if !db.opts.AppendOnly {
		return nil
	}
	if len(m.Segments) == 0 {
		if _, err := db.ckpt.rotate(true, true); err != nil {
			return fmt.Errorf("creating the log: %w", err)
		}
		m = db.ckpt.current()
	}
	l, err := db.openLog(m.Segments[len(m.Segments)-1].Path, db.lastSeq)
	if err != nil {
		return err
	}
	db.log.Store(l)
	db.based.Store(l)
	l.SetPolicy(db.settings.Load().fsync) // CONFIG SET may have come in between
	db.ckpt.sealed(m.Segments[len(m.Segments)-1].ID)
	return nil
}

func (db *DB) openLog(path string, seq uint64) (*wal.Log, error) {
	l, err := wal.Open(wal.Options{
		FS: db.fs, Shards: db.ks.NumShards(), Policy: db.settings.Load().fsync,
		Clock: db.clock, Logger: db.logger.Named("wal"),
	}, path, seq)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return l, nil
}

// stopLog takes the log out of service without touching the manifest, unless
// CONFIG SET wants it meanwhile and wanted says that this counts. It tells
// whether it did.
func (db *DB) stopLog(wanted bool) bool {
	db.lockAll()
	db.setMu.Lock()
	var l *wal.Log
	stop := !wanted || !db.settings.Load().appendOnly
	if stop {
		l = db.log.Swap(nil)
	}
	db.setMu.Unlock()
	db.unlockAll()
	if l != nil {
		if err := l.Close(); err != nil {
			db.logger.Warn("closing the log", "error", err)
		}
	}
	return stop
}

// Close stops the engine: the job in flight is cancelled and rolled back, the
// log is flushed and synced, the data directory unlocked. It takes no
// checkpoint; see [DB.Shutdown]. Calling it again returns the same error.
func (db *DB) Close() error {
	db.closeOne.Do(func() {
		close(db.closing)
		<-db.loopDone
		db.ckpt.close()
		var errs []error
		if l := db.log.Load(); l != nil {
			if err := l.Close(); err != nil {
				errs = append(errs, fmt.Errorf("closing the log: %w", err))
			}
		}
		db.gate.Lock() // sessions that are still at it finish first
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

// catchUp feeds, in the background, best-effort sinks that had not got the
// newest checkpoint when the last process ended.
func (db *DB) catchUp() {
	base := db.ckpt.current().Base
	if base == nil || len(db.opts.Targets) == 0 {
		return
	}
	set := *base
	db.feedTargets("a best-effort sink is behind", func(ctx context.Context) error {
		return errors.Join(db.ckpt.pipe.CatchUp(ctx, set), db.ckpt.pipe.Retry(ctx))
	})
}

// lockAll locks every shard, in ascending order as everybody does.
func (db *DB) lockAll() {
	for i := range db.ks.NumShards() {
		db.ks.Shard(i).Lock()
	}
}

func (db *DB) unlockAll() {
	for i := db.ks.NumShards() - 1; i >= 0; i-- {
		db.ks.Shard(i).Unlock()
	}
}

// fail begins the refusal of writes because the log failed. It is logged once.
func (db *DB) fail(err error) {
	f := &failure{err: err, at: db.clock.Now(), text: logFailure(err)}
	if db.failed.CompareAndSwap(nil, f) {
		db.logger.Error("the log failed: writes are refused until a fresh checkpoint is committed", "error", err)
	}
}

// logFailure is how a client is told, behind the code of the reply.
func logFailure(err error) string { return "Errors writing to the AOF file: " + err.Error() }

// healed ends the refusal of writes: a checkpoint taken after the failure is
// committed and the log goes on in a fresh segment.
func (db *DB) healed() {
	if f := db.failed.Swap(nil); f != nil {
		db.logger.Info("persistence is re-established: writes are accepted again", "refused_for", db.clock.Now().Sub(f.at).Round(time.Millisecond))
	}
}

func (db *DB) changesSaved(upTo int64) { db.dirtySaved.Store(upTo) }

// Clock is the engine's source of time.
func (db *DB) Clock() Clock { return db.clock }

// Keyspace is the engine's data, for the server's own commands and for tests.
func (db *DB) Keyspace() *keyspace.Keyspace { return db.ks }

// Stats are the engine's counters.
func (db *DB) Stats() *command.Stats { return db.stats }

// Config implements command.Engine: the parameters behind CONFIG GET and SET.
func (db *DB) Config() *command.Config { return db.config }

// Info implements command.Engine: the registry of INFO's sections.
func (db *DB) Info() *command.InfoRegistry { return db.info }

// InfoFields returns what INFO shows, as values, for an exporter of metrics. It
// holds every shard's lock for as long as INFO does.
func (db *DB) InfoFields() []command.InfoField {
	db.gate.RLock()
	defer db.gate.RUnlock()
	db.lockAll()
	defer db.unlockAll()
	return db.info.Fields()
}

// Healthy tells why the engine does not do its work: it is still loading or
// about to end, refuses writes because persistence has failed, or cannot switch
// the log on as it was told. nil means that it does.
func (db *DB) Healthy() error {
	if db.Loading() {
		return errors.New("loading the data")
	}
	if f := db.failed.Load(); f != nil {
		return fmt.Errorf("writes are refused: %w", f.err)
	}
	db.ckpt.mu.Lock()
	save, log := db.ckpt.snapshot.err, db.ckpt.logStarts.err
	db.ckpt.mu.Unlock()
	switch {
	case db.savesHoldWrites():
		return fmt.Errorf("writes are refused: the last save failed: %w", save)
	case db.stopping.Load() != nil:
		return errors.New("shutting down: writes wait")
	case log != nil && db.logState() == logStarting:
		return fmt.Errorf("the log cannot be switched on: %w", log)
	}
	return nil
}

// SlowLog implements command.Engine.
func (db *DB) SlowLog() *command.SlowLog { return db.slowlog }

// Latency implements command.Engine.
func (db *DB) Latency() *command.LatencyMonitor { return db.latency }

// UsedMemory implements command.Engine: bytes held by keys, values and their index.
func (db *DB) UsedMemory() int64 { return db.ks.UsedBytes() }

// Recovered tells what Recover found and did. It is zero until then.
func (db *DB) Recovered() Recovery { return db.recovered }

// Version is Options.Version.
func (db *DB) Version() string { return db.opts.Version }

// RunID identifies this Open, as INFO's run_id.
func (db *DB) RunID() string { return db.runID }

// Plugins implements command.Engine.
func (db *DB) Plugins(args []string) ([]string, error) {
	if db.opts.OnPlugins == nil {
		return nil, errors.New("ERR SPILLWAY.PLUGINS is not available: the engine is embedded in another program")
	}
	return db.opts.OnPlugins(args)
}

// HasPassword tells whether clients must authenticate.
func (db *DB) HasPassword() bool { return db.settings.Load().requirePass != "" }

// Now implements command.Engine.
func (db *DB) Now() time.Time { return db.clock.Now() }

// Sleep implements command.Engine; Close ends it early.
func (db *DB) Sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	ticks, stop := db.clock.NewTicker(d)
	defer stop()
	select {
	case <-ticks:
	case <-db.closing:
	}
}

// ResetStats implements command.Engine.
func (db *DB) ResetStats() { db.stats.Reset() }
