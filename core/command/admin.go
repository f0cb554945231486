package command

import (
	"math"
	"strings"
	"time"
)

// RedisVersion is the version whose behaviour the commands follow, and what
// HELLO and INFO report to clients that look at it.
const RedisVersion = "7.0.15"

const (
	groupConnection = "connection"
	groupServer     = "server"
)

var adminCommands = []*Command{
	{
		Name: "ping", Arity: -1, Flags: Fast, ACLCats: "connection", Handler: ping,
		Group: groupConnection, Since: "1.0.0", Complexity: "O(1)", Summary: "Ping the server",
	},
	{
		Name: "echo", Arity: 2, Flags: Loading | Stale | Fast, ACLCats: "connection", Handler: func(c *Ctx) { c.Out.Bulk(c.Args[1]) },
		Group: groupConnection, Since: "1.0.0", Complexity: "O(1)", Summary: "Echo the given string",
	},
	{
		Name: "select", Arity: 2, Flags: Loading | Stale | Fast, ACLCats: "connection", Handler: selectDB,
		Group: groupConnection, Since: "1.0.0", Complexity: "O(1)", Summary: "Change the selected database for the current connection",
	},
	{
		Name: "auth", Arity: -2, Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy, ACLCats: "connection", Handler: auth,
		Group: groupConnection, Since: "1.0.0", Complexity: "O(N) where N is the number of passwords defined for the user", Summary: "Authenticate to the server",
	},
	{
		Name: "hello", Arity: -1, Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy, ACLCats: "connection", Handler: hello,
		Group: groupConnection, Since: "6.0.0", Complexity: "O(1)", Summary: "Handshake with Redis",
	},
	{
		Name: "quit", Arity: -1, Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy | InsideMulti, ACLCats: "connection",
		Group: groupConnection, Since: "1.0.0", Complexity: "O(1)", Summary: "Close the connection",
	},
	{
		Name: "reset", Arity: 1, Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy | InsideMulti, ACLCats: "connection",
		Group: groupConnection, Since: "6.2.0", Complexity: "O(1)", Summary: "Reset the connection",
	},
	{
		Name: "time", Arity: 1, Flags: Loading | Stale | Fast, Handler: unixTime,
		Group: groupServer, Since: "2.6.0", Complexity: "O(1)", Summary: "Return the current server time",
	},
	{
		Name: "info", Arity: -1, Flags: Loading | Stale | AllShards, ACLCats: "dangerous", Handler: info,
		Group: groupServer, Since: "1.0.0", Complexity: "O(1)", Summary: "Get information and statistics about the server",
	},
	{
		Name: "save", Arity: 1, Flags: Admin | NoScript | NoAsyncLoading | NoMulti, Handler: save,
		Group: groupServer, Since: "1.0.0", Complexity: "O(N) where N is the total number of keys in all databases", Summary: "Synchronously save the dataset to disk",
	},
	{
		Name: "bgsave", Arity: -1, Flags: Admin | NoScript | NoAsyncLoading, Handler: bgSave,
		Group: groupServer, Since: "1.0.0", Complexity: "O(1)", Summary: "Asynchronously save the dataset to disk",
	},
	{
		Name: "bgrewriteaof", Arity: 1, Flags: Admin | NoScript | NoAsyncLoading, Handler: bgRewriteAOF,
		Group: groupServer, Since: "1.0.0", Complexity: "O(1)", Summary: "Asynchronously rewrite the append-only file",
	},
	{
		Name: "lastsave", Arity: 1, Flags: Loading | Stale | Fast, ACLCats: "admin dangerous", Handler: func(c *Ctx) { c.Out.Int(c.Engine.LastSave()) },
		Group: groupServer, Since: "1.0.0", Complexity: "O(1)", Summary: "Get the UNIX time stamp of the last successful save to disk",
	},
	{
		Name: "shutdown", Arity: -1, Flags: Admin | NoScript | Loading | Stale | NoMulti | AllowBusy, Handler: shutdown,
		Group: groupServer, Since: "1.0.0", Complexity: "O(N) when saving, where N is the total number of keys in all databases", Summary: "Synchronously save the dataset to disk and then shut down the server",
	},
	{
		Name: "role", Arity: 1, Flags: NoScript | Loading | Stale | Fast, ACLCats: "admin dangerous", Handler: role,
		Group: groupServer, Since: "2.8.12", Complexity: "O(1)", Summary: "Return the role of the instance in the context of replication",
	},
	{
		Name: "spillway.plugins", Arity: -2, Flags: Admin | NoScript | Loading | Stale | NoMulti, Handler: askPlugins,
		Group: groupServer, Since: RedisVersion, Complexity: "O(N) where N is the number of lines asked for", Summary: "Ask for the state or the log of the server's plugins",
	},
	configCommand, clientCommand, commandCommand, debugCommand, slowlogCommand, latencyCommand, memoryCommand,
}

func ping(c *Ctx) {
	switch len(c.Args) {
	case 1:
		c.Out.SimpleString("PONG")
	case 2:
		c.Out.Bulk(c.Args[1])
	default:
		c.Out.Error("ERR wrong number of arguments for 'ping' command")
	}
}

func selectDB(c *Ctx) {
	n, ok := parseInt(c.Args[1])
	switch {
	case !ok:
		c.Out.Error(errNotInt)
	case n < math.MinInt32 || n > math.MaxInt32:
		c.Out.Error("ERR value is out of range, value must between -2147483648 and 2147483647") // Redis's wording
	case n < 0 || n >= int64(c.KS.NumDatabases()):
		c.Out.Error(errDBIndex)
	default:
		c.Session.SelectDB(int(n))
		c.Out.OK()
	}
}

func auth(c *Ctx) {
	user, pass := "default", c.Args[1]
	switch len(c.Args) {
	case 2:
		if !c.Engine.HasPassword() {
			c.Out.Error("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
			return
		}
	case 3:
		user, pass = string(c.Args[1]), c.Args[2]
	default:
		c.Out.Error(errSyntax)
		return
	}
	if err := c.Session.Authenticate(user, string(pass)); err != nil {
		c.Out.Error(err.Error())
		return
	}
	c.Out.OK()
}

func hello(c *Ctx) {
	proto, next := int64(c.Session.Proto()), 1
	if len(c.Args) > 1 {
		n, ok := parseInt(c.Args[1])
		if !ok {
			c.Out.Error("ERR Protocol version is not an integer or out of range")
			return
		}
		if n < 2 || n > 3 {
			c.Out.Error("NOPROTO unsupported protocol version")
			return
		}
		proto, next = n, 2
	}
	name, named := "", false
	for ; next < len(c.Args); next++ {
		more := len(c.Args) - next - 1
		switch opt := c.Args[next]; {
		case is(opt, "auth") && more >= 2:
			if err := c.Session.Authenticate(string(c.Args[next+1]), string(c.Args[next+2])); err != nil {
				c.Out.Error(err.Error())
				return
			}
			next += 2
		case is(opt, "setname") && more >= 1:
			name, named = string(c.Args[next+1]), true
			if !validName(c.Args[next+1]) {
				c.Out.Error(errClientName)
				return
			}
			next++
		default:
			c.Out.Errorf("ERR Syntax error in HELLO option '%s'", opt)
			return
		}
	}
	if !c.Session.Authenticated() {
		c.Out.Error("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	if named {
		c.Session.SetName(name)
	}
	c.Session.SetProto(int(proto))
	c.Out.Proto = int(proto)
	c.Out.Map(7)
	c.Out.BulkString("server")
	c.Out.BulkString("redis")
	c.Out.BulkString("version")
	c.Out.BulkString(RedisVersion)
	c.Out.BulkString("proto")
	c.Out.Int(proto)
	c.Out.BulkString("id")
	c.Out.Int(c.Session.ID())
	c.Out.BulkString("mode")
	c.Out.BulkString("standalone")
	c.Out.BulkString("role")
	c.Out.BulkString("master")
	c.Out.BulkString("modules")
	c.Out.Array(0)
}

func unixTime(c *Ctx) {
	us := c.Engine.Now().UnixMicro()
	c.Out.Array(2)
	c.Out.Bulk(appendInt(nil, us/1e6))
	c.Out.Bulk(appendInt(nil, us%1e6))
}

func info(c *Ctx) {
	var names []string
	for _, a := range c.Args[1:] {
		names = append(names, string(a))
	}
	c.Out.Verbatim("txt", c.Engine.Info().Render(names...))
}

// replyDone replies with +text, or with the error when there is one.
func (c *Ctx) replyDone(text string, err error) {
	if err != nil {
		c.Out.Error(strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	c.Out.SimpleString(text)
}

func save(c *Ctx) { c.replyDone("OK", c.Engine.Save()) }

// askPlugins is the only command that Redis does not have.
func askPlugins(c *Ctx) {
	args := make([]string, 0, len(c.Args)-1)
	for _, a := range c.Args[1:] {
		args = append(args, string(a))
	}
	items, err := c.Engine.Plugins(args)
	if err != nil {
		c.replyDone("", err)
		return
	}
	c.Out.Array(len(items))
	for _, it := range items {
		c.Out.BulkString(it)
	}
}

func bgSave(c *Ctx) {
	schedule := len(c.Args) == 2 && is(c.Args[1], "schedule")
	if len(c.Args) > 2 || len(c.Args) == 2 && !schedule {
		c.Out.Error(errSyntax)
		return
	}
	text, err := c.Engine.BGSave(schedule)
	c.replyDone(text, err)
}

func bgRewriteAOF(c *Ctx) {
	text, err := c.Engine.BGRewriteAOF()
	c.replyDone(text, err)
}

func shutdown(c *Ctx) {
	var save, noSave, now, force, abort bool
	for _, a := range c.Args[1:] {
		switch {
		case is(a, "save"):
			save = true
		case is(a, "nosave"):
			noSave = true
		case is(a, "now"): // there are no replicas to wait for
			now = true
		case is(a, "force"):
			force = true
		case is(a, "abort"):
			abort = true
		default:
			c.Out.Error(errSyntax)
			return
		}
	}
	if save && noSave || abort && (save || noSave || now || force) {
		c.Out.Error(errSyntax)
		return
	}
	if abort {
		c.replyDone("OK", c.Engine.AbortShutdown())
		return
	}
	mode := ShutdownDefault
	switch {
	case save:
		mode = ShutdownSave
	case noSave:
		mode = ShutdownNoSave
	}
	if err := c.Engine.Shutdown(mode, force); err != nil {
		c.Out.Error(err.Error())
		return
	}
	c.Session.CloseAfterReply() // no reply: the closed connection is the answer
}

func role(c *Ctx) {
	c.Out.Array(3)
	c.Out.BulkString("master")
	c.Out.Int(0)
	c.Out.Array(0)
}

var configCommand = &Command{
	Name: "config", Arity: -2, Group: groupServer, Since: "2.0.0", Complexity: "Depends on subcommand.", Summary: "A container for server configuration commands",
	Sub: map[string]*Command{
		"get": {
			Arity: -3, Flags: Admin | NoScript | Loading | Stale, Handler: configGet,
			Group: groupServer, Since: "2.0.0", Complexity: "O(N) when N is the number of configuration parameters provided", Summary: "Get the values of configuration parameters",
		},
		"set": {
			Arity: -4, Flags: Admin | NoScript | Loading | Stale, Handler: configSet,
			Group: groupServer, Since: "2.0.0", Complexity: "O(N) when N is the number of configuration parameters provided", Summary: "Set configuration parameters to the given values",
		},
		"resetstat": {
			Arity: 2, Flags: Admin | NoScript | Loading | Stale, Handler: func(c *Ctx) { c.Engine.ResetStats(); c.Out.OK() },
			Group: groupServer, Since: "2.0.0", Complexity: "O(1)", Summary: "Reset the stats returned by INFO",
		},
		"rewrite": {
			Arity: 2, Flags: Admin | NoScript | Loading | Stale,
			Handler: func(c *Ctx) {
				c.Out.Error("ERR The server is running without a config file that it may rewrite: edit plugins.hcl")
			},
			Group: groupServer, Since: "2.8.0", Complexity: "O(1)", Summary: "Rewrite the configuration file with the in memory configuration",
		},
		"help": {Arity: 2, Flags: Loading | Stale, Handler: helpFor("CONFIG", "GET <pattern>", "SET <directive> <value>", "RESETSTAT"), Group: groupServer, Since: "5.0.0", Complexity: "O(1)", Summary: "Show helpful text about the different subcommands"},
	},
}

func configGet(c *Ctx) {
	var patterns []string
	for _, a := range c.Args[2:] {
		patterns = append(patterns, string(a))
	}
	pairs := c.Engine.Config().Get(patterns...)
	c.Out.Map(len(pairs))
	for _, kv := range pairs {
		c.Out.BulkString(kv[0])
		c.Out.BulkString(kv[1])
	}
}

func configSet(c *Ctx) {
	if len(c.Args)%2 != 0 {
		c.Out.Error("ERR wrong number of arguments for 'config|set' command")
		return
	}
	var pairs [][2]string
	for i := 2; i < len(c.Args); i += 2 {
		pairs = append(pairs, [2]string{string(c.Args[i]), string(c.Args[i+1])})
	}
	var before [][2]string // of the other parameters
	for _, kv := range pairs {
		if !strings.EqualFold(kv[0], appendOnly) {
			before = append(before, c.Engine.Config().Get(kv[0])...)
		}
	}
	err := c.Engine.Config().Set(pairs...)
	if err == nil && SwitchesLogOn(c.Args) {
		if err = c.Engine.LogOn(); err != nil {
			_ = c.Engine.Config().Set(before...) // what was in force is valid
			err = failed(appendOnly, err)
		}
	}
	if err != nil {
		c.Out.Error("ERR " + err.Error())
		return
	}
	c.Out.OK()
}

const appendOnly = "appendonly"

// SwitchesLogOn tells whether a command is a CONFIG SET appendonly yes, which
// waits until the log is on and so must not be run while locks are held.
func SwitchesLogOn(args [][]byte) bool {
	if len(args) < 4 || !strings.EqualFold(string(args[0]), "config") || !strings.EqualFold(string(args[1]), "set") {
		return false
	}
	for i := 2; i+1 < len(args); i += 2 {
		if strings.EqualFold(string(args[i]), appendOnly) && strings.EqualFold(string(args[i+1]), "yes") {
			return true
		}
	}
	return false
}

// helpFor makes the handler of a container's HELP.
func helpFor(name string, lines ...string) Handler {
	return func(c *Ctx) {
		c.Out.Array(len(lines) + 2)
		c.Out.SimpleString(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
		for _, l := range lines {
			c.Out.SimpleString(l)
		}
		c.Out.SimpleString("HELP")
	}
}

// seconds is a duration as a whole number of seconds.
func seconds(d time.Duration) int64 { return int64(d / time.Second) }
