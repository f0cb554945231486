package core_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/apply"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
)

func library(name, body string) []byte {
	return fmt.Appendf(nil, "#!lua name=%s\nredis.register_function('%s', function() return %s end)", name, name, body)
}

// libraries is what an engine has of what is no key.
func libraries(h *coretest.Harness) string {
	var out []string
	for _, l := range h.DB.Keyspace().Libraries() {
		out = append(out, l.Name+"="+string(l.Code))
	}
	return strings.Join(out, "\n")
}

func putLibrary(h *coretest.Harness, name, body string) {
	ks := h.DB.Keyspace()
	ks.Shard(0).Lock()
	defer ks.Shard(0).Unlock()
	ks.PutLibrary(keyspace.Library{Name: name, Code: library(name, body)})
}

// TestFunctionsGoWithTheData: what is no key is in the snapshot and in the rewrite,
// with keys and without, and comes out of a restart, a power loss, DEBUG RELOAD and a
// FLUSHALL; an export has it, an import takes it, and verify counts it.
func TestFunctionsGoWithTheData(t *testing.T) {
	for _, keys := range []bool{false, true} {
		h := coretest.New(t, func(o *core.Options) { o.ManualTick = true })
		putLibrary(h, "second", "2")
		putLibrary(h, "first", "0")
		putLibrary(h, "first", "1")
		want := "first=" + string(library("first", "1")) + "\nsecond=" + string(library("second", "2"))
		same := func(how string, h *coretest.Harness) {
			t.Helper()
			if got := libraries(h); got != want {
				t.Errorf("after %s there is\n%s\nwant\n%s", how, got, want)
			}
			if got := h.Do("GET", "k"); keys && got != `"v"` {
				t.Errorf("after %s the key is %s", how, got)
			}
		}
		h.Do("SET", "gone", "x")
		h.Do("FLUSHALL")
		if keys {
			h.Do("SET", "k", "v")
		}
		same("FLUSHALL", h)
		for what, save := range map[string]func() error{
			"the snapshot": func() error { return h.DB.Save(context.Background()) }, "the rewrite": func() error { return h.DB.RewriteAOF(context.Background()) },
		} {
			if err := save(); err != nil {
				t.Fatal(err)
			}
			h.Reopen()
			same("loading "+what, h)
			h.Crash(3)
			same("a power loss behind "+what, h)
			exports(t, h, what, same)
		}
		if got := h.Do("DEBUG", "RELOAD"); got != `"OK"` {
			t.Fatal(got)
		}
		same("DEBUG RELOAD", h)
	}
}

// exports takes what h holds out in each format and in again.
func exports(t *testing.T, h *coretest.Harness, what string, same func(string, *coretest.Harness)) {
	t.Helper()
	ctx := context.Background()
	src := backup.DataDir("data", h.FS)
	p, err := backup.Plan(ctx, src, backup.At{})
	if err != nil {
		t.Fatal(err)
	}
	var files [3]bytes.Buffer
	if _, err := backup.WriteAOF(ctx, src, p, nil, &files[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := h.DB.WriteRDB(&files[1]); err != nil {
		t.Fatal(err)
	}
	if p.Mergeable() {
		if _, err := backup.WriteRDB(ctx, src, p, nil, nil, &files[2]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range files {
		if files[i].Len() == 0 {
			continue
		}
		other := coretest.New(t, importing)
		if _, err := other.DB.Import(ctx, &files[i], "the export", apply.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		same(fmt.Sprintf("export %d of %s", i, what), other)
	}
	states, err := backup.Verify(ctx, src, p.Sets()[:1], backup.VerifyOptions{})
	if err != nil || len(states) != 2 || states[0].Functions != 2 || states[1].Functions != 0 || states[0].Damage != "" {
		t.Errorf("verify of %s: %+v, %v", what, states, err)
	}
}

// TestFunctionsAsTheyWereAtTheCut: a change behind the freeze is not in the checkpoint.
func TestFunctionsAsTheyWereAtTheCut(t *testing.T) {
	h := coretest.New(t)
	putLibrary(h, "lib", "1")
	s := h.DB.Keyspace().Shard(0)
	s.Lock()
	v, err := s.Freeze()
	s.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	putLibrary(h, "lib", "2")
	putLibrary(h, "other", "3")
	var file bytes.Buffer
	w := rdb.NewWriter(&file)
	w.Header(nil)
	if _, err := v.Encode(w, nil); err != nil || w.End() != nil {
		t.Fatal(err)
	}
	var got []string
	if err := rdb.Read(&file, rdb.Handler{Function: func(code []byte) error { got = append(got, string(code)); return nil }}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0] != string(library("lib", "1")) {
		t.Errorf("the view has %q", got)
	}
}

// TestFunctionsOfALog: what Redis logs about function libraries is applied, in the
// order of the log.
func TestFunctionsOfALog(t *testing.T) {
	one, two := library("one", "1"), library("two", "2")
	payload := rdb.SealDump(rdb.EncodeFunctions([][]byte{one, two}))
	for name, c := range map[string]struct {
		log     [][]string
		want    string // the names
		refusal string
	}{
		"load":            {[][]string{{"FUNCTION", "LOAD", string(one)}, {"function", "load", "REPLACE", string(one)}}, "one", ""},
		"delete":          {[][]string{{"FUNCTION", "LOAD", string(one)}, {"FUNCTION", "LOAD", string(two)}, {"FUNCTION", "DELETE", "one"}}, "two", ""},
		"flush":           {[][]string{{"FUNCTION", "LOAD", string(one)}, {"FUNCTION", "FLUSH", "ASYNC"}}, "", ""},
		"restore":         {[][]string{{"FUNCTION", "RESTORE", string(payload)}}, "one two", ""},
		"restore, flush":  {[][]string{{"FUNCTION", "LOAD", string(library("three", "3"))}, {"FUNCTION", "RESTORE", string(payload), "FLUSH"}}, "one two", ""},
		"restore, append": {[][]string{{"FUNCTION", "LOAD", string(one)}, {"FUNCTION", "RESTORE", string(payload)}}, "", "Library 'one' already exists"},
		"twice":           {[][]string{{"FUNCTION", "LOAD", string(one)}, {"FUNCTION", "LOAD", string(one)}}, "", "Library 'one' already exists"},
		"nameless":        {[][]string{{"FUNCTION", "LOAD", "#!lua\nx"}}, "", "Library name was not given"},
		"no metadata":     {[][]string{{"FUNCTION", "LOAD", "return 1"}}, "", "Missing library metadata"},
		"a bad name":      {[][]string{{"FUNCTION", "LOAD", "#!lua name=a-b\nx"}}, "", "Library names can only contain"},
		"no such":         {[][]string{{"FUNCTION", "DELETE", "one"}}, "", "Library not found"},
		"a bad payload":   {[][]string{{"FUNCTION", "RESTORE", "xxxxxxxxxxxx"}}, "", "payload version or checksum"},
	} {
		h := coretest.New(t, importing)
		var log []byte
		for _, args := range c.log {
			var words [][]byte
			for _, a := range args {
				words = append(words, []byte(a))
			}
			log = resp.AppendCommand(log, words...)
		}
		_, err := h.DB.Import(context.Background(), bytes.NewReader(log), "the log", apply.ImportOptions{})
		var names []string
		for _, l := range h.DB.Keyspace().Libraries() {
			names = append(names, l.Name)
		}
		if c.refusal != "" {
			if err == nil || !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("%s: %v, want %q", name, err, c.refusal)
			}
		} else if err != nil || strings.Join(names, " ") != c.want {
			t.Errorf("%s: %v, %q, want %q", name, err, names, c.want)
		}
	}
}
