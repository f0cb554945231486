package core_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/repair"
)

// TestArchiveOfRepairedLog: a disk damages a segment of the log that is archived
// whole. `spillway repair` ends the log before the damage, and the engine goes on
// from there: what the archive gives back is then the engine's new life or, until
// that has come to it, a moment of the old one, and never a mixture.
func TestArchiveOfRepairedLog(t *testing.T) {
	for bad := range 3 {
		t.Run(fmt.Sprint("segment ", bad), func(t *testing.T) {
			place := newOffsite()
			h := coretest.New(t, func(o *core.Options) { o.Shards = 1 }, place.options)
			h.Do("SET", "a", "1")
			if err := h.DB.Save(context.Background()); err != nil {
				t.Fatal(err)
			}
			archived(t, h)
			n := 0
			push := func() {
				for range 10 {
					h.Do("RPUSH", "list", fmt.Sprint(n))
					n++
				}
			}
			for range 3 {
				push()
				archived(t, h)
			}
			old := state(h)
			if got := place.restored(t); got != old {
				t.Fatalf("the archive gives\n%s\nwant\n%s", got, old)
			}
			if err := h.DB.Close(); err != nil {
				t.Fatal(err)
			}

			m, err := manifest.Read(h.FS)
			if err != nil {
				t.Fatal(err)
			}
			withData := m.Segments[len(m.Segments)-4:] // the last is empty
			path := withData[bad].Path
			st, err := h.FS.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			damage(t, h.FS, path, st.Size()*2/3)
			x, err := repair.Examine(context.Background(), h.FS)
			if err != nil {
				t.Fatal(err)
			}
			if i := x.BadSegment(); i < 0 || x.Segments[i].Path != path {
				t.Fatalf("segment %d is damaged, not %s: %+v", i, path, x.Segments)
			}
			if _, err := repair.CutLog(h.FS, x, time.Now()); err != nil {
				t.Fatal(err)
			}

			place.down.Store(true) // the archive still has what was cut off
			h.Open()
			now := list(state(h))
			if now == list(old) || !strings.HasPrefix(list(old), now) {
				t.Fatalf("the log was cut to %s", now)
			}
			if got := place.restored(t); got != old {
				t.Errorf("before anything is archived again the archive gives\n%s\nwant\n%s", got, old)
			}
			push()
			goal := state(h)
			place.down.Store(false)
			until(t, h, "the archive of the new life", func(s core.ArchiveStats) bool {
				h.Clock.Advance(time.Second)
				got := place.restored(t)
				if l := list(got); !strings.HasPrefix(list(old), l) && !strings.HasPrefix(list(goal), l) {
					t.Fatalf("the archive gives a state that never was: %s", l)
				}
				return s.Waiting == 0 && s.Lag == 0 && got == goal
			})
		})
	}
}

// list is what LRANGE says in a state, without its end.
func list(state string) string {
	_, rest, _ := strings.Cut(state, "[")
	items, _, _ := strings.Cut(rest, "]")
	return items
}
