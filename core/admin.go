package core

import (
	"context"
	"crypto/sha1" //nolint:gosec // for a name
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/persist"
	"github.com/spillwaydb/spillway/core/session"
	"github.com/spillwaydb/spillway/core/sink"
)

// admin is what administrative commands act on, and what a server adds its own
// parameters and sections of INFO to. It keeps that apart from the face that a
// program which embeds the engine sees.
type admin struct{ *DB }

var _ command.Engine = admin{}

// Admin is the engine as administrative commands see it.
func (db *DB) Admin() command.Engine { return admin{db} }

// BGSave implements command.Engine: it asks for a snapshot checkpoint and
// returns at once. With schedule set, a request while another kind of job is
// in flight is carried out after it.
func (a admin) BGSave(schedule bool) (string, error) {
	_, err := a.persist.Begin(context.Background(), sink.KindSnapshot, "BGSAVE")
	if errors.Is(err, persist.ErrOtherInFlight) && schedule {
		a.persist.Schedule(sink.KindSnapshot)
		return "Background saving scheduled", nil
	}
	if err != nil {
		return "", replyError(err)
	}
	return "Background saving started", nil
}

// BGRewriteAOF implements command.Engine. Without a log it does nothing and
// says so; while a snapshot is in flight it is scheduled, as in Redis.
func (a admin) BGRewriteAOF() (string, error) {
	if a.persist.Log() == nil && !a.opts.ReadOnly {
		a.logger.Info("BGREWRITEAOF: appendonly is off, there is no log to rewrite")
		return "Append only file is disabled: nothing to rewrite", nil
	}
	if a.persist.InFlight() == sink.KindSnapshot {
		a.persist.Schedule(sink.KindRewrite)
		return "Background append only file rewriting scheduled", nil
	}
	if _, err := a.persist.Begin(context.Background(), sink.KindRewrite, "BGREWRITEAOF"); err != nil {
		return "", replyError(err)
	}
	return "Background append only file rewriting started", nil
}

// Save implements command.Engine.
func (a admin) Save() error { return a.DB.Save(context.Background()) }

// RDB implements command.Engine.
func (a admin) RDB(data, functions bool) (command.RDB, error) {
	if a.opts.ReadOnly && data {
		return nil, errReadOnlyRDB
	}
	var rdb *persist.Snapshot
	var err error
	if data {
		rdb, err = a.persist.Snapshot()
	} else {
		rdb, err = a.persist.Libraries(functions)
	}
	if err != nil {
		return nil, fmt.Errorf("ERR %w", err)
	}
	return rdb, nil
}

var errReadOnlyRDB = fmt.Errorf("ERR %w: use spillway export to get an RDB file of the directory", ErrReadOnly)

// LastSave implements command.Engine.
func (a admin) LastSave() int64 {
	return a.persist.LastSave().Unix()
}

// Reload implements command.Engine (DEBUG RELOAD): it takes a checkpoint,
// empties the keyspace and recovers it from disk while no command runs. With ontoNothing it
// fails where a key or a library is there, as in a Redis that does not empty memory first.
func (a admin) Reload(ontoNothing bool) error {
	if a.Loading() {
		return errors.New(session.ErrLoading)
	}
	a.swapping.Lock()
	defer a.swapping.Unlock()
	for {
		if err := a.runJob(context.Background(), sink.KindSnapshot, "DEBUG RELOAD"); err != nil {
			return err
		}
		a.gate.Lock()
		if a.persist.LogOn() || a.persist.Unsaved() == 0 {
			break // what came after the cut is in the log, or there is nothing
		}
		a.gate.Unlock()
	}
	defer a.gate.Unlock()
	if ontoNothing && !a.ks.IsEmpty() {
		return errors.New("ERR Error trying to load the RDB dump")
	}
	if a.persist.LogOn() {
		if err := a.persist.Log().Sync(); err != nil {
			return fmt.Errorf("ERR %w", err)
		}
	}
	a.ks.Empty()
	if _, err := a.load(context.Background(), a.persist.Manifest()); err != nil {
		return fmt.Errorf("ERR Error trying to load the checkpoint: %w", err)
	}
	return nil
}

// LogOn implements command.Engine: it takes the checkpoint that the log follows,
// behind the job in flight if there is one, and returns when that is committed.
// Until then clients write as before, and nothing is promised of the log. When the
// checkpoint fails the log stays off, as in Redis.
func (a admin) LogOn() error {
	if a.Loading() {
		if !a.opts.NoLog {
			return nil // it is a part of the start
		}
		return a.giveUpLog(errors.New("the data is still being loaded"))
	}
	gaveUp, err := a.persist.SwitchOn()
	if gaveUp {
		return a.giveUpLog(err)
	}
	return err
}

// giveUpLog takes the wish for a log back that cannot be had, and says so as
// Redis does.
func (a admin) giveUpLog(err error) error {
	_ = a.change(func(s *settings) error {
		s.appendOnly = a.persist.LogOn()
		return nil
	})
	return fmt.Errorf("Unable to turn on AOF. Check server logs. The reason: %w", err)
}

// Shutdown implements command.Engine: it saves when the mode asks for it, makes
// the log durable, and then has the owner end the process. When that fails the
// engine goes on and the error says so.
func (a admin) Shutdown(mode command.ShutdownMode, force bool) error {
	if a.opts.OnShutdown == nil {
		return errors.New("ERR SHUTDOWN is not available: the engine is embedded in another program")
	}
	if err := a.PrepareShutdown(mode, force); err != nil {
		return err
	}
	go a.opts.OnShutdown()
	return nil
}

// AbortShutdown implements command.Engine: it calls off a shutdown that is
// still saving, whose caller gets an error.
func (a admin) AbortShutdown() error {
	p := a.stopping.Load()
	if p == nil {
		return errNoShutdown
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.decided {
		return errNoShutdown
	}
	p.abort()
	return nil
}

// Plugins implements command.Engine.
func (a admin) Plugins(args []string) ([]string, error) {
	if a.opts.OnPlugins == nil {
		return nil, errors.New("ERR SPILLWAY.PLUGINS is not available: the engine is embedded in another program")
	}
	return a.opts.OnPlugins(args)
}

// Configuration implements command.Engine.
func (a admin) Configuration(args []string) ([]string, error) {
	if a.opts.OnConfig == nil {
		return nil, errors.New("ERR SPILLWAY.CONFIG is not available: the engine is embedded in another program")
	}
	return a.opts.OnConfig(args)
}

// RewriteConfig implements command.Engine.
func (a admin) RewriteConfig() error {
	if a.opts.OnRewrite == nil {
		return errors.New("ERR The server is running without a config file") // Redis's wording
	}
	return a.opts.OnRewrite()
}

// Status implements command.Engine.
func (a admin) Status(args []string) ([]string, error) {
	if a.opts.OnStatus == nil {
		return nil, errors.New("ERR SPILLWAY.STATUS is not available: the engine is embedded in another program")
	}
	return a.opts.OnStatus(args)
}

// Config implements command.Engine: the parameters behind CONFIG GET and SET.
func (a admin) Config() *command.Config { return a.config }

// Info implements command.Engine: the registry of INFO's sections.
func (a admin) Info() *command.InfoRegistry { return a.info }

// SlowLog implements command.Engine.
func (a admin) SlowLog() *command.SlowLog { return a.slowlog }

// Latency implements command.Engine.
func (a admin) Latency() *command.LatencyMonitor { return a.latency }

// ResetStats implements command.Engine.
func (a admin) ResetStats() { a.stats.Reset() }

// HasPassword tells whether clients must authenticate.
func (a admin) HasPassword() bool { return !a.users.Default().NoPass() }

// NodeID implements command.Engine. It follows from the lineage.
func (a admin) NodeID() string {
	return fmt.Sprintf("%x", sha1.Sum([]byte(a.persist.Stats().Lineage))) //nolint:gosec // a name
}

// Announced implements command.Engine.
func (a admin) Announced() *command.Announced { return a.announced }

// HasUser implements command.Engine.
func (a admin) HasUser(name string) bool { return a.users.User(name) != nil }

// ClocksCount implements command.Engine.
func (a admin) ClocksCount() bool {
	s := a.settings.Load()
	return s.maxMemory > 0 && (strings.HasSuffix(s.maxMemoryPolicy, "-lru") || strings.HasSuffix(s.maxMemoryPolicy, "-lfu"))
}

// SetActiveExpire implements command.Engine.
func (a admin) SetActiveExpire(on bool) { a.activeExpire.Store(on) }

// Debugging implements command.Engine.
func (a admin) Debugging() *command.Debugging { return &a.debugging }

// DebugLog implements command.Engine.
func (a admin) DebugLog(msg string) { a.logger.Warn(msg) }

// Now implements command.Engine.
func (a admin) Now() time.Time { return a.clock.Now() }

// Sleep implements command.Engine; Close ends it early.
func (a admin) Sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	ticks, stop := a.clock.NewTicker(d)
	defer stop()
	select {
	case <-ticks:
	case <-a.closing:
	}
}
