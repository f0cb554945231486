package command

import (
	"sync/atomic"
	"time"
)

// ShutdownMode says whether SHUTDOWN takes a checkpoint before it ends the process.
type ShutdownMode int

// The modes of SHUTDOWN.
const (
	ShutdownDefault ShutdownMode = iota // save when save points are configured
	ShutdownSave                        // always save
	ShutdownNoSave                      // never save
)

// Engine is what administrative commands need of the storage engine. Package
// core implements it; commands reach it through Ctx.Engine. All methods are safe
// for concurrent use. Save, Reload, Shutdown and LogOn wait for the engine and are
// called without any shard lock. The others take none and may be called under every
// lock, as all commands are inside EXEC.
type Engine interface {
	// BGSave asks for a snapshot checkpoint and returns the reply's text. With
	// schedule set, a request while a rewrite is in flight is remembered
	// instead of refused. The error's text is Redis's, with its code.
	BGSave(schedule bool) (reply string, err error)
	// BGRewriteAOF asks for a rewrite checkpoint and returns the reply's text.
	BGRewriteAOF() (reply string, err error)
	// Save takes a snapshot checkpoint and returns once it is committed.
	Save() error
	// LastSave is the time of the last committed checkpoint, in Unix seconds.
	LastSave() int64
	// Reload saves, empties the keyspace and loads the checkpoint back (DEBUG RELOAD).
	// With ontoNothing it fails unless there is neither a key nor a library.
	Reload(ontoNothing bool) error
	// Shutdown ends the engine's owner. It returns nil once the shutdown is
	// under way, in which case the client gets no reply, or why it was refused;
	// with force a failure to save is no reason.
	Shutdown(mode ShutdownMode, force bool) error
	// AbortShutdown calls off a Shutdown that is still saving.
	AbortShutdown() error
	// RDB returns what the engine holds at a moment during the call as an RDB file: the
	// data, the function libraries, or both. It takes as long as writing the file does, and is called
	// without any lock. The error's text begins with its code.
	RDB(data, functions bool) (RDB, error)
	// RunID identifies this run of the engine: 40 hexadecimal digits.
	RunID() string
	// Promote ends the following of another server. It waits for what has come of it
	// and is called without any lock.
	Promote() error
	// Replica tells how the following of another server gets on, nil for none.
	Replica() *Replica
	// Plugins answers SPILLWAY.PLUGINS. The error's text begins with its code.
	Plugins(args []string) ([]string, error)
	// Configuration answers SPILLWAY.CONFIG. It may take long, and is called without
	// any shard lock. The error's text begins with its code.
	Configuration(args []string) ([]string, error)
	// RewriteConfig keeps what CONFIG SET has changed for the next start. The error's
	// text is Redis's.
	RewriteConfig() error
	// Status answers SPILLWAY.STATUS. The error's text begins with its code.
	Status(args []string) ([]string, error)
	// SetActiveExpire turns the active expiry cycle on or off (DEBUG SET-ACTIVE-EXPIRE).
	SetActiveExpire(on bool)
	// Debugging is what else DEBUG switches.
	Debugging() *Debugging
	// DebugLog writes a line to the log of the engine (DEBUG LOG).
	DebugLog(msg string)
	// ClocksCount tells whether keys are evicted by when or how often they were
	// accessed.
	ClocksCount() bool
	// LogOn waits until the log is on that CONFIG SET appendonly yes has asked
	// for. An error says why it cannot be, and that it is off and stays so. The
	// caller holds no locks.
	LogOn() error
	// Config is the run-time configuration behind CONFIG GET and SET.
	Config() *Config
	// Info is the registry of INFO's sections.
	Info() *InfoRegistry
	// SlowLog is the log behind SLOWLOG.
	SlowLog() *SlowLog
	// Latency is the monitor behind LATENCY.
	Latency() *LatencyMonitor
	// ResetStats zeroes the counters that INFO shows (CONFIG RESETSTAT).
	ResetStats()
	// HasPassword tells whether clients must authenticate.
	HasPassword() bool
	// HasUser tells whether there is a user of that name.
	HasUser(name string) bool
	// NodeID is the name of this engine as the node of a cluster: 40 hexadecimal
	// digits, the same over restarts.
	NodeID() string
	// Announced is what that node tells clients of where it is.
	Announced() *Announced
	// Exchange sends a request to another server and returns the first lines of so
	// many replies. Each step may take as long as timeout. The error is an
	// *ExchangeError, and the lines are those that came before it.
	Exchange(addr string, request []byte, replies int, timeout time.Duration) (lines []string, err error)
	// Now is the engine's wall clock.
	Now() time.Time
	// Sleep waits on the engine's clock (DEBUG SLEEP).
	Sleep(d time.Duration)
}

// Debugging are switches of DEBUG, all off in the beginning.
type Debugging struct {
	// SkipChecksums has RESTORE take payloads whose checksum is wrong.
	SkipChecksums atomic.Bool
	// AllowInScripts lets scripts call commands that are not for scripts.
	AllowInScripts atomic.Bool
	// PauseCron has the engine do nothing by itself ten times a second.
	PauseCron atomic.Bool
}
