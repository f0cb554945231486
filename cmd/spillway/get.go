package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/values"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
)

// got is what `get --json` prints.
type got struct {
	From    string          `json:"from"`
	Point   string          `json:"point"`
	At      time.Time       `json:"at"`
	Keys    []*values.Entry `json:"keys"` // in the order they were asked for
	Missing []string        `json:"missing"`
}

func getCommand() *cobra.Command {
	var l looker
	var asResp bool
	cmd := &cobra.Command{
		Use: "get KEY…", Short: "Print what a key of a backup held",
		Long: "get prints the value that a key had at a moment: a line for each element, with a field's value, a\n" +
			"member's score or an entry's fields behind a tab. Which type it is and when it expires is told on\n" +
			"stderr. It changes nothing where it reads, and a key that was there then is shown even if its deadline\n" +
			"has come since. Where a log follows the checkpoint an engine executes it, with all keys in memory.\n\n" +
			"With --resp it prints the commands that make the key again, to bring it back:\n" +
			"  spillway get cart:42 --from s3 --at '2006-01-02 14:59' --resp | redis-cli -p 6380 --pipe\n\n" +
			"The exit status is 1 if a key was not there.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("get: say which key")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, keys []string) error {
			defer interruptible(cmd)()
			if asResp && l.s.json {
				return usageError{errors.New("--resp does not go with --json")}
			}
			return l.get(cmd, keys, asResp)
		},
	}
	l.register(cmd, 0, "database")
	l.s.registerAt(cmd, "latest", "the moment to look at")
	cmd.Flags().BoolVar(&l.raw, "raw", false, "print strings as they are on a terminal too")
	cmd.Flags().BoolVar(&asResp, "resp", false, "print the commands that make the keys again, for redis-cli --pipe")
	return cmd
}

func (l *looker) get(cmd *cobra.Command, keys []string, asResp bool) error {
	v, err := l.open(cmd, l.s.at)
	if err != nil {
		return err
	}
	defer v.close()
	v.likelyFirst(keys[0])
	found := make(map[string]*values.Entry)
	build := make(map[string][]byte)
	wanted := make(map[string]bool)
	for _, k := range keys {
		wanted[k] = true
	}
	err = v.each(cmd.Context(), l.s.quiet, func(o *rdb.Object) error {
		if o.DB != l.db || !wanted[string(o.Key)] {
			return nil
		}
		e, err := values.Of(o, v.at)
		if err != nil || e == nil {
			return err
		}
		found[string(o.Key)] = e
		if asResp {
			if build[string(o.Key)], err = commands(o); err != nil {
				return err
			}
		}
		if len(found) == len(wanted) {
			return errEnough
		}
		return nil
	})
	if err != nil {
		return err
	}
	if l.s.json {
		return v.printJSON(cmd, keys, found)
	}
	v.describe(cmd, l.s.quiet)
	for _, k := range keys {
		e := found[k]
		if e == nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "spillway: %q was not there\n", k)
			continue
		}
		if !l.s.quiet {
			fmt.Fprintf(cmd.ErrOrStderr(), "%q, %s\n", k, summary(e))
		}
		if asResp {
			_, err = cmd.OutOrStdout().Write(build[k])
		} else {
			err = e.WriteText(cmd.OutOrStdout(), l.spell())
		}
		if err != nil {
			return err
		}
	}
	if len(found) < len(wanted) {
		return errReported
	}
	return nil
}

// likelyFirst has the part read first that a key is in if the shards were those of
// today: of a checkpoint alone the others need not be read then.
func (v *view) likelyFirst(key string) {
	n := len(v.p.Set.Parts)
	const slots = 16384 // of Redis Cluster
	likely := keyspace.Slot([]byte(key)) * n / slots
	v.p.Set.Parts = slices.Clone(v.p.Set.Parts)
	slices.SortStableFunc(v.p.Set.Parts, func(a, b sink.SetPart) int {
		switch {
		case a.Part.Shard == b.Part.Shard:
			return 0
		case a.Part.Shard == likely:
			return -1
		case b.Part.Shard == likely:
			return 1
		}
		return 0
	})
}

func (v *view) printJSON(cmd *cobra.Command, keys []string, found map[string]*values.Entry) error {
	out := got{From: v.src.where, Point: v.p.String(), At: v.at, Keys: []*values.Entry{}, Missing: []string{}}
	for _, k := range keys {
		if e := found[k]; e != nil {
			out.Keys = append(out.Keys, e)
		} else {
			out.Missing = append(out.Missing, k)
		}
	}
	if err := writeJSON(cmd.OutOrStdout(), out); err != nil {
		return err
	}
	if len(out.Missing) > 0 {
		return errReported
	}
	return nil
}

// summary is what an entry is, in words: "a hash of 3 fields, expires …".
func summary(e *values.Entry) string {
	var s string
	switch e.Type {
	case rdb.TypeString:
		s = "a string of " + count(len(e.Rows[0].Words[0]), "byte")
	case rdb.TypeList:
		s = "a list of " + count(e.Elements, "item")
	case rdb.TypeSet:
		s = "a set of " + count(e.Elements, "member")
	case rdb.TypeZSet:
		s = "a sorted set of " + count(e.Elements, "member")
	case rdb.TypeHash:
		s = "a hash of " + count(e.Elements, "field")
	case rdb.TypeStream:
		s = fmt.Sprintf("a stream of %s and %s", count(e.Elements, "entry"), count(len(e.Stream.Groups), "group"))
	default:
		s = rdb.UnknownType(e.Type).Error()
	}
	if e.Expires != 0 {
		s += ", expires " + time.UnixMilli(e.Expires).Local().Format("2006-01-02 15:04:05.000 -07:00")
	}
	return s
}

// commands are those that make a key of o, whatever it is at the moment.
func commands(o *rdb.Object) ([]byte, error) {
	var out []byte
	c := rdb.NewCommands(func(args [][]byte) error {
		out = resp.AppendCommand(out, args...)
		return nil
	})
	c.SelectDB(o.DB)
	out = resp.AppendCommand(out, []byte("DEL"), o.Key)
	c.Object(o)
	return out, c.End()
}
