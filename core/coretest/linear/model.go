package linear

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/anishathalye/porcupine"
)

// Keys are what the clients use: under two of them are counters, at first.
var Keys = []string{"alpha", "beta", "gamma", "delta", "n1", "n2"}

// call is one operation: a command, or several that are executed as one.
type call struct {
	cmds [][]string
	tx   bool // MULTI … EXEC: the replies are EXEC's
	// watched, if not "", is a key of which saw was read under a WATCH: the
	// transaction is executed only if nobody has written it since.
	watched, saw string
}

// answer is what came of it, as redis-cli shows it, a line for each command.
type answer struct {
	replies []string
	aborted bool // EXEC said that a watched key had changed
	unknown bool // the power went before there was one
}

// state is the value of each key; absent has none.
type state [6]string

const absent = "\x00"

func newState() (s state) {
	for i := range s {
		s[i] = absent
	}
	return s
}

// run executes one command as Redis does and returns what it says.
func (s *state) run(cmd []string) string {
	v := &s[slices.Index(Keys, cmd[1])]
	switch cmd[0] {
	case "GET":
		return quote(*v)
	case "SET":
		*v = cmd[2]
		return `"OK"`
	case "APPEND":
		if *v == absent {
			*v = ""
		}
		*v += cmd[2]
		return strconv.Itoa(len(*v))
	case "INCR":
		n := int64(0)
		if *v != absent {
			var err error
			if n, err = strconv.ParseInt(*v, 10, 64); err != nil {
				return "(error) ERR value is not an integer or out of range"
			}
		}
		*v = strconv.FormatInt(n+1, 10)
		return *v
	case "RENAME":
		if *v == absent {
			return "(error) ERR no such key"
		}
		moved := *v
		*v = absent
		s[slices.Index(Keys, cmd[2])] = moved
		return `"OK"`
	}
	panic("the model has no " + cmd[0])
}

// step is every state that c can lead to from s if a is what was said; none if
// it cannot have been said.
func step(s state, c call, a answer) []state {
	if a.aborted {
		return []state{s} // somebody had touched the key, with whatever value
	}
	happens := c.watched == "" || quote(s[slices.Index(Keys, c.watched)]) == c.saw
	after := s
	for i, cmd := range c.cmds {
		said := after.run(cmd)
		if !a.unknown && said != a.replies[i] {
			happens = false
		}
	}
	switch {
	case happens && a.unknown && after != s:
		return []state{s, after}
	case happens:
		return []state{after}
	case a.unknown:
		return []state{s}
	}
	return nil
}

// quote is a value as a GET shows it.
func quote(v string) string {
	if v == absent {
		return "(nil)"
	}
	return strconv.Quote(v)
}

var seed = maphash.MakeSeed()

// model is the above for porcupine, of an engine that begins with a state.
func model(from state) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{from} },
		Step: func(s, in, out any) (after []any) {
			for _, next := range step(s.(state), in.(call), out.(answer)) {
				after = append(after, next)
			}
			return after
		},
		Hash:              func(s any) uint64 { return maphash.Comparable(seed, s.(state)) },
		DescribeOperation: func(in, out any) string { return describe(in.(call), out.(answer)) },
		DescribeState: func(s any) string {
			var b strings.Builder
			for i, v := range s.(state) {
				if v != absent {
					fmt.Fprintf(&b, "%s=%s ", Keys[i], v)
				}
			}
			return b.String()
		},
	}
	return m.ToModel()
}

// describe is an operation as a person reads it.
func describe(c call, a answer) string {
	var cmds []string
	for _, cmd := range c.cmds {
		cmds = append(cmds, strings.Join(cmd, " "))
	}
	text := strings.Join(cmds, "; ")
	if c.tx {
		text = "MULTI; " + text + "; EXEC"
	}
	if c.watched != "" {
		text = fmt.Sprintf("WATCH %s (%s); %s", c.watched, c.saw, text)
	}
	switch {
	case a.unknown:
		return text + " → power lost"
	case a.aborted:
		return text + " → (nil)"
	}
	return text + " → " + strings.Join(a.replies, ", ")
}
