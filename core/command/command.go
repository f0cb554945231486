package command

import (
	"errors"
	"fmt"
	"strings"
)

// Handler executes a command. It finds everything it may use in c, and the
// locks of the shards that the command's keys live on are held.
type Handler func(c *Ctx)

// Flags are a command's properties, as COMMAND INFO tells them and as the
// executor acts on them.
type Flags uint32

// The flags. Those above NoMulti are Redis's; the rest steer our executor.
const (
	Write          Flags = 1 << iota // may change the keyspace
	ReadOnly                         // reads keys, changes nothing
	DenyOOM                          // refused while memory is over maxmemory
	Admin                            // for operators
	PubSub                           // part of publish/subscribe
	NoScript                         // not callable from scripts
	Blocking                         // may block the client
	Loading                          // allowed while loading
	Stale                            // allowed on a stale replica
	SkipMonitor                      // not shown by MONITOR
	SkipSlowlog                      // never kept by SLOWLOG
	Fast                             // O(1) or O(log N)
	NoAuth                           // allowed before AUTH
	AllowBusy                        // allowed while a script runs too long
	NoAsyncLoading                   // not allowed during asynchronous loading
	MovableKeys                      // key positions depend on the arguments
	NoMulti                          // not allowed inside MULTI
	AllShards                        // the executor locks every shard
	InsideMulti                      // executed at once inside MULTI, never queued
	Rewritten                        // never logged under its own name, see LogAs
)

var flagNames = []struct {
	flag Flags
	name string
}{
	{Write, "write"}, {ReadOnly, "readonly"}, {DenyOOM, "denyoom"}, {Admin, "admin"},
	{PubSub, "pubsub"}, {NoScript, "noscript"}, {Blocking, "blocking"}, {Loading, "loading"},
	{Stale, "stale"}, {SkipMonitor, "skip_monitor"}, {SkipSlowlog, "skip_slowlog"}, {Fast, "fast"},
	{NoAuth, "no_auth"}, {AllowBusy, "allow_busy"}, {NoAsyncLoading, "no_async_loading"},
	{MovableKeys, "movablekeys"}, {NoMulti, "no_multi"},
}

// Names lists the flags that Redis knows, in its spelling.
func (f Flags) Names() []string {
	var out []string
	for _, n := range flagNames {
		if f&n.flag != 0 {
			out = append(out, n.name)
		}
	}
	return out
}

// Command describes one command or subcommand. Commands are never changed
// after the table is built.
type Command struct {
	// Name is in lower case. A subcommand's is "object|encoding" once the
	// table is built; its declaration gives the part after the bar.
	Name string
	// Arity is the number of arguments with the name (a subcommand's with both
	// names), or minus the least number.
	Arity int
	Flags Flags
	// First, Last and Step place the keys; First 0 means none, Last -1 the
	// last argument.
	First, Last, Step int
	// Keys places them where that cannot; it returns no keys for arguments
	// that the handler refuses.
	Keys func(args [][]byte) []int
	// Handler is nil for the commands that a session executes itself.
	Handler Handler
	// Sub are the subcommands of a container, by lower-case name.
	Sub map[string]*Command

	// ACLCats are the categories that do not follow from Flags, separated by
	// blanks: "string", "keyspace dangerous". See Categories.
	ACLCats string
	// Group, Since, Summary and Complexity are for COMMAND DOCS.
	Group, Since, Summary, Complexity string
}

// Categories lists the command's ACL categories, each with its "@".
func (cmd *Command) Categories() []string {
	var out []string
	add := func(on bool, names ...string) {
		if !on {
			return
		}
	next:
		for _, n := range names {
			for _, have := range out {
				if have == "@"+n {
					continue next
				}
			}
			out = append(out, "@"+n)
		}
	}
	f := cmd.Flags
	add(f&Write != 0, "write")
	add(f&ReadOnly != 0, "read")
	add(true, strings.Fields(cmd.ACLCats)...)
	add(f&Admin != 0, "admin", "dangerous")
	add(f&PubSub != 0, "pubsub")
	add(f&Fast != 0, "fast")
	add(f&Blocking != 0, "blocking")
	add(f&Fast == 0, "slow")
	return out
}

// Resolve returns the subcommand that args name, or cmd itself where it has
// none of that name.
func (cmd *Command) Resolve(args [][]byte) *Command {
	if cmd.Sub == nil || len(args) < 2 {
		return cmd
	}
	var tmp [32]byte
	if len(args[1]) > len(tmp) {
		return cmd
	}
	if sub := cmd.Sub[string(appendLower(tmp[:0], args[1]))]; sub != nil {
		return sub
	}
	return cmd
}

// errNoKeys is for arguments that are too few for the command's key positions.
var errNoKeys = errors.New("Invalid number of arguments specified for command") // Redis's wording

// KeyIndexes returns the positions of the keys in args, in order, one more
// than once if the command names it more than once.
func (cmd *Command) KeyIndexes(args [][]byte) ([]int, error) {
	return cmd.AppendKeyIndexes(nil, args)
}

// AppendKeyIndexes is KeyIndexes into a slice that can be reused.
func (cmd *Command) AppendKeyIndexes(dst []int, args [][]byte) ([]int, error) {
	if sub := cmd.Resolve(args); sub != cmd {
		return sub.AppendKeyIndexes(dst, args)
	}
	if cmd.Keys != nil {
		return append(dst, cmd.Keys(args)...), nil
	}
	first, last, err := cmd.span(args)
	for i := first; i <= last; i += max(cmd.Step, 1) {
		dst = append(dst, i)
	}
	return dst, err
}

// span is where the first and the last key are that First and Last place; last
// is before first where there is none.
func (cmd *Command) span(args [][]byte) (first, last int, err error) {
	if cmd.First == 0 {
		return 0, -1, nil
	}
	last = cmd.Last
	if last < 0 {
		last += len(args)
	}
	if cmd.First >= len(args) || last >= len(args) {
		return 0, -1, errNoKeys
	}
	return cmd.First, last, nil
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
	Blocked                // it has not replied, and waits for a key: see Ctx.Block
)

// Call runs cmd, or the subcommand that c.Args name. It checks nothing: CheckArity
// must have accepted the arguments, and the shards of the command's keys must be
// locked.
func Call(c *Ctx, cmd *Command) Outcome {
	if cmd.Sub != nil {
		cmd = cmd.Resolve(c.Args)
	}
	errors := c.Out.Errors
	cmd.Handler(c)
	switch {
	case c.block.keys != nil:
		return Blocked
	case c.Out.Errors > errors:
		return Failed
	}
	return Done
}
