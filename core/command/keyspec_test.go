package command

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
)

// placed shows the keys of a command line: where they are, and what is done to
// them.
func placed(cmd *Command, line string) string {
	args, _ := resp.SplitArgs([]byte(line), nil)
	keys, err := cmd.Keys(args)
	if err != nil {
		return "error"
	}
	var out []string
	for _, k := range keys {
		words := []string{fmt.Sprint(k.At)}
		for _, n := range keyFlagNames {
			if k.Flags&n.flag != 0 {
				words = append(words, n.name)
			}
		}
		out = append(out, strings.Join(words, " "))
	}
	return strings.Join(out, ", ")
}

func TestKeys(t *testing.T) {
	for line, want := range map[string]string{
		"GET a":             "1 RO access",
		"SET a v":           "1 OW update",
		"SET a v EX 10 get": "1 RW access update",
		"SET a get":         "1 OW update",
		"BITFIELD a":        "1 RO access",
		"BITFIELD a GET u8 0 OVERFLOW SAT GET u8 0":      "1 RO access",
		"BITFIELD a GET u8 0 OVERFLOW SAT INCRBY u8 0 1": "1 RW access update",
		"BITOP AND d a b":              "2 OW update, 3 RO access, 4 RO access",
		"MSET a 1 b 2":                 "1 OW update, 3 OW update",
		"DEL a b a":                    "1 RM delete, 2 RM delete, 3 RM delete",
		"RENAME a b":                   "1 RW access delete, 2 OW update",
		"OBJECT ENCODING a":            "2 RO",
		"OBJECT HELP":                  "",
		"OBJECT FOO a":                 "",
		"SCAN 0":                       "",
		"FLUSHALL":                     "",
		"LCS a b LEN":                  "1 RO access, 2 RO access",
		"LMPOP 2 a b LEFT":             "2 RW access delete, 3 RW access delete",
		"ZUNIONSTORE d 2 a b":          "1 OW update, 3 RO access, 4 RO access",
		"ZUNIONSTORE d 2 a":            "",
		"ZUNIONSTORE d x a":            "",
		"ZUNIONSTORE d -1 a":           "",
		"ZUNIONSTORE d 0 a":            "",
		"ZUNION 9223372036854775807 a": "",
		"WATCH a b":                    "1 RO, 2 RO",
		"GET":                          "error",
	} {
		name, _, _ := strings.Cut(line, " ")
		if got := placed(Lookup([]byte(name)), line); got != want {
			t.Errorf("%s: keys at %q, want %q", line, got, want)
		}
	}
}

// TestKeySpecs places keys in every way that a specification can, those of
// commands that are not here included; what is wanted is what redis-server 7.0
// replies to COMMAND GETKEYS.
func TestKeySpecs(t *testing.T) {
	const ro = KeyRO
	streams := KeySpec{Flags: ro, Begin: BeginKeyword, Keyword: "streams", StartFrom: 1, Find: FindRange, Last: -1, Step: 1, Limit: 2}
	eval := KeySpec{Flags: ro, Begin: BeginIndex, Index: 2, Find: FindKeyNum, NumIndex: 0, FirstKey: 1, Step: 1}
	back := KeySpec{Flags: ro, Begin: BeginKeyword, Keyword: "keys", StartFrom: -2, Find: FindRange, Last: -1, Step: 1}
	allButLast := KeySpec{Flags: ro, Begin: BeginIndex, Index: 1, Find: FindRange, Last: -2, Step: 1}
	channel := KeySpec{Flags: KeyNotKey, Begin: BeginIndex, Index: 1, Find: FindRange, Step: 1}
	for _, c := range []struct {
		spec       KeySpec
		line, want string
	}{
		{streams, "XREAD COUNT 2 STREAMS a b 0 0", "4 RO, 5 RO"},
		{streams, "XREAD streams a 0", "2 RO"},
		{streams, "XREAD STREAMS a b 0", "2 RO"}, // the handler refuses it
		{streams, "XREAD COUNT 2", ""},
		{streams, "XREAD COUNT 2 STREAMS", ""},
		{streams, "XREAD COUNT 2 STREAMS a", "error"},
		{eval, "EVAL script 2 a b x", "3 RO, 4 RO"},
		{eval, "EVAL script 0 x", ""},
		{eval, "EVAL script", ""},
		{back, "MIGRATE h 1 '' 0 10 COPY KEYS a b", "8 RO, 9 RO"},
		{back, "MIGRATE h 1 key 0 10", ""},
		{allButLast, "BLPOP a b 0", "1 RO, 2 RO"},
		{allButLast, "BLPOP 0", "error"},
		{channel, "SPUBLISH a b", ""},
	} {
		name, _, _ := strings.Cut(c.line, " ")
		cmd := &Command{Name: strings.ToLower(name), KeySpecs: []KeySpec{c.spec}}
		cmd.placeKeys()
		if got := placed(cmd, c.line); got != c.want {
			t.Errorf("%s: keys at %q, want %q", c.line, got, c.want)
		}
		if cmd.OnlyKey != 0 || cmd.HasKeys != (c.spec.Flags != KeyNotKey) {
			t.Errorf("%s: an only key at %d, has keys: %v", c.line, cmd.OnlyKey, cmd.HasKeys)
		}
	}
}

// TestKeyRange is what COMMAND INFO says of keys to clients that know no key
// specifications.
func TestKeyRange(t *testing.T) {
	index := func(at, last, step int) KeySpec {
		return KeySpec{Flags: KeyRO, Begin: BeginIndex, Index: at, Find: FindRange, Last: last, Step: step}
	}
	unknown := KeySpec{Flags: KeyRO}
	incomplete := index(1, 0, 1)
	incomplete.Flags |= KeyIncomplete
	for _, c := range []struct {
		name              string
		specs             []KeySpec
		first, last, step int
		movable           bool
		only              int
	}{
		{"ping", nil, 0, 0, 0, false, 0},
		{"get", []KeySpec{index(1, 0, 1)}, 1, 1, 1, false, 1},
		{"object|encoding", []KeySpec{index(2, 0, 1)}, 2, 2, 1, false, 2},
		{"mset", []KeySpec{index(1, -1, 2)}, 1, -1, 2, false, 0},
		{"rename", []KeySpec{index(1, 0, 1), index(2, 0, 1)}, 1, 2, 1, false, 0},
		{"bitop", []KeySpec{index(2, 0, 1), index(3, -1, 1)}, 2, -1, 1, false, 0},
		{"sort", []KeySpec{index(1, 0, 1), unknown, unknown}, 1, 1, 1, true, 0},
		{"migrate", []KeySpec{incomplete}, 1, 1, 1, true, 0},
		{"apart", []KeySpec{index(1, 0, 1), index(3, 0, 1)}, 1, 1, 1, true, 0},
	} {
		cmd := &Command{Name: c.name, KeySpecs: c.specs}
		cmd.placeKeys()
		if cmd.First != c.first || cmd.Last != c.last || cmd.Step != c.step || cmd.Flags&MovableKeys != 0 != c.movable || cmd.OnlyKey != c.only {
			t.Errorf("%s: range %d %d %d, flags %b, only key %d", c.name, cmd.First, cmd.Last, cmd.Step, cmd.Flags, cmd.OnlyKey)
		}
	}
}

// FuzzKeys: whatever the arguments are, keys are among them.
func FuzzKeys(f *testing.F) {
	f.Add(uint8(0), "a 2 b c")
	f.Add(uint8(200), "d 9999999999 a streams")
	f.Fuzz(func(t *testing.T, n uint8, line string) {
		cmd := all[int(n)%len(all)]
		args := [][]byte{[]byte(cmd.Name)}
		for _, w := range strings.Fields(line) {
			args = append(args, []byte(w))
		}
		keys, err := cmd.Keys(args)
		if err != nil && len(keys) > 0 {
			t.Errorf("%q: %v and keys", args, err)
		}
		for _, k := range keys {
			if k.At < 1 || k.At >= len(args) {
				t.Errorf("%q: a key at %d", args, k.At)
			}
		}
	})
}
