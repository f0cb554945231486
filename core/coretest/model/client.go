package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core/resp"
)

// ErrUnknown is wrapped by errors about commands that the model does not know.
var ErrUnknown = errors.New("the model does not know this command")

// Outcome is one way a command can end.
type Outcome struct {
	State  *State
	Client Client
	Reply  Reply
}

// Client is a connection as commands see it. It is a value: running a command
// gives the client after it. The zero value is a new connection.
type Client struct {
	DB      int
	InMulti bool
	spoiled bool
	queue   [][]string
}

// maxOutcomes bounds what random commands in one transaction can lead to.
const maxOutcomes = 20000

// Run executes a command on s at the time now (Unix milliseconds) and returns
// every way it can end, at least one. s is left as it is.
func (c Client) Run(s *State, now int64, args []string) ([]Outcome, error) {
	name := strings.ToLower(args[0])
	switch name {
	case "multi":
		if c.InMulti {
			return c.says(s, fault("ERR MULTI calls can not be nested")), nil
		}
		c = Client{DB: c.DB, InMulti: true}
		return c.says(s, ok), nil
	case "discard":
		if !c.InMulti {
			return c.says(s, fault("ERR DISCARD without MULTI")), nil
		}
		return Client{DB: c.DB}.says(s, ok), nil
	case "exec":
		if !c.InMulti {
			return c.says(s, fault("ERR EXEC without MULTI")), nil
		}
		if c.spoiled {
			return Client{DB: c.DB}.says(s, fault("EXECABORT")), nil
		}
		queue := c.queue
		return Client{DB: c.DB}.explore(s, now, func(k *call) Reply {
			r := array()
			for _, q := range queue {
				r.elems = append(r.elems, k.run(q))
			}
			return r
		})
	}
	cmd, known := commands[name]
	switch {
	case !known:
		return nil, fmt.Errorf("%w: %s", ErrUnknown, args[0])
	case len(args) < cmd.least:
		return c.Refused().says(s, fault("ERR wrong number of arguments")), nil
	case c.InMulti:
		c.queue = append(slices.Clip(c.queue), slices.Clone(args))
		return c.says(s, text("QUEUED")), nil
	}
	return c.explore(s, now, func(k *call) Reply { return k.run(args) })
}

// Match returns the outcome that has the engine's reply.
func Match(outcomes []Outcome, got resp.Value) (Outcome, error) {
	for _, o := range outcomes {
		if o.Reply.Matches(got) {
			return o, nil
		}
	}
	return Outcome{}, fmt.Errorf("the reply is %s, the model says %s", got, outcomes[0].Reply)
}

// Refused is the client after the engine refused a command: a transaction
// being queued will not be executed.
func (c Client) Refused() Client {
	c.spoiled = c.spoiled || c.InMulti
	return c
}

// Knows tells whether the model knows a command.
func Knows(name string) bool {
	name = strings.ToLower(name)
	_, known := commands[name]
	return known || name == "multi" || name == "exec" || name == "discard"
}

// Writes tells whether a command the model knows may change something.
func Writes(name string) bool {
	name = strings.ToLower(name)
	return commands[name].writes || name == "exec"
}

func (c Client) says(s *State, r Reply) []Outcome { return []Outcome{{s, c, r}} }

// explore runs f once for every combination of the choices it makes.
func (c Client) explore(s *State, now int64, f func(*call) Reply) ([]Outcome, error) {
	var out []Outcome
	for next := []choice(nil); ; {
		k := &call{st: s.fork(), db: c.DB, now: now, made: next}
		r := f(k)
		after := c
		after.DB = k.db
		out = append(out, Outcome{k.st, after, r})
		if len(out) > maxOutcomes {
			return nil, errors.New("too many outcomes: use SPOP on smaller sets or fewer in one transaction")
		}
		next = k.made
		for len(next) > 0 && next[len(next)-1].took+1 == next[len(next)-1].of {
			next = next[:len(next)-1]
		}
		if len(next) == 0 {
			return out, nil
		}
		next[len(next)-1].took++
	}
}

// choice is one of several things a random command may do.
type choice struct{ took, of int }

// call is a command, or a transaction, being executed on a copy of a state.
type call struct {
	st   *State
	db   int
	now  int64
	args []string
	made []choice // those to repeat, then those that are new
	at   int
}

// choose returns a number below n; over all runs of explore, each of them.
func (k *call) choose(n int) int {
	if k.at == len(k.made) {
		k.made = append(k.made, choice{0, n})
	}
	k.at++
	return k.made[k.at-1].took
}

// refusal is the panic that ends a command with an error reply.
type refusal struct{ reply Reply }

// run executes one command. An error reply means that nothing changed.
func (k *call) run(args []string) (r Reply) {
	before := k.st
	k.st = k.st.fork()
	k.args = args
	defer func() {
		switch p := recover().(type) {
		case nil:
		case refusal:
			k.st, r = before, p.reply
		default:
			panic(p)
		}
	}()
	return commands[strings.ToLower(args[0])].run(k)
}

func (k *call) fail(msg string) { panic(refusal{fault(msg)}) }

// require ends the command with an error unless cond holds.
func (k *call) require(cond bool, msg string) {
	if !cond {
		k.fail(msg)
	}
}

const (
	errWrongType = "WRONGTYPE Operation against a key holding the wrong kind of value"
	errSyntax    = "ERR syntax error"
	errInteger   = "ERR value is not an integer or out of range"
	errFloat     = "ERR value is not a valid float"
)

// get returns the value at a key of the selected database, nil if there is none.
func (k *call) get(key string) *value { return k.st.get(k.db, key, k.now) }

// read returns the value at a key, which must be absent or of the kind.
func (k *call) read(key string, want kind) *value {
	v := k.get(key)
	k.require(v == nil || v.kind == want, errWrongType)
	return v
}

// edit returns a copy of the value at a key to change and to put back. A key
// that is absent gives an empty value of the kind.
func (k *call) edit(key string, want kind) *value {
	if v := k.read(key, want); v != nil {
		return v.copy()
	}
	return newValue(want)
}

func newValue(want kind) *value {
	v := &value{kind: want}
	switch want {
	case kindHash, kindSet:
		v.hash = map[string]string{}
	case kindZSet:
		v.zset = map[string]float64{}
	case kindStream:
		v.stream = &stream{groups: map[string]*streamGroup{}}
	case kindString, kindList:
	default:
		panic(unknownType(want))
	}
	return v
}

func (k *call) put(key string, v *value) { k.st.put(k.db, key, v) }

// remove deletes a key and tells whether it was there.
func (k *call) remove(key string) bool {
	there := k.get(key) != nil
	k.put(key, nil)
	return there
}
