package script

import (
	"crypto/sha1" //nolint:gosec // it names scripts, as Redis does
	"encoding/hex"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The table redis.

// Version is the version of Redis that scripts are told.
const (
	Version    = "7.0.15"
	VersionNum = 0x0007000f
)

// The levels of redis.log.
const (
	LogDebug = iota
	LogVerbose
	LogNotice
	LogWarning
)

const (
	replAOF     = 1
	replReplica = 2
)

func (in *Interp) redisLib() *lua.LTable {
	L := in.L
	t := L.NewTable()
	for name, fn := range map[string]lua.LGFunction{
		"call":  func(L *lua.LState) int { return in.redisCall(L, true) },
		"pcall": func(L *lua.LState) int { return in.redisCall(L, false) },
		"log":   in.redisLog, "setresp": in.redisSetResp, "sha1hex": redisSHA1, "error_reply": redisErrorReply, "status_reply": redisStatusReply,
		"set_repl": in.redisSetRepl, "acl_check_cmd": in.redisACLCheck,
	} {
		t.RawSetString(name, L.NewFunction(fn))
	}
	in.addLogAndVersion(t)
	for name, n := range map[string]int{
		"REPL_NONE": 0, "REPL_AOF": replAOF, "REPL_SLAVE": replReplica, "REPL_REPLICA": replReplica, "REPL_ALL": replAOF | replReplica,
	} {
		t.RawSetString(name, lua.LNumber(n))
	}
	return t
}

func (in *Interp) addLogAndVersion(t *lua.LTable) {
	t.RawSetString("log", in.L.NewFunction(in.redisLog))
	for name, level := range map[string]int{"LOG_DEBUG": LogDebug, "LOG_VERBOSE": LogVerbose, "LOG_NOTICE": LogNotice, "LOG_WARNING": LogWarning} {
		t.RawSetString(name, lua.LNumber(level))
	}
	t.RawSetString("REDIS_VERSION", lua.LString(Version))
	t.RawSetString("REDIS_VERSION_NUM", lua.LNumber(VersionNum))
}

// addEvalOnly adds what functions do not have.
func (in *Interp) addEvalOnly(t *lua.LTable) {
	no := func(L *lua.LState) int { L.Push(lua.LFalse); return 1 }
	t.RawSetString("breakpoint", in.L.NewFunction(no))
	t.RawSetString("debug", in.L.NewFunction(func(*lua.LState) int { return 0 }))
	t.RawSetString("replicate_commands", in.L.NewFunction(func(L *lua.LState) int { L.Push(lua.LTrue); return 1 }))
}

// errorTable is an error as scripts get it: with a minus ahead the message begins with
// its code, else the code is ERR.
func errorTable(L *lua.LState, msg string) *lua.LTable {
	code := "ERR"
	if rest, ok := strings.CutPrefix(msg, "-"); ok {
		msg = rest
		if c, rest, ok := strings.Cut(msg, " "); ok {
			code, msg = c, rest
		}
	}
	t := L.NewTable()
	s := code + " " + strings.Trim(msg, "\r\n")
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	t.RawSetString("err", lua.LString(s))
	return t
}

// raiseTable raises an error that is a table.
func raiseTable(L *lua.LState, msg string) { raise(L, errorTable(L, msg)) }

// commandArgs are the arguments of a command; a message says what is wrong with them.
func commandArgs(L *lua.LState) (args [][]byte, wrong string) {
	n := L.GetTop()
	if n == 0 {
		return nil, "Please specify at least one argument for this redis lib call"
	}
	args = make([][]byte, n)
	for i := range n {
		switch v := L.Get(i + 1).(type) {
		case lua.LNumber:
			args[i] = []byte(formatG(float64(v), 17))
		case lua.LString:
			args[i] = []byte(v)
		default:
			return nil, "Lua redis lib command arguments must be strings or integers"
		}
	}
	return args, ""
}

func (in *Interp) redisCall(L *lua.LState, raises bool) int {
	if in.host == nil || in.load != nil {
		raiseTable(L, "redis.call/pcall can only be called inside a script invocation")
	}
	args, wrong := commandArgs(L)
	if wrong != "" {
		t := errorTable(L, wrong)
		if raises {
			raise(L, t)
		}
		L.Push(t)
		return 1
	}
	reply, refused := in.host.Call(args, in.proto)
	if refused != "" {
		t := errorTable(L, refused)
		t.RawSetString("ignore_error_stats_update", lua.LTrue)
		if raises {
			raise(L, t)
		}
		L.Push(t)
		return 1
	}
	in.charge(L, len(reply))
	d := decoder{in: in, b: reply}
	v := d.value()
	if raises && len(reply) > 0 && reply[0] == '-' {
		raise(L, v)
	}
	L.Push(v)
	return 1
}

func redisSHA1(L *lua.LState) int {
	if L.GetTop() != 1 {
		raiseTable(L, "wrong number of arguments")
	}
	s, _ := text(L.Get(1))
	L.Push(lua.LString(Digest([]byte(s))))
	return 1
}

// Digest is the SHA1 of a script's source, which is its name.
func Digest(src []byte) string {
	sum := sha1.Sum(src) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

func redisErrorReply(L *lua.LState) int {
	s, ok := L.Get(1).(lua.LString)
	if L.GetTop() != 1 || !ok {
		L.Push(errorTable(L, "wrong number or type of arguments"))
		return 1
	}
	msg := string(s)
	if !strings.HasPrefix(msg, "-") {
		msg = "-" + msg
	}
	L.Push(errorTable(L, msg))
	return 1
}

func redisStatusReply(L *lua.LState) int {
	s, ok := L.Get(1).(lua.LString)
	if L.GetTop() != 1 || !ok {
		L.Push(errorTable(L, "wrong number or type of arguments"))
		return 1
	}
	t := L.NewTable()
	t.RawSetString("ok", s)
	L.Push(t)
	return 1
}

func (in *Interp) redisSetRepl(L *lua.LState) int {
	if in.host == nil || in.load != nil {
		raiseTable(L, "redis.set_repl can only be called inside a script invocation")
	}
	if L.GetTop() != 1 {
		raiseTable(L, "redis.set_repl() requires two arguments.")
	}
	f, _ := number(L.Get(1))
	if int32(integer(f))&^(replAOF|replReplica) != 0 {
		raiseTable(L, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
	}
	return 0 // what a script changes is always logged
}

func (in *Interp) redisACLCheck(L *lua.LState) int {
	if in.host == nil || in.load != nil {
		raiseTable(L, "redis.acl_check_cmd can only be called inside a script invocation")
	}
	args, wrong := commandArgs(L)
	if wrong != "" {
		raiseTable(L, wrong)
	}
	allowed, known := in.host.Permitted(args)
	if !known {
		raiseTable(L, "Invalid command passed to redis.acl_check_cmd()")
	}
	L.Push(lua.LBool(allowed))
	return 1
}

func (in *Interp) redisLog(L *lua.LState) int {
	n := L.GetTop()
	if n < 2 {
		raiseTable(L, "redis.log() requires two arguments or more.")
	}
	f, ok := number(L.Get(1))
	if !ok {
		raiseTable(L, "First argument must be a number (log level).")
	}
	level := int(int32(integer(f)))
	if level < LogDebug || level > LogWarning {
		raiseTable(L, "Invalid debug level.")
	}
	var words []string
	for i := 2; i <= n; i++ {
		if s, ok := text(L.Get(i)); ok {
			words = append(words, s)
		}
	}
	if in.host != nil {
		in.host.Log(level, strings.Join(words, " "))
	}
	return 0
}

func (in *Interp) redisSetResp(L *lua.LState) int {
	if in.host == nil || in.load != nil {
		raiseTable(L, "redis.setresp can only be called inside a script invocation")
	}
	if L.GetTop() != 1 {
		raiseTable(L, "redis.setresp() requires one argument.")
	}
	f, _ := number(L.Get(1))
	if v := int32(integer(f)); v != 2 && v != 3 {
		raiseTable(L, "RESP version must be 2 or 3.")
	}
	in.proto = int(f)
	return 0
}
