package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core"
)

// diffPipelines starts the plugins that are new, makes the stages and sinks that are,
// and has the engine ask the latter what they hold.
func (x *reloading) diffPipelines(ctx context.Context) error {
	if x.old.ReadOnly {
		return nil // nothing goes through them
	}
	x.diffRates()
	before := len(x.done.Changed)
	for _, p := range x.next.Plugins {
		i := slices.IndexFunc(x.old.Plugins, func(o config.Plugin) bool { return o.Name == p.Name })
		switch {
		case i < 0:
			x.changed("plugin "+p.Name, "", "new")
		case !reflect.DeepEqual(x.old.Plugins[i].Spec, p.Spec):
			x.changed("plugin "+p.Name, "", "another one")
		}
	}
	for _, p := range x.old.Plugins {
		if !slices.ContainsFunc(x.next.Plugins, func(o config.Plugin) bool { return o.Name == p.Name }) {
			x.changed("plugin "+p.Name, "", "gone")
		}
	}
	x.diffMembers(&x.old.Check, &x.next.Check)
	x.diffMembers(&x.old.Archive.Pipeline, &x.next.Archive.Pipeline)
	if from, to := x.old.Check.Keep, x.next.Check.Keep; from != to {
		x.changed("keep in the data directory", fmt.Sprint(from), fmt.Sprint(to))
	}
	if from, to := x.old.Check.Verify, x.next.Check.Verify; from != to {
		x.changed("pipeline checkpoint.verify_decode", fmt.Sprint(from), fmt.Sprint(to))
	}
	if x.old.Archive.Name != "" && x.next.Archive.Name != "" {
		if from, to := x.old.Archive.SealAfter, x.next.Archive.SealAfter; from != to {
			x.changed("pipeline archive.seal_after", from.String(), to.String())
		}
		if from, to := x.old.Archive.SealSize, x.next.Archive.SealSize; from != to {
			x.changed("pipeline archive.seal_size", size(from), size(to))
		}
	}
	if len(x.done.Changed) == before {
		return nil
	}
	return x.preparePipelines(ctx)
}

// directoriesToCome are those that making the sinks of the new configuration makes, inner
// ones first.
func (x *reloading) directoriesToCome() (out []string) {
	for _, pl := range x.next.Pipelines() {
		for _, m := range pl.Mirrors {
			if m.Plugin != nil || m.Make != nil || m.FS.Kind != "os" {
				continue
			}
			dir, err := filepath.Abs(m.FS.Root)
			for err == nil && !slices.Contains(out, dir) {
				if _, err = os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
					break
				}
				out, dir, err = append(out, dir), filepath.Dir(dir), nil
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

// diffRates finds the sinks that may take and give more or less from now on. What is
// under way goes on at the new rate.
func (x *reloading) diffRates() {
	old, next := x.old.Rates(), x.next.Rates()
	for _, name := range slices.Sorted(maps.Keys(next)) {
		if from, there := old[name]; there && from != next[name] {
			x.changed("the rate of sink "+name, config.FormatRate(from), config.FormatRate(next[name]))
		}
	}
	if from, to := x.old.Archive.Rate, x.next.Archive.Rate; from != to {
		x.changed("pipeline archive.rate", config.FormatRate(from), config.FormatRate(to))
	}
	x.applies = append(x.applies, func() { x.r.plugged.Load().rates.set(x.next) })
}

// diffMembers compares the stages and sinks of a pipeline.
func (x *reloading) diffMembers(old, next *config.Pipeline) {
	same := func(a, b config.Stage) bool { return a.Identity(x.old.Plugins) == b.Identity(x.next.Plugins) }
	if !slices.EqualFunc(old.Stages, next.Stages, same) {
		list := func(ss []config.Stage) string {
			var names []string
			for _, s := range ss {
				names = append(names, s.Name)
			}
			return fmt.Sprint(names)
		}
		from, to := list(old.Stages), list(next.Stages)
		if from == to {
			from, to = "", "other settings of "+to
		}
		x.changed("the stages of pipeline "+cmp.Or(next.Name, old.Name), from, to)
	}
	for _, m := range next.Mirrors {
		i := slices.IndexFunc(old.Mirrors, func(o config.Mirror) bool { return o.Name == m.Name })
		if i < 0 {
			x.changed("sink "+next.Shown(m.Name), "", "new")
			continue
		}
		o := old.Mirrors[i]
		switch from, to := whereOf(o), whereOf(m); {
		case from != to:
			x.changed("sink "+next.Shown(m.Name), from, to)
		case o.Identity(x.old.Plugins) != m.Identity(x.next.Plugins), o.Required != m.Required, o.Keep != m.Keep, o.Timeout != m.Timeout:
			x.changed("sink "+next.Shown(m.Name), "", "other settings")
		}
	}
	for _, o := range old.Mirrors {
		if !slices.ContainsFunc(next.Mirrors, func(m config.Mirror) bool { return m.Name == o.Name }) {
			x.changed("sink "+old.Shown(o.Name), "", "gone")
		}
	}
}

// preparePipelines makes the pipelines of the new configuration.
func (x *reloading) preparePipelines(ctx context.Context) error {
	r := x.r
	now := r.plugged.Load()
	next, err := plug(x.next, r.log, now)
	if err != nil {
		return err
	}
	made := x.directoriesToCome()
	x.discards = append(x.discards, func() {
		next.closeAllBut(now, r.log)
		for _, dir := range made {
			_ = os.Remove(dir) // one that is not empty stays
		}
	})
	var spec core.Pipelines
	if spec, err = next.pipelines(x.next, now, r.log); err != nil {
		return err
	}
	if err := next.boot(ctx, r.log); err != nil {
		return err
	}
	swap, err := r.db.PreparePipelines(ctx, spec)
	if err != nil {
		return err
	}
	x.discards = append(x.discards, swap.Discard)
	for _, err := range swap.Unasked {
		x.done.Notes = append(x.done.Notes, err.Error())
	}
	if running, _ := r.db.Checkpoints(); running {
		x.done.Notes = append(x.done.Notes, "a checkpoint is in flight: it goes on with the stages and sinks that it began with")
	}
	x.applies = append(x.applies, func() {
		r.plugged.Store(next)
		next.show(x.next)
		r.showPlugins()
		before, closed := r.retired, make(chan struct{})
		r.retired = closed
		swap.Apply(func() {
			go func() {
				defer close(closed)
				<-before // a checkpoint that uses what is older may use this too
				now.closeAllBut(next, r.log)
			}()
		})
	})
	return nil
}
