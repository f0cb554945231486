package faultfs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/agext/levenshtein"
	"github.com/bmatcuk/doublestar/v4"
)

// SyntaxError is a mistake in a script.
type SyntaxError struct {
	File         string
	Line, Column int // from 1; the column counts bytes
	Msg          string
}

// Error returns "file:line:column: what is wrong".
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// errnos are the errors a rule can name.
var errnos = map[string]error{
	"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "EROFS": syscall.EROFS, "EMFILE": syscall.EMFILE,
	"ENFILE": syscall.ENFILE, "EACCES": syscall.EACCES, "EDQUOT": syscall.EDQUOT, "ESTALE": syscall.ESTALE,
	"EINTR": syscall.EINTR, "ETIMEDOUT": syscall.ETIMEDOUT,
}

// Kinds returns all kinds of operations.
func Kinds() []OpKind {
	return []OpKind{
		OpCreate, OpOpen, OpRead, OpWrite, OpTruncate, OpSync, OpClose, OpReaddir, OpSyncDir,
		OpRename, OpRemove, OpRemoveAll, OpMkdir, OpStat, OpAttr, OpLock,
	}
}

// ParseScript reads the rules in text; file is what errors call it. Every line
// with a mistake gives one *SyntaxError, joined.
func ParseScript(file, text string) (*Script, error) {
	s := &Script{released: make(chan struct{})}
	var errs []error
	line := 0
	for src := range strings.Lines(text) {
		line++
		p := &parser{src: src}
		if p.skip(); p.at == len(p.src) {
			continue
		}
		r, err := p.rule()
		if err != nil {
			errs = append(errs, &SyntaxError{File: file, Line: line, Column: p.word + 1, Msg: err.Error()})
			continue
		}
		s.rules = append(s.rules, r)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// parser reads the words of one line.
type parser struct {
	src  string
	at   int // next byte
	word int // where the last word began
}

// skip moves over blanks, and to the end when a comment begins.
func (p *parser) skip() {
	for p.at < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.at]) >= 0 {
		p.at++
	}
	if p.at < len(p.src) && p.src[p.at] == '#' {
		p.at = len(p.src)
	}
}

// next returns the next word, "" at the end.
func (p *parser) next() string {
	p.skip()
	p.word = p.at
	for p.at < len(p.src) && strings.IndexByte(" \t\r\n#", p.src[p.at]) < 0 {
		p.at++
	}
	return p.src[p.word:p.at]
}

// peek returns the next word without taking it.
func (p *parser) peek() string {
	q := *p
	return q.next()
}

func (p *parser) rule() (*rule, error) {
	r := &rule{glob: "**", from: 1, prob: 1}
	if w := p.next(); w != "on" {
		return nil, fmt.Errorf(`%s: a rule begins with "on"`, quote(w))
	}
	if err := p.kinds(r); err != nil {
		return nil, err
	}
	if p.peek() == "path" {
		p.next()
		if err := p.glob(r); err != nil {
			return nil, err
		}
	}
	if err := p.when(r); err != nil {
		return nil, err
	}
	if err := p.what(r); err != nil {
		return nil, err
	}
	r.text = strings.Join(strings.Fields(p.src[:p.at]), " ")
	if w := p.next(); w != "" {
		return nil, fmt.Errorf("%s after the end of the rule", quote(w))
	}
	return r, nil
}

// kinds reads "write,sync" or a class.
func (p *parser) kinds(r *rule) error {
	words := p.next()
	start := p.word
	for w := range strings.SplitSeq(words, ",") {
		p.word = start
		start += len(w) + 1
		known := map[string][]OpKind{
			"any":     Kinds(),
			"changes": slices.DeleteFunc(Kinds(), func(k OpKind) bool { return !k.Mutates() }),
			"reads":   slices.DeleteFunc(Kinds(), OpKind.Mutates),
		}
		for _, k := range Kinds() {
			known[string(k)] = []OpKind{k}
		}
		kinds, ok := known[w]
		if !ok {
			return unknown("operation", w, slices.Sorted(maps.Keys(known)))
		}
		r.kinds = append(r.kinds, kinds...)
	}
	return nil
}

// glob reads a quoted pattern.
func (p *parser) glob(r *rule) error {
	p.skip()
	p.word = p.at
	q, err := strconv.QuotedPrefix(p.src[p.at:])
	if err != nil {
		return errors.New(`want a pattern in quotes, as in "log/*.aof"`)
	}
	p.at += len(q)
	if r.glob, err = strconv.Unquote(q); err != nil || !doublestar.ValidatePattern(r.glob) {
		return fmt.Errorf("%s is not a pattern", q)
	}
	r.glob = strings.TrimLeft(r.glob, "/")
	return nil
}

// when reads at most one count and at most one probability.
func (p *parser) when(r *rule) error {
	counted := false
	for {
		w := p.peek()
		switch w {
		case "nth", "every", "after", "from":
			if p.next(); counted {
				return fmt.Errorf("%s: the rule has a count already", quote(w))
			}
			counted = true
		case "prob":
			if p.next(); r.prob < 1 {
				return fmt.Errorf("%s: the rule has a probability already", quote(w))
			}
		default:
			return nil
		}
		var err error
		switch w {
		case "nth":
			r.from, err = p.count(1)
			r.to = r.from
		case "every":
			r.every, err = p.count(1)
		case "after":
			r.from, err = p.count(0)
			r.from++
		case "from":
			err = p.between(r)
		case "prob":
			err = p.prob(r)
		}
		if err != nil {
			return err
		}
	}
}

func (p *parser) between(r *rule) (err error) {
	if r.from, err = p.count(1); err != nil {
		return err
	}
	if w := p.next(); w != "to" {
		return fmt.Errorf(`%s: want "to", as in from 3 to 5`, quote(w))
	}
	r.to, err = p.count(r.from)
	return err
}

func (p *parser) prob(r *rule) (err error) {
	w := p.next()
	if r.prob, err = strconv.ParseFloat(w, 64); err != nil || !(r.prob > 0 && r.prob < 1) {
		return fmt.Errorf("%s: want a probability between 0 and 1, as in prob 0.01 seed 7", quote(w))
	}
	if w := p.next(); w != "seed" {
		return fmt.Errorf("%s: want the seed of the probability, as in prob 0.01 seed 7", quote(w))
	}
	w = p.next()
	if r.seed, err = strconv.ParseUint(w, 10, 64); err != nil {
		return fmt.Errorf("%s: want a number for the seed", quote(w))
	}
	return nil
}

// count reads a number that is least or more.
func (p *parser) count(least int64) (int64, error) {
	w := p.next()
	n, err := strconv.ParseInt(w, 10, 64)
	if err != nil || n < least {
		return 0, fmt.Errorf("%s: want a number, at least %d", quote(w), least)
	}
	return n, nil
}

// what reads the steps: waits, then an outcome.
func (p *parser) what(r *rule) error {
	for {
		switch w := p.next(); w {
		case "delay":
			w := p.next()
			d, err := time.ParseDuration(w)
			if err != nil || d <= 0 {
				return fmt.Errorf("%s: want a duration, as in 200ms or 2s", quote(w))
			}
			r.waits = append(r.waits, wait{delay: d})
		case "slow":
			w := p.next()
			n, ok := parseRate(w)
			if !ok {
				return fmt.Errorf("%s: want bytes a second, as in 100KB/s", quote(w))
			}
			r.waits = append(r.waits, wait{rate: &rate{bytes: n}})
		case "hang":
			r.waits = append(r.waits, wait{hang: true})
		case "short":
			if len(r.kinds) != 1 || r.kinds[0] != OpWrite {
				return errors.New("short: only a write can be short")
			}
			n, err := p.count(0)
			if err != nil {
				return err
			}
			err = p.then()
			if err == nil {
				err = p.fail(r, func(err error) error { return &Short{N: n, Err: err} })
			}
			return err
		case "done":
			err := p.then()
			if err == nil {
				err = p.fail(r, func(err error) error { return &After{Err: err} })
			}
			return err
		case "fail":
			return p.fail(r, func(err error) error { return err })
		default:
			if errnos[w] != nil && len(r.waits) > 0 { // "delay 2s then EIO"
				r.fault = errnos[w]
				return nil
			}
			return unknown("action", w, []string{"fail", "short", "done", "delay", "slow", "hang"})
		}
		if p.peek() != "then" {
			return nil
		}
		p.next()
	}
}

func (p *parser) then() error {
	if w := p.next(); w != "then" {
		return fmt.Errorf(`%s: want "then" and an error`, quote(w))
	}
	return nil
}

// fail reads the error of a fault; "then EIO" and "then fail EIO" are the same.
func (p *parser) fail(r *rule, wrap func(error) error) error {
	w := p.next()
	if w == "fail" {
		w = p.next()
	}
	if errnos[w] == nil {
		return unknown("error", w, slices.Sorted(maps.Keys(errnos)))
	}
	r.fault = wrap(errnos[w])
	return nil
}

// parseRate reads "100KB/s"; KB and MB are 1024 and 1024².
func parseRate(s string) (int64, bool) {
	s, ok := strings.CutSuffix(s, "/s")
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"B", 1}} {
		if digits, found := strings.CutSuffix(s, u.suffix); found {
			n, err := strconv.ParseInt(digits, 10, 32)
			return n * u.bytes, ok && err == nil && n > 0
		}
	}
	return 0, false
}

// quote shows a word, or that there is none.
func quote(w string) string {
	if w == "" {
		return "the line ends here"
	}
	return strconv.Quote(w)
}

// unknown says what is known, and what may have been meant.
func unknown(what, w string, known []string) error {
	if w == "" {
		return fmt.Errorf("the line ends here; want one %s of %s", what, strings.Join(known, ", "))
	}
	distance := func(k string) int { return levenshtein.Distance(strings.ToLower(w), strings.ToLower(k), nil) }
	near := slices.MinFunc(known, func(a, b string) int { return distance(a) - distance(b) })
	if distance(near) <= 2 {
		return fmt.Errorf("unknown %s %q; did you mean %q?", what, w, near)
	}
	return fmt.Errorf("unknown %s %q; there are %s", what, w, strings.Join(known, ", "))
}
