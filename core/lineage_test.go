package core_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// place is a sink's place that several engines use.
type place struct{ fs *memfs.FS }

func (p place) required(o *core.Options) {
	o.Shards = 2
	o.Targets = []sink.Target{{Name: "m", Sink: sink.NewFSSink("m", p.fs, "checkpoints"), Required: true}}
}

func (p place) archived(o *core.Options) {
	p.required(o)
	o.Archive = core.Archive{Targets: []sink.Target{{Name: "log", Sink: sink.NewFSSink("log", p.fs, "checkpoints")}}}
}

// sets are the names of what is published there.
func (p place) sets(t *testing.T) (names []string) {
	t.Helper()
	sets, err := sink.NewFSSink("look", p.fs, "checkpoints").List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sets {
		names = append(names, s.ID.String())
	}
	return names
}

// wantStill wants everything that was published to be there byte for byte. What was
// only on its way, as a segment may be at any time, is no set yet.
func (p place) wantStill(t *testing.T, before map[string]string) {
	t.Helper()
	now := contentOf(t, p.fs, ".")
	for name, data := range before {
		if _, published := before[path.Join(path.Dir(name), sink.SetFile)]; published && now[name] != data {
			t.Errorf("%s is gone, or changed", name)
		}
	}
}

func save(t *testing.T, h *coretest.Harness, tag string) {
	t.Helper()
	h.Settle() // a start under a new lineage begins with a checkpoint
	fill(h, tag)
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// refused wants a start to be refused for what a sink holds, and to change nothing.
func refused(t *testing.T, h *coretest.Harness, want string) *core.SinkStateError {
	t.Helper()
	before := contentOf(t, h.FS, ".")
	err := h.TryOpen()
	if err == nil {
		_ = h.DB.Close()
		t.Fatalf("it started; want a refusal because of a sink that is %q", want)
	}
	var state *core.SinkStateError
	if !errors.As(err, &state) || state.State != want {
		t.Fatalf("the start says %v, want a sink that is %q", err, want)
	}
	if after := contentOf(t, h.FS, "."); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the refused start changed the directory")
	}
	return state
}

// TestLives goes through what may become of a directory, its copies and its
// sinks between two starts.
func TestLives(t *testing.T) {
	type life struct {
		*coretest.Harness
		adopt bool
	}
	begin := func(t *testing.T, options func(*core.Options), disk *memfs.FS) *life {
		l := &life{adopt: true}
		l.Harness = coretest.New(t, options, func(o *core.Options) { o.Adopt, o.Keep = l.adopt, 3 })
		_ = l.DB.Close() // of an empty directory that is put aside
		l.adopt, l.FS = false, disk
		return l
	}
	t.Run("disk lost", func(t *testing.T) {
		p := place{memfs.New()}
		a := begin(t, p.required, memfs.New())
		a.Open()
		for i := range 5 {
			save(t, a.Harness, fmt.Sprint(i))
		}
		_ = a.DB.Close()
		before := contentOf(t, p.fs, ".")
		b := begin(t, p.required, memfs.New())
		if state := refused(t, b.Harness, core.SinkForeign); !state.Empty || state.Checkpoints != 5 {
			t.Errorf("%+v", state)
		}
		b.adopt = true
		b.Open()
		save(t, b.Harness, "anew")
		if info := persistence(b.Harness); !strings.Contains(info, "other_lineages=1") {
			t.Errorf("INFO says nothing of the other lineage:\n%s", info)
		}
		_ = b.DB.Close()
		b.adopt = false
		b.Open() // once was enough
		save(t, b.Harness, "again")
		p.wantStill(t, before)
		if names := p.sets(t); len(names) != 7 || !strings.HasPrefix(names[5], "snapshot 00000006-") {
			t.Errorf("there are %v; the numbers should go on above the earlier life's", names)
		}
		// The life that goes on is what a restore takes, the other one by its name.
		c, err := backup.List(context.Background(), sink.NewFSSink("look", p.fs, "checkpoints"))
		if err != nil {
			t.Fatal(err)
		}
		lives := c.Lives()
		latest, err := c.Plan(backup.At{})
		if err != nil || len(lives) != 2 || latest.Lineage() != field(t, b.Harness, "spillway_lineage") {
			t.Errorf("%v of %+v, %v", latest, lives, err)
		}
		first := slices.DeleteFunc(lives, func(l backup.Life) bool { return l.Lineage == latest.Lineage() })
		if old, err := c.Plan(backup.At{Lineage: first[0].Lineage[:6]}); err != nil || old.Set.ID.Generation != 5 {
			t.Errorf("%v, %v", old, err)
		}
	})
	t.Run("rolled back", func(t *testing.T) {
		for name, options := range map[string]func(place) func(*core.Options){
			"required": func(p place) func(*core.Options) { return p.required },
			"archived": func(p place) func(*core.Options) { return p.archived },
		} {
			t.Run(name, func(t *testing.T) {
				p := place{memfs.New()}
				a := begin(t, options(p), memfs.New())
				a.Open()
				save(t, a.Harness, "old")
				old := a.FS.CrashClone(memfs.KeepAll)
				save(t, a.Harness, "new")
				save(t, a.Harness, "newer")
				_ = a.DB.Close()
				before := contentOf(t, p.fs, ".")
				a.FS = old
				refused(t, a.Harness, core.SinkLater)
				a.adopt = true
				a.Open()
				lineage := field(t, a.Harness, "spillway_lineage")
				save(t, a.Harness, "other")
				p.wantStill(t, before)
				_ = a.DB.Close()
				a.adopt = false
				a.Open()
				if now := field(t, a.Harness, "spillway_lineage"); now != lineage {
					t.Errorf("the lineage has changed again: %s, %s", lineage, now)
				}
				for _, s := range p.sets(t) {
					if strings.Contains(s, "snapshot 00000002") && strings.Contains(s, lineage[:8]) {
						t.Errorf("%s has the number of a set that was there", s)
					}
				}
			})
		}
	})
	t.Run("a copy beside the original", func(t *testing.T) {
		p := place{memfs.New()}
		a := begin(t, p.archived, memfs.New())
		a.Open()
		save(t, a.Harness, "shared")
		b := begin(t, p.archived, a.FS.CrashClone(memfs.KeepAll))
		b.Open() // nothing has happened yet that could tell them apart
		save(t, b.Harness, "copy")
		before := contentOf(t, p.fs, ".")
		save(t, a.Harness, "original") // no error: it is served and saved on
		save(t, a.Harness, "original again")
		save(t, b.Harness, "copy again")
		p.wantStill(t, before)
		if x, y := field(t, a.Harness, "spillway_lineage"), field(t, b.Harness, "spillway_lineage"); x == y {
			t.Errorf("both are still of lineage %s", x)
		}
		c, err := backup.List(context.Background(), sink.NewFSSink("look", p.fs, "checkpoints"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Plan(backup.At{}); !errors.Is(err, backup.ErrLineages) {
			t.Errorf("which of the two is to be restored? %v", err)
		}
	})
	t.Run("restored while the original lives", func(t *testing.T) {
		p := place{memfs.New()}
		a := begin(t, p.required, memfs.New())
		a.Open()
		save(t, a.Harness, "a")
		restored := memfs.New()
		far := sink.NewFSSink("look", p.fs, "checkpoints")
		point, err := backup.Plan(context.Background(), far, backup.At{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Restore(context.Background(), restored, far, point, backup.Options{Now: time.Now}); err != nil {
			t.Fatal(err)
		}
		b := begin(t, p.required, restored)
		b.Open() // as far as it can see, the original is gone
		b.Harness.Settle()
		save(t, a.Harness, "alive")
		before := contentOf(t, p.fs, ".")
		fill(b.Harness, "b")
		if err := b.DB.Save(context.Background()); err == nil || !strings.Contains(err.Error(), "that one goes on") {
			t.Errorf("the restored one may go on beside the original: %v", err)
		}
		_ = b.DB.Close()
		refused(t, b.Harness, core.SinkGoneOn)
		save(t, a.Harness, "still alive")
		p.wantStill(t, before)
	})
	t.Run("two that know nothing of each other", func(t *testing.T) {
		p := place{memfs.New()}
		a, b := begin(t, p.required, memfs.New()), begin(t, p.required, memfs.New())
		a.Open()
		b.Open() // the place is empty
		save(t, a.Harness, "a")
		fill(b.Harness, "b")
		// It was let in when the place was empty: from then on both are there.
		for range 3 {
			if err := b.DB.Save(context.Background()); err != nil {
				t.Fatal(err)
			}
			save(t, a.Harness, "a")
		}
		names := p.sets(t)
		if len(names) != 7 {
			t.Errorf("there are %v", names)
		}
	})
	t.Run("a sink is swapped for another's", func(t *testing.T) {
		p, q := place{memfs.New()}, place{memfs.New()}
		a, b := begin(t, p.required, memfs.New()), begin(t, q.required, memfs.New())
		for _, l := range []*life{a, b} {
			l.Open()
			save(t, l.Harness, "x")
			save(t, l.Harness, "y")
			_ = l.DB.Close()
		}
		c := begin(t, q.required, a.FS)
		if state := refused(t, c.Harness, core.SinkForeign); state.Empty {
			t.Errorf("%+v", state)
		}
	})
}

// TestSilentSink: a sink that cannot be asked keeps an empty directory from
// beginning anew, and no other; what it held is found out before the first Put.
func TestSilentSink(t *testing.T) {
	p := place{memfs.New()}
	h := coretest.New(t, p.required)
	save(t, h, "a")
	_ = h.DB.Close()
	silent := true
	var asked int
	options := func(adopt *bool) func(o *core.Options) {
		return func(o *core.Options) {
			p.required(o)
			o.Adopt = *adopt
			o.Targets[0].Sink = silence{o.Targets[0].Sink, &silent, &asked}
		}
	}
	yes := true
	e := coretest.New(t, options(&yes))
	_ = e.DB.Close()
	e.FS, yes = memfs.New(), false
	refused(t, e, core.SinkUnknown)

	// The directory of a is not empty: it starts, and is not kept from its sets.
	e.FS = h.FS
	e.Open()
	silent = false
	save(t, e, "b")
	if asked == 0 {
		t.Error("nobody asked")
	}
	_ = e.DB.Close()

	// One with data of its own starts too, and is kept from the place of others.
	other := coretest.New(t, func(o *core.Options) { o.Shards = 2 })
	fill(other, "c")
	_ = other.DB.Close()
	e.FS, silent = other.FS, true
	e.Open()
	silent = false
	if err := e.DB.Save(context.Background()); err == nil || !strings.Contains(err.Error(), "another data directory") {
		t.Errorf("Save: %v", err)
	}
	if names := p.sets(t); len(names) != 2 || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "00000003") }) {
		t.Errorf("there are %v", names)
	}
}

// silence is a sink that does not answer.
type silence struct {
	sink.Sink
	silent *bool
	asked  *int
}

func (s silence) List(ctx context.Context) ([]sink.Set, error) {
	*s.asked++
	if *s.silent {
		return nil, errDown
	}
	return s.Sink.List(ctx)
}
