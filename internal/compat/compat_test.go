package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// events are lines as harness.tcl writes them, of pairs of status and text.
func events(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "%s 3 %s\n", pairs[i], base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return b.String()
}

// played is a run in which these events came.
func played(t *testing.T, pairs ...string) *run {
	t.Helper()
	r := &run{unit: "unit/x", passed: map[string]bool{}, why: map[string]string{}, took: time.Second}
	if err := r.read(strings.NewReader(events(pairs...)), new(strings.Builder)); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEvents(t *testing.T) {
	r := played(t,
		"testing", "a", "ok", "a",
		"err", "b in tests/unit/x.tcl\nExpected '1'\nmore",
		"ok", "c", "err", "c in tests/unit/x.tcl\nonce of twice", "ok", "c",
		"ignore", "d: Tag: slow denied", "ignore", "",
		"err", "nobody listens",
		"exception", "no such proc")
	want := map[string]bool{"a": true, "b": false, "c": false, outside: false, whole: false}
	if fmt.Sprint(r.passed) != fmt.Sprint(want) {
		t.Errorf("passed is %v, not %v", r.passed, want)
	}
	if r.why["b"] != "Expected '1'\nmore" || r.why[outside] != "nobody listens" || r.status != statusAbort {
		t.Errorf("reasons %q, status %q", r.why, r.status)
	}
}

// TestJudge: a test counts when it passes in any run; what passed before and in
// none, or did not run any more, has regressed.
func TestJudge(t *testing.T) {
	before, reference := list{}, list{}
	for _, name := range []string{"good", "shaky", "broken", "gone"} {
		before.add("unit/x", name)
		reference.add("unit/x", name)
	}
	reference.add("unit/x", "fresh")
	reference.add("unit/x", "never")
	bad := func(name string) string { return name + " in tests/unit/x.tcl\nno" }
	runs := []*run{
		played(t, "ok", "good", "err", bad("shaky"), "err", bad("broken"), "ok", "fresh", "ok", "ours alone"),
		played(t, "ok", "good", "ok", "shaky", "err", bad("broken"), "ok", "fresh", "ok", "ours alone"),
	}
	res := judge("unit/x", runs, before, reference)
	for _, got := range []struct {
		what string
		is   []string
		want string
	}{
		{"regressed", res.Regressed, "broken gone"},
		{"passed again", res.Again, "shaky"},
		{"new", res.New, "fresh,ours alone"},
		{"missing", res.Missing, "broken gone never"},
	} {
		sep := " "
		if strings.Contains(got.want, ",") {
			sep = ","
		}
		if strings.Join(got.is, sep) != got.want {
			t.Errorf("%s: %q, not %q", got.what, got.is, got.want)
		}
	}
	if res.Passed != 3 || res.Reference != 6 {
		t.Errorf("%d of %d pass, not 3 of 6", res.Passed, res.Reference)
	}
}

func TestListRoundTrip(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lists", "a.tsv")
	if l, err := readList(name); err != nil || len(l) != 0 {
		t.Fatalf("a missing list is %v, %v", l, err)
	}
	l := list{}
	l.add("unit/b", "z")
	l.add("unit/b", "a\twith a tab")
	l.add("unit/a", "ü")
	if err := l.write(name); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(name)
	if string(b) != "unit/a\tü\nunit/b\ta\twith a tab\nunit/b\tz\n" {
		t.Fatalf("the file is %q", b)
	}
	if got, err := readList(name); err != nil || fmt.Sprint(got) != fmt.Sprint(l) {
		t.Fatalf("read back as %v, %v", got, err)
	}
	if err := os.WriteFile(name, []byte("unit/a only spaces\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readList(name); err == nil || !strings.Contains(err.Error(), "a.tsv:1:") {
		t.Fatalf("a line without a tab: %v", err)
	}
}

// TestCheckedInLists: they are in the form that --update writes, name units that
// run, and the reference's are there.
func TestCheckedInLists(t *testing.T) {
	for _, p := range profiles {
		for _, which := range []string{"redis-7.0.15", "passing"} {
			name := filepath.Join("testdata", p.name+"-"+which+".tsv")
			l, err := readList(name)
			if err != nil {
				t.Fatal(err)
			}
			if l.len(p.units) < 100 {
				t.Errorf("%s has %d tests", name, l.len(p.units))
			}
			for u := range l {
				if !slices.Contains(p.units, u) {
					t.Errorf("%s: profile %s does not run %s", name, p.name, u)
				}
			}
			again := filepath.Join(t.TempDir(), "again")
			if err := l.write(again); err != nil {
				t.Fatal(err)
			}
			a, _ := os.ReadFile(name)
			b, _ := os.ReadFile(again)
			if string(a) != string(b) {
				t.Errorf("%s is not as --update writes it", name)
			}
		}
	}
}
