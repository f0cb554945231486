package script

import (
	"regexp"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// gopher-lua words its errors in its own way and does not name the value that is
// wrong. translate says them as Lua 5.1 does. Which value it was follows from the line
// and what stands there: of several that fit, one that can be seen to be innocent is
// not named.

var (
	placed    = regexp.MustCompile(`(?s)^([^\n]*?):(\d+): (.*)$`)
	indexing  = regexp.MustCompile(`(?s)^attempt to index a non-table object\((\w+)\) with key '(.*)'$`)
	reckoning = regexp.MustCompile(`^cannot perform (\w+) operation between (\w+) and (\w+)$`)
	comparing = regexp.MustCompile(`^attempt to compare (\w+) with (\w+)$`)
)

// translate says a message of gopher-lua in Lua's words; others it returns as they are.
func (in *Interp) translate(msg string) string {
	place, chunk, line, what := "", "", 0, msg
	if m := placed.FindStringSubmatch(msg); m != nil {
		chunk, what = m[1], m[3]
		line, _ = strconv.Atoi(m[2])
		place = m[1] + ":" + m[2] + ": "
	}
	n := in.notes[chunk]
	if n == nil {
		n = new(notes)
	}
	switch {
	case what == "attempt to call a non-function object":
		return place + in.called(n.calls[line])
	case what == "lua callstack overflow", what == "stack overflow":
		return place + "stack overflow"
	case what == "registry overflow":
		return place + "stack overflow"
	case what == "__unm undefined":
		return place + "attempt to perform arithmetic on " + in.pick(n.reckoned[line], "a nil value")
	case strings.HasPrefix(what, "for statement "):
		word := strings.Fields(what)[2]
		if word == "init" {
			word = "initial value"
		}
		return place + "'for' " + word + " must be a number"
	}
	if m := indexing.FindStringSubmatch(what); m != nil {
		for _, c := range n.indexed[line] {
			if c.name != "" && c.key == m[2] && !in.resolves(c.path) {
				return place + "attempt to index " + c.name + " (a " + m[1] + " value)"
			}
		}
		for _, c := range n.indexed[line] {
			if c.name != "" && c.key == "" {
				return place + "attempt to index " + c.name + " (a " + m[1] + " value)"
			}
		}
		return place + "attempt to index a " + m[1] + " value"
	}
	if m := reckoning.FindStringSubmatch(what); m != nil {
		wrong := m[2]
		if wrong == "number" {
			wrong = m[3]
		}
		return place + "attempt to perform arithmetic on " + in.pick(n.reckoned[line], "a "+wrong+" value")
	}
	if m := comparing.FindStringSubmatch(what); m != nil && m[1] == m[2] {
		return place + "attempt to compare two " + m[1] + " values"
	}
	return msg
}

// called says which of the calls in a line was one of no function.
func (in *Interp) called(calls []mention) string {
	for _, c := range calls {
		switch v := in.value(c.path); {
		case v == nil && c.path != nil, v == lua.LNil:
			return "attempt to call " + c.name + " (a nil value)"
		case v != nil && v.Type() != lua.LTFunction:
			return "attempt to call " + c.name + " (a " + v.Type().String() + " value)"
		}
	}
	for _, c := range calls {
		if c.name != "" && c.path == nil && strings.HasPrefix(c.name, "method ") || c.name != "" && c.path == nil && len(calls) == 1 {
			return "attempt to call " + c.name + " (a nil value)"
		}
	}
	return "attempt to call a nil value"
}

// pick names what is said to be wrong, if there is but one thing it can be.
func (in *Interp) pick(all []mention, kind string) string {
	var name string
	for _, m := range all {
		if in.resolves(m.path) {
			continue
		}
		if name != "" && name != m.name {
			return kind
		}
		name = m.name
	}
	if name == "" {
		return kind
	}
	return name + " (" + kind + ")"
}

// value is what a path from a global leads to; nil when that is not known.
func (in *Interp) value(path []string) lua.LValue {
	if path == nil {
		return nil
	}
	var v lua.LValue = in.globals
	for _, key := range path {
		t, ok := v.(*lua.LTable)
		if !ok {
			return nil
		}
		v = in.plain(t).RawGetString(key)
	}
	return v
}

func (in *Interp) resolves(path []string) bool {
	v := in.value(path)
	return v != nil && v != lua.LNil
}

// named is the message for an operand that is wrong.
func (in *Interp) named(L *lua.LState, verb string, wrong lua.LValue) string {
	kind := "a " + wrong.Type().String() + " value"
	if d, ok := L.GetStack(1); ok {
		if _, err := L.GetInfo("Sl", d, lua.LNil); err == nil {
			if n := in.notes[d.Source]; n != nil {
				return "attempt to " + verb + " " + in.pick(n.reckoned[d.CurrentLine], kind)
			}
		}
	}
	return "attempt to " + verb + " " + kind
}
