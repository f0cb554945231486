package core_test

import (
	"context"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestLoadProgress: while a start reads the base, and within a segment of the log, it
// tells how far it has come; in the end the recovery knows how much each was.
func TestLoadProgress(t *testing.T) {
	disk := memfs.New()
	open := func(o core.Options) *core.DB {
		t.Helper()
		o.Shards, o.Save, o.ManualTick = 2, nil, true
		o.Fsync = wal.Always // so that each command is a block, with an offset
		db, err := core.Prepare(o)
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open(core.DefaultOptions(disk))
	if err := db.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("x", 60<<10)
	s := db.Session()
	for i := range 200 {
		if _, err := s.Do("SET", strings.Repeat("k", i+1), value); err != nil {
			t.Fatal(err)
		}
		if i == 99 {
			if err := db.Save(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	var inBase, inLog, last int64
	base := int64(100 * len(value)) // and some bytes
	slow := faultfs.New(disk, func(op faultfs.Op) error {
		if db == nil || op.Kind != faultfs.OpRead || !strings.HasPrefix(op.Path, "log/") {
			return nil
		}
		done, total := db.LoadProgress()
		if total == 0 {
			return nil // it is loaded
		}
		if done < last || done > total {
			t.Errorf("%d bytes of %d after %d", done, total, last)
		}
		if last = done; done > 0 && total > 2*base {
			inBase = max(inBase, base)
			if done > base+base/4 && done < total-base/8 {
				inLog++
			}
		}
		return nil
	})
	db = nil
	db = open(core.DefaultOptions(slow))
	if err := db.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if inBase == 0 || inLog == 0 {
		t.Errorf("the base is never seen as loaded (%d), or the log never as read in part (%d)", inBase, inLog)
	}
	if done, total := db.LoadProgress(); done != 0 || total != 0 {
		t.Errorf("%d of %d bytes when it has ended", done, total)
	}
	r := db.Recovered()
	if r.BaseBytes < base || r.LogBytes < base || r.BaseTook < 0 || r.BaseTook+r.LogTook > r.Took {
		t.Errorf("%+v", r)
	}
}
