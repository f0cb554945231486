package command

import (
	"fmt"
	"strings"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// Handler executes a command. It finds everything it may use in c, and the
// locks of the shards that the command's keys live on are held.
type Handler func(c *Ctx)

// Flags are a command's properties, as COMMAND INFO tells them and as the
// executor acts on them.
type Flags uint32

// The flags. Those above NoMulti are Redis's; the rest steer our executor.
const (
	Write           Flags = 1 << iota // may change the keyspace
	ReadOnly                          // reads keys, changes nothing
	DenyOOM                           // refused while memory is over maxmemory
	Admin                             // for operators
	PubSub                            // part of publish/subscribe
	NoScript                          // not callable from scripts
	Blocking                          // may block the client
	Loading                           // allowed while loading
	Stale                             // allowed on a stale replica
	SkipMonitor                       // not shown by MONITOR
	SkipSlowlog                       // never kept by SLOWLOG
	Fast                              // O(1) or O(log N)
	NoAuth                            // allowed before AUTH
	AllowBusy                         // allowed while a script runs too long
	NoAsyncLoading                    // not allowed during asynchronous loading
	MovableKeys                       // key positions depend on the arguments
	NoMulti                           // not allowed inside MULTI
	AllShards                         // the executor locks every shard
	Patterns                          // and does where an argument has a star: the keys that it stands for are named by data
	InsideMulti                       // executed at once inside MULTI, never queued
	Rewritten                         // never logged under its own name, see LogAs
	MayReplicate                      // reads keys, but may cause a write: CLIENT PAUSE WRITE holds it back
	Counters                          // shows or resets what sessions count of their commands
	NoMandatoryKeys                   // takes keys, and may have none
	Prepared                          // the session calls Prepare before it locks shards
	Asking                            // allowed on a node that a slot is being moved to
	EachShard                         // the handler has shards locked one after the other, see Ctx.Visit
)

// flagNames are the flags that Redis knows, in its spelling and order.
var flagNames = []named[Flags]{
	{Write, "write"}, {ReadOnly, "readonly"}, {DenyOOM, "denyoom"}, {Admin, "admin"},
	{PubSub, "pubsub"}, {NoScript, "noscript"}, {Blocking, "blocking"}, {Loading, "loading"},
	{Stale, "stale"}, {SkipMonitor, "skip_monitor"}, {SkipSlowlog, "skip_slowlog"}, {Fast, "fast"},
	{NoAuth, "no_auth"}, {Asking, "asking"}, {NoMandatoryKeys, "no_mandatory_keys"}, {AllowBusy, "allow_busy"}, {NoAsyncLoading, "no_async_loading"},
	{MovableKeys, "movablekeys"}, {NoMulti, "no_multi"},
}

// named is a bit of a set of flags, and its name in replies.
type named[F ~uint16 | ~uint32] struct {
	flag F
	name string
}

// Command is one command or subcommand: what its file in spec says, what
// follows from that, and the handler. Commands are never changed after the
// table is built.
type Command struct {
	// Name is in lower case, "object|encoding" of a subcommand.
	Name string
	// Arity is the number of arguments with the name (a subcommand's with both
	// names), or minus the least number.
	Arity int
	Flags Flags
	// Categories are those of ACLs, with those that follow from Flags.
	Categories Categories
	// OnlyKey is where the command always has its one key, and needs no more than
	// that key's shard; 0 when it has none, several, or a number that depends on the
	// arguments. Arguments that CheckArity has accepted reach as far.
	OnlyKey int
	// HasKeys tells whether the command, or one of its subcommands, may have keys.
	HasKeys bool
	// Shardless says that the command needs no shard, whatever its arguments are.
	Shardless bool
	// Handler is nil for the commands that a session executes itself.
	Handler Handler
	// Sub are the subcommands of a container, by name.
	Sub []*Command

	// KeySpecs place the keys, see AppendKeys.
	KeySpecs []KeySpec
	// First, Last and Step are what COMMAND INFO says of the keys to clients
	// that do not know key specifications. First 0 means none, Last -1 the last
	// argument.
	First, Last, Step int
	// Tips are what clients of several servers want to know.
	Tips []string
	Doc  *Doc

	keys    keyFinder                         // where KeySpecs alone do not say it
	reads   bool                              // keys is readKeys, which need not be called by way of it
	stores  keyFinder                         // more keys whose shards are locked, see storeFinders
	any     func(args [][]byte) bool          // with AllShards, whether these arguments need them; nil: always
	seek    func(args [][]byte) keyspace.Seek // see seekers; nil: nothing
	plain   bool                              // see Plain
	letters uint64                            // of a name of few letters and nothing else, see Named; 0: it is another
	index   int                               // among all commands and subcommands, in the order of names
}

// Plain tells whether the command, with n arguments, the name among them, is one that a session calls and that waits for nothing and
// changes nothing about the session but its database: it has one key and needs only the shard of that, or has none and needs
// no shard.
func (cmd *Command) Plain(n int) bool {
	return cmd.plain && (n == cmd.Arity || n >= -cmd.Arity && cmd.Arity < 0)
}

// plainKeyless are the flags of which a plain command without a key has no others.
const plainKeyless = ReadOnly | Fast | Loading | Stale

// notPlain are the flags of which a plain command with a key has none.
const notPlain = Admin | PubSub | Blocking | NoAuth | AllShards | Patterns | NoMulti | InsideMulti | MayReplicate | Counters | Prepared | EachShard

// isPlain is Plain for any number of arguments.
func (cmd *Command) isPlain() bool {
	switch {
	case cmd.Handler == nil || cmd.Sub != nil:
		return false
	case cmd.OnlyKey > 0:
		return cmd.Flags&notPlain == 0
	}
	return cmd.Shardless && cmd.Flags&^plainKeyless == 0
}

// Resolve returns the subcommand that args name, or cmd itself where it has
// none of that name.
func (cmd *Command) Resolve(args [][]byte) *Command {
	if cmd.Sub == nil || len(args) < 2 {
		return cmd
	}
	for _, sub := range cmd.Sub {
		if is(args[1], sub.Name[len(cmd.Name)+1:]) {
			return sub
		}
	}
	return cmd
}

// CheckArity returns the error reply for a wrong number of arguments or an
// unknown subcommand, or "" when cmd can be called.
func CheckArity(cmd *Command, args [][]byte) string {
	if n := len(args); cmd.Arity > 0 && n != cmd.Arity || n < -cmd.Arity {
		return wrongArity(cmd)
	}
	if cmd.Sub == nil || len(args) < 2 {
		return ""
	}
	sub := cmd.Resolve(args)
	if sub == cmd {
		return fmt.Sprintf("ERR unknown subcommand '%s'. Try %s HELP.", clip(args[1], 128), strings.ToUpper(cmd.Name))
	}
	if n := len(args); sub.Arity > 0 && n != sub.Arity || n < -sub.Arity {
		return wrongArity(sub)
	}
	return ""
}

func wrongArity(cmd *Command) string {
	return "ERR wrong number of arguments for '" + cmd.Name + "' command"
}

// UnknownCommandError returns the error reply for a command that Lookup does
// not find.
func UnknownCommandError(args [][]byte) string {
	var b strings.Builder
	for i := 1; i < len(args) && b.Len() < 128; i++ {
		fmt.Fprintf(&b, "'%s' ", clip(args[i], 128-b.Len()))
	}
	return fmt.Sprintf("ERR unknown command '%s', with args beginning with: %s", clip(args[0], 128), b.String())
}

// clip is C's %.ns: at most n bytes, and none from the first NUL on.
func clip(b []byte, n int) []byte {
	b = b[:min(n, len(b))]
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// RunsInsideMulti tells whether cmd is executed at once inside MULTI instead
// of being queued.
func RunsInsideMulti(cmd *Command) bool { return cmd.Flags&InsideMulti != 0 }

// Outcome is how a command has ended.
type Outcome uint8

// The outcomes.
const (
	Done    Outcome = iota // it has replied
	Failed                 // it has replied with an error
	Blocked                // it has not replied, and waits: see Ctx.Block
)

// Call runs cmd, or the subcommand that c.Args name. It checks nothing: CheckArity
// must have accepted the arguments, and the shards of the command's keys must be
// locked.
func Call(c *Ctx, cmd *Command) Outcome {
	if cmd.Sub != nil {
		cmd = cmd.Resolve(c.Args)
	}
	errors := c.Out.Errors
	c.tellNew = cmd.Flags&EachShard == 0 && c.Events.asks(ClassNew)
	cmd.Handler(c)
	if c.tellNew {
		c.tellEnd()
	}
	switch {
	case c.block.waits:
		return Blocked
	case c.Out.Errors > errors:
		return Failed
	}
	return Done
}
