package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// explanations is the page that says why a test of the suite need not pass here.
const explanations = "../../docs/compatibility.md"

// readExplained reads what the page lists between its marks: under each cause a line per
// unit, with the names of its tests.
func readExplained(t *testing.T) list {
	t.Helper()
	page, err := os.ReadFile(explanations)
	if err != nil {
		t.Fatal(err)
	}
	_, part, begun := strings.Cut(string(page), "<!-- missing: begin -->\n")
	part, _, ended := strings.Cut(part, "<!-- missing: end -->")
	if !begun || !ended {
		t.Fatalf("%s has no list of the tests that do not pass", explanations)
	}
	code := regexp.MustCompile("`` (.+?) ``|`(.+?)`")
	l, cause := list{}, ""
	for line := range strings.Lines(part) {
		tests, ofUnit := strings.CutPrefix(line, "  - ")
		if !ofUnit {
			cause, _ = strings.CutPrefix(line, "- ")
			continue
		}
		unit, tests, _ := strings.Cut(tests, ": ")
		unit = strings.Trim(unit, "`")
		if strings.TrimSpace(cause) == "" {
			t.Errorf("%s: %s stands under no cause", explanations, unit)
		}
		for _, m := range code.FindAllStringSubmatch(tests, -1) {
			name := m[1] + m[2]
			if l.has(unit, name) {
				t.Errorf("%s: %s: %s is there twice", explanations, unit, name)
			}
			l.add(unit, name)
		}
	}
	return l
}

// TestExplained: each test that redis-server passes and is not in the list of those that pass
// here has its cause in the documentation, in whichever profile, and what passes has none.
func TestExplained(t *testing.T) {
	explained, missing := readExplained(t), list{}
	for _, p := range profiles {
		reference, err := readList(filepath.Join("testdata", p.name+"-redis-7.0.15.tsv"))
		if err != nil {
			t.Fatal(err)
		}
		passing, err := readList(filepath.Join("testdata", p.name+"-passing.tsv"))
		if err != nil {
			t.Fatal(err)
		}
		if n := reference.len(p.units); n < 250 {
			t.Fatalf("redis-server passes %d tests of the profile %s", n, p.name)
		}
		for unit, tests := range reference {
			for name := range tests {
				if passing.has(unit, name) {
					continue
				}
				missing.add(unit, name)
				if !explained.has(unit, name) {
					t.Errorf("profile %s: %s: %s does not pass, and %s does not say why", p.name, unit, name, explanations)
				}
			}
		}
	}
	for unit := range explained {
		for _, name := range explained.tests(unit) {
			if !missing.has(unit, name) {
				t.Errorf("%s: %s: %s passes, or redis-server does not pass it", explanations, unit, name)
			}
		}
	}
}
