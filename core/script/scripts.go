package script

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"

	"github.com/spillwaydb/spillway/core/resp"
)

// Flags are what a script or function declares of itself.
type Flags uint8

// The flags, in Redis's order.
const (
	NoWrites Flags = 1 << iota
	AllowOOM
	AllowStale
	NoCluster
	AllowCrossSlotKeys
	// Undeclared says that a script declares nothing, since it has no first line
	// that does: it is executed as before Redis 7.
	Undeclared
)

var flagNames = []struct {
	flag Flags
	name string
}{{NoWrites, "no-writes"}, {AllowOOM, "allow-oom"}, {AllowStale, "allow-stale"}, {NoCluster, "no-cluster"}, {AllowCrossSlotKeys, "allow-cross-slot-keys"}}

// Names are the names of the flags.
func (f Flags) Names() (out []string) {
	for _, n := range flagNames {
		if f&n.flag != 0 {
			out = append(out, n.name)
		}
	}
	return out
}

// parseFlag is the flag of a name, 0 for none.
func parseFlag(name string) Flags {
	for _, n := range flagNames {
		if n.name == name {
			return n.flag
		}
	}
	return 0
}

// Script is a script that is known.
type Script struct {
	Digest string
	Flags  Flags
	body   []byte
	proto  *lua.FunctionProto
	notes  *notes
}

// Scripts are the scripts of an engine and the interpreter that runs them. Run
// belongs to one goroutine at a time; the other methods to any.
type Scripts struct {
	deprecated func() bool
	random     *rand48

	mu    sync.RWMutex
	known map[string]*Script
	bytes int64
	fresh bool // the interpreter is to be made anew

	interp *Interp // Run's
	growth uint64  // bytes by which a script may make the heap grow, for tests; 0 for the usual
}

// NewScripts returns no scripts yet. deprecated tells whether an interpreter that is
// made has the functions that lua-enable-deprecated-api is about.
func NewScripts(deprecated func() bool) *Scripts {
	return &Scripts{deprecated: deprecated, random: newRand48(), known: map[string]*Script{}}
}

// Lookup returns the script of a digest in any case, nil when it is not known.
func (s *Scripts) Lookup(digest []byte) *Script {
	if len(digest) != 40 {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.known[strings.ToLower(string(digest))]
}

// Load compiles a script and keeps it. The error's text is Redis's, without a code.
func (s *Scripts) Load(body []byte) (*Script, error) {
	digest := Digest(body)
	s.mu.RLock()
	sc := s.known[digest]
	s.mu.RUnlock()
	if sc != nil {
		return sc, nil
	}
	flags, src, err := shebang(body)
	if err != nil {
		return nil, err
	}
	proto, n, err := compile(src, "user_script")
	if err != nil {
		return nil, fmt.Errorf("Error compiling script (new function): %w", err)
	}
	sc = &Script{Digest: digest, Flags: flags, body: bytes.Clone(body), proto: proto, notes: n}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[digest] == nil {
		s.known[digest] = sc
		s.bytes += int64(len(body)) + 40
	}
	return sc, nil
}

// Flags are those that a script declares; ok is false when it cannot be told.
func (s *Scripts) Flags(body []byte) (f Flags, ok bool) {
	if !bytes.HasPrefix(body, []byte("#!")) {
		return Undeclared, true
	}
	f, _, err := shebang(body)
	return f, err == nil
}

// Flush forgets every script and what the interpreter has kept.
func (s *Scripts) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.bytes, s.fresh = map[string]*Script{}, 0, true
}

// Size is how many scripts there are, and how many bytes their sources take.
func (s *Scripts) Size() (n int, bytes int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.known), s.bytes
}

// shebang takes the line "#!lua flags=…" off a script. The end of the line stays, for
// the numbers of lines.
func shebang(body []byte) (Flags, string, error) {
	if !bytes.HasPrefix(body, []byte("#!")) {
		return Undeclared, string(body), nil
	}
	line, _, ended := bytes.Cut(body, []byte("\n"))
	if !ended {
		return 0, "", fmt.Errorf("Invalid script shebang")
	}
	words, ok := resp.SplitArgs(line, nil)
	if !ok || len(words) == 0 {
		return 0, "", fmt.Errorf("Invalid engine in script shebang")
	}
	if string(words[0]) != "#!lua" {
		return 0, "", fmt.Errorf("Unexpected engine in script shebang: %s", words[0])
	}
	var flags Flags
	for _, w := range words[1:] {
		list, ok := strings.CutPrefix(string(w), "flags=")
		if !ok {
			return 0, "", fmt.Errorf("Unknown lua shebang option: %s", w)
		}
		if list == "" {
			continue
		}
		for _, name := range strings.Split(list, ",") {
			f := parseFlag(name)
			if f == 0 {
				return 0, "", fmt.Errorf("Unexpected flag in script shebang: %s", name)
			}
			flags |= f
		}
	}
	return flags, string(body[len(line):]), nil
}

// Run executes a script and appends its reply to out.
func (s *Scripts) Run(host Host, sc *Script, keys, args [][]byte, out *resp.Writer) {
	s.mu.Lock()
	fresh := s.fresh
	s.fresh = false
	s.mu.Unlock()
	if s.interp == nil || fresh {
		s.interp = s.newInterp()
	}
	in := s.interp
	in.notes["user_script"] = sc.notes
	in.globals.RawSetString("KEYS", in.list(keys))
	in.globals.RawSetString("ARGV", in.list(args))
	fn := in.function(sc.proto, sc.notes)
	v, failed := in.run(host, fn)
	in.reply(v, failed, sc.Digest, out)
	clear(in.sources)
}

func (s *Scripts) newInterp() *Interp {
	in := newInterp(s.random, s.deprecated())
	if s.growth > 0 {
		in.growth = s.growth
	}
	in.addEvalOnly(in.globals.RawGetString("redis").(*lua.LTable))
	in.globals.RawSetString("__redis__err__handler", in.L.NewFunction(in.handleError))
	in.seal()
	return in
}

func (in *Interp) list(args [][]byte) *lua.LTable {
	t := in.L.CreateTable(len(args), 0)
	for i, a := range args {
		t.RawSetInt(i+1, lua.LString(a))
	}
	return t
}

// reply appends what a run has come to. name is the script's, in errors.
func (in *Interp) reply(v lua.LValue, failed *failure, name string, out *resp.Writer) {
	if failed == nil {
		e := encoder{in: in, out: out}
		e.value(v)
		return
	}
	msg := cString(failed.msg)
	if failed.line != "" && failed.source != "" {
		msg += " script: " + name + ", on " + failed.source + ":" + failed.line + "."
	}
	e := encoder{in: in, out: out}
	e.error(msg, failed.counted)
}
