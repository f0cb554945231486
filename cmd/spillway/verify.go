package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/sink"
)

// verdict is what `verify --json` prints.
type verdict struct {
	From       string             `json:"from"`
	Whole      bool               `json:"whole"`
	Parts      []backup.PartState `json:"parts"`
	Keys       map[string]int64   `json:"keys"` // by type, over all parts
	Blocks     int64              `json:"blocks"`
	Commands   int64              `json:"commands"`
	Restorable bool               `json:"restorable"`           // a checkpoint is there, or this is a data directory
	Unreadable string             `json:"unreadable,omitempty"` // what the source says of sets it cannot describe
	Gaps       []string           `json:"gaps"`                 // not damage: what is there cannot be used together
	Short      string             `json:"short,omitempty"`      // why --at is not reached
}

func verifyCommand() *cobra.Command {
	var s sourceFlags
	deep := true
	tell := false
	var at daemonAt
	var servant servant
	s.o.servant = &servant
	cmd := &cobra.Command{
		Use: "verify", Short: "Read a backup to its last byte and tell what is damaged", Args: noArgs,
		Long: "verify reads every part of every set, or of what --at needs: digests, then every stage undone, then\n" +
			"every key and every command. It changes nothing and exits with 1 if anything is damaged, or if there\n" +
			"is no checkpoint: archived log segments alone restore nothing.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer interruptible(cmd)()
			defer servant.begin(cmd)()
			src, err := s.open(cmd, true)
			if err != nil {
				return err
			}
			defer src.close()
			v, err := s.verify(cmd.Context(), src, deep)
			if err != nil {
				return err
			}
			switch {
			case servant.on:
				ok, text := v.found()
				return writeJSON(cmd.OutOrStdout(), finding{Source: v.From, OK: ok, Text: text})
			case s.json:
				err = writeJSON(cmd.OutOrStdout(), v)
			default:
				err = v.print(cmd.OutOrStdout())
			}
			if err == nil && tell {
				err = v.tell(cmd, &s, at)
			}
			switch {
			case err != nil:
			case !v.Whole || !v.Restorable || v.Short != "":
				err = errReported
			case v.unread():
				err = usageError{errors.New("what is encrypted was compared with its digest only: --identity FILE, or a configuration with the identity, is needed to read it")}
			}
			return err
		},
	}
	s.register(cmd, "default: the data directory")
	cmd.Flags().BoolVar(&tell, "tell", false, "tell the running daemon what was found, for its metrics and `spillway status`")
	at.register(cmd.Flags())
	servant.register(cmd)
	s.registerAt(cmd, "", "verify only what this moment needs")
	cmd.Flags().StringVar(&s.o.dir, "dir", "", "data directory")
	cmd.Flags().BoolVar(&deep, "deep", true, "decode and count; --deep=false compares stored bytes with their digests and needs no keys")
	return cmd
}

func (s *sourceFlags) verify(ctx context.Context, src *source, deep bool) (*verdict, error) {
	v := &verdict{From: src.where, Keys: make(map[string]int64), Gaps: []string{}}
	sets, err := s.toVerify(ctx, src, v)
	if err != nil {
		return nil, err
	}
	progress := new(backup.Progress)
	stop := watch("verifying", progress, s.quiet)
	v.Parts, err = backup.Verify(ctx, src, sets, backup.VerifyOptions{
		Stages: src.stages, Stored: !deep, Parallel: s.parallel, Logger: src.log, Progress: progress,
	})
	stop()
	if err != nil {
		return nil, err
	}
	v.Whole = v.Unreadable == ""
	if v.damaged() {
		// An engine may have retired a set meanwhile: what is not listed any
		// more is not damaged.
		if now, err := backup.List(ctx, src); err == nil {
			all := append(slices.Clone(now.Checkpoints), now.Segments...)
			v.Parts = slices.DeleteFunc(v.Parts, func(p backup.PartState) bool {
				return p.Damage != "" && !slices.ContainsFunc(all, func(s sink.Set) bool { return s.ID == p.Set })
			})
		}
		v.Whole = v.Whole && !v.damaged()
	}
	for _, p := range v.Parts {
		for t, n := range p.Keys {
			v.Keys[t] += n
		}
		v.Blocks += p.Blocks
		v.Commands += p.Commands
	}
	return v, nil
}

// tell has the running daemon know of the verdict.
func (v *verdict) tell(cmd *cobra.Command, s *sourceFlags, at daemonAt) error {
	ok, text := v.found()
	return s.tell(cmd, at, "VERIFIED", v.From, map[bool]string{true: "ok", false: "damaged"}[ok], text)
}

// found is what the daemon is told.
func (v *verdict) found() (ok bool, text string) {
	if v.Whole && v.Restorable {
		text = count(len(v.Parts), "part")
		if v.unread() {
			text += ", those that are encrypted compared with their digests only"
		}
		return true, text
	}
	if i := slices.IndexFunc(v.Parts, func(p backup.PartState) bool { return p.Damage != "" }); i >= 0 {
		return false, v.Parts[i].Set.String() + "/" + v.Parts[i].Part + ": " + v.Parts[i].Damage
	}
	return false, cmp.Or(v.Unreadable, "no checkpoint is there")
}

func (v *verdict) damaged() bool {
	return slices.ContainsFunc(v.Parts, func(p backup.PartState) bool { return p.Damage != "" })
}

func (v *verdict) unread() bool {
	return slices.ContainsFunc(v.Parts, func(p backup.PartState) bool { return p.Unread != "" })
}

// toVerify is every set, or the ones of a point.
func (s *sourceFlags) toVerify(ctx context.Context, src *source, v *verdict) ([]sink.Set, error) {
	c, err := backup.List(ctx, src)
	if err != nil {
		return nil, err
	}
	if c.Unreadable != nil {
		v.Unreadable = c.Unreadable.Error()
	}
	v.Restorable = src.data != nil || len(c.Checkpoints) > 0
	if s.at != "" {
		at, err := s.moment()
		if err != nil {
			return nil, err
		}
		p, err := c.Plan(at)
		if err != nil {
			return nil, noBackup(fmt.Errorf("%s: %w", src.where, err))
		}
		if p.Why != "" {
			v.Gaps = append(v.Gaps, p.Why)
		}
		if err := p.Reached(); err != nil {
			v.Short = err.Error()
		}
		return p.Sets(), nil
	}
	for _, w := range c.Windows() {
		if w.Gap != "" {
			v.Gaps = append(v.Gaps, w.Gap)
		}
	}
	return append(slices.Clone(c.Checkpoints), c.Segments...), nil
}

func (v *verdict) print(w io.Writer) error {
	fmt.Fprintf(w, "backup %s\n", v.From)
	for _, p := range v.Parts {
		if p.Damage != "" {
			fmt.Fprintf(w, "  DAMAGED  %s %s: %s\n", p.Set, p.Part, p.Damage)
			continue
		}
		if p.Unread != "" {
			fmt.Fprintf(w, "  unread   %s %s: %s as they were stored; %s\n", p.Set, p.Part, size(p.Bytes), p.Unread)
			continue
		}
		fmt.Fprintf(w, "  ok       %s %s: %s%s\n", p.Set, p.Part, size(p.Bytes), contents(p))
	}
	if v.Unreadable != "" {
		fmt.Fprintf(w, "  DAMAGED  %s\n", strings.ReplaceAll(v.Unreadable, "\n", "\n           "))
	}
	for _, g := range v.Gaps {
		fmt.Fprintf(w, "  gap      %s\n", g)
	}
	end := "Everything is as it was written."
	switch {
	case !v.Whole:
		end = "There is damage. Another sink may have the same set whole."
	case v.Short != "":
		end = "It is older than what was asked for: " + v.Short
	case v.unread():
		end = "The stored bytes are whole; what is encrypted in them could not be looked at without its key."
	case !v.Restorable:
		end = "No checkpoint is there: nothing can be restored from this alone."
	}
	_, err := fmt.Fprintln(w, end)
	return err
}

// contents says what a part was found to hold.
func contents(p backup.PartState) string {
	var b strings.Builder
	for _, t := range slices.Sorted(maps.Keys(p.Keys)) {
		fmt.Fprintf(&b, ", %s", count(p.Keys[t], t+" key"))
	}
	if p.Set.Kind == sink.KindSegment && p.Blocks > 0 {
		fmt.Fprintf(&b, ", %s", blocks(p.Blocks, p.Commands))
	}
	return b.String()
}
