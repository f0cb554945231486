package coretest_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// small is a scenario with a bit of everything that a disk may spoil.
func small(r *coretest.Run) {
	r.MustDo("RPUSH", "list", "a", "b")
	r.Save()
	r.Do("MULTI")
	r.Do("INCR", "n")
	r.Do("LPOP", "list")
	r.Do("EXEC")
}

func TestSmall(t *testing.T) {
	for _, policy := range []wal.Policy{wal.EverySec, wal.No} { // always: core and examples/crashtest
		t.Run(policy.String(), func(t *testing.T) {
			set := func(o *core.Options) { o.Fsync = policy }
			crashes := coretest.EveryCrashPoint(t, small, set)
			faults := coretest.EveryFault(t, small, set)
			if crashes.Struck+crashes.LeftOut < 40 || crashes.Recoveries < 4*crashes.Struck || faults.Struck+faults.LeftOut < 200 || faults.Recoveries < 2*faults.Struck {
				t.Errorf("only %+v and %+v", crashes, faults)
			}
		})
	}
}

// toggled switches the log off and on. What is written while it is on must be
// durable from its OK on, wherever a fault or a power loss falls.
func toggled(r *coretest.Run) {
	r.MustDo("RPUSH", "list", "a", "b")
	r.Do("CONFIG", "SET", "appendonly", "no")
	r.Tick()
	r.MustDo("INCR", "n")
	r.Do("CONFIG", "SET", "appendonly", "yes")
	r.MustDo("INCR", "n")
	r.Do("MULTI")
	r.Do("LPOP", "list")
	r.Do("INCR", "n")
	r.Do("EXEC")
}

func TestLogToggled(t *testing.T) {
	crashes := coretest.EveryCrashPoint(t, toggled)
	faults := coretest.EveryFault(t, toggled)
	if crashes.Struck+crashes.LeftOut < 40 || crashes.Recoveries < 4*crashes.Struck || faults.Struck+faults.LeftOut < 200 || faults.Recoveries < 2*faults.Struck {
		t.Errorf("only %+v and %+v", crashes, faults)
	}
}

// judge is a testing.TB that remembers what it was told.
type judge struct {
	testing.TB
	said string
}

func (j *judge) Helper()             {}
func (j *judge) Logf(string, ...any) {}
func (j *judge) Fatalf(f string, a ...any) {
	j.said = fmt.Sprintf(f, a...)
	runtime.Goexit()
}

// verdict runs a laboratory that has to fail, and returns what it said.
func verdict(t *testing.T, lab func(t testing.TB)) string {
	t.Helper()
	j := &judge{TB: t}
	var wg sync.WaitGroup
	wg.Go(func() { lab(j) })
	wg.Wait()
	if j.said == "" {
		t.Fatal("the laboratory found nothing")
	}
	return j.said
}

// TestFindsPlantedBugs: a disk, or an engine, that lies about one thing is found out.
// Under the race detector it is one bug of the crashes and one of the faults.
func TestFindsPlantedBugs(t *testing.T) {
	t.Setenv("SPILLWAY_LAB_STRIDE", "1") // it ends at the first point that shows it
	for name, bug := range testutil.OneUnderRace(map[string]coretest.Bug{
		"fsync does nothing":          {Sync: func(f afero.File) error { return nil }},
		"directory sync does nothing": {SyncDir: func(vfs.FS, string) error { return nil }},
		"the file is removed, then renamed": {Replace: func(fs vfs.FS, from, to string) error {
			if err := fs.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			if err := fs.SyncDir("."); err != nil {
				return err
			}
			return fs.Replace(from, to)
		}},
	}, "fsync does nothing") {
		t.Run("crash/"+name, func(t *testing.T) {
			said := verdict(t, func(t testing.TB) { coretest.EveryCrashPoint(t, small, bug.Plant) })
			if !strings.Contains(said, "the power was lost at operation") || !strings.Contains(said, "SPILLWAY_LAB_POINT=") {
				t.Errorf("it does not say where and how to see it again:\n%s", said)
			}
			t.Log(said)
		})
	}
	for name, bug := range testutil.OneUnderRace(map[string]coretest.Bug{
		"a failed fsync is called a success": {Sync: func(f afero.File) error { _ = f.Sync(); return nil }},
		"a failed write is called a success": {Write: func(f afero.File, b []byte) (int, error) { _, _ = f.Write(b); return len(b), nil }},
		"a failed fsync is done again": {Sync: func(f afero.File) error {
			if f.Sync() == nil {
				return nil
			}
			return f.Sync()
		}},
	}, "a failed write is called a success") {
		t.Run("fault/"+name, func(t *testing.T) {
			said := verdict(t, func(t testing.TB) { coretest.EveryFault(t, small, bug.Plant) })
			t.Log(said)
		})
	}
}

// TestShowsNothing: a scenario that cannot be crashed is no test.
func TestShowsNothing(t *testing.T) {
	nothing := func(r *coretest.Run) { r.Do("PING") }
	for _, lab := range []func(t testing.TB){
		func(t testing.TB) { coretest.EveryCrashPoint(t, nothing) },
		func(t testing.TB) { coretest.EveryFault(t, nothing) },
	} {
		if said := verdict(t, lab); !strings.Contains(said, "shows nothing") {
			t.Error(said)
		}
	}
}

// TestSaysWhatIsWrong: errors of a scenario itself.
func TestSaysWhatIsWrong(t *testing.T) {
	for want, scenario := range map[string]func(r *coretest.Run){
		"does not know this command": func(r *coretest.Run) { r.Do("ZDIFFSTORE", "k", "1", "v") },
		"WRONGTYPE":                  func(r *coretest.Run) { r.MustDo("SET", "k", "v"); r.MustDo("LPUSH", "k", "v") },
		"no good":                    func(r *coretest.Run) { r.Always(func(func(...string) string) error { return errors.New("no good") }) },
	} {
		if said := verdict(t, func(t testing.TB) { coretest.EveryCrashPoint(t, scenario) }); !strings.Contains(said, want) {
			t.Errorf("want %q in:\n%s", want, said)
		}
	}
}
