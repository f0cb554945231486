package command

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/spillwaydb/spillway/core/resp"
)

// What differs from redis-server 7.0 on purpose. Everything else that COMMAND
// and its subcommands reply is the same, but for sentences, which are our own.
var (
	// unknownToRedis are the commands that Redis 7.0 does not have.
	unknownToRedis = map[string]string{
		"spillway.plugins": "it is about what only Spillway has",
		"spillway.config":  "it is about what only Spillway has",
		"spillway.status":  "it is about what only Spillway has",
		"delifeq":          "Valkey 9 has it",
		"waitaof":          "Redis 7.2 has it",
		"client|no-touch":  "Redis 7.2 has it",
		"client|setinfo":   "clients of Redis 7.2 send it to every server",
	}
	// extended are the commands that take more here than in Redis 7.0.
	extended = map[string]string{
		"set":         "IFEQ of Valkey 8.1, the conditions of Redis 8.4",
		"zrank":       "WITHSCORE of Redis 7.2",
		"zrevrank":    "WITHSCORE of Redis 7.2",
		"client|kill": "MAXAGE of Redis 7.4, the filters of Valkey 9",
		"client|list": "the filters of Valkey 9",
		"bitop":       "the operations of Redis 8.2",
	}

	// documentedMore are the commands of which COMMAND DOCS tells more here.
	documentedMore = map[string]string{
		"lolwut":                  "complexity",
		"psync":                   "complexity",
		"sync":                    "complexity",
		"command|getkeys":         "arguments",
		"command|getkeysandflags": "arguments",
	}
)

// notInRedis tells whether Redis 7.0 does not have a command, because it is ours or came
// later.
func notInRedis(name string) bool {
	cmd := byName([]byte(name))
	return unknownToRedis[name] != "" || cmd != nil && cmd.Doc != nil && cameLater(cmd.Doc.Since)
}

// cameLater tells whether a version of Redis is later than the one that we follow.
func cameLater(version string) bool { return laterThan(version, RedisVersion) }

// laterThan compares versions of Redis, without their patch levels.
func laterThan(version, than string) bool {
	var ours, theirs [2]int
	_, _ = fmt.Sscanf(than, "%d.%d", &ours[0], &ours[1])
	_, _ = fmt.Sscanf(version, "%d.%d", &theirs[0], &theirs[1])
	return slices.Compare(theirs[:], ours[:]) > 0
}

// both asks redis-server and a tester the same.
type both struct {
	t     *testing.T
	x     *tester
	redis func(args ...string) resp.Value
}

func newBoth(t *testing.T) *both {
	b := &both{t: t, x: newTester(t, 2), redis: asker(t, redisServer(t))}
	hello := b.redis("HELLO", "2")
	for i, e := range hello.Elems {
		if string(e.Str) == "version" && !strings.HasPrefix(string(hello.Elems[i+1].Str), RedisVersion[:4]) {
			t.Skipf("redis-server %s describes its commands as that version does, not as %s, which we follow", hello.Elems[i+1].Str, RedisVersion)
		}
	}
	return b
}

func (b *both) ask(args ...string) (ours, theirs resp.Value) {
	b.t.Helper()
	return b.x.run(args...), b.redis(args...)
}

// protocols runs a test in both protocols.
func (b *both) protocols(test func(t *testing.T)) {
	for _, proto := range []string{"2", "3"} {
		b.x.out.Proto = int(proto[0] - '0')
		b.redis("HELLO", proto)
		b.t.Run("RESP"+proto, func(t *testing.T) {
			outer := b.t
			b.t, b.x.t = t, t
			defer func() { b.t, b.x.t = outer, outer }()
			test(t)
		})
	}
}

// shape shows a reply, with the kinds of everything in it; what is a set has no
// order.
func shape(v resp.Value, isSet bool) string {
	var elems []string
	for _, e := range v.Elems {
		elems = append(elems, shape(e, false))
	}
	if isSet || v.Kind == resp.KindSet {
		slices.Sort(elems)
	}
	if elems == nil {
		return fmt.Sprintf("%c%s", v.Kind, v)
	}
	return fmt.Sprintf("%c[%s]", v.Kind, strings.Join(elems, " "))
}

// pairs are the fields of a map, which RESP2 sends as an array.
func pairs(v resp.Value) map[string]resp.Value {
	out := map[string]resp.Value{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		out[string(v.Elems[i].Str)] = v.Elems[i+1]
	}
	return out
}

// TestInfoAgainstRedis compares COMMAND INFO of every command with that of a
// real redis-server.
func TestInfoAgainstRedis(t *testing.T) {
	b := newBoth(t)
	b.protocols(func(t *testing.T) {
		for _, cmd := range everyCommand() {
			ours, theirs := b.ask("COMMAND", "INFO", cmd.Name)
			if notInRedis(cmd.Name) {
				if !theirs.Elems[0].IsNull() {
					t.Errorf("Redis knows %s", cmd.Name)
				}
				continue
			}
			if theirs.Elems[0].IsNull() {
				t.Errorf("Redis does not know %s", cmd.Name)
				continue
			}
			if got, want := infoShape(ours.Elems[0]), infoShape(theirs.Elems[0]); got != want && extended[cmd.Name] == "" {
				t.Errorf("COMMAND INFO %s\nours  %s\nredis %s", cmd.Name, got, want)
			}
		}
	})
}

// TestEveryCommandOfRedis: what COMMAND LIST of a real redis-server names is here, or
// stands in docs/compatibility.md with the reason why not (neverHere).
func TestEveryCommandOfRedis(t *testing.T) {
	b := newBoth(t)
	list := b.redis("COMMAND", "LIST")
	if len(list.Elems) < 300 {
		t.Fatalf("a redis-server has %d commands", len(list.Elems))
	}
	for _, e := range list.Elems {
		name := string(e.Str)
		if byName(e.Str) == nil && neverHere[name] == "" {
			t.Errorf("%s is not here", name)
		}
	}
}

// infoShape is the shape of a command's COMMAND INFO without its subcommands.
func infoShape(v resp.Value) string {
	out := fmt.Sprintf("%c%d", v.Kind, len(v.Elems))
	for i, e := range v.Elems[:9] {
		if i == 8 {
			for _, spec := range e.Elems {
				out += keySpecShape(spec)
			}
			out += fmt.Sprintf(" %c%d", e.Kind, len(e.Elems))
			continue
		}
		out += " " + shape(e, true)
	}
	return out
}

func keySpecShape(v resp.Value) string {
	f := pairs(v)
	notes := "without notes"
	if _, has := f["notes"]; has {
		notes = "with notes" // in words of our own
	}
	return fmt.Sprintf("\n  %c %s %s %s %s", v.Kind, notes, shape(f["flags"], true), shape(f["begin_search"], false), shape(f["find_keys"], false))
}

// TestDocsAgainstRedis compares COMMAND DOCS of every command with that of a
// real redis-server, but for sentences.
func TestDocsAgainstRedis(t *testing.T) {
	b := newBoth(t)
	b.protocols(func(t *testing.T) {
		for _, cmd := range everyCommand() {
			if notInRedis(cmd.Name) {
				continue
			}
			ours, theirs := b.ask("COMMAND", "DOCS", cmd.Name)
			got, want := docShape(ours), docShape(theirs)
			if more := documentedMore[cmd.Name]; more == "complexity" {
				got = strings.Replace(got, "\n  complexity $", "", 1)
			} else if more != "" {
				got, _, _ = strings.Cut(got, "\n  "+more)
			}
			if got != want && extended[cmd.Name] == "" {
				t.Errorf("COMMAND DOCS %s\nours  %s\nredis %s", cmd.Name, got, want)
			}
		}
	})
}

func docShape(v resp.Value) string {
	out := fmt.Sprintf("%c%d %s", v.Kind, len(v.Elems), v.Elems[0])
	fields := v.Elems[1]
	for i := 0; i+1 < len(fields.Elems); i += 2 {
		name, value := string(fields.Elems[i].Str), fields.Elems[i+1]
		if name == "history" || name == "arguments" {
			if value = followed(value); len(value.Elems) == 0 {
				continue
			}
		}
		out += "\n  " + name + " "
		switch name {
		case "summary", "complexity", "replaced_by":
			out += fmt.Sprintf("%c", value.Kind)
		case "history":
			for _, h := range value.Elems {
				out += fmt.Sprintf("%c %s %c,", h.Kind, h.Elems[0], h.Elems[1].Kind)
			}
		case "subcommands": // each is asked for by its name
			out += fmt.Sprintf("%c", value.Kind)
		default:
			out += shape(value, false)
		}
	}
	return out
}

// followed is a history, or arguments, without what came later than the version that we
// follow.
func followed(list resp.Value) resp.Value {
	var elems []resp.Value
	for _, e := range list.Elems {
		since := string(e.Elems[0].Str) // of a change
		if f := pairs(e); f["name"].Str != nil {
			since = string(f["since"].Str)
		}
		if cameLater(since) {
			continue
		}
		e.Elems = slices.Clone(e.Elems)
		for i := 0; i+1 < len(e.Elems); i += 2 {
			if string(e.Elems[i].Str) == "arguments" {
				e.Elems[i+1] = followed(e.Elems[i+1])
			}
		}
		elems = append(elems, e)
	}
	list.Elems = elems
	return list
}

// TestKeysAgainstRedis asks for the keys of every command line in testdata, of
// the samples of replay_test.go and of some that are wrong.
func TestKeysAgainstRedis(t *testing.T) {
	b := newBoth(t)
	lines := slices.Concat(replaySamples, []string{
		"SET a v get", "SET a get", "SET a v GE", "OBJECT", "OBJECT FOO a", "OBJECT HELP", "OBJECT ENCODING", "OBJECT ENCODING a", "OBJECT encoding a b",
		"NOSUCH a", "PING", "PING a", "SCAN 0", "CONFIG GET a", "CONFIG", "MSET a 1 b", "MEMORY USAGE a", "MEMORY", "COMMAND", "COMMAND GETKEYS GET a",
		"LMPOP 2 a", "LMPOP 2 a LEFT", "LMPOP 1 a b", "LMPOP x a LEFT", "LMPOP 0 a LEFT", "LMPOP -1 a LEFT", "LMPOP 18446744073709551617 a LEFT",
		"ZUNIONSTORE d 2 a b", "ZUNIONSTORE d 3 a b", "ZUNIONSTORE d 2 a b WEIGHTS 1 2", "ZUNION 2 a b", "ZINTERCARD 1 a LIMIT 2", "SINTERCARD 2 a b",
		"GET", "GET a b", "WATCH a b", "WATCH", "LCS a b", "DUMP a", "COPY a b DB 1", "MOVE a 1", "FLUSHALL", "CLIENT ID", "client|id", "object|encoding a",
	})
	lines = append(lines, testdataLines(t)...)
	b.protocols(func(t *testing.T) {
		for _, line := range lines {
			args, ok := resp.SplitArgs([]byte(line), nil)
			if !ok || len(args) == 0 {
				t.Fatalf("bad command line %q", line)
			}
			if cmd := Lookup(args[0]); cmd != nil && notInRedis(cmd.Name) {
				continue
			}
			for _, sub := range []string{"GETKEYS", "GETKEYSANDFLAGS"} {
				words := []string{"COMMAND", sub}
				for _, a := range args {
					words = append(words, string(a))
				}
				ours, theirs := b.ask(words...)
				cmd := Lookup(args[0])
				newer := cmd != nil && (extended[cmd.Name] != "" || unknownToRedis[cmd.Name] != "")
				if got, want := keysShape(ours), keysShape(theirs); got != want && !newer {
					t.Errorf("COMMAND %s %s\nours  %s\nredis %s", sub, line, got, want)
				}
			}
		}
	})
}

// keysShape is the shape of the keys of a command, with the flags of each, which
// RESP2 does not know to be a set.
func keysShape(v resp.Value) string {
	var out []string
	for _, e := range v.Elems {
		if len(e.Elems) == 2 {
			out = append(out, fmt.Sprintf("%c %s %s", e.Kind, shape(e.Elems[0], false), shape(e.Elems[1], true)))
		} else {
			out = append(out, shape(e, false))
		}
	}
	return fmt.Sprintf("%c%s %q", v.Kind, v.Str, out)
}

// testdataLines are the command lines of the files of testdata.
func testdataLines(t *testing.T) (lines []string) {
	t.Helper()
	err := filepath.Walk("testdata", func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() || fuzzCorpus(path) {
			return err
		}
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "run" {
				lines = append(lines, commandLines(d.Input)...)
			}
			return d.Expected
		})
		return nil
	})
	if err != nil || len(lines) < 1000 {
		t.Fatalf("%d lines: %v", len(lines), err)
	}
	return lines
}

// TestListAgainstRedis compares COMMAND LIST, and with it the categories of ACLs.
func TestListAgainstRedis(t *testing.T) {
	b := newBoth(t)
	filters := [][]string{
		{}, {"FILTERBY", "PATTERN", "*|g*"}, {"filterby", "pattern", "CONF*"}, {"FILTERBY", "MODULE", "x"},
		{"FILTERBY", "ACLCAT", "nosuch"}, {"FILTERBY", "ACLCAT", "@read"}, {"FILTERBY", "ACLCAT", ""},
	}
	for _, c := range categoryNames {
		filters = append(filters, []string{"FILTERBY", "ACLCAT", c.name[1:]}, []string{"FILTERBY", "ACLCAT", strings.ToUpper(c.name[1:])})
	}
	b.protocols(func(t *testing.T) {
		for _, f := range filters {
			ours, theirs := b.ask(append([]string{"COMMAND", "LIST"}, f...)...)
			var have, want []string
			for _, e := range ours.Elems {
				if !notInRedis(string(e.Str)) {
					have = append(have, string(e.Str))
				}
			}
			for _, e := range theirs.Elems {
				if byName(e.Str) != nil {
					want = append(want, string(e.Str))
				}
			}
			slices.Sort(have)
			slices.Sort(want)
			if !slices.Equal(have, want) || ours.Kind != theirs.Kind {
				t.Errorf("COMMAND LIST %q\nours  %q\nredis %q", f, have, want)
			}
		}
		for _, f := range [][]string{{"x"}, {"FILTERBY"}, {"FILTERBY", "x", "y"}, {"FILTERBY", "ACLCAT"}, {"FILTERBY", "ACLCAT", "read", "x"}} {
			ours, theirs := b.ask(append([]string{"COMMAND", "LIST"}, f...)...)
			if got, want := shape(ours, false), shape(theirs, false); got != want {
				t.Errorf("COMMAND LIST %q\nours  %s\nredis %s", f, got, want)
			}
		}
	})
}

// TestHelpAgainstRedis compares HELP of every container: the first line, the
// last ones, and which subcommands are told of. What is told is in our words.
func TestHelpAgainstRedis(t *testing.T) {
	b := newBoth(t)
	b.protocols(func(t *testing.T) {
		for _, cmd := range all {
			if len(cmd.Sub) == 0 {
				continue
			}
			ours, theirs := b.ask(cmd.Name, "HELP")
			if cmd.Name == "cluster" && shape(ours, false) == shape(theirs, false) { // neither is in one
				continue
			}
			if ours.Kind != theirs.Kind || len(ours.Elems) < 5 {
				t.Fatalf("%s HELP: %s", cmd.Name, ours)
			}
			n, m := len(ours.Elems), len(theirs.Elems)
			for i, line := range []resp.Value{ours.Elems[0], ours.Elems[n-2], ours.Elems[n-1]} {
				if want := theirs.Elems[[]int{0, m - 2, m - 1}[i]]; shape(line, false) != shape(want, false) {
					t.Errorf("%s HELP: %s, want %s", cmd.Name, line, want)
				}
			}
			told := helped(cmd, theirs)
			for _, name := range helped(cmd, ours) {
				if !slices.Contains(told, name) && !notInRedis(name) {
					t.Errorf("%s HELP tells of %s, Redis does not", cmd.Name, name)
				}
			}
			for _, name := range told {
				if byName([]byte(name)) != nil && !slices.Contains(helped(cmd, ours), name) {
					t.Errorf("%s HELP does not tell of %s", cmd.Name, name)
				}
			}
		}
	})
}

// helped are the subcommands of a HELP.
func helped(cmd *Command, v resp.Value) (names []string) {
	for _, line := range v.Elems[1:] {
		if !strings.HasPrefix(string(line.Str), " ") && !strings.HasPrefix(string(line.Str), "(") {
			names = append(names, cmd.Name+"|"+strings.ToLower(strings.Fields(string(line.Str))[0]))
		}
	}
	return names
}
