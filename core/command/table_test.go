package command

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

// everyCommand is all commands and subcommands.
func everyCommand() []*Command {
	var out []*Command
	for _, cmd := range all {
		out = append(out, cmd)
		out = append(out, cmd.Sub...)
	}
	return out
}

// ofSession are the commands that have no handler here: a session has them,
// for they are about its own state, about users or about scripts.
var ofSession = []string{
	"acl|cat", "acl|deluser", "acl|dryrun", "acl|genpass", "acl|getuser", "acl|list", "acl|load", "acl|log", "acl|save", "acl|setuser",
	"acl|users", "acl|whoami", "discard", "exec", "multi", "quit", "reset", "unwatch", "watch",
	"eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro",
	"script|debug", "script|exists", "script|flush", "script|kill", "script|load",
	"function|delete", "function|dump", "function|flush", "function|kill", "function|list", "function|load", "function|restore", "function|stats",
}

// TestEveryCommandIsExecuted: what has a file in spec can be called. That what
// can be called has a file is checked when the table is built.
func TestEveryCommandIsExecuted(t *testing.T) {
	for _, cmd := range everyCommand() {
		switch container := len(cmd.Sub) > 0; {
		case slices.Contains(ofSession, cmd.Name):
			if cmd.Handler != nil {
				t.Errorf("%s has a handler, and a session does not use it", cmd.Name)
			}
		case !container && cmd.Handler == nil:
			t.Errorf("%s has no handler", cmd.Name)
		case container && cmd.Handler == nil && cmd.Arity > -2:
			t.Errorf("%s can be called without a subcommand and has no handler", cmd.Name)
		}
	}
}

// otherArity are the commands whose arity does not follow from their arguments.
var otherArity = map[string]string{
	"debug":    "it documents no arguments, as in Redis",
	"psync":    "it ignores arguments, as in Redis",
	"replconf": "it documents no arguments, as in Redis",
	"quit":     "it ignores arguments, as in Redis",
	"geohash":  "it takes no members, as in Redis",
	"geopos":   "it takes no members, as in Redis",
	"pfmerge":  "it merges nothing into a key, as in Redis",
}

// TestArityMatchesArguments: the number of arguments that COMMAND INFO tells is
// that of the arguments that COMMAND DOCS lists.
func TestArityMatchesArguments(t *testing.T) {
	for _, cmd := range everyCommand() {
		if len(cmd.Sub) > 0 {
			continue
		}
		least, fixed := wordsOf(cmd.Doc.Arguments)
		want := 1 + strings.Count(cmd.Name, "|") + least
		if !fixed {
			want = -want
		}
		if (cmd.Arity != want) != (otherArity[cmd.Name] != "") {
			t.Errorf("%s has arity %d, and arguments for %d: %s", cmd.Name, cmd.Arity, want, cmd.Usage())
		}
	}
}

// wordsOf is the least number of words that arguments are, and whether it is the
// only one.
func wordsOf(args []Argument) (least int, fixed bool) {
	fixed = true
	for _, a := range args {
		n, one := 1, true
		switch a.Type {
		case "block":
			n, one = wordsOf(a.Arguments)
		case "oneof":
			n = 1 << 20
			for _, choice := range a.Arguments {
				choice.Optional = false
				c, same := wordsOf([]Argument{choice})
				one = one && same && (n == 1<<20 || c == n)
				n = min(n, c)
			}
		}
		if a.Token != "" && a.Type != "pure-token" {
			n++
		}
		if a.Optional || a.Multiple || !one {
			fixed = false
		}
		if !a.Optional {
			least += n
		}
	}
	return least, fixed
}

// TestKeysMatchArity: a command that is called with as few arguments as it may
// be has its keys among them, unless it counts them.
func TestKeysMatchArity(t *testing.T) {
	for _, cmd := range everyCommand() {
		least := max(cmd.Arity, -cmd.Arity)
		if cmd.OnlyKey >= least {
			t.Errorf("%s has its key at %d, and may be called with %d arguments", cmd.Name, cmd.OnlyKey, least)
		}
		args := make([][]byte, least)
		for i, w := range strings.Split(cmd.Name, "|") {
			args[i] = []byte(w)
		}
		if _, err := cmd.Keys(args); err != nil && !errors.Is(err, errNoMoreKeys) {
			t.Errorf("%s with %d arguments: %v", cmd.Name, least, err)
		}
		for i, spec := range cmd.KeySpecs {
			if !documented(cmd.Doc.Arguments, i+1) && spec.Flags&KeyNotKey == 0 {
				t.Errorf("%s: no argument is a key of specification %d", cmd.Name, i)
			}
		}
	}
}

func documented(args []Argument, spec int) bool {
	return slices.ContainsFunc(args, func(a Argument) bool { return a.Key == spec || documented(a.Arguments, spec) })
}

// onlyReads is the command that changes keys of which Redis says that it reads them.
const onlyReads = "xreadgroup"

// TestFlagsMatchKeys: a command writes if it does something to a key, or to all
// of them; otherwise it does not write.
func TestFlagsMatchKeys(t *testing.T) {
	for _, cmd := range everyCommand() {
		changes := cmd.Flags&(Write|AllShards) == Write|AllShards
		for _, k := range cmd.KeySpecs {
			changes = changes || k.Flags.Changes()
			kinds := 0
			for _, f := range []KeyFlags{KeyRO, KeyRW, KeyOW, KeyRM} {
				if k.Flags&f != 0 {
					kinds++
				}
			}
			if kinds != 1 && k.Flags&KeyNotKey == 0 {
				t.Errorf("%s: a key is one of RO, RW, OW and RM", cmd.Name)
			}
			if k.Flags.Writes() && !k.Flags.Changes() {
				t.Errorf("%s changes data of a key that it only reads", cmd.Name)
			}
		}
		// What may replicate is no write, and may change keys all the same; PFCOUNT keeps an
		// estimate in the value.
		if writes := cmd.Flags&Write != 0; writes != changes && cmd.Flags&MayReplicate == 0 && cmd.Name != "pfcount" && cmd.Name != onlyReads {
			t.Errorf("%s: write flag %v, changes a key %v", cmd.Name, writes, changes)
		}
		if cmd.Flags&Rewritten != 0 && cmd.Flags&Write == 0 {
			t.Errorf("%s is never logged under its name, nor is it a write", cmd.Name)
		}
		needs := slices.ContainsFunc(cmd.KeySpecs, func(k KeySpec) bool {
			return k.Flags&(KeyVariableFlags|KeyIncomplete) != 0 || k.Begin == BeginUnknown || k.Find == FindUnknown
		})
		misleading := slices.ContainsFunc(cmd.KeySpecs, func(k KeySpec) bool { return k.Begin == BeginKeyword && k.Keyword == "STREAMS" })
		if (needs || misleading) != (cmd.keys != nil) {
			t.Errorf("%s: its specifications do not say all: %v, there is a function for its keys: %v", cmd.Name, needs, cmd.keys != nil)
		}
	}
	for name := range keyFinders {
		if byName([]byte(name)) == nil {
			t.Errorf("there are keys of %s, which is no command", name)
		}
	}
}

// TestOnlyWrittenKeysChange runs a command of every kind that writes, and looks
// at what has changed: keys that the table says are changed, and no others.
func TestOnlyWrittenKeysChange(t *testing.T) {
	x := newTester(t, 4)
	changing := map[string]bool{}
	before := x.keyStates()
	for _, line := range slices.Concat(replaySamples, []string{"RESTORE r 0 \"\\x00\\x01x\\x0a\\x00" + seal(t, "\x00\x01x") + "\"", "RESTORE-ASKING r2 0 \"\\x00\\x01x\\x0a\\x00" + seal(t, "\x00\x01x") + "\"", "SELECT 1", "SET k v", "FLUSHDB", "SELECT 0", "FLUSHALL"}) {
		args, _ := resp.SplitArgs([]byte(line), nil)
		cmd := Lookup(args[0]).Resolve(args)
		keys, err := cmd.Keys(args)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		x.exec(args)
		after := x.keyStates()
		for key, state := range after {
			if before[key] == state {
				delete(before, key)
				continue
			}
			before[key] = state
		}
		for key := range before { // has changed or is gone
			changing[cmd.Name] = true
			listed := cmd.Flags&AllShards != 0 || slices.ContainsFunc(keys, func(k Key) bool {
				return string(args[k.At]) == key && (k.Flags.Changes() || cmd.Name == onlyReads)
			})
			if !listed || cmd.Flags&Write == 0 {
				t.Errorf("%s changes %s, and the table does not say so", line, key)
			}
		}
		before = after
	}
	for _, cmd := range everyCommand() {
		if cmd.Flags&Write != 0 && !changing[cmd.Name] && !strings.HasPrefix(cmd.Name, "function|") { // those are no keys
			t.Errorf("%s writes, and no sample shows what", cmd.Name)
		}
	}
}

// keyStates is the state of every key in all databases, by name.
func (x *tester) keyStates() map[string]string {
	out := map[string]string{}
	for _, line := range x.state() {
		var db int
		var key string
		if _, err := fmt.Sscanf(line, "db%d %q", &db, &key); err != nil {
			x.t.Fatal(err)
		}
		out[key] += line + "\n"
	}
	return out
}

// TestBadCountsAreRefused: where a count places no keys, no shard is locked, and
// the handler must not do anything.
func TestBadCountsAreRefused(t *testing.T) {
	x := newTester(t, 2)
	for _, cmd := range everyCommand() {
		for _, spec := range cmd.KeySpecs {
			if spec.Find != FindKeyNum || cmd.Handler == nil {
				continue
			}
			for _, count := range []string{"x", "0", "-1", "100", "9223372036854775807", "9223372036854775808", ""} {
				args := [][]byte{[]byte(cmd.Name)}
				for len(args) < max(-cmd.Arity, 4) {
					args = append(args, []byte("left"))
				}
				args[spec.Index+spec.NumIndex] = []byte(count)
				if keys, err := cmd.Keys(args); err != nil || len(keys) > 0 {
					t.Errorf("%q has %v %v", args, keys, err)
				}
				if v := x.exec(args); v.Err() == nil {
					t.Errorf("%q is not refused: %s", args, v)
				}
			}
		}
	}
}

// TestEveryCommandIsDescribed: the words of COMMAND DOCS are there and are
// sentences.
func TestEveryCommandIsDescribed(t *testing.T) {
	version := regexp.MustCompile(`^[1-9]\.\d+\.\d+$`)
	for _, cmd := range everyCommand() {
		d := cmd.Doc
		if !regexp.MustCompile(`^[A-Z].*\.$`).MatchString(d.Summary) {
			t.Errorf("%s: the summary is no sentence: %q", cmd.Name, d.Summary)
		}
		if d.Complexity == "" && cmd.Name != "monitor" || d.Group == "" || !version.MatchString(d.Since) {
			t.Errorf("%s: complexity %q, group %q, since %q", cmd.Name, d.Complexity, d.Group, d.Since)
		}
		for _, h := range d.History {
			if !version.MatchString(h.Since) || !strings.HasSuffix(h.Text, ".") {
				t.Errorf("%s: history %q", cmd.Name, h)
			}
		}
	}
}

func TestUsage(t *testing.T) {
	for name, want := range map[string]string{
		"get": "GET <key>", "mset": "MSET <key> <value> ...", "del": "DEL <key> [<key> ...]", "config|resetstat": "RESETSTAT",
		"copy":             "COPY <source> <destination> [DB <destination-db>] [REPLACE]",
		"client|kill":      "KILL (<ip:port>|(ID <client-id>|TYPE (NORMAL|MASTER|SLAVE|REPLICA|PUBSUB)|USER <username>|ADDR <ip:port>|LADDR <ip:port>|SKIPME <yes/no>|MAXAGE <maxage>|NAME <name>|IDLE <idle>|FLAGS <flags>|LIB-NAME <lib-name>|LIB-VER <lib-ver>|DB <db>|IP <ip>|NOT-ID <client-id> [<client-id> ...]|NOT-TYPE (NORMAL|MASTER|REPLICA|PUBSUB)|NOT-USER <not-username>|NOT-ADDR <not-addr>|NOT-LADDR <not-laddr>|NOT-NAME <not-name>|NOT-FLAGS <not-flags>|NOT-LIB-NAME <not-lib-name>|NOT-LIB-VER <not-lib-ver>|NOT-DB <not-db>|NOT-IP <not-ip>) ...)",
		"client|reply":     "REPLY (ON|OFF|SKIP)",
		"set":              "SET <key> <value> [NX|XX|IFEQ <ifeq-value>|IFNE <ifne-value>|IFDEQ <ifdeq-digest>|IFDNE <ifdne-digest>] [GET] [EX <seconds>|PX <milliseconds>|EXAT <unix-time-seconds>|PXAT <unix-time-milliseconds>|KEEPTTL]",
		"zunionstore":      "ZUNIONSTORE <destination> <numkeys> <key> [<key> ...] [WEIGHTS <weight> [<weight> ...]] [AGGREGATE (SUM|MIN|MAX)]",
		"spillway.plugins": "SPILLWAY.PLUGINS (LIST|LOGS <name> [<count>])",
		"spillway.config":  "SPILLWAY.CONFIG (RELOAD|DUMP [JSON])",
	} {
		if got := byName([]byte(name)).Usage(); got != want {
			t.Errorf("%s is written %q, want %q", name, got, want)
		}
	}
}

// TestNamed: a command is named by its name in either case, and by nothing else.
func TestNamed(t *testing.T) {
	for _, cmd := range All() {
		name := []byte(cmd.Name)
		if !cmd.Named(name) || !cmd.Named(bytes.ToUpper(name)) {
			t.Errorf("%s is not named by its name", cmd.Name)
		}
		if cmd.Named(append(bytes.Clone(name), 'x')) || cmd.Named(name[:len(name)-1]) {
			t.Errorf("%s is named by a name of another length", cmd.Name)
		}
		for i, own := range name {
			other := bytes.Clone(name)
			for b := range 256 {
				other[i] = byte(b)
				if got, want := cmd.Named(other), byte(b) == own || lower(byte(b)) == own; got != want {
					t.Errorf("%s is named by %q: %v", cmd.Name, other, got)
				}
			}
		}
	}
}

// TestShardless: a command that says so touches no shard, whatever its arguments, and a few that clients wait for
// say so.
func TestShardless(t *testing.T) {
	ks := keyspace.New(keyspace.Config{Shards: 4, Databases: 1})
	defer ks.Close()
	for _, cmd := range every {
		if cmd.OnlyKey == 1 && cmd.First != 1 { // or a session that looks ahead at the first argument would not know its shard
			t.Errorf("%s has its only key first, and its first key elsewhere", cmd.Name)
		}
		if !cmd.Shardless {
			continue
		}
		for n := max(cmd.Arity, -cmd.Arity); n < 8; n++ {
			args := make([][]byte, n)
			for i := range args {
				args[i] = []byte{'a' + byte(i)}
			}
			if shards, err := Shards(cmd, args, ks, nil); err != nil || len(shards) > 0 {
				t.Errorf("%s with %d arguments touches shards %v, %v", cmd.Name, n, shards, err)
			}
		}
	}
	for _, name := range []string{"ping", "echo", "time"} {
		if cmd := Lookup([]byte(name)); !cmd.Shardless {
			t.Errorf("%s may touch a shard", name)
		}
	}
	for _, name := range []string{"get", "mget", "eval", "xread", "flushall", "object", "sort", "debug", "keys"} {
		if cmd := Lookup([]byte(name)); cmd.Shardless {
			t.Errorf("%s touches no shard", name)
		}
	}
}
