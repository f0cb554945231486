package lives

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

var (
	livesSeed   = flag.Uint64("lives.seed", 0, "play the history of this seed only")
	livesScript = flag.String("lives.script", "", "play the history in this file only")
	livesCount  = flag.Int("lives.count", 0, "play so many histories (default 40, under the race detector 10, with SPILLWAY_LAB=long 20000)")
	livesSteps  = flag.Int("lives.steps", 60, "steps in a history")
)

// onMemory is a sink that is only a map.
func onMemory(testing.TB) Store {
	s := plugintest.NewMemSink("memory")
	return Store{Open: func() sink.Sink { return s }}
}

// onFilesystem is a sink over a filesystem that can be made to fail.
func onFilesystem(testing.TB) Store {
	var mu sync.Mutex
	left := 0
	disk := memfs.New()
	faulty := faultfs.New(disk, func(op faultfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if left > 0 {
			if left--; left == 0 {
				return syscall.EIO
			}
		}
		return nil
	})
	return Store{
		Open:  func() sink.Sink { return sink.NewFSSink("filesystem", faulty, "checkpoints") },
		Look:  func() sink.Sink { return sink.NewFSSink("observer", disk, "checkpoints") },
		Files: afero.NewIOFS(disk),
		Fault: func(n int) bool {
			mu.Lock()
			defer mu.Unlock()
			if n >= 0 {
				left = n
			}
			return left > 0
		},
	}
}

func TestMemory(t *testing.T)     { Test(t, onMemory) }
func TestFilesystem(t *testing.T) { Test(t, onFilesystem) }

// TestHistories plays random histories of three daemons and two places.
func TestHistories(t *testing.T) {
	if *livesScript != "" {
		text, err := os.ReadFile(*livesScript)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := parseScript(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := play([]Store{onFilesystem(t), onFilesystem(t)}, steps); err != nil {
			t.Fatal(err)
		}
		return
	}
	if *livesSeed != 0 {
		judge(t, *livesSeed)
		return
	}
	count, first := 40, uint64(1)
	if testutil.Race {
		count = 10
	}
	if os.Getenv("SPILLWAY_LAB") == "long" {
		count, first = 20000, uint64(time.Now().UnixNano()) // any number will do
	}
	if *livesCount != 0 {
		count = *livesCount
	}
	var next, published, gone atomic.Int64
	t.Run("all", func(t *testing.T) {
		for n := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint("worker", n), func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1); n <= int64(count) && !t.Failed(); n = next.Add(1) {
					w := judge(t, first+uint64(n)-1)
					for _, p := range w.places {
						for _, r := range p.sets {
							published.Add(1)
							if r.gone {
								gone.Add(1)
							}
						}
					}
				}
			})
		}
	})
	t.Logf("%d histories: %d sets published, %d of them removed by their own", count, published.Load(), gone.Load())
}

// judge plays the history of a seed and shrinks it when it fails.
func judge(t *testing.T, seed uint64) *world {
	t.Helper()
	steps := generate(seed, *livesSteps)
	again := func(s []step) (*world, error) { return play([]Store{onFilesystem(t), onFilesystem(t)}, s) }
	w, err := again(steps)
	if err == nil {
		return w
	}
	short, serr := shrink(steps, err, func(s []step) error {
		_, err := again(s)
		return err
	})
	script := ""
	if file, ferr := os.CreateTemp("", "spillway-lives-*.script"); ferr == nil {
		script = file.Name()
		_, _ = fmt.Fprintf(file, "# seed %d\n%s", seed, scriptText(short))
		_ = file.Close()
	}
	t.Errorf("seed %d: %v\n\nshrunk from %d to %d steps:\n\n%s\nwhich fails with: %v\n\nagain: go test ./core/coretest/lives -run '^TestHistories$' -lives.seed=%d\n   or: go test ./core/coretest/lives -run '^TestHistories$' -lives.script=%s",
		seed, err, len(steps), len(short), scriptText(short), serr, seed, script)
	return w
}
