package command

import (
	"math"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// RedisVersion is the version whose behaviour the commands follow, and what
// HELLO and INFO report to clients that look at it.
const RedisVersion = "7.0.15"

var connectionHandlers = handlers{
	"ping":   ping,
	"echo":   func(c *Ctx) { c.Out.Bulk(c.Args[1]) },
	"select": selectDB,
	"auth":   auth,
	"hello":  hello,
}

var serverHandlers = handlers{
	"time":             unixTime,
	"info":             info,
	"monitor":          monitor,
	"save":             save,
	"bgsave":           bgSave,
	"bgrewriteaof":     bgRewriteAOF,
	"lastsave":         func(c *Ctx) { c.Out.Int(c.Engine.LastSave()) },
	"shutdown":         shutdown,
	"lolwut":           lolwut,
	"spillway.plugins": func(c *Ctx) { askOwner(c, c.Engine.Plugins) },
	"spillway.config":  func(c *Ctx) { askOwner(c, c.Engine.Configuration) },
	"spillway.status":  func(c *Ctx) { askOwner(c, c.Engine.Status) },
}

func ping(c *Ctx) {
	if s := subscriberOf(c.Client); s != nil && s.Active() && c.Client.Proto() < 3 && len(c.Args) <= 2 {
		c.Out.Array(2) // what a subscriber can tell from messages
		c.Out.BulkString("pong")
		c.Out.Bulk(append(c.Args, nil)[1])
		return
	}
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
	case c.Cluster && n != 0:
		c.Out.Error("ERR SELECT is not allowed in cluster mode")
	default:
		c.Client.SelectDB(int(n))
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
	if err := c.Client.Authenticate(string(c.Args[0]), user, string(pass)); err != nil {
		c.Out.Error(err.Error())
		return
	}
	c.Out.OK()
}

func hello(c *Ctx) {
	proto, next := int64(c.Client.Proto()), 1
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
			if err := c.Client.Authenticate(string(c.Args[0]), string(c.Args[next+1]), string(c.Args[next+2])); err != nil {
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
	if !c.Client.Authenticated() {
		c.Out.Error("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	if named {
		c.Client.SetName(name)
	}
	c.Client.SetProto(int(proto))
	c.Out.Proto = int(proto)
	c.Out.Map(7)
	c.Out.BulkString("server")
	c.Out.BulkString("redis")
	c.Out.BulkString("version")
	c.Out.BulkString(RedisVersion)
	c.Out.BulkString("proto")
	c.Out.Int(proto)
	c.Out.BulkString("id")
	c.Out.Int(c.Client.ID())
	c.Out.BulkString("mode")
	if c.Cluster {
		c.Out.BulkString("cluster")
	} else {
		c.Out.BulkString("standalone")
	}
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
	visited := true
	text := c.Engine.Info().Render(func(shard int, f func()) bool {
		visited = visited && c.visit(shard, func(*keyspace.Shard) { f() })
		return visited
	}, names...)
	if visited {
		c.Out.Verbatim("txt", text)
	}
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

// askOwner is a command that Redis does not have: the engine's owner answers it.
func askOwner(c *Ctx, ask func(args []string) ([]string, error)) {
	args := make([]string, 0, len(c.Args)-1)
	for _, a := range c.Args[1:] {
		args = append(args, string(a))
	}
	items, err := ask(args)
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
	c.Client.CloseAfterReply() // no reply: the closed connection is the answer
}

var configHandlers = handlers{
	"config|get":       configGet,
	"config|set":       configSet,
	"config|resetstat": func(c *Ctx) { c.Engine.ResetStats(); c.Out.OK() },
	"config|rewrite":   func(c *Ctx) { c.replyDone("OK", c.Engine.RewriteConfig()) },
	"config|help":      help,
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
		c.Out.Error(errSyntax)
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

// seconds is a duration as a whole number of seconds.
func seconds(d time.Duration) int64 { return int64(d / time.Second) }
