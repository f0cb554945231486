package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/values"
	"github.com/spillwaydb/spillway/core/rdb"
)

// difference is a key in which two moments differ; `diff --json` prints one a line.
type difference struct {
	Op     string            `json:"op"` // added, removed, changed
	What   []string          `json:"what,omitempty"`
	Before *values.ShortJSON `json:"before,omitempty"`
	After  *values.ShortJSON `json:"after,omitempty"`

	key []byte
	db  int
}

// errDiffer is the answer of diff --exit-code where there are differences: exit 3.
var errDiffer = errors.New("they differ")

func diffCommand() *cobra.Command {
	var l looker
	var with []string
	var exitCode bool
	cmd := &cobra.Command{
		Use: "diff MOMENT [MOMENT]", Short: "List the keys in which two moments of a backup differ",
		Long: "diff compares the keys of two moments, each as --at has it (the second: the latest): + is a key that was\n" +
			"added, - one that was removed, ~ one whose type, value or deadline changed. With --with the second\n" +
			"moment is of another backup, or of a data directory. A key whose deadline came in between was removed.\n" +
			"Two values are equal if they have the same elements, however they are stored; who last used a key, and\n" +
			"when, does not count. The keys of the first moment are kept in memory, their values are not.\n\n" +
			"With --exit-code the exit status is 3 if there are differences.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usageError{errors.New("diff: want one moment, or two: a time, the generation of a checkpoint, or latest")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			defer interruptible(cmd)()
			second := "latest"
			if len(args) == 2 {
				second = args[1]
			}
			n, err := l.diff(cmd, args[0], second, with)
			if err == nil && n > 0 && exitCode {
				return errDiffer
			}
			return err
		},
	}
	l.register(cmd, -1, "database (default: all, and its number stands before the key)")
	f := cmd.Flags()
	f.StringArrayVar(&with, "with", nil, "where the second moment is, as --from has it (default: where the first is)")
	f.StringVar(&l.s.lineage, "lineage", "", "of the data directories whose backups are there, the one that is meant: its lineage or the first digits of it")
	f.BoolVar(&l.s.older, "allow-older", false, "take what there is when a set that cannot be read, or a missing log segment, keeps it from what was asked for")
	f.BoolVar(&l.raw, "raw", false, "print keys as they are on a terminal too")
	f.BoolVar(&exitCode, "exit-code", false, "exit with 3 if there are differences")
	return cmd
}

// held is what is kept of a key of the first moment.
type held struct {
	short  values.ShortJSON
	digest [32]byte
}

func (l *looker) diff(cmd *cobra.Command, first, second string, with []string) (n int, err error) {
	type place struct {
		db  int
		key string
	}
	before := make(map[place]held)
	a, err := l.read(cmd, first, l.s.from, func(e *values.Entry) error {
		before[place{e.DB, string(e.Key)}] = held{e.Short(), e.Digest()}
		return nil
	})
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	tell := l.printer(out)
	if with == nil {
		with = l.s.from
	}
	b, err := l.read(cmd, second, with, func(e *values.Entry) error {
		at := place{e.DB, string(e.Key)}
		after := e.Short()
		old, was := before[at]
		delete(before, at)
		switch {
		case !was:
			n++
			return tell(&difference{Op: "added", After: &after, key: e.Key, db: e.DB})
		case old.short.Expires == after.Expires && old.digest == e.Digest():
			return nil
		}
		n++
		return tell(&difference{Op: "changed", What: changed(&old, e), Before: &old.short, After: &after, key: e.Key, db: e.DB})
	})
	if err != nil {
		return n, errors.Join(err, out.Flush())
	}
	var gone []place
	for at := range before {
		gone = append(gone, at)
	}
	slices.SortFunc(gone, func(a, b place) int {
		if a.db != b.db {
			return a.db - b.db
		}
		return slices.Compare([]byte(a.key), []byte(b.key))
	})
	for _, at := range gone {
		n++
		short := before[at].short
		if err := tell(&difference{Op: "removed", Before: &short, key: []byte(at.key), db: at.db}); err != nil {
			return n, err
		}
	}
	if err := out.Flush(); err != nil {
		return n, err
	}
	if !l.s.quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s between\n  %s\n  %s\n", count(n, "difference"), a, b)
	}
	return n, nil
}

// read calls fn with every key of a moment, and returns what that is in words.
func (l *looker) read(cmd *cobra.Command, at string, from []string, fn func(e *values.Entry) error) (string, error) {
	one := *l
	one.s.from = from
	v, err := one.open(cmd, at)
	if err != nil {
		return "", err
	}
	defer v.close()
	err = v.each(cmd.Context(), l.s.quiet, func(o *rdb.Object) error {
		if l.db >= 0 && o.DB != l.db {
			return nil
		}
		e, err := values.Of(o, v.at)
		if err != nil || e == nil {
			return err
		}
		return fn(e)
	})
	return v.String(), err
}

// changed names what is not as it was.
func changed(old *held, e *values.Entry) (what []string) {
	short := e.Short()
	switch {
	case old.short.Type != short.Type:
		what = append(what, "type")
	case old.digest != e.Digest():
		what = append(what, "value")
	}
	if old.short.Expires != short.Expires {
		what = append(what, "deadline")
	}
	return what
}

// printer is how differences are printed.
func (l *looker) printer(out *bufio.Writer) func(*difference) error {
	if l.s.json {
		enc := json.NewEncoder(out)
		return func(d *difference) error { return enc.Encode(d) }
	}
	spell := l.spell()
	return func(d *difference) error {
		where := ""
		if l.db < 0 {
			where = fmt.Sprintf("%d\t", d.db)
		}
		_, err := fmt.Fprintf(out, "%s %s%s\t%s\n", map[string]string{"added": "+", "removed": "-", "changed": "~"}[d.Op], where, spell(d.key), d.words())
		return err
	}
}

// words are what is to be said of a difference: "hash of 3 → hash of 2: value, deadline".
func (d *difference) words() string {
	of := func(s *values.ShortJSON) string { return fmt.Sprintf("%s of %d", s.Type, s.Elements) }
	switch {
	case d.Before == nil:
		return of(d.After)
	case d.After == nil:
		return of(d.Before)
	}
	s := of(d.Before)
	if after := of(d.After); after != s {
		s += " → " + after
	}
	for i, w := range d.What {
		s += map[bool]string{true: ": ", false: ", "}[i == 0] + w
	}
	return s
}
