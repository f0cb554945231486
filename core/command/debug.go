package command

import (
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/param"
)

// debugHandlers has DEBUG, which in Redis is one command: its subcommands are
// arguments that COMMAND does not list.
var debugHandlers = handlers{"debug": debugCommand}

// debugSub is a subcommand of DEBUG.
type debugSub struct {
	name        string
	least, most int // arguments behind its name
	run         Handler
	usage, does string // for HELP
}

// everyDebugSub are the subcommands, in the order of their names. What Redis has for
// tests of its own data structures is missing.
func everyDebugSub() []debugSub {
	const many = math.MaxInt32
	return []debugSub{
		{"change-repl-id", 0, 0, ok, "CHANGE-REPL-ID", "Does nothing: there is no replication."},
		{"digest", 0, 0, debugDigest, "DIGEST", "Returns a digest of all databases, which is that of a Redis with the same data."},
		{"digest-value", 0, many, debugDigestValue, "DIGEST-VALUE <key> [<key> ...]", "Returns a digest of each key, which is that of a Redis with the same data."},
		{"error", 1, 1, func(c *Ctx) { c.Out.Error(string(c.Args[2])) }, "ERROR <message>", "Replies with an error."},
		{"loadaof", 0, 0, debugReload, "LOADAOF", "Takes a checkpoint, empties memory and loads the checkpoint back."},
		{"log", 1, 1, debugLog, "LOG <message>", "Writes a message to the log of the server."},
		{"object", 1, 1, debugObject, "OBJECT <key>", "Shows how the value of a key is stored."},
		{"pause-cron", 1, 1, debugSwitch(func(d *Debugging) *atomic.Bool { return &d.PauseCron }), "PAUSE-CRON <0|1>",
			"Keeps the server from doing by itself what it does ten times a second: expiry, eviction, save points."},
		{"populate", 1, 3, debugPopulate, "POPULATE <count> [<prefix>] [<size>]", "Sets as many keys prefix:0, prefix:1 and so on, of those that are not there."},
		{"protocol", 1, 1, debugProtocol, "PROTOCOL <type>", "Replies with an example of a type of the protocol."},
		{"quicklist-packed-threshold", 1, 1, debugPackedThreshold, "QUICKLIST-PACKED-THRESHOLD <size>",
			"Accepts how large an element of a list may be in a listpack, which makes no difference here."},
		{"reload", 0, 3, debugReload, "RELOAD [NOSAVE] [NOFLUSH] [MERGE]", "Takes a checkpoint, empties memory and loads the checkpoint back. NOFLUSH without MERGE fails unless there is nothing in memory."},
		{"set-active-expire", 1, 1, debugSetActiveExpire, "SET-ACTIVE-EXPIRE <0|1>", "Switches the removal of expired keys that nobody asks for off or on."},
		{"set-disable-deny-scripts", 1, 1, debugSwitch(func(d *Debugging) *atomic.Bool { return &d.AllowInScripts }), "SET-DISABLE-DENY-SCRIPTS <0|1>",
			"Lets scripts call commands that are not for scripts, or not."},
		{"set-skip-checksum-validation", 1, 1, debugSwitch(func(d *Debugging) *atomic.Bool { return &d.SkipChecksums }), "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
			"Has RESTORE take payloads whose checksum is wrong, or not."},
		{"sleep", 1, 1, debugSleep, "SLEEP <seconds>", "Makes this client wait."},
	}
}

func debugCommand(c *Ctx) {
	if is(c.Args[1], "help") && len(c.Args) == 2 {
		debugHelp(c)
		return
	}
	more := len(c.Args) - 2
	for _, sub := range everyDebugSub() {
		if is(c.Args[1], sub.name) && more >= sub.least && more <= sub.most {
			sub.run(c)
			return
		}
	}
	c.tooManyWords()
}

func debugHelp(c *Ctx) {
	lines := []string{"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for _, sub := range everyDebugSub() {
		lines = append(lines, sub.usage, "    "+sub.does)
	}
	lines = append(lines, "HELP", "    Prints this help.")
	c.Out.Array(len(lines))
	for _, l := range lines {
		c.Out.SimpleString(l)
	}
}

// debugKeys finds the keys of DEBUG. Redis says of them to nobody: they are for the
// locks.
func debugKeys(dst []Key, args [][]byte) []Key {
	switch sub := args[1]; {
	case is(sub, "object") && len(args) > 2:
		dst = append(dst, Key{2, KeyRO})
	case is(sub, "digest-value"):
		for i := range args[2:] {
			dst = append(dst, Key{2 + i, KeyRO})
		}
	}
	return dst
}

// debugsAll tells whether a DEBUG is about every key.
func debugsAll(args [][]byte) bool { return is(args[1], "digest") || is(args[1], "populate") }

// Reloads tells whether a command is a DEBUG that waits until the engine has loaded a
// checkpoint, and so must not be run while locks are held.
func Reloads(cmd *Command, args [][]byte) bool {
	return cmd.Name == "debug" && (is(args[1], "reload") || is(args[1], "loadaof"))
}

// Changes tells whether a command may change data: one that has the flag Write, and a
// DEBUG that sets keys.
func (cmd *Command) Changes(args [][]byte) bool {
	return cmd.Flags&Write != 0 || cmd.Flags&Admin != 0 && cmd.Name == "debug" && is(args[1], "populate")
}

// debugReload is RELOAD and LOADAOF. The log is a part of what is loaded, so that
// there is no older state that NOSAVE could load; and what NOFLUSH leaves there is the same
// again, which Redis takes with MERGE only.
func debugReload(c *Ctx) {
	noFlush, merge := false, false
	for _, a := range c.Args[2:] {
		noFlush, merge = noFlush || is(a, "noflush"), merge || is(a, "merge")
		if !is(a, "merge") && !is(a, "noflush") && !is(a, "nosave") {
			c.Out.Error("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
			return
		}
	}
	c.replyDone("OK", c.Engine.Reload(noFlush && !merge))
}

// debugSleep holds no locks. What is no number is no time, as in Redis.
func debugSleep(c *Ctx) {
	seconds, _ := strconv.ParseFloat(string(c.Args[2]), 64)
	if seconds > 0 && seconds < math.MaxInt32 {
		c.Engine.Sleep(time.Duration(seconds * float64(time.Second)))
	}
	c.Out.OK()
}

// debugObject shows a key that is past its deadline and still there as well, and leaves it.
func debugObject(c *Ctx) {
	e, status := c.db(c.Args[2]).Get(c.Args[2], c.Now)
	if status == keyspace.Missing {
		c.Out.Error(errNoSuchKey)
		return
	}
	payload, err := encode(c.db(c.Args[2]), c.Args[2], e)
	if err != nil {
		c.Out.Error("ERR " + err.Error())
		return
	}
	c.Out.SimpleString(fmt.Sprintf("Value at:0x0 refcount:%d encoding:%s serializedlength:%d lru:0 lru_seconds_idle:%d",
		c.refcount(e), e.Encoding(), len(payload)-1, e.Idle(c.Now))) // without its type
}

// debugPopulate sets keys. In a log they are SETs; Redis has them in none, and after
// a start not any more.
func debugPopulate(c *Ctx) {
	count, ok := c.positiveArg(c.Args[2])
	if !ok {
		return
	}
	prefix, size := []byte("key"), int64(0)
	if len(c.Args) > 3 {
		prefix = c.Args[3]
	}
	if len(c.Args) > 4 {
		if size, ok = c.positiveArg(c.Args[4]); !ok {
			return
		}
	}
	if size > maxString {
		c.Out.Error(errTooLong)
		return
	}
	for i := range count {
		key := appendInt(append(append([]byte(nil), prefix...), ':'), i)
		if _, found := c.lookupWrite(key); found {
			continue
		}
		val := appendInt([]byte("value:"), i)
		if size > 0 {
			sized := make([]byte, size)
			copy(sized, val)
			val = sized
		}
		c.setString(key, val, 0, eventSet)
		c.LogAs(verbSet, key, val)
	}
	c.Out.OK()
}

// positiveArg parses an argument that is not negative.
func (c *Ctx) positiveArg(arg []byte) (int64, bool) {
	n, ok := parseInt(arg)
	if !ok || n < 0 {
		c.Out.Error(errNegative)
		return 0, false
	}
	return n, true
}

// debugPackedThreshold accepts what Redis accepts. Elements of a list are packed by
// list-max-listpack-size alone here.
func debugPackedThreshold(c *Ctx) {
	text, err := param.Memory{}.Parse(string(c.Args[2]))
	if n, ok := parseInt([]byte(text)); err != nil || !ok || n > math.MaxUint32 {
		c.Out.Error("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
		return
	}
	c.Out.OK()
}

func debugLog(c *Ctx) {
	c.Engine.DebugLog("DEBUG LOG: " + string(c.Args[2]))
	c.Out.OK()
}

// debugSwitch sets a switch. What is no number is 0, as in Redis.
func debugSwitch(of func(*Debugging) *atomic.Bool) Handler {
	return func(c *Ctx) {
		n, _ := parseInt(c.Args[2])
		of(c.Engine.Debugging()).Store(n != 0)
		c.Out.OK()
	}
}

func debugSetActiveExpire(c *Ctx) {
	n, _ := parseInt(c.Args[2]) // what is no number is 0, as in Redis
	c.Engine.SetActiveExpire(n != 0)
	c.Out.OK()
}

// debugProtocol replies with Redis's example of each type.
func debugProtocol(c *Ctx) {
	o := c.Out
	switch kind := c.Args[2]; {
	case is(kind, "string"):
		o.BulkString("Hello World")
	case is(kind, "integer"):
		o.Int(12345)
	case is(kind, "double"):
		o.Double(3.141)
	case is(kind, "bignum"):
		o.BigNumber("1234567999999999999999999999999999999")
	case is(kind, "null"):
		o.Null()
	case is(kind, "array"), is(kind, "set"):
		if is(kind, "set") {
			o.Set(3)
		} else {
			o.Array(3)
		}
		for i := range int64(3) {
			o.Int(i)
		}
	case is(kind, "map"):
		o.Map(3)
		for i := range int64(3) {
			o.Int(i)
			o.Bool(i == 1)
		}
	case is(kind, "attrib"):
		if o.Proto >= 3 {
			o.Raw([]byte("|1\r\n"))
			o.BulkString("key-popularity")
			o.Array(2)
			o.BulkString("key:123")
			o.Int(90)
		}
		o.BulkString("Some real reply following the attribute")
	case is(kind, "push"):
		if o.Proto < 3 {
			o.Error("ERR RESP2 is not supported by this command")
			return
		}
		o.Push(2)
		o.BulkString("server-cpu-usage")
		o.Int(42)
		o.BulkString("Some real reply following the push reply")
	case is(kind, "true"), is(kind, "false"):
		o.Bool(is(kind, "true"))
	case is(kind, "verbatim"):
		o.Verbatim("txt", "This is a verbatim\nstring")
	default:
		o.Error("ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
	}
}
