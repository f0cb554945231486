package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// list is a set of tests that pass: unit, then name.
type list map[string]map[string]bool

// has reports whether a test is in l.
func (l list) has(unit, test string) bool { return l[unit][test] }

// add puts a test into l.
func (l list) add(unit, test string) {
	if l[unit] == nil {
		l[unit] = map[string]bool{}
	}
	l[unit][test] = true
}

// tests are those of a unit, sorted.
func (l list) tests(unit string) []string {
	var out []string
	for t := range l[unit] {
		out = append(out, t)
	}
	slices.Sort(out)
	return out
}

// len counts the tests of some units.
func (l list) len(units []string) (n int) {
	for _, u := range units {
		n += len(l[u])
	}
	return n
}

// readList reads a file of "unit TAB test" lines. A file that is missing is an
// empty list.
func readList(name string) (list, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return list{}, nil
	}
	if err != nil {
		return nil, err
	}
	l := list{}
	for i, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		unit, test, ok := strings.Cut(line, "\t")
		if !ok {
			return nil, fmt.Errorf("%s:%d: no tab between unit and test in %q", name, i+1, line)
		}
		l.add(unit, test)
	}
	return l, nil
}

// write makes a file of l, in the order of units and names.
func (l list) write(name string) error {
	var units []string
	for u := range l {
		units = append(units, u)
	}
	slices.Sort(units)
	var b bytes.Buffer
	for _, u := range units {
		for _, t := range l.tests(u) {
			fmt.Fprintf(&b, "%s\t%s\n", u, t)
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}
