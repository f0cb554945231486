package session

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/acl"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/pubsub"
	"github.com/spillwaydb/spillway/core/tracking"
	"github.com/spillwaydb/spillway/core/wal"
)

// Runtime is what the sessions of an engine have in common, and all that they
// know of it. The engine fills it in and calls Init, before the first session; the
// functions are called by any goroutine, and by some under the lock of a shard:
// none may take one.
type Runtime struct {
	Keyspace *keyspace.Keyspace
	Events   *command.KeyEvents
	Watches  *command.Watches
	Stats    *command.Stats
	SlowLog  *command.SlowLog
	Latency  *command.LatencyMonitor
	Engine   command.Engine // behind the administrative commands
	Hub      *pubsub.Hub
	Tracking *tracking.Table
	Clock    Clock
	Gate     *sync.RWMutex // held for reading by whoever is at the keyspace

	// Order is the order of everything that changes the data, whether a log is
	// kept or not.
	Order *wal.Order
	// Changed counts changes of keys.
	Changed func(n int64)
	// Log is the log in service, nil for none. It changes only while every
	// shard is locked.
	Log func() *wal.Log
	// Committed takes in how a commit has ended that a session has written
	// for, and returns why what it wrote is not durable, in the words that a
	// client is told.
	Committed func(log *wal.Log, err error) error
	// Removed takes in a key that a session removes of its own accord: the
	// removal is logged, counted and told to those who listen. The lock of the
	// shard is held. by is the client of the session, nil for none.
	Removed func(by command.Client, ev command.Event, shard, db int, key []byte)

	// Loading tells whether the data are still being loaded, or taken over from another server. It is asked
	// while Loads or Follows says so.
	Loading func() bool
	// RefusesWrites is the error reply to a write that cannot be kept, "" while
	// writes are.
	RefusesWrites func() string
	// Stopping is the shutdown under way, nil for none.
	Stopping func() *Stopping

	// Cluster says that the engine is the only node of a cluster: a command, or a
	// transaction, may have keys of one slot only.
	Cluster bool

	// MaxMemory is how many bytes the keyspace may take, 0 for any number.
	MaxMemory func() int64
	// Eviction is how room is made when it takes more.
	Eviction func() Eviction
	// Users are those who may be clients, and ACLFile is where ACL LOAD and ACL
	// SAVE find them, nil for nowhere.
	Users   *acl.Store
	ACLFile acl.File

	// BusyThreshold is how long a script may run before other clients are told that
	// the engine is busy, 0 for ever.
	BusyThreshold func() time.Duration
	// DeprecatedLua tells whether scripts have setfenv, getfenv and newproxy.
	DeprecatedLua func() bool
	// ScriptLog writes a line of a script, or about one, to the log, at one of
	// Redis's levels (script.LogDebug …).
	ScriptLog func(level int, msg string)

	// Closing is closed when the engine begins to end.
	Closing <-chan struct{}

	nextID    atomic.Int64 // of clients
	waiting   *waiting
	pauseMu   sync.Mutex // held by whoever changes pause
	pause     atomic.Pointer[pause]
	steward   *Session // see ServeWaiting and MakeRoom
	evicted   candidates
	scripting *scripting
	monitors  monitors
	replicas  replicas

	sinceClock sinceClock // the Clock, nil if it is none
	ticks      bool       // the Clock is the machine's

	conditions conditions
	between    func(again bool) // called before a visit without a lock, see Session.visit
}

// Init makes the runtime ready, once it is filled in.
func (rt *Runtime) Init() {
	rt.waiting = newWaiting(rt.Keyspace, rt.Events, &rt.conditions)
	rt.scripting = newScripting(rt.DeprecatedLua)
	rt.monitors.odd = &rt.conditions
	rt.sinceClock, _ = rt.Clock.(sinceClock)
	m, ok := rt.Clock.(machineClock)
	rt.ticks = ok && m.Machine()
	rt.between = func(again bool) {
		if again { // a mutex that is locked anew at once is not had by those who wait for it
			runtime.Gosched()
		}
	}
}

// Clock is where sessions take the time from. One that has a method Since, as that
// of package time, is asked by it how long a command took; where one says by a method Machine that it is the
// machine's, the processor's ticks are asked first.
type Clock interface {
	Now() time.Time
	NewTicker(d time.Duration) (ticks <-chan time.Time, stop func())
}

// sinceClock is a Clock that tells how much time has passed.
type sinceClock interface {
	Since(t time.Time) time.Duration
}

// machineClock is a Clock that tells whether it is the machine's.
type machineClock interface {
	Machine() bool
}

// Eviction says which keys go when there is too little memory.
type Eviction struct {
	Policy  string // maxmemory-policy
	Samples int    // keys that are compared to find one
}

// Stopping is a shutdown under way. Writes wait for how it ends: one that was
// acknowledged behind the last snapshot would be lost where there is no log.
type Stopping struct {
	Done chan struct{} // closed once it is decided
	Down bool          // decided, and the process is about to end
}

// The replies to commands that an engine cannot serve now; ErrLoading is Redis's.
const (
	ErrLoading = "LOADING Redis is loading the dataset in memory"
	errDown    = "ERR the server has shut down: this write was not carried out"
)
