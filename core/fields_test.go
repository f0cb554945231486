package core_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/apply"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/coretest"
)

// TestFieldsExpire: a field that has expired goes when somebody meets it or with the
// cycle, and its hash with the last one. That is a change to who watches the key, is
// counted, and neither comes back with the next start.
func TestFieldsExpire(t *testing.T) {
	for _, fields := range []int{3, 700} { // packed, and not
		for name, remove := range map[string]func(h *coretest.Harness){
			"met by a command":     func(h *coretest.Harness) { h.Do("HRANDFIELD", "h"); h.Do("HRANDFIELD", "gone") },
			"expired by the cycle": func(h *coretest.Harness) { h.DB.Tick() },
		} {
			t.Run(fmt.Sprintf("%s of %d", name, fields), func(t *testing.T) {
				h := coretest.New(t, func(o *core.Options) { o.Shards, o.ManualTick = 2, true })
				set := []string{"HSETEX", "h", "PX", "1000", "FIELDS", fmt.Sprint(fields)}
				for i := range fields {
					set = append(set, fmt.Sprint("f", i), "v")
				}
				h.Do(set...)
				set[1] = "gone"
				h.Do(set...)
				h.Do("HSET", "h", "stays", "v")
				if info := h.Value("INFO", "keyspace").String(); !strings.Contains(info, "subexpiry=2") {
					t.Errorf("no subexpiry=2 in %s", info)
				}
				watcher := h.DB.Session()
				do := func(args ...string) string {
					v, err := watcher.Do(args...)
					if err != nil {
						t.Fatal(err)
					}
					return v.String()
				}
				do("WATCH", "h")
				h.Clock.Advance(2 * time.Second)
				if got := h.Do("HLEN", "h"); got != fmt.Sprint(fields+1) {
					t.Errorf("before anybody has met them there are %s fields", got)
				}
				remove(h)
				do("MULTI")
				do("SET", "other", "1")
				if got := do("EXEC"); got != "(nil)" {
					t.Errorf("EXEC beside the removal: %s", got)
				}
				if info := h.Value("INFO", "stats").String(); !strings.Contains(info, fmt.Sprint("expired_subkeys:", 2*fields)) {
					t.Errorf("not %d expired_subkeys in %s", 2*fields, info)
				}
				if info := h.Value("INFO", "keyspace").String(); !strings.Contains(info, "keys=1,expires=0,avg_ttl=0,subexpiry=0") {
					t.Errorf("INFO keyspace says %s", info)
				}
				h.Clock.Advance(-2 * time.Second) // only the log can say that they are gone
				h.Reopen()
				if got := h.Do("HGETALL", "h"); got != `["stays" "v"]` {
					t.Errorf("the hash is %.200s", got)
				}
				if got := h.Do("EXISTS", "gone"); got != "0" {
					t.Errorf("the other hash is back: EXISTS %s", got)
				}
			})
		}
	}
}

// TestFieldsStayWhileReplayed: a start removes nothing that the log does not say, whatever
// time it is.
func TestFieldsStayWhileReplayed(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.ManualTick = true })
	h.Do("HSET", "h", "a", "1", "b", "2")
	h.Do("HPEXPIRE", "h", "1000", "FIELDS", "1", "a")
	h.Do("HINCRBY", "h", "a", "5")
	h.Clock.Advance(time.Hour)
	h.Reopen()
	if got := h.Do("HLEN", "h"); got != "2" {
		t.Errorf("after the start there are %s fields", got)
	}
	if got := h.Do("HGETALL", "h"); got != `["b" "2"]` {
		t.Errorf("the hash is %s", got)
	}
	h.DB.Tick()
	if got := h.Do("HLEN", "h"); got != "1" {
		t.Errorf("after the cycle there are %s fields", got)
	}
}

// TestVersionOfExports: only a file in which a field has a deadline is of a version that
// Redis 7.0 does not read.
func TestVersionOfExports(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.ManualTick = true })
	h.Do("SET", "s", "v")
	h.Do("HSET", "h", "a", "1", "b", "2")
	check := func(how, want string) {
		t.Helper()
		if err := h.DB.Save(context.Background()); err != nil {
			t.Fatal(err)
		}
		src := backup.DataDir("data", h.FS)
		p, err := backup.Plan(context.Background(), src, backup.At{})
		if err != nil {
			t.Fatal(err)
		}
		var merged, whole bytes.Buffer
		if _, err := backup.WriteRDB(context.Background(), src, p, nil, nil, &merged); err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		if _, err := h.DB.WriteRDB(&whole); err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		for _, file := range []*bytes.Buffer{&merged, &whole} {
			if got := string(file.Bytes()[:9]); got != want {
				t.Errorf("%s: the file begins with %s, want %s", how, got, want)
			}
		}
		dump := h.Value("DUMP", "h").Str
		if got := fmt.Sprintf("REDIS%04d", dump[len(dump)-10]); got != want {
			t.Errorf("%s: the payload of DUMP is of version %s, want %s", how, got, want)
		}
	}
	check("without deadlines", "REDIS0010")
	h.Do("HEXPIRE", "h", "100", "FIELDS", "1", "a")
	check("with one", "REDIS0012")
	h.Do("HPERSIST", "h", "FIELDS", "1", "a")
	check("with none any more", "REDIS0010")
}

// TestImportOfNewerServers imports what servers after Redis 7.0 have written.
func TestImportOfNewerServers(t *testing.T) {
	files, err := filepath.Glob("rdb/testdata/newer/*.rdb")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			in, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			h := coretest.New(t, func(o *core.Options) { o.ManualTick = true })
			if _, err := h.DB.Import(context.Background(), in, file, apply.ImportOptions{}); err != nil {
				t.Fatal(err)
			}
			look := func(when string) {
				for cmd, want := range map[string]string{
					"DBSIZE":                                    "7",
					"HMGET small a b c":                         `["1" "two" "3"]`,
					"HPEXPIRETIME small FIELDS 3 a b c":         "[9999999999999 9999999990000 -1]",
					"HPEXPIRETIME large FIELDS 5 f1 f2 f3 f7 x": "[9999999999999 9999999999999 -1 9999999990001 -2]",
					"HLEN large":                                "10",
					"HPEXPIRETIME once FIELDS 2 a b":            "[-1 -1]",
					"XLEN stream":                               "1",
					"SCARD set":                                 "3",
					"PEXPIRETIME key":                           "9999999999999",
					"OBJECT ENCODING small":                     `"listpackex"`,
					"OBJECT ENCODING plain":                     `"listpack"`,
				} {
					if got := h.Do(strings.Fields(cmd)...); got != want {
						t.Errorf("%s: %s says %s, want %s", when, cmd, got, want)
					}
				}
			}
			look("imported")
			if err := h.DB.Save(context.Background()); err != nil {
				t.Fatal(err)
			}
			h.Reopen()
			look("after a start")
		})
	}
}
