package model

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spillwaydb/spillway/core/resp"
)

// order says which order of an array's elements counts.
type order int

const (
	inOrder  order = iota
	anyOrder       // SMEMBERS
	anyPairs       // HGETALL: pairs in any order
)

// Reply is what a command answers.
type Reply struct {
	kind  resp.Kind // KindError, KindNull, KindInt, KindBulk (any string), KindArray
	text  string
	elems []Reply
	order order
}

var (
	ok  = text("OK")
	nul = Reply{kind: resp.KindNull}
)

func text(s string) Reply    { return Reply{kind: resp.KindBulk, text: s} }
func integer(n int64) Reply  { return Reply{kind: resp.KindInt, text: strconv.FormatInt(n, 10)} }
func count(n int) Reply      { return integer(int64(n)) }
func fault(msg string) Reply { return Reply{kind: resp.KindError, text: msg} }
func array(e ...Reply) Reply { return Reply{kind: resp.KindArray, elems: e} }

func truth(b bool) Reply {
	if b {
		return integer(1)
	}
	return integer(0)
}

func texts(items []string, o order) Reply {
	r := Reply{kind: resp.KindArray, order: o}
	for _, s := range items {
		r.elems = append(r.elems, text(s))
	}
	return r
}

// IsError tells whether the reply is an error.
func (r Reply) IsError() bool { return r.kind == resp.KindError }

// IsNull tells whether the reply is null, as that of a blocking command is which
// has nothing to take.
func (r Reply) IsNull() bool { return r.kind == resp.KindNull }

// Matches tells whether an engine's reply says the same. Of errors only the
// code counts; a collection without order may come in any.
func (r Reply) Matches(v resp.Value) bool {
	switch r.kind {
	case resp.KindError:
		return v.Kind == resp.KindError && code(r.text) == code(string(v.Str))
	case resp.KindNull:
		return v.IsNull()
	case resp.KindInt:
		return v.Kind == resp.KindInt && r.text == v.Text()
	case resp.KindBulk:
		return (v.Kind == resp.KindBulk || v.Kind == resp.KindSimple) && r.text == v.Text()
	}
	if v.Kind != resp.KindArray || len(v.Elems) != len(r.elems) {
		return false
	}
	if r.order == inOrder {
		for i, e := range r.elems {
			if !e.Matches(v.Elems[i]) {
				return false
			}
		}
		return true
	}
	step := 1
	if r.order == anyPairs {
		step = 2
	}
	var got, want []string
	for i := 0; i+step <= len(r.elems); i += step {
		g, w := "", ""
		for j := range step {
			g += v.Elems[i+j].String() + " "
			w += r.elems[i+j].String() + " "
		}
		got, want = append(got, g), append(want, w)
	}
	slices.Sort(got)
	slices.Sort(want)
	return slices.Equal(got, want)
}

func code(msg string) string {
	word, _, _ := strings.Cut(msg, " ")
	return word
}

// String shows the reply as resp.Value.String does.
func (r Reply) String() string {
	switch r.kind {
	case resp.KindError:
		return "(error) " + r.text
	case resp.KindNull:
		return "(nil)"
	case resp.KindInt:
		return r.text
	case resp.KindBulk:
		return strconv.Quote(r.text)
	}
	parts := make([]string, len(r.elems))
	for i, e := range r.elems {
		parts[i] = e.String()
	}
	return "[" + strings.Join(parts, " ") + "]"
}
