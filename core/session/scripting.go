package session

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/script"
)

// scriptingCommand is a command about scripts and functions, which a session executes
// itself. Its locks are held as part of a unit.
type scriptingCommand struct {
	script bool // it runs one: the unit is exclusive
	shards bool // it needs the shards that the command table says
	run    func(s *Session, cmd *command.Command, args [][]byte, out *resp.Writer)
}

var scriptingCommands map[string]scriptingCommand

func init() {
	run := scriptingCommand{true, true, (*Session).runScript}
	scriptingCommands = map[string]scriptingCommand{
		"eval": run, "evalsha": run, "eval_ro": run, "evalsha_ro": run, "fcall": run, "fcall_ro": run,
		"script|load":      {run: (*Session).scriptLoad},
		"script|exists":    {run: (*Session).scriptExists},
		"script|flush":     {run: (*Session).scriptFlush},
		"script|kill":      {run: (*Session).scriptKill},
		"script|debug":     {run: (*Session).scriptDebug},
		"function|load":    {shards: true, run: (*Session).functionLoad},
		"function|delete":  {shards: true, run: (*Session).functionStore},
		"function|flush":   {shards: true, run: (*Session).functionStore},
		"function|restore": {shards: true, run: (*Session).functionRestore},
		"function|list":    {shards: true, run: (*Session).functionList},
		"function|dump":    {run: (*Session).functionDump},
		"function|kill":    {run: (*Session).scriptKill},
		"function|stats":   {run: (*Session).functionStats},
	}
}

// scriptFlags are what the script of a command declares; ok is false when that is not
// known, or nothing is declared.
func (s *Session) scriptFlags(cmd *command.Command, args [][]byte) (f script.Flags, ok bool) {
	sc := s.rt.scripting
	switch {
	case len(args) < 2:
	case strings.HasPrefix(cmd.Name, "evalsha"):
		if known := sc.scripts.Lookup(args[1]); known != nil {
			f, ok = known.Flags, true
		}
	case strings.HasPrefix(cmd.Name, "eval"):
		f, ok = sc.scripts.Flags(args[1])
	}
	return f, ok && f&script.Undeclared == 0
}

// functionMayWrite tells whether the function of an FCALL may write: one that is not
// there may, as in Redis. Before the session has the locks of a script it goes by what
// was compiled last; after a start nothing was, and it is asked again under them.
func (s *Session) functionMayWrite(args [][]byte) bool {
	sc := s.rt.scripting
	if s.unit.locked && s.unit.script {
		s.syncLibraries()
	}
	known := sc.functionFlags.Load()
	if known == nil {
		return false
	}
	flags, ok := (*known)[string(args[1])]
	return !ok || flags&script.NoWrites == 0
}

// refusesScript is the error reply to a script that declares to write, or to take
// memory, when it must not.
func (s *Session) refusesScript(cmd *command.Command, args [][]byte) string {
	flags, ok := s.scriptFlags(cmd, args)
	if !ok || flags&script.NoWrites != 0 {
		return ""
	}
	if msg := s.rt.refusesWrites(); msg != "" {
		return msg
	}
	if limit := s.rt.MaxMemory(); flags&script.AllowOOM == 0 && limit > 0 && !s.makeRoom(limit) {
		return errOOM
	}
	return ""
}

// executeScripting executes a command about scripts outside a transaction.
func (s *Session) executeScripting(sc scriptingCommand, cmd *command.Command, args [][]byte, out *resp.Writer) command.Outcome {
	s.release()
	errors := out.Errors + out.Again
	if !sc.script && !sc.shards {
		sc.run(s, cmd, args, out)
		return outcomeOf(out, errors)
	}
	s.measure()
	if msg := s.admit(); msg != "" {
		return s.reject(out, msg)
	}
	if err := s.unit.add(s.rt.Keyspace, cmd, args); err != nil {
		s.unit.shards = s.unit.shards[:0] // it is the script's command that says what is wrong
	}
	s.unit.script = sc.script
	if !s.lock(false) {
		s.release()
		return s.rejectBusy(out)
	}
	if s.holdsBack(cmd, args) {
		s.unlock()
		return s.postpone(cmd, args)
	}
	sc.run(s, cmd, args, out)
	s.logAll()
	s.unlock()
	s.release()
	return outcomeOf(out, errors)
}

// outcomeOf tells whether out has more errors than before.
func outcomeOf(out *resp.Writer, errors int) command.Outcome {
	if out.Errors+out.Again > errors {
		return command.Failed
	}
	return command.Done
}

// measure looks, before a script, whether memory is over maxmemory.
func (s *Session) measure() {
	limit := s.rt.MaxMemory()
	s.oom = limit > 0 && !s.makeRoom(limit)
}

func (s *Session) scriptLoad(_ *command.Command, args [][]byte, out *resp.Writer) {
	sc, err := s.rt.scripting.scripts.Load(args[2])
	if err != nil {
		out.Error("ERR " + err.Error())
		return
	}
	out.BulkString(sc.Digest)
}

func (s *Session) scriptExists(_ *command.Command, args [][]byte, out *resp.Writer) {
	out.Array(len(args) - 2)
	for _, digest := range args[2:] {
		n := int64(0)
		if s.rt.scripting.scripts.Lookup(digest) != nil {
			n = 1
		}
		out.Int(n)
	}
}

func (s *Session) scriptFlush(_ *command.Command, args [][]byte, out *resp.Writer) {
	if len(args) > 3 || len(args) == 3 && !is(args[2], "sync") && !is(args[2], "async") {
		out.Error("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
		return
	}
	s.rt.scripting.scripts.Flush()
	out.OK()
}

func is(b []byte, word string) bool { return strings.EqualFold(string(b), word) }

// scriptDebug can only turn off what is never on: there is no debugger.
func (s *Session) scriptDebug(_ *command.Command, args [][]byte, out *resp.Writer) {
	switch {
	case is(args[2], "no"):
		out.OK()
	case is(args[2], "yes"), is(args[2], "sync"):
		out.Error("ERR SCRIPT DEBUG is not supported: there is no debugger")
	default:
		out.Error("ERR Use SCRIPT DEBUG YES/SYNC/NO")
	}
}

// scriptKill is SCRIPT KILL and FUNCTION KILL.
func (s *Session) scriptKill(cmd *command.Command, _ [][]byte, out *resp.Writer) {
	run := s.rt.scripting.running.Load()
	switch {
	case run == nil:
		out.Error(errNotBusy)
	case run.wrote.Load():
		out.Error(errUnkillable)
	case cmd.Name == "script|kill" && !run.eval:
		out.Error(errBusyFunction)
	case cmd.Name == "function|kill" && run.eval:
		out.Error(errBusyScript)
	default:
		run.killed.Store(true)
		out.OK()
	}
}

// store has the handler that replay uses change the list of libraries, and keeps what
// is to be logged.
func (s *Session) store(args [][]byte, out *resp.Writer) {
	s.invoke(command.LookupLogged(args[0]), args, out, s.began())
	s.collect()
}

// syncLibraries compiles what others than FUNCTION LOAD have changed: a load, a
// restore. One that cannot be compiled has no functions.
func (s *Session) syncLibraries() {
	sc := s.rt.scripting
	now := s.rt.Keyspace.Libraries()
	if len(now) == len(sc.compiled) && (len(now) == 0 || &now[0] == &sc.compiled[0]) {
		return
	}
	have := map[string]*script.Library{}
	for _, l := range sc.libs.All() {
		have[l.Name] = l
	}
	for name, l := range have {
		if stored, ok := s.rt.Keyspace.Library(name); !ok || !bytes.Equal(stored.Code, l.Code) {
			sc.libs.Remove(name)
			delete(have, name)
		}
	}
	if len(have) == 0 {
		sc.libs.Clear()
	}
	for _, l := range now {
		if have[l.Name] != nil {
			continue
		}
		lib, err := sc.libs.Compile(s.loadHost(), l.Name, l.Code, nil)
		if err != nil {
			s.rt.ScriptLog(script.LogWarning, fmt.Sprintf("The function library %s cannot be compiled: %s", l.Name, err))
			lib = &script.Library{Name: l.Name, Code: l.Code}
		}
		sc.libs.Add(lib)
	}
	s.compiledAll()
}

// compiledAll notes that libs is what the keyspace has.
func (s *Session) compiledAll() {
	sc := s.rt.scripting
	sc.compiled = s.rt.Keyspace.Libraries()
	n := 0
	flags := map[string]script.Flags{}
	for _, l := range sc.libs.All() {
		n += len(l.Functions)
		for _, f := range l.Functions {
			flags[f.Name] = f.Flags
		}
	}
	sc.functionFlags.Store(&flags)
	sc.libraries.Store(int64(len(sc.libs.All())))
	sc.functions.Store(int64(n))
}

// loadHost is the host of a library that is loaded: it calls no commands.
func (s *Session) loadHost() script.Host {
	return s.scriptHost(&scriptRun{name: "FUNCTION LOAD", began: s.rt.Clock.Now()})
}

func (s *Session) functionLoad(_ *command.Command, args [][]byte, out *resp.Writer) {
	replace := false
	for _, a := range args[2 : len(args)-1] {
		if !is(a, "replace") {
			out.Error("ERR Unknown option given: " + string(a))
			return
		}
		replace = true
	}
	s.syncLibraries()
	code := args[len(args)-1]
	lib, err := s.compileLibrary(code, replace, true)
	if err != nil {
		out.Error("ERR " + err.Error())
		return
	}
	s.store(args, out)
	s.rt.scripting.libs.Add(lib)
	s.compiledAll()
}

// compileLibrary compiles a library that could be added.
func (s *Session) compileLibrary(code []byte, replace, alone bool) (*script.Library, error) {
	libs := s.rt.scripting.libs
	name, err := command.LibraryName(code)
	if err != nil {
		return nil, err
	}
	if _, there := s.rt.Keyspace.Library(name); alone && there && !replace {
		return nil, fmt.Errorf("Library '%s' already exists", name)
	}
	lib, err := libs.Compile(s.loadHost(), name, bytes.Clone(code), s.rt.Clock.Now)
	if err != nil {
		return nil, err
	}
	if alone {
		if f := libs.Collides(lib, func(other *script.Library) bool { return other.Name == name }); f != "" {
			return nil, fmt.Errorf("Function %s already exists", f)
		}
	}
	return lib, nil
}

// functionStore is FUNCTION DELETE and FLUSH.
func (s *Session) functionStore(_ *command.Command, args [][]byte, out *resp.Writer) {
	s.store(args, out)
	s.syncLibraries()
}

// functionRestore compiles all libraries of a payload before any is stored.
func (s *Session) functionRestore(_ *command.Command, args [][]byte, out *resp.Writer) {
	policy, codes, err := command.RestoredLibraries(args)
	if err == nil {
		s.syncLibraries()
		err = s.checkRestored(policy, codes)
	}
	if err != nil {
		out.Error("ERR " + err.Error())
		return
	}
	s.store(args, out)
	s.syncLibraries()
}

func (s *Session) checkRestored(policy string, codes [][]byte) error {
	libs := s.rt.scripting.libs
	restored := map[string]*script.Library{}
	var all []*script.Library
	for _, code := range codes {
		lib, err := s.compileLibrary(code, true, false)
		if err != nil {
			return err
		}
		if restored[lib.Name] != nil {
			return fmt.Errorf("Library '%s' already exists", lib.Name)
		}
		restored[lib.Name] = lib
		all = append(all, lib)
	}
	if policy == "flush" {
		return nil
	}
	if policy == "append" {
		for _, lib := range all {
			if _, there := s.rt.Keyspace.Library(lib.Name); there {
				return fmt.Errorf("Library %s already exists", lib.Name)
			}
		}
	}
	for _, lib := range all {
		if f := libs.Collides(lib, func(other *script.Library) bool { return restored[other.Name] != nil }); f != "" {
			return fmt.Errorf("Function %s already exists", f)
		}
	}
	return nil
}

func (s *Session) functionDump(_ *command.Command, _ [][]byte, out *resp.Writer) {
	out.Bulk(command.DumpLibraries(s.rt.Keyspace))
}

func (s *Session) functionList(_ *command.Command, args [][]byte, out *resp.Writer) {
	withCode, pattern, given := false, []byte(nil), false
	for i := 2; i < len(args); i++ {
		switch {
		case !withCode && is(args[i], "withcode"):
			withCode = true
		case !given && is(args[i], "libraryname"):
			if i++; i >= len(args) {
				out.Error("ERR library name argument was not given")
				return
			}
			pattern, given = args[i], true
		default:
			out.Error("ERR Unknown argument " + string(args[i]))
			return
		}
	}
	s.syncLibraries()
	var libs []*script.Library
	for _, l := range s.rt.scripting.libs.All() {
		if !given || command.GlobMatch(pattern, []byte(l.Name), true) {
			libs = append(libs, l)
		}
	}
	out.Array(len(libs))
	for _, l := range libs {
		replyLibrary(l, withCode, out)
	}
}

func replyLibrary(l *script.Library, withCode bool, out *resp.Writer) {
	n := 3
	if withCode {
		n++
	}
	out.Map(n)
	out.BulkString("library_name")
	out.BulkString(l.Name)
	out.BulkString("engine")
	out.BulkString("LUA")
	out.BulkString("functions")
	out.Array(len(l.Functions))
	for _, f := range l.Functions {
		out.Map(3)
		out.BulkString("name")
		out.BulkString(f.Name)
		out.BulkString("description")
		if f.Described {
			out.BulkString(f.Description)
		} else {
			out.Null()
		}
		out.BulkString("flags")
		names := f.Flags.Names()
		out.Set(len(names))
		for _, name := range names {
			out.SimpleString(name)
		}
	}
	if withCode {
		out.BulkString("library_code")
		out.Bulk(l.Code)
	}
}

// functionStats needs no lock: it answers while a function runs.
func (s *Session) functionStats(_ *command.Command, _ [][]byte, out *resp.Writer) {
	sc := s.rt.scripting
	run := sc.running.Load()
	if run != nil && run.eval {
		if run.busy.Load() {
			out.Error(errBusyScript)
			return
		}
		run = nil // it will be over at once, as it is for Redis
	}
	out.Map(2)
	out.BulkString("running_script")
	if run == nil {
		out.Null()
	} else {
		out.Map(3)
		out.BulkString("name")
		out.BulkString(run.name)
		out.BulkString("command")
		out.Array(len(run.args))
		for _, a := range run.args {
			out.Bulk(a)
		}
		out.BulkString("duration_ms")
		out.Int(s.rt.Clock.Now().Sub(run.began).Milliseconds())
	}
	out.BulkString("engines")
	out.Map(1)
	out.BulkString("LUA")
	out.Map(2)
	out.BulkString("libraries_count")
	out.Int(sc.libraries.Load())
	out.BulkString("functions_count")
	out.Int(sc.functions.Load())
}

// CompileLibraries compiles the function libraries that a start or a reload has
// found, so that their number is known. The gate is not held.
func (rt *Runtime) CompileLibraries() {
	if len(rt.Keyspace.Libraries()) == 0 && len(rt.scripting.compiled) == 0 {
		return
	}
	s := rt.New(nil, nil)
	rt.Keyspace.LockAll()
	defer rt.Keyspace.UnlockAll()
	s.syncLibraries()
}
