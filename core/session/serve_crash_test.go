package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

var errNoPower = errors.New("the power is gone")

// TestServedWhenThePowerFails takes the power before every operation of a push that
// serves a BLMOVE to another shard. Afterwards each element is in one place, the
// push is there whole or not at all, and what a client was told holds.
func TestServedWhenThePowerFails(t *testing.T) {
	struck, told := 0, 0
	for n := 0; ; n++ {
		hit, ok := false, 0
		for _, seed := range []int64{memfs.LoseAll, memfs.KeepAll, int64(3*n + 2), int64(3*n + 3), int64(3*n + 4)} {
			h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
			var disk *faultfs.FS
			h.Wrap(func(fs vfs.FS) vfs.FS {
				disk = faultfs.New(fs, nil)
				return disk
			})
			h.Reopen()
			k := farKeys(t, h, 2)
			mover, pusher := newClient(t, h), newClient(t, h)
			mover.mustBlock("BLMOVE " + k[0] + " " + k[1] + " LEFT RIGHT 0")
			var left *memfs.FS
			count := 0
			mem := h.FS
			disk.SetInject(func(op faultfs.Op) error {
				if left != nil {
					return errNoPower
				}
				if !op.Kind.Mutates() {
					return nil
				}
				if count++; count > n {
					left = mem.CrashClone(seed)
					return errNoPower
				}
				return nil
			})
			pusher.run("RPUSH " + k[0] + " x y")
			if mover.Resume(&mover.out); mover.Blocked() {
				t.Fatal("the client was not served")
			}
			mover.Finish(&mover.out)
			disk.SetInject(nil)
			if left == nil {
				left = mem.CrashClone(seed)
			} else {
				hit = true
			}
			pushed, moved := string(pusher.out.Buf) == ":2\r\n", string(mover.out.Buf) == "$1\r\nx\r\n"
			db, err := core.Open(core.Options{FS: left, Shards: 3, ManualTick: true})
			if err != nil {
				t.Fatal(err)
			}
			from, to := lrange(t, db, k[0]), lrange(t, db, k[1])
			_ = db.Close()
			state := strings.Join(from, ",") + " " + strings.Join(to, ",")
			if !slices.Contains([]string{" ", "x,y ", "y x"}, state) || pushed && state == " " || moved && state != "y x" {
				t.Errorf("power lost at operation %d, seed %d: %q is left; the push was acknowledged: %v, the move: %v", n, seed, state, pushed, moved)
			}
			if moved {
				ok++
			}
		}
		told += ok
		if !hit {
			break
		}
		struck++
	}
	t.Logf("power lost at %d operations", struck)
	if struck == 0 || told == 0 {
		t.Errorf("power lost at %d operations, %d moves acknowledged", struck, told)
	}
}

func lrange(t *testing.T, db *core.DB, key string) (out []string) {
	t.Helper()
	v, err := db.Session().Do("LRANGE", key, "0", "-1")
	if err != nil || v.Err() != nil {
		t.Fatal(err, v)
	}
	for _, e := range v.Elems {
		out = append(out, fmt.Sprintf("%s", e.Str))
	}
	return out
}
