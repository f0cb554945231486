package core_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/apply"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// heldBy is everything that an engine holds.
func heldBy(t *testing.T, h *coretest.Harness) string {
	t.Helper()
	text, err := coretest.Contents(h.Clock.Now().UnixMilli(), func(args ...string) (resp.Value, error) { return h.Value(args...), nil })
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sameContents compares what coretest.Contents found.
func sameContents(t *testing.T, how, got, want string) {
	t.Helper()
	if diff := coretest.ContentsDiff(got, want); diff != "" {
		t.Errorf("after %s, + is there, - is missing:\n%s", how, diff)
	}
}

// fillWith executes what makes the specimens.
func fillWith(t *testing.T, specimens []coretest.Specimen, do func(args ...string) resp.Value) {
	t.Helper()
	for _, s := range specimens {
		for _, args := range append([][]string{{"SELECT", strconv.Itoa(s.DB)}}, s.Make...) {
			if v := do(args...); v.Err() != nil {
				t.Fatalf("%s: %.60q: %s", s.Name, args, v)
			}
		}
	}
	do("SELECT", "0")
}

// TestEveryTypeEverywhere takes a value of every type, in each of its encodings, and
// libraries of functions, through everything that they go through, and expects them to
// come out the same: the snapshot, the rewrite, the log, a reload, DUMP and RESTORE,
// COPY, an export and an import in either format, and the counting of verify. A type
// that is declared and has no value here fails the test.
func TestEveryTypeEverywhere(t *testing.T) {
	specimens := coretest.Specimens()
	h := coretest.New(t, func(o *core.Options) { o.ManualTick = true })
	fillWith(t, specimens, h.Value)
	perType := map[string]int64{}
	eachKey := func(f func(s *coretest.Specimen)) {
		for i := range specimens {
			if s := &specimens[i]; s.Type() != "library" {
				h.Do("SELECT", strconv.Itoa(s.DB))
				f(s)
			}
		}
		h.Do("SELECT", "0")
	}
	encodings := func(how string) {
		t.Helper()
		eachKey(func(s *coretest.Specimen) {
			if got := h.Do("OBJECT", "ENCODING", s.Key); s.Encoding != "" && got != strconv.Quote(s.Encoding) {
				t.Errorf("after %s, %q is encoded as %s", how, s.Name, got)
			}
		})
	}
	eachKey(func(s *coretest.Specimen) {
		perType[s.Type()]++
		if got := h.Do("TYPE", s.Key); got != strconv.Quote(s.Type()) {
			t.Errorf("%q is a %s", s.Name, got)
		}
	})
	encodings("making it")
	for _, typ := range rdb.Types() {
		if perType[typ.String()] == 0 {
			t.Errorf("%s is declared and has no value in this test", typ)
		}
	}
	if t.Failed() {
		return
	}
	want := heldBy(t, h)
	same := func(how string, h *coretest.Harness) {
		t.Helper()
		sameContents(t, how, heldBy(t, h), want)
	}

	h.Clock.Advance(time.Hour) // what is replayed is not of now
	h.Reopen()
	same("replaying the log", h)
	encodings("replaying the log")
	eachKey(func(s *coretest.Specimen) {
		dump, until := string(h.Value("DUMP", s.Key).Str), max(0, h.Value("PEXPIRETIME", s.Key).Int)
		h.Do("DEL", s.Key)
		if got := h.Do("RESTORE", s.Key, strconv.FormatInt(until, 10), dump, "ABSTTL"); got != `"OK"` {
			t.Errorf("RESTORE of %q: %s", s.Name, got)
		}
	})
	libs := string(h.Value("FUNCTION", "DUMP").Str)
	if got := h.Do("FUNCTION", "RESTORE", libs, "FLUSH"); got != `"OK"` {
		t.Errorf("FUNCTION RESTORE: %s", got)
	}
	want = consumerActive.ReplaceAllString(want, "$1,$2") // as Redis 7.0 dumps a stream
	same("DUMP and RESTORE", h)
	encodings("DUMP and RESTORE")
	h.Reopen()
	same("replaying RESTORE", h)
	eachKey(func(s *coretest.Specimen) {
		if got := h.Do("COPY", s.Key, "copy", "REPLACE"); got != "1" {
			t.Errorf("COPY of %q: %s", s.Name, got)
		}
		h.Do("DEL", s.Key)
		h.Do("RENAME", "copy", s.Key)
	})
	same("COPY and RENAME", h)
	h.Do("XGROUP", "CREATECONSUMER", "stream groups", "a", "idle") // never given an entry
	want = heldBy(t, h)

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
		encodings(fmt.Sprintf("loading the %s", kind))
		counts(t, h, perType)
		for format, file := range exported(t, h, kind) {
			other := coretest.New(t, importing)
			if _, err := other.DB.Import(context.Background(), &file, "the export", apply.ImportOptions{}); err != nil {
				t.Fatalf("importing the %s exported as %s: %v", kind, format, err)
			}
			same(fmt.Sprintf("importing the %s exported as %s", kind, format), other)
		}
	}
}

// exported is what the engine's directory, of which the base is of a kind, is as a file
// in each way that there is.
func exported(t *testing.T, h *coretest.Harness, kind sink.Kind) map[string]bytes.Buffer {
	t.Helper()
	ctx := context.Background()
	src := backup.DataDir("data", h.FS)
	p, err := backup.Plan(ctx, src, backup.At{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Set.ID.Kind != kind {
		t.Fatalf("the base is a %s, want a %s", p.Set.ID.Kind, kind)
	}
	var merged, whole, aof bytes.Buffer
	_, err = h.DB.WriteRDB(&whole)
	if err == nil {
		_, err = backup.WriteAOF(ctx, src, p, nil, &aof)
	}
	files := map[string]bytes.Buffer{"RDB, of the keyspace": whole, "AOF": aof}
	if err == nil && kind != sink.KindRewrite {
		_, err = backup.WriteRDB(ctx, src, p, nil, nil, &merged)
		files["RDB, merged"] = merged
	}
	if err != nil {
		t.Fatalf("exporting the %s: %v", kind, err)
	}
	return files
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

// consumerActive is when a consumer was seen, and last given entries, which Redis 7.0 does
// not know: to it the one is the other.
var (
	consumerSeen   = regexp.MustCompile(`( consumer "[^"]*")@\d+`)
	consumerActive = regexp.MustCompile(`( consumer "[^"]*"@(\d+)),-?\d+`)
)

// TestEveryTypeThroughRedis takes what Redis 7.0 knows of the specimens to a real
// redis-server, as an export in each format, and back, from what it has saved and from
// the log that it has rewritten. It holds what the engine does each time.
func TestEveryTypeThroughRedis(t *testing.T) {
	specimens := slices.DeleteFunc(coretest.Specimens(), func(s coretest.Specimen) bool { return s.Newer })
	h := coretest.New(t, func(o *core.Options) { o.ManualTick = true })
	fillWith(t, specimens, h.Value)
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	for format, file := range exported(t, h, sink.KindSnapshot) {
		t.Run(format, func(t *testing.T) {
			dir, args := t.TempDir(), []string{"--enable-debug-command", "yes"}
			name := "dump.rdb"
			seen := func(text string) string { return consumerActive.ReplaceAllString(text, "$1") }
			if format == "AOF" { // in which Redis has nothing for when a consumer was seen
				seen = func(text string) string {
					return consumerSeen.ReplaceAllString(consumerActive.ReplaceAllString(text, "$1"), "$1")
				}
				name, args = "appendonly.aof", append(args, "--appendonly", "yes")
			}
			if err := os.WriteFile(filepath.Join(dir, name), file.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			ask := askRedis(t, testutil.Redis(t, append(args, "--dir", dir)...)())
			got, err := coretest.Contents(h.Clock.Now().UnixMilli(), func(args ...string) (resp.Value, error) { return ask(args...), nil })
			if err != nil {
				t.Fatal(err)
			}
			want := seen(heldBy(t, h))
			sameContents(t, "a redis-server has loaded it", seen(got), want)
			back := func(how, name string) {
				t.Helper()
				in, err := os.Open(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = in.Close() }()
				other := coretest.New(t, importing)
				if _, err := other.DB.Import(context.Background(), in, name, apply.ImportOptions{}); err != nil {
					t.Fatal(err)
				}
				sameContents(t, how, seen(heldBy(t, other)), want)
			}
			if v := ask("SAVE"); v.Err() != nil {
				t.Fatal(v)
			}
			back("importing what a redis-server has saved", "dump.rdb")
			if format != "AOF" {
				return
			}
			// What is pending of deleted entries is in no log that Redis rewrites as commands.
			for _, args := range [][]string{{"SELECT", "9"}, {"XACK", "stream deadline", "g", "5-9", "5-11"}, {"SELECT", "0"}, {"XACK", "stream stream", "g", "5-9", "5-11"}, {"XACK", "stream dangling", "g", "5-1"}} {
				if v := ask(args...); v.Err() != nil || v.Int == 0 && args[0] == "XACK" {
					t.Fatal(args, v)
				}
			}
			if got, err = coretest.Contents(h.Clock.Now().UnixMilli(), func(args ...string) (resp.Value, error) { return ask(args...), nil }); err != nil {
				t.Fatal(err)
			}
			want = seen(got)
			for _, preamble := range []string{"yes", "no"} {
				ask("CONFIG", "SET", "aof-use-rdb-preamble", preamble)
				rewrites := func() string {
					return infoLine(ask("INFO", "persistence"), "aof_rewrites")
				}
				before := rewrites()
				if v := ask("BGREWRITEAOF"); v.Err() != nil {
					t.Fatal(v)
				}
				testutil.Eventually(t, "the rewrite ends", func() bool {
					return rewrites() != before && infoLine(ask("INFO", "persistence"), "aof_rewrite_in_progress") == "0"
				})
				bases, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.base.*"))
				if err != nil || len(bases) != 1 {
					t.Fatal(bases, err)
				}
				base, err := filepath.Rel(dir, bases[0])
				if err != nil {
					t.Fatal(err)
				}
				back("importing what a redis-server has rewritten, preamble "+preamble, base)
			}
		})
	}
}

// infoLine is a field of an INFO reply.
func infoLine(info resp.Value, name string) string {
	_, rest, _ := strings.Cut(string(info.Str), "\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r")
	return value
}
