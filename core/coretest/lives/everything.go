package lives

import (
	"strconv"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// everything has an engine put one of all that it can hold on a store, in a snapshot, in
// segments of the log and in a rewrite, and brings it back from each, and from a moment
// in the middle of the log.
func everything(t *testing.T, mk Make) {
	store := mk(t)
	target := []sink.Target{{Name: "store", Sink: store.Open(), Required: true}}
	h := coretest.New(t, func(o *core.Options) {
		o.ManualTick, o.Targets = true, target
		o.Archive = core.Archive{Targets: []sink.Target{{Name: "store", Sink: store.Open()}}, SealAfter: time.Second}
	})
	create := func(specimens []coretest.Specimen) {
		t.Helper()
		for _, s := range specimens {
			for _, args := range append([][]string{{"SELECT", strconv.Itoa(s.DB)}}, s.Make...) {
				if v := h.Value(args...); v.Err() != nil {
					t.Fatalf("%s: %.60q: %s", s.Name, args, v)
				}
			}
		}
		h.Do("SELECT", "0")
	}
	rest := func() {
		t.Helper()
		testutil.Eventually(t, "the archive comes to rest", func() bool {
			h.Settle()
			s := h.DB.Archive()
			if s.Err != nil {
				t.Fatalf("the archive: %v", s.Err)
			}
			return s.Waiting == 0 && !s.Sealing
		})
	}
	settle := func() {
		t.Helper()
		rest() // has seen the last write
		h.Clock.Advance(time.Minute)
		rest() // has sealed it
	}
	held := func(db *core.DB) string {
		t.Helper()
		client := db.Session()
		text, err := coretest.Contents(h.Clock.Now().UnixMilli(), func(args ...string) (resp.Value, error) { return client.Do(args...) })
		if err != nil {
			t.Fatal(err)
		}
		return text
	}

	specimens := coretest.Specimens()
	create(specimens[:len(specimens)/2])
	first := held(h.DB)
	if err := h.DB.Save(ctx); err != nil {
		t.Fatal(err)
	}
	settle()
	create(specimens[len(specimens)/2:])
	middle, whole := h.Clock.Now(), held(h.DB)
	settle()
	if err := h.DB.RewriteAOF(ctx); err != nil {
		t.Fatal(err)
	}
	h.Do("FLUSHALL")
	h.Do("FUNCTION", "FLUSH")
	h.Do("SET", "the last", "write")
	last := held(h.DB)
	settle()

	for _, c := range []struct {
		what     string
		at       backup.At
		segments bool
		want     string
	}{
		{"the snapshot", backup.At{Generation: 1}, false, first},
		{"a moment in the log", backup.At{Time: middle}, true, whole},
		{"the rewrite", backup.At{Generation: 2}, false, whole},
		{"the end", backup.At{}, true, last},
	} {
		w := world{}
		data, point, err := w.restore(store.Open(), c.at)
		if err != nil {
			t.Fatalf("restoring %s: %v", c.what, err)
		}
		if (len(point.Segments) > 0) != c.segments {
			t.Errorf("%s is restored as %s", c.what, point)
		}
		db, err := core.Open(core.Options{FS: data, Shards: 3, Clock: h.Clock, ManualTick: true})
		if err != nil {
			t.Fatalf("opening %s: %v", c.what, err)
		}
		if diff := coretest.ContentsDiff(held(db), c.want); diff != "" {
			t.Errorf("%s: + it holds, - it should:\n%s", c.what, diff)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
