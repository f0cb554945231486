package core_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/apply"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/coretest/model"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
)

// encoded makes a key in each encoding that a type has, "type encoding" by
// commands.
func encoded() map[string][][]string {
	long := strings.Repeat("x", 100)
	numbers := func(verb, key string, n int, element func(i int) []string) []string {
		args := []string{verb, key}
		for i := range n {
			args = append(args, element(i)...)
		}
		return args
	}
	entries := func(key string, n int) (cmds [][]string) {
		for i := range n {
			cmds = append(cmds, []string{"XADD", key, fmt.Sprint("5-", i+1), "f", "v" + strconv.Itoa(i), "n", strconv.Itoa(i)})
		}
		return cmds
	}
	one := func(i int) []string { return []string{strconv.Itoa(i)} }
	pair := func(i int) []string { return []string{strconv.Itoa(i), "v" + strconv.Itoa(i)} }
	return map[string][][]string{
		"string int":     {{"SET", "string int", "12345"}},
		"string embstr":  {{"SET", "string embstr", "hello"}},
		"string raw":     {{"SET", "string raw", long}, {"APPEND", "string raw", "y"}},
		"list listpack":  {{"RPUSH", "list listpack", "a", "-5", "", "a"}}, // Redis 7.0 says quicklist of it
		"list quicklist": {numbers("RPUSH", "list quicklist", 9000, one)},
		"set intset":     {{"SADD", "set intset", "3", "-70000", "5000000000"}},
		"set listpack":   {{"SADD", "set listpack", "a", "1"}},
		"set hashtable":  {{"SADD", "set hashtable", long, "1"}, numbers("SADD", "set hashtable", 200, one)},
		"zset listpack":  {{"ZADD", "zset listpack", "1.5", "a", "-inf", "b", "0.1", "7"}},
		"zset skiplist":  {{"ZADD", "zset skiplist", "inf", long, "0.1", "n"}, numbers("ZADD", "zset skiplist", 200, pair)},
		"hash listpack":  {{"HSET", "hash listpack", "f", "v", "n", "42"}},
		"hash hashtable": {{"HSET", "hash hashtable", long, "v"}, numbers("HSET", "hash hashtable", 100, pair)},
		"hash listpackex": {
			{"HSET", "hash listpackex", "f", "v", "n", "42", "g", "w"}, {"HPEXPIREAT", "hash listpackex", "4102444800123", "FIELDS", "1", "n"},
			{"HPEXPIREAT", "hash listpackex", "4102444800122", "FIELDS", "1", "g"},
		},
		"hash fields": { // a large one
			numbers("HSET", "hash fields", 300, pair), {"HPEXPIREAT", "hash fields", "4102444800123", "FIELDS", "3", "7", "8", "299"},
			{"HPEXPIREAT", "hash fields", "4202444800122", "FIELDS", "1", "5"},
		},
		"hash persisted": {
			{"HSET", "hash persisted", "f", "v", "n", "42"}, {"HPEXPIREAT", "hash persisted", "4102444800123", "FIELDS", "1", "n"}, {"HPERSIST", "hash persisted", "FIELDS", "1", "n"},
		},
		"stream stream": append(entries("stream stream", 250), // several nodes, entries deleted, groups, what is pending of them, one of that deleted
			[]string{"XDEL", "stream stream", "5-3", "5-120"}, []string{"XTRIM", "stream stream", "MAXLEN", "245"},
			[]string{"XGROUP", "CREATE", "stream stream", "g", "0"}, []string{"XGROUP", "CREATE", "stream stream", "idle", "$", "ENTRIESREAD", "7"},
			[]string{"XREADGROUP", "GROUP", "g", "c1", "COUNT", "120", "STREAMS", "stream stream", ">"},
			[]string{"XREADGROUP", "GROUP", "g", "c2", "COUNT", "5", "STREAMS", "stream stream", ">"},
			[]string{"XREADGROUP", "GROUP", "g", "c1", "COUNT", "3", "STREAMS", "stream stream", "0"},
			[]string{"XGROUP", "CREATECONSUMER", "stream stream", "g", "c3"}, []string{"XDEL", "stream stream", "5-9", "5-11"}),
		"stream empty":    {{"XGROUP", "CREATE", "stream empty", "g", "0", "MKSTREAM"}},
		"stream dangling": {{"XADD", "stream dangling", "5-1", "f", "v"}, {"XGROUP", "CREATE", "stream dangling", "g", "0"}, {"XREADGROUP", "GROUP", "g", "c", "STREAMS", "stream dangling", ">"}, {"XTRIM", "stream dangling", "MAXLEN", "0"}},
		"string deadline": {{"SET", "string deadline", "v", "PXAT", "4102444800123"}},
		"hash deadline":   {{"HSET", "hash deadline", "f", "v"}, {"PEXPIREAT", "hash deadline", "4102444800123"}},
	}
}

// holds is what an engine holds, as the model reads it.
func holds(t *testing.T, h *coretest.Harness) string {
	t.Helper()
	defer h.Do("SELECT", "0")
	s, err := model.Read(func(args ...string) (resp.Value, error) { return h.Value(args...), nil })
	if err != nil {
		t.Fatal(err)
	}
	return s.Text(h.Clock.Now().UnixMilli())
}

// TestEveryTypeEverywhere takes a value of every type, in each of its encodings,
// through everything that a value goes through, and expects it to come out the same:
// the snapshot, the rewrite, the log, a reload, DUMP and RESTORE, COPY, an export and
// an import in either format, and the counting of verify. A type that is declared and
// has no value here fails the test.
func TestEveryTypeEverywhere(t *testing.T) {
	values := encoded()
	h := coretest.New(t, func(o *core.Options) { o.ManualTick = true })
	perType := map[string]int64{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, args := range values[name] {
			if got := h.Do(args...); strings.HasPrefix(got, "(error)") {
				t.Fatalf("%.60q: %s", args, got)
			}
		}
		typ, enc, _ := strings.Cut(name, " ")
		perType[typ]++
		if got := h.Do("TYPE", name); got != strconv.Quote(typ) {
			t.Errorf("%q is a %s", name, got)
		}
		if got := h.Do("OBJECT", "ENCODING", name); enc != "deadline" && enc != "fields" && enc != "persisted" && name != "list listpack" && !strings.HasPrefix(name, "stream ") && got != strconv.Quote(enc) {
			t.Errorf("%q is encoded as %s", name, got)
		}
	}
	for _, typ := range rdb.Types() {
		if perType[typ.String()] == 0 {
			t.Errorf("%s is declared and has no value in this test", typ)
		}
	}
	if t.Failed() {
		return
	}
	want := holds(t, h)
	same := func(how string, h *coretest.Harness) {
		t.Helper()
		if got := holds(t, h); got != want {
			t.Errorf("after %s:\n%.2000s\nwant\n%.2000s", how, got, want)
		}
	}

	h.Clock.Advance(time.Hour) // what is replayed is not of now
	h.Reopen()
	same("replaying the log", h)
	for name := range values {
		dump := string(h.Value("DUMP", name).Str)
		h.Do("DEL", name)
		if got := h.Do("RESTORE", name, restoredTTL(name), dump, "ABSTTL"); got != `"OK"` {
			t.Errorf("RESTORE of %q: %s", name, got)
		}
	}
	same("DUMP and RESTORE", h)
	h.Reopen()
	same("replaying RESTORE", h)
	for name := range values {
		if got := h.Do("COPY", name, "copy", "REPLACE"); got != "1" {
			t.Errorf("COPY of %q: %s", name, got)
		}
		h.Do("DEL", name)
		h.Do("RENAME", "copy", name)
	}
	same("COPY and RENAME", h)

	for _, kind := range []sink.Kind{sink.KindSnapshot, sink.KindRewrite} {
		save := h.DB.Save
		if kind == sink.KindRewrite {
			save = h.DB.RewriteAOF
		}
		if err := save(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := h.Do("DEBUG", "RELOAD"); got != `"OK"` {
			t.Fatal(got)
		}
		same("DEBUG RELOAD", h)
		if err := save(context.Background()); err != nil {
			t.Fatal(err)
		}
		h.Crash(1)
		same(fmt.Sprintf("loading the %s", kind), h)
		counts(t, h, perType)
		for format, write := range map[string]func(p *backup.Point, src sink.Sink, out io.Writer) error{
			"RDB, merged": func(p *backup.Point, src sink.Sink, out io.Writer) error {
				if p.Set.ID.Kind == sink.KindRewrite {
					_, err := h.DB.WriteRDB(out)
					return err
				}
				_, err := backup.WriteRDB(context.Background(), src, p, nil, nil, out)
				return err
			},
			"RDB, of the keyspace": func(_ *backup.Point, _ sink.Sink, out io.Writer) error { _, err := h.DB.WriteRDB(out); return err },
			"AOF": func(p *backup.Point, src sink.Sink, out io.Writer) error {
				_, err := backup.WriteAOF(context.Background(), src, p, nil, out)
				return err
			},
		} {
			src := backup.DataDir("data", h.FS)
			p, err := backup.Plan(context.Background(), src, backup.At{})
			if err != nil {
				t.Fatal(err)
			}
			if p.Set.ID.Kind != kind {
				t.Fatalf("the base is a %s, want a %s", p.Set.ID.Kind, kind)
			}
			var file bytes.Buffer
			if err := write(p, src, &file); err != nil {
				t.Fatalf("exporting the %s as %s: %v", kind, format, err)
			}
			other := coretest.New(t, importing)
			if _, err := other.DB.Import(context.Background(), &file, "the export", apply.ImportOptions{}); err != nil {
				t.Fatalf("importing the %s exported as %s: %v", kind, format, err)
			}
			same(fmt.Sprintf("importing the %s exported as %s", kind, format), other)
		}
	}
}

// restoredTTL is the deadline that a key of encoded has.
func restoredTTL(name string) string {
	if strings.HasSuffix(name, "deadline") {
		return "4102444800123"
	}
	return "0"
}

// counts expects verify to count the keys of every type.
func counts(t *testing.T, h *coretest.Harness, want map[string]int64) {
	t.Helper()
	src := backup.DataDir("data", h.FS)
	sets, err := src.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	newest := slices.DeleteFunc(sets, func(s sink.Set) bool {
		return s.ID.Kind == sink.KindSegment || s.ID.Generation != h.DB.Recovered().Generation
	})
	states, err := backup.Verify(context.Background(), src, newest, backup.VerifyOptions{})
	if err != nil || len(states) == 0 {
		t.Fatalf("%d states, %v", len(states), err)
	}
	got := map[string]int64{}
	for _, s := range states {
		if s.Damage != "" || s.Unread != "" {
			t.Errorf("verify says %+v", s)
		}
		for typ, n := range s.Keys {
			got[typ] += n
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("verify counts %v in the %s, want %v", got, newest[0].ID.Kind, want)
	}
}
