package command

import (
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// The transcript is what a redis-server 8.0.6 has replied to random commands about fields
// and their deadlines. With such a server in the PATH, it is written by
// go test ./core/command -run TestFieldsAsRedis -rewrite
const fieldsTranscript = "transcripts/hash_fields"

// fieldCommand is a random command about hashes. The deadlines are the same
// whatever time it is: far off, or over.
func fieldCommand(rng *rand.Rand) []string {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	key := pick("h1", "h2", "h3")
	field := func() string { return pick("a", "b", "c", "7", "-300", "f"+strconv.Itoa(rng.IntN(20))) }
	val := func() string {
		return pick("v", "", "12", "-5000", strings.Repeat("w", rng.IntN(70)), strconv.Itoa(rng.IntN(100000)))
	}
	at := func() string { return strconv.Itoa(20_000_000_000_000 + rng.IntN(8)) }
	fields := func() []string {
		n := 1 + rng.IntN(3)
		out := []string{"FIELDS", strconv.Itoa(n)}
		for range n {
			out = append(out, field())
		}
		return out
	}
	pairs := func() []string {
		out := []string{"FIELDS", strconv.Itoa(2), field(), val()}
		return append(out, field(), val())
	}
	cmd := func(args []string, more ...string) []string { return append(slices.Clip(args), more...) }
	switch rng.IntN(24) {
	case 0, 1, 2:
		return []string{"HSET", key, field(), val(), field(), val()}
	case 3, 4, 5, 6:
		return cmd([]string{"HPEXPIREAT", key, at()}, fields()...)
	case 7, 8:
		return cmd([]string{"HPEXPIREAT", key, at(), pick("NX", "XX", "GT", "LT")}, fields()...)
	case 9:
		return cmd([]string{"HPEXPIREAT", key, pick("0", "1", "-1", "70368744177664")}, fields()...)
	case 10:
		return cmd([]string{"HPERSIST", key}, fields()...)
	case 11:
		return cmd([]string{"HGETEX", key, "PXAT", at()}, fields()...)
	case 12:
		return cmd([]string{"HGETEX", key, "PERSIST"}, fields()...)
	case 13:
		return cmd([]string{"HGETDEL", key}, fields()...)
	case 14:
		return cmd([]string{"HSETEX", key, "PXAT", pick(at(), at(), at(), "1")}, pairs()...)
	case 15:
		return cmd([]string{"HSETEX", key, "KEEPTTL"}, pairs()...)
	case 16:
		return cmd([]string{"HSETEX", key, pick("FNX", "FXX"), "PXAT", at()}, pairs()...)
	case 17:
		return []string{"HDEL", key, field(), field()}
	case 18:
		return []string{"HINCRBY", key, field(), strconv.Itoa(rng.IntN(9))}
	case 19:
		return []string{"COPY", key, pick("h1", "h2", "h3"), "REPLACE"}
	case 20:
		return cmd([]string{"HPEXPIRETIME", key}, fields()...)
	case 21:
		return []string{"OBJECT", "ENCODING", key}
	case 22:
		return []string{pick("HLEN", "TYPE", "PERSIST"), key}
	}
	if rng.IntN(4) > 0 {
		return []string{"HSETNX", key, field(), val()}
	}
	return []string{"DEL", key}
}

// TestFieldsAsRedis runs random commands about fields and compares replies, the fields of
// each hash with their deadlines, and the listpacks in payloads of DUMP with what Redis
// has: with a transcript, and with a redis-server in the PATH that is new enough.
func TestFieldsAsRedis(t *testing.T) {
	ask := asker(t, redisServer(t))
	live := !laterThan("8.0", redisVersion(ask("INFO", "server")))
	if f := flag.Lookup("rewrite"); live && f != nil && f.Value.String() == "true" {
		recordFields(t, ask)
	}
	src, err := os.ReadFile(fieldsTranscript)
	if err != nil {
		t.Fatal(err)
	}
	x := newTester(t, 2)
	n := 0
	for line := range strings.Lines(string(src)) {
		command, want, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		args, ok := resp.SplitArgs([]byte(command), nil)
		if !ok {
			t.Fatalf("bad command line %q", command)
		}
		words := make([]string, len(args))
		for i := range args {
			words[i] = string(args[i])
		}
		if got := fieldsReply(t, words, x.run(words...)); got != want {
			t.Fatalf("line %d: %s\n  ours  %s\n  redis %s", n+1, command, got, want)
		}
		n++
	}
	if n < 1000 {
		t.Errorf("the transcript has %d commands", n)
	}
	if !live {
		t.Log("redis-server is older than 8.0: nothing but the transcript is compared")
		return
	}
	rng := rand.New(rand.NewPCG(seedOf(t), 3))
	ask("FLUSHALL")
	ask("CONFIG", "SET", "rdbcompression", "no")
	x = newTester(t, 2)
	for range testutil.Rounds(4000) {
		for _, c := range [][]string{fieldCommand(rng), {"DUMP", "h" + strconv.Itoa(1+rng.IntN(3))}} {
			ours, theirs := fieldsReply(t, c, x.run(c...)), fieldsReply(t, c, ask(c...))
			if ours != theirs {
				t.Fatalf("%q\n  ours  %s\n  redis %s", c, ours, theirs)
			}
		}
	}
}

// recordFields writes the transcript.
func recordFields(t *testing.T, ask func(line ...string) resp.Value) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	ask("FLUSHALL")
	ask("CONFIG", "SET", "rdbcompression", "no")
	var b strings.Builder
	for i := range 1200 {
		cmds := [][]string{fieldCommand(rng)}
		if i%4 == 0 {
			cmds = append(cmds, []string{"DUMP", "h" + strconv.Itoa(1+rng.IntN(3))})
		}
		for _, c := range cmds {
			quoted := make([]string, len(c))
			for i, a := range c {
				if quoted[i] = a; a == "" {
					quoted[i] = `""`
				}
			}
			fmt.Fprintf(&b, "%s\t%s\n", strings.Join(quoted, " "), fieldsReply(t, c, ask(c...)))
		}
	}
	if err := os.WriteFile(fieldsTranscript, []byte(b.String()), 0o644); err != nil { //nolint:gosec // testdata
		t.Fatal(err)
	}
}

// fieldsReply is a reply as text: of DUMP the bytes of the listpack, but for those of the
// first deadline ahead of it, which Redis knows roughly, or the fields of a hash that is
// large or has no deadlines.
func fieldsReply(t *testing.T, args []string, v resp.Value) string {
	t.Helper()
	if args[0] != "DUMP" || v.IsNull() {
		return v.String()
	}
	o, err := rdb.DecodeDump(v.Str)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	if o.Listpack != nil && o.Expires != nil {
		return hex.EncodeToString(o.Listpack)
	}
	var all []string
	for i := 0; i < len(o.Items); i += 2 {
		var at int64
		if o.Expires != nil {
			at = o.Expires[i/2]
		}
		all = append(all, fmt.Sprintf("%q=%q until %d", o.Items[i], o.Items[i+1], at))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
