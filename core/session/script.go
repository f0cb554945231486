package session

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/acl"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/script"
)

// A script is one unit, alone or as a command of a transaction: it has the shards of
// its keys from the beginning, takes others when a command of it needs them
// (keyspace/exclusive.go says why that is safe), and what all of its commands have
// changed is one entry of the log.

// scripting is what the sessions of an engine share about scripts.
type scripting struct {
	scripts *script.Scripts
	// libs belongs to whoever runs a script, or has all shards locked.
	libs     *script.Libraries
	compiled []keyspace.Library // what libs is compiled of

	running   atomic.Pointer[scriptRun]
	ending    atomic.Bool // no script may go on for long: the engine is about to end
	abandoned atomic.Bool // one that had written was ended, and is not in the log
	libraries atomic.Int64
	functions atomic.Int64
	// functionFlags are those of the functions in libs by name, for whoever has no
	// locks; nil before any was compiled.
	functionFlags atomic.Pointer[map[string]script.Flags]
}

// scriptRun is a script that is executed.
type scriptRun struct {
	lease *keyspace.Lease
	began time.Time
	name  string
	eval  bool // it is a script and no function
	args  [][]byte

	busy   atomic.Bool
	wrote  atomic.Bool // it has called a command that writes
	killed atomic.Bool
}

// The errors about scripts; Redis's.
const (
	errBusyScript   = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
	errBusyFunction = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
	errNoScript     = "NOSCRIPT No matching script. Please use EVAL."
	errNotBusy      = "NOTBUSY No scripts in execution right now."
	errUnkillable   = "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
	errOOM          = "OOM command not allowed when used memory > 'maxmemory'."
)

var (
	errKilled    = errors.New("Script killed by user with SCRIPT KILL...")
	errAbandoned = errors.New("the engine is about to end: what the script has changed is lost")
)

func newScripting(deprecated func() bool) *scripting {
	s := &scripting{scripts: script.NewScripts(deprecated)}
	s.libs = script.NewLibraries(s.scripts)
	return s
}

// busyError is the reply to what a busy script keeps from being executed, "" when none
// is busy.
func (rt *Runtime) busyError() string {
	run := rt.scripting.running.Load()
	switch {
	case run == nil || !run.busy.Load():
		return ""
	case run.eval:
		return errBusyScript
	}
	return errBusyFunction
}

// rejectBusy replies that a lock was not had since a script is busy.
func (s *Session) rejectBusy(out *resp.Writer) command.Outcome {
	return s.reject(out, s.busyOr())
}

func (s *Session) busyOr() string {
	if msg := s.rt.busyError(); msg != "" {
		return msg
	}
	return errBusyScript // it has ended meanwhile
}

// allowedWhileBusy tells whether a command is executed beside a busy script.
func allowedWhileBusy(cmd *command.Command, args [][]byte) bool {
	if cmd.Name == "shutdown" {
		return slices.ContainsFunc(args[1:], func(a []byte) bool {
			return strings.EqualFold(string(a), "nosave") || strings.EqualFold(string(a), "abort")
		})
	}
	return cmd.Flags&command.AllowBusy != 0
}

// EndScripts has scripts that run for longer than busy-reply-threshold end, until it
// is called with false: those that have written too, which are not in the log then. It
// is for an engine that is about to end.
func (rt *Runtime) EndScripts(on bool) {
	if rt.scripting != nil { // an engine that could not be prepared has no sessions
		rt.scripting.ending.Store(on)
	}
}

// ScriptAbandoned tells whether EndScripts has ended a script that had written: what
// is in memory is then not what the log has.
func (rt *Runtime) ScriptAbandoned() bool { return rt.scripting.abandoned.Load() }

// ScriptCounts tells how many scripts are known, the bytes of their sources, and how
// many libraries and functions there are.
func (rt *Runtime) ScriptCounts() (scripts int, bytes, libraries, functions int64) {
	scripts, bytes = rt.scripting.scripts.Size()
	return scripts, bytes, rt.scripting.libraries.Load(), rt.scripting.functions.Load()
}

// scriptHost is the engine as a script sees it.
type scriptHost struct {
	s      *Session
	run    *scriptRun
	ctx    command.Ctx
	client scriptClient
	out    resp.Writer
	shards []int // scratch
	now    int64 // of all its commands, in Unix milliseconds

	calling  bool // a command of the script is looked at
	slot     int  // that all keys must be of, -1 for not known; -2 for any
	readOnly bool
	allowOOM bool
	oom      bool // memory was over maxmemory when it began
}

var _ script.Host = (*scriptHost)(nil)

// scriptClient is the client that commands of a script see: its database and protocol
// are the script's own.
type scriptClient struct {
	command.Client
	db, proto int
}

// DB implements command.Client.
func (c *scriptClient) DB() int { return c.db }

// SelectDB implements command.Client.
func (c *scriptClient) SelectDB(n int) { c.db = n }

// Proto implements command.Client.
func (c *scriptClient) Proto() int { return c.proto }

// SetProto implements command.Client.
func (c *scriptClient) SetProto(v int) { c.proto = v }

// newHost returns the host of the session's scripts.
func (s *Session) scriptHost(run *scriptRun) *scriptHost {
	h := s.host
	if h == nil {
		h = &scriptHost{s: s}
		h.client.Client = s.client
		h.ctx = s.newCtx()
		h.ctx.Client, h.ctx.InScript = &h.client, true
		s.host = h
	}
	h.run, h.client.db, h.client.proto, h.now = run, s.DB(), 2, run.began.UnixMilli()
	if s.tx.now != 0 {
		h.now = s.tx.now
	}
	h.readOnly, h.allowOOM, h.oom = false, false, s.oom
	return h
}

// Call implements script.Host.
func (h *scriptHost) Call(args [][]byte, proto int) (reply []byte, refused string) {
	cmd := command.Lookup(args[0])
	h.calling = true
	defer func() { h.calling = false }()
	if refused = h.refuses(&cmd, args); refused != "" {
		h.s.rt.Stats.CountErrors([]string{errorText(refused)})
		if cmd != nil {
			h.s.tally.Rejected(h.s.rt.Stats, h.s.id, cmd)
		}
		return nil, refused
	}
	s, u := h.s, &h.s.unit
	var err error
	if h.shards, err = command.Shards(cmd, args, s.rt.Keyspace, h.shards[:0]); err != nil {
		refused = "-ERR " + err.Error()
		s.rt.Stats.CountErrors([]string{errorText(refused)})
		return nil, refused
	}
	s.take(h.shards)
	h.out.Taken()
	if cap(h.out.Buf) > 1<<20 {
		h.out.Buf = nil
	}
	h.out.Proto, h.client.proto = proto, proto
	began := s.began()
	c := &h.ctx
	c.Reset(args, &h.out, h.client.db, -1, h.now)
	outcome := command.Call(c, cmd)
	s.dirty += c.Dirty()
	if cmd.Flags&command.ReadOnly != 0 && s.track.Remembers() {
		s.remember(command.Lookup(h.run.args[0]), h.run.args) // as Redis, the keys that the script declares
	}
	if s.rt.monitored() {
		s.monitored(cmd, args, "lua")
	}
	s.account(cmd, args, began, outcome)
	s.countErrors(&h.out)
	if c.HasEffects() {
		if s.rt.Order.Taken() {
			u.effects = command.AppendEffects(c, u.effects)
		}
		u.changed, u.wrote = true, u.wrote || c.Writes()
	}
	return h.out.Buf, ""
}

// errorText is the error that a refusal becomes.
func errorText(refused string) string {
	if text, ok := strings.CutPrefix(refused, "-"); ok {
		return text
	}
	return "ERR " + refused
}

// refuses tells why a command is not executed, and finds the subcommand that is meant.
func (h *scriptHost) refuses(cmd **command.Command, args [][]byte) string {
	c := *cmd
	if c == nil {
		return "Unknown Redis command called from script"
	}
	if c.Sub != nil && len(args) > 1 {
		sub := c.Resolve(args)
		if sub == c {
			return "Unknown Redis command called from script"
		}
		c, *cmd = sub, sub
	}
	if n := len(args); c.Arity > 0 && n != c.Arity || n < -c.Arity {
		return "Wrong number of args calling Redis command from script"
	}
	if c.Flags&command.NoScript != 0 && !h.s.rt.Engine.Debugging().AllowInScripts.Load() || c.Handler == nil {
		return "This Redis command is not allowed from script"
	}
	if d := h.s.User().Check(c, args); d.Reason != acl.Allowed {
		h.s.noteRefused(d, c, args)
		return d.ScriptReply()
	}
	if h.readOnly && c.Flags&(command.Write|command.MayReplicate) != 0 {
		return "Write commands are not allowed from read-only scripts."
	}
	if h.s.rt.Cluster && h.slot > -2 && !c.OneSlot(args, &h.slot) {
		return "Script attempted to access keys that do not hash to the same slot"
	}
	if c.Flags&command.Write == 0 {
		return ""
	}
	if !h.run.wrote.Load() {
		if msg := h.s.rt.refusesWrites(); msg != "" {
			return "-" + msg
		}
		if h.oom && !h.allowOOM && c.Flags&command.DenyOOM != 0 {
			return "-" + errOOM
		}
	}
	h.run.wrote.Store(true)
	return ""
}

// Permitted implements script.Host.
func (h *scriptHost) Permitted(args [][]byte) (allowed, known bool) {
	cmd := command.Lookup(args[0])
	if cmd == nil {
		return false, false
	}
	if cmd.Sub != nil && len(args) > 1 {
		sub := cmd.Resolve(args)
		if sub == cmd {
			return false, false
		}
		cmd = sub
	}
	return h.s.User().Check(cmd, args).Reason == acl.Allowed, true
}

// Log implements script.Host.
func (h *scriptHost) Log(level int, msg string) { h.s.rt.ScriptLog(level, msg) }

// Tick implements script.Host.
func (h *scriptHost) Tick() error {
	run, rt := h.run, h.s.rt
	ending := rt.scripting.ending.Load()
	if limit := rt.BusyThreshold(); limit > 0 || ending {
		took := rt.Clock.Now().Sub(run.began)
		if took >= limit && !run.busy.Load() {
			word := "SCRIPT KILL"
			if !run.eval {
				word = "FUNCTION KILL"
			}
			rt.ScriptLog(script.LogWarning, fmt.Sprintf("Slow script detected: still in execution after %d milliseconds. "+
				"You can try killing the script using the %s command. Script name is: %s.", took.Milliseconds(), word, run.name))
			run.busy.Store(true)
			rt.conditions.add(scriptBusy, 1)
			run.lease.SetBusy()
		}
	}
	switch {
	case run.killed.Load():
		rt.ScriptLog(script.LogWarning, "Lua script killed by user with SCRIPT KILL.")
		return errKilled
	case ending && run.busy.Load() && run.wrote.Load():
		rt.ScriptLog(script.LogWarning, "The script "+run.name+" was ended by the shutdown. It had written: what it changed is not kept.")
		rt.scripting.abandoned.Store(true)
		return errAbandoned
	case ending && run.busy.Load():
		return errKilled
	}
	return nil
}

// take takes further shards for the script that runs.
func (s *Session) take(shards []int) {
	u := &s.unit
	for _, n := range shards {
		if i, found := slices.BinarySearch(u.shards, n); !found {
			s.rt.Keyspace.Take(u.lease, n)
			u.shards = slices.Insert(u.shards, i, n)
		}
	}
}

// runScript executes a script or function whose locks are held.
func (s *Session) runScript(cmd *command.Command, args [][]byte, out *resp.Writer) {
	sc := s.rt.scripting
	readOnly := strings.HasSuffix(cmd.Name, "_ro")
	if strings.HasPrefix(cmd.Name, "fcall") {
		s.syncLibraries()
		f := sc.libs.Function(string(args[1]))
		if f == nil {
			out.Error("ERR Function not found")
			return
		}
		n, ok := numKeys(args, out, "ERR Bad number of keys provided")
		if ok && s.mayRun(f.Flags, readOnly, out) {
			s.perform(&scriptRun{name: f.Name}, args, f.Flags, readOnly, func(h *scriptHost) {
				sc.libs.Run(h, f, args[3:3+n], args[3+n:], out)
			})
		}
		return
	}
	n, ok := numKeys(args, out, "ERR value is not an integer or out of range")
	if !ok {
		return
	}
	body := sc.scripts.Lookup(args[1])
	if strings.HasPrefix(cmd.Name, "evalsha") {
		if body == nil {
			out.Error(errNoScript)
			return
		}
	} else {
		var err error
		if body, err = sc.scripts.Load(args[1]); err != nil {
			out.Error("ERR " + err.Error())
			return
		}
	}
	if s.mayRun(body.Flags, readOnly, out) {
		s.perform(&scriptRun{name: body.Digest, eval: true}, args, body.Flags, readOnly, func(h *scriptHost) {
			sc.scripts.Run(h, body, args[3:3+n], args[3+n:], out)
		})
	}
}

// numKeys is how many keys a script is given; what is wrong with that is replied.
func numKeys(args [][]byte, out *resp.Writer, notInt string) (int, bool) {
	n, err := strconv.ParseInt(string(args[2]), 10, 64)
	switch {
	case err != nil || strconv.FormatInt(n, 10) != string(args[2]):
		out.Error(notInt)
	case n > int64(len(args)-3):
		out.Error("ERR Number of keys can't be greater than number of args")
	case n < 0:
		out.Error("ERR Number of keys can't be negative")
	default:
		return int(n), true
	}
	return 0, false
}

// mayRun checks what a script declares of itself.
func (s *Session) mayRun(flags script.Flags, readOnly bool, out *resp.Writer) bool {
	if flags&script.Undeclared != 0 {
		return true
	}
	if s.rt.Cluster && flags&script.NoCluster != 0 {
		out.Error("ERR Can not run script on cluster, 'no-cluster' flag is set.")
		return false
	}
	if flags&script.NoWrites == 0 {
		if msg := s.rt.refusesWrites(); msg != "" {
			out.Error(msg)
			return false
		}
		if readOnly {
			out.Error("ERR Can not execute a script with write flag using *_ro command.")
			return false
		}
	}
	if s.oom && flags&(script.AllowOOM|script.NoWrites) == 0 {
		out.Error("OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'")
		return false
	}
	return true
}

// perform makes the run known while it lasts.
func (s *Session) perform(run *scriptRun, args [][]byte, flags script.Flags, readOnly bool, f func(*scriptHost)) {
	sc := s.rt.scripting
	run.lease, run.began, run.args = s.unit.lease, s.rt.Clock.Now(), args
	h := s.scriptHost(run)
	h.readOnly = readOnly || flags&(script.Undeclared|script.NoWrites) == script.NoWrites
	h.slot = -2
	if flags&(script.Undeclared|script.AllowCrossSlotKeys) == 0 && s.rt.Cluster {
		h.slot = -1
		if cmd := command.Lookup(args[0]); cmd != nil {
			cmd.OneSlot(args, &h.slot)
		}
	}
	h.allowOOM = flags&(script.Undeclared|script.AllowOOM) == script.AllowOOM
	sc.running.Store(run)
	f(h)
	sc.running.Store(nil)
	if run.busy.Load() {
		s.rt.conditions.add(scriptBusy, -1)
	}
	h.ctx.Account()
}
