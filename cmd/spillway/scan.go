package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/values"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/rdb"
)

func scanCommand() *cobra.Command {
	var l looker
	var typ string
	var whole bool
	cmd := &cobra.Command{
		Use: "scan [PATTERN]", Short: "List the keys of a backup",
		Long: "scan prints the keys that were there at a moment, one a line and in no order, those that match PATTERN\n" +
			"as KEYS has it. With --json it prints one object a line: the database, key, type, number of elements\n" +
			"and deadline, and with --values the value too. It changes nothing where it reads.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("scan: want one pattern at most; quote it, so that the shell leaves it alone")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			defer interruptible(cmd)()
			pattern := "*"
			if len(args) == 1 {
				pattern = args[0]
			}
			if whole && !l.s.json {
				return usageError{errors.New("--values goes with --json")}
			}
			if typ != "" && !knownType(typ) {
				return usageError{fmt.Errorf("--type %q: want string, list, set, zset, hash or stream", typ)}
			}
			return l.scan(cmd, pattern, typ, whole)
		},
	}
	l.register(cmd, -1, "database (default: all, and its number stands before the key)")
	l.s.registerAt(cmd, "latest", "the moment to look at")
	cmd.Flags().StringVar(&typ, "type", "", "only keys of this type, as TYPE has it")
	cmd.Flags().BoolVar(&whole, "values", false, "with --json: the values too")
	cmd.Flags().BoolVar(&l.raw, "raw", false, "print keys as they are on a terminal too")
	return cmd
}

func knownType(name string) bool {
	for _, t := range rdb.Types() {
		if t.String() == name {
			return true
		}
	}
	return false
}

func (l *looker) scan(cmd *cobra.Command, pattern, typ string, whole bool) error {
	v, err := l.open(cmd, l.s.at)
	if err != nil {
		return err
	}
	defer v.close()
	out := bufio.NewWriter(cmd.OutOrStdout())
	enc := json.NewEncoder(out)
	spell := l.spell()
	n := 0
	err = v.each(cmd.Context(), l.s.quiet, func(o *rdb.Object) error {
		if l.db >= 0 && o.DB != l.db || typ != "" && o.Type.String() != typ || !command.GlobMatch([]byte(pattern), o.Key, false) {
			return nil
		}
		e, err := values.Of(o, v.at)
		if err != nil || e == nil {
			return err
		}
		n++
		switch {
		case whole:
			return enc.Encode(e)
		case l.s.json:
			return enc.Encode(e.Short())
		case l.db < 0:
			_, err = fmt.Fprintf(out, "%d\t%s\n", e.DB, spell(e.Key))
		default:
			_, err = fmt.Fprintf(out, "%s\n", spell(e.Key))
		}
		return err
	})
	if err = errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if !l.s.quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s of %s\n", count(n, "key"), v)
	}
	return nil
}
