package model

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Databases is how many logical databases the model has.
const Databases = 16

// kind is the type of a value, as TYPE names it.
type kind string

const (
	kindString kind = "string"
	kindList   kind = "list"
	kindHash   kind = "hash"
	kindSet    kind = "set"
	kindZSet   kind = "zset"
	kindStream kind = "stream"
)

// known tells whether it is the type of a value.
func (k kind) known() bool {
	switch k {
	case kindString, kindList, kindHash, kindSet, kindZSet, kindStream:
		return true
	}
	return false
}

// unknownType is the error for a type that this model has not heard of.
func unknownType(k kind) error {
	return fmt.Errorf("the type of a value is %q, which the model does not know", k)
}

// value is what is stored at a key. It is never changed once a State holds it.
type value struct {
	kind     kind
	str      string
	list     []string
	hash     map[string]string  // of a set, the members are the keys
	dates    map[string]int64   // deadlines of the fields of a hash that have one
	zset     map[string]float64 // scores by member
	stream   *stream            // nil for another kind
	deadline int64              // Unix milliseconds, 0: none
}

// copy returns a value that may be changed.
func (v *value) copy() *value {
	c := *v
	c.list = slices.Clone(v.list)
	c.hash, c.dates = maps.Clone(v.hash), maps.Clone(v.dates)
	c.zset = maps.Clone(v.zset)
	c.stream = v.stream.copy()
	return &c
}

// empty tells a collection without elements, which does not exist; a stream may be
// without.
func (v *value) empty() bool {
	return v.kind != kindString && v.kind != kindStream && len(v.list) == 0 && len(v.hash) == 0 && len(v.zset) == 0
}

// expired tells whether nothing of the value is there any more at the time now: its
// deadline has passed, or that of every field.
func (v *value) expired(now int64) bool {
	if v.deadline != 0 && v.deadline <= now {
		return true
	}
	if v.kind != kindHash {
		return false
	}
	for f := range v.hash {
		if !v.fieldExpired(f, now) {
			return false
		}
	}
	return true
}

// fieldExpired tells whether a field's deadline has passed.
func (v *value) fieldExpired(field string, now int64) bool {
	at := v.dates[field]
	return at != 0 && at <= now
}

// text is the value at the time now on one line, elements in a fixed order.
func (v *value) text(now int64) string {
	var b strings.Builder
	b.WriteString(string(v.kind))
	switch v.kind {
	case kindString:
		fmt.Fprintf(&b, " %q", v.str)
	case kindList:
		for _, e := range v.list {
			fmt.Fprintf(&b, " %q", e)
		}
	case kindHash:
		for _, f := range slices.Sorted(maps.Keys(v.hash)) {
			if v.fieldExpired(f, now) {
				continue
			}
			fmt.Fprintf(&b, " %q=%q", f, v.hash[f])
			if at := v.dates[f]; at != 0 {
				fmt.Fprintf(&b, " until %d", at)
			}
		}
	case kindSet:
		for _, m := range slices.Sorted(maps.Keys(v.hash)) {
			fmt.Fprintf(&b, " %q", m)
		}
	case kindZSet:
		for _, m := range v.ranked() {
			fmt.Fprintf(&b, " %q=%s", m, formatFloat(v.zset[m]))
		}
	case kindStream:
		b.WriteString(v.stream.text())
	}
	if v.deadline != 0 {
		fmt.Fprintf(&b, " expires=%d", v.deadline)
	}
	return b.String()
}

// State is the contents of all databases, and the libraries of functions. It is
// immutable: commands make new ones. The zero value is empty.
type State struct {
	dbs  [Databases]map[string]*value
	libs map[string]string // code by name; replaced, never changed
}

// fork returns a copy that may be changed.
func (s *State) fork() *State {
	c := *s
	for i, db := range s.dbs {
		c.dbs[i] = maps.Clone(db)
	}
	return &c
}

// get returns the value at a key that is there at the time now, or nil.
func (s *State) get(db int, key string, now int64) *value {
	v := s.dbs[db][key]
	if v == nil || v.deadline != 0 && v.deadline <= now {
		return nil
	}
	return v
}

// put stores v, or removes the key when v is nil or an empty collection.
func (s *State) put(db int, key string, v *value) {
	if v == nil || v.empty() {
		delete(s.dbs[db], key)
		return
	}
	if s.dbs[db] == nil {
		s.dbs[db] = map[string]*value{}
	}
	s.dbs[db][key] = v
}

// keys lists the keys of a database that are there at the time now, in order.
func (s *State) keys(db int, now int64) []string {
	var out []string
	for k := range s.dbs[db] {
		if s.get(db, k, now) != nil {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// Text shows the state at the time now (Unix milliseconds): a line per key,
// "db0 "k" string "v"", in order, and one per library. Two states are equal when
// their texts are.
func (s *State) Text(now int64) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.libs)) {
		fmt.Fprintf(&b, "library %q\n", s.libs[name])
	}
	for n := range s.dbs {
		for _, k := range s.keys(n, now) {
			if v := s.dbs[n][k]; !v.expired(now) {
				fmt.Fprintf(&b, "db%d %q %s\n", n, k, v.text(now))
			}
		}
	}
	return b.String()
}

// Diff shows in what two states differ at the time now: the lines only got has
// behind "+", those only want has behind "-".
func Diff(got, want *State, now int64) string {
	lines := func(s *State) map[string]bool {
		m := map[string]bool{}
		for line := range strings.Lines(s.Text(now)) {
			m[line] = true
		}
		return m
	}
	g, w := lines(got), lines(want)
	var out []string
	for l := range g {
		if !w[l] {
			out = append(out, "+ "+l)
		}
	}
	for l := range w {
		if !g[l] {
			out = append(out, "- "+l)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(a[2:]+a[:1], b[2:]+b[:1]) })
	return strings.Join(out, "")
}

// formatFloat is how the commands show a number.
func formatFloat(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
