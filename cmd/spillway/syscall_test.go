//go:build linux && (amd64 || arm64) && syscalls

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/sysfault"
)

// sealSize is the smallest seal_size: a segment of so much is sealed at once.
const sealSize = 64 << 10

// scenarios are what the daemon does while one of its file-changing calls fails
// or is its last. Each begins on an empty disk and is the same in each run.
var scenarios = []struct {
	name    string
	archive bool
	play    func(*life)
}{
	{"checkpoints", false, func(l *life) {
		l.start()
		l.write(2)
		l.save()
		l.write(1)
		l.rewrite()
		l.write(1)
		l.save()
		l.save() // from here on retention removes
		l.write(1)
		l.save()
		l.write(1)
	}},
	{"log", false, func(l *life) {
		l.start()
		l.write(2)
		l.logOff()
		l.write(1)
		l.logOn()
		l.write(2)
		l.logOff()
		l.write(1)
		l.save()
		l.write(1)
		l.logOn()
		l.write(1)
	}},
	{"seals", true, func(l *life) {
		l.start()
		l.write(1)
		l.seal()
		l.write(1)
		l.save()
		l.write(1)
		l.seal()
		l.seal()
		l.write(1)
		l.save()
		l.write(1)
	}},
	{"starts", true, func(l *life) {
		l.start()
		l.write(2)
		l.save()
		l.write(2)
		l.stop()
		l.start()
		l.write(1)
		l.rewrite()
		l.write(1)
		l.stop()
		l.start()
		l.write(1)
	}},
	{"disk lost", true, func(l *life) {
		l.calm = true
		l.start()
		l.write(1)
		l.save()
		l.seal()
		l.write(1)
		l.stop()
		l.loseDisk()
		l.calm = false
		l.start() // restores
		l.write(1)
		l.save()
		l.write(1)
	}},
}

// newLife is the daemon's configuration, and the directories that it names.
func newLife(t *testing.T, archive bool, f *fault) *life {
	t.Helper()
	l := &life{t: t, root: t.TempDir(), fault: f}
	for _, dir := range []string{"data", "vault", "bucket", "archive"} {
		if err := os.Mkdir(filepath.Join(l.root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	hcl := fmt.Sprintf(`
server {
  shards = 2
  fsync  = "always"
  save   = []
}
filesystem "os" "data"    { root = "%[1]s/data" }
filesystem "os" "vault"   { root = "%[1]s/vault" }
filesystem "os" "archive" { root = "%[1]s/archive" }
pipeline "checkpoint" {
  sink "filesystem" "local" {
    uses = filesystem.os.data
    keep = 2
  }
  sink "filesystem" "vault" {
    uses = filesystem.os.vault
    keep = 3
  }
  sink "blob" "bucket" { url = "file://%[1]s/bucket?no_tmp_dir=true" }
}
`, l.root)
	// Not data: there the manifest says what counts, and a start shows it.
	l.sinks = []*sinkRecord{recordSink(l.root+"/vault", 3), recordSink(l.root+"/bucket", 0)}
	if archive {
		hcl += fmt.Sprintf(`
pipeline "archive" {
  on         = ["segment"]
  seal_after = "1h"
  seal_size  = "%d"
  sink "filesystem" "archive" { uses = filesystem.os.archive }
}
`, sealSize)
		l.sinks = append(l.sinks, recordSink(l.root+"/archive", 0))
	}
	l.hcl = writeConfig(t, hcl)
	return l
}

// TestSyscalls makes the file-changing system calls of the real daemon, one of
// them in a run, fail, or be the last. Whatever was acknowledged as durable is
// there after a restart, whatever was refused is not, nothing is there twice,
// and what was published stays as it is. A sample; all of them with
// SPILLWAY_LAB=long.
func TestSyscalls(t *testing.T) {
	needSysfault(t)
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			faults := sampled(t, trace(t, func(t *testing.T, f *fault) {
				l := newLife(t, s.archive, f)
				s.play(l)
				l.kill()
				l.restart()
				l.kill()
			}))
			var struck, ran atomic.Int64
			t.Run("faults", func(t *testing.T) {
				for _, c := range faults {
					t.Run(c.name(), func(t *testing.T) {
						t.Parallel()
						l := newLife(t, s.archive, &fault{target: c.target, strike: c.strike})
						s.play(l)
						ran.Add(1)
						if l.fault.struck.Load() {
							struck.Add(1)
						} else {
							t.Log("the call did not come")
						}
						survive(l)
					})
				}
			})
			// Threads may meet in a way in which a call is not made so often.
			t.Logf("%d of %d faults struck", struck.Load(), ran.Load())
			if n := ran.Load(); n > 0 && struck.Load() == 0 || n > 200 && struck.Load() < n*3/4 {
				t.Errorf("only %d of %d faults struck: the scenario is another one each time", struck.Load(), n)
			}
		})
	}
}

// survive is what comes after the fault, and after each of them the same.
func survive(l *life) {
	l.t.Helper()
	if l.d != nil && !l.d.ended() && l.fault.struck.Load() && !l.fault.dead() {
		l.inMemory()
		if l.fault.strike.heal {
			l.heal()
		}
	}
	if l.d != nil {
		l.kill()
	}
	l.fault.healed.Store(true)
	l.restart()
	l.mustWrite()
	l.heal()
	mustRun(l.t, "verify", "--from", filepath.Join(l.root, "vault"), "--quiet")
	l.kill()
	l.restart()
	l.kill()
}

// planned is a run.
type planned struct {
	target faultPoint
	strike strike
}

// name is that of the subtest, which names the call and not its number.
func (p planned) name() string {
	return strings.NewReplacer("/", ":", "#", "", " → ", ">").Replace(p.target.String()) + " " + p.strike.name
}

// trace plays a scenario without a fault and returns its calls, which it lists
// with SPILLWAY_SYSCALLS=list.
func trace(t *testing.T, play func(*testing.T, *fault)) []faultPoint {
	t.Helper()
	f := new(fault)
	play(t, f)
	if len(f.seen) < 10 {
		t.Fatalf("only %d calls were seen", len(f.seen))
	}
	if os.Getenv("SPILLWAY_SYSCALLS") == "list" {
		for i, c := range f.seen {
			t.Logf("%4d %s", i+1, c)
		}
	}
	return f.seen
}

// sampled is some of all strikes at all calls: SPILLWAY_SYSCALLS of them; with
// SPILLWAY_LAB=long it is all.
func sampled(t *testing.T, calls []faultPoint) (all []planned) {
	t.Helper()
	for _, c := range calls {
		for _, s := range strikes {
			all = append(all, planned{c, s})
		}
	}
	if os.Getenv("SPILLWAY_LAB") == "long" {
		t.Logf("%d calls, %d faults", len(calls), len(all))
		return all
	}
	n := 8
	if v, err := strconv.Atoi(os.Getenv("SPILLWAY_SYSCALLS")); err == nil {
		n = v
	}
	seed := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("SPILLWAY_SEED"), 10, 64); err == nil {
		seed = v
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	n = min(n, len(all))
	t.Logf("%d calls, %d of %d faults, seed %d; all of them, to choose with -run: SPILLWAY_LAB=long", len(calls), n, len(all), seed)
	return all[:n]
}

// needSysfault fails where these tests cannot run: make lab asks before, and says
// that they are not run.
func needSysfault(t *testing.T) {
	t.Helper()
	if err := sysfault.Available(); err != nil {
		t.Fatal(err)
	}
}
