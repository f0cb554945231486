package command

import (
	"slices"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/pubsub"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/tracking"
)

// ReplyMode is the state CLIENT REPLY leaves a connection in.
type ReplyMode int

// The modes of CLIENT REPLY.
const (
	ReplyOn       ReplyMode = iota
	ReplyOff                // no replies until CLIENT REPLY ON
	ReplySkipNext           // set by CLIENT REPLY SKIP: the next command's reply is dropped
)

// ClientType is what sort of client a connection is, for its output limit and
// for CLIENT LIST TYPE and CLIENT KILL TYPE. The order is Redis's.
type ClientType int

// The types of clients.
const (
	ClientNormal ClientType = iota
	ClientReplica
	ClientPubSub
	ClientMaster
)

var clientTypes = [...]string{"normal", "slave", "pubsub", "master"}

// String is the type as Redis shows it.
func (t ClientType) String() string { return clientTypes[t] }

// ClientTypeNamed is the type that Redis or Valkey gives a name, in any case; replicas
// and masters have two.
func ClientTypeNamed(name string) (t ClientType, ok bool) {
	name = strings.ToLower(name)
	switch name {
	case "replica":
		return ClientReplica, true
	case "primary":
		return ClientMaster, true
	}
	i := slices.Index(clientTypes[:], name)
	return ClientType(i), i >= 0
}

// ClientInfo is one client as CLIENT LIST and CLIENT INFO show it.
type ClientInfo struct {
	ID           int64
	Addr, LAddr  string
	FD           int
	Name         string
	Age, Idle    time.Duration
	Type         ClientType
	Flags        string // "N" for a normal client, see CLIENT LIST
	DB           int
	Sub          int   // subscriptions to channels
	PSub         int   // to patterns
	SSub         int   // to shard channels
	Redir        int64 // the client that gets its invalidations, -1 for a client that is not tracked
	Multi        int   // queued commands, -1 outside MULTI
	QueryBuf     int   // bytes received and not executed
	QueryBufFree int   // what its buffer for them has room for beside
	ArgvMem      int   // the arguments of the command that waits or asks
	MultiMem     int   // those of the queued commands
	ReplyBuf     int   // the size of the buffer for its replies
	ReplyPeak    int   // the most that buffer has held
	OutputBuf    int   // bytes it is owed
	OutputList   int   // blocks of memory in which they wait
	OutputMem    int   // and their size
	TotMem       int
	Events       string
	Cmd          string
	User         string
	Proto        int
	TLS          bool
	LibName      string
	LibVer       string
}

// Client is one client as commands see it. The server's connections and the
// engine's embedded sessions implement it. Its methods are called by the
// goroutine that runs the client's commands, unless said otherwise.
type Client interface {
	ID() int64
	Name() string
	SetName(string)
	DB() int
	SelectDB(int)
	Proto() int
	SetProto(int)
	// Authenticated tells whether the client may run commands other than AUTH, HELLO, QUIT and RESET.
	Authenticated() bool
	// Authenticate makes the client a user, given the password. by is the command
	// that asks; the error's text is the reply's, with its code.
	Authenticate(by, user, pass string) error
	// MayReadEveryKey tells whether the user may run the command if it also reads
	// keys that its arguments do not name.
	MayReadEveryKey(cmd *Command, args [][]byte) bool
	SetReplyMode(ReplyMode)
	SetNoEvict(bool)
	// SetNoTouch says that the client's reads leave the access clock of keys as it
	// is (CLIENT NO-TOUCH); see Ctx.NoTouch.
	SetNoTouch(bool)
	SetLib(name, version string)
	// Subscriber is what the client listens to channels with, nil for one that
	// nothing can be pushed to.
	Subscriber() *pubsub.Subscriber
	// Tracking is by what the client is told that a key has changed.
	Tracking() *tracking.Client
	// Pushes is where messages go that are no replies. Those that others push to
	// the client stay behind them, and behind its replies, from now on and until
	// the replies leave.
	Pushes() *resp.Writer
	// Monitor has the client told of every command from now on. It is false where
	// it is already.
	Monitor() bool
	// CloseAfterReply ends the connection once the replies so far are out (QUIT).
	CloseAfterReply()
	// Info is the client's own line of CLIENT LIST.
	Info() ClientInfo
	// Clients lists every client of the server, this one included.
	Clients() []ClientInfo
	// KillClients closes the clients match accepts, this one after its reply
	// when skipMe is false, and returns how many.
	KillClients(match func(ClientInfo) bool, skipMe bool) int
	// UnblockClient ends the waiting of a client's command, as if it had waited for
	// too long or with an error, and tells whether there was one.
	UnblockClient(id int64, withError bool) bool
	// Synced tells whether a log is kept, and whether what the client has written is in
	// it on the disk.
	Synced() (kept, synced bool)
	// SyncWrites makes it so, aside, and then ends the waiting of the client's command
	// if it is to.
	SyncWrites(unblock bool)
	// PauseClients holds commands back, every client's, until a time in Unix
	// milliseconds: all of them, or those that may write.
	PauseClients(until int64, all bool)
	// UnpauseClients lets them go on.
	UnpauseClients()
}
