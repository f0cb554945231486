package faultfs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestScript reads rules and operations from files. "rules" parses a script and
// shows it, or its errors; "run" does operations, one a line and each as often
// as "xN" says, and shows the trace; "fired" how often each rule was applied.
func TestScript(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		var s *faultfs.Script
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "rules":
				var err error
				if s, err = faultfs.ParseScript("script", d.Input); err != nil {
					return err.Error() + "\n"
				}
				return s.String()
			case "run":
				fs := faultfs.New(memfs.New(), nil)
				prepare(t, fs)
				fs.Reset()
				fs.SetInject(s.Inject)
				files := map[string]vfs.File{}
				for line := range strings.Lines(d.Input) {
					operate(fs, files, strings.Fields(line))
				}
				return fs.Last(1000)
			case "fired":
				return fmt.Sprintln(s.Fired())
			}
			return fmt.Sprintf("unknown command %s", d.Cmd)
		})
	})
}

func prepare(t *testing.T, fs vfs.FS) {
	t.Helper()
	for _, dir := range []string{"log", "parts/1"} {
		if err := fs.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"f", "log/1.aof", "parts/1/a.rdb"} {
		if err := vfs.WriteFileAtomic(fs, name, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// operate runs one line of operations. What they return is in the trace.
func operate(fs vfs.FS, files map[string]vfs.File, f []string) {
	times := 1
	if n, ok := strings.CutPrefix(f[len(f)-1], "x"); ok {
		if _, err := fmt.Sscan(n, &times); err != nil {
			panic(err)
		}
	}
	for range times {
		switch f[0] {
		case "open":
			files[f[1]], _ = fs.OpenFile(f[1], os.O_RDWR, 0)
		case "write":
			_, _ = files[f[1]].Write(make([]byte, 512))
		case "read":
			_, _ = files[f[1]].Read(make([]byte, 512))
		case "sync":
			_ = files[f[1]].Sync()
		case "close":
			_ = files[f[1]].Close()
		case "syncdir":
			_ = fs.SyncDir(f[1])
		case "rename":
			_ = fs.Rename(f[1], f[2])
		case "stat":
			_, _ = fs.Stat(f[1])
		case "mkdir":
			_ = fs.Mkdir(f[1], 0o700)
		default:
			panic(f[0])
		}
	}
}

// on writes n bytes through a script of one rule and returns how long the fake
// clock says that took, and the error.
func on(t *testing.T, s *faultfs.Script, n int) (time.Duration, error) {
	t.Helper()
	fs := faultfs.New(memfs.New(), s.Inject)
	start := time.Now()
	f, err := fs.Create("f")
	if err == nil {
		_, err = f.Write(make([]byte, n))
	}
	return time.Since(start), err
}

func parse(t *testing.T, text string) *faultfs.Script {
	t.Helper()
	s, err := faultfs.ParseScript(t.Name(), text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWaits: delays and slow devices take the time they say, on the clock.
func TestWaits(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"on write delay 2s":                          2 * time.Second,
		"on write delay 2s then delay 1s":            3 * time.Second,
		"on write delay 2s\non write delay 1s":       3 * time.Second,
		"on write slow 100KB/s":                      10 * time.Second,
		"on any slow 1MB/s":                          1000 * time.Second / 1024,
		"on write delay 2s then slow 100KB/s":        12 * time.Second,
		`on write path "other" delay 2s`:             0,
		"on write nth 2 delay 2s":                    0,
		"on create,write delay 1s":                   2 * time.Second,
		"on sync slow 1B/s\non truncate slow 1B/s #": 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			got, err := on(t, parse(t, text), 1000<<10)
			if got != want || err != nil {
				t.Errorf("%s: took %v, %v; want %v", text, got, err, want)
			}
		})
	}
}

// TestSlowIsOneDevice: two writers share the bandwidth.
func TestSlowIsOneDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := parse(t, "on write slow 1MB/s")
		fs := faultfs.New(memfs.New(), s.Inject)
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				f, err := fs.Create(fmt.Sprint(i))
				if err == nil {
					_, err = f.Write(make([]byte, 3<<20))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("6 MB at 1 MB/s took %v", took)
		}
	})
}

// TestHang: a hung operation waits for Release, or for a context that calls it,
// and then goes on as the rule says.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for text, want := range map[string]error{"on write hang": nil, "on write hang then EIO": syscall.EIO} {
			s := parse(t, text)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			context.AfterFunc(ctx, s.Release)
			for _, took := range []time.Duration{time.Hour, 0} {
				got, err := on(t, s, 10)
				if got != took || !errors.Is(err, want) {
					t.Errorf("%s: took %v, %v; want %v, %v", text, got, err, took, want)
				}
			}
			s.Release()
		}
	})
}

// TestProbIsReproducible: one seed, one series, whatever else is asked.
func TestProbIsReproducible(t *testing.T) {
	series := func(seed int) string {
		s := parse(t, fmt.Sprintf("on sync prob 0.3 seed %d fail EIO", seed))
		var b strings.Builder
		for range 200 {
			_ = s.Inject(faultfs.Op{Kind: faultfs.OpWrite, Path: "f"})
			b.WriteByte("01"[s.Fired()[0]&1])
			if s.Inject(faultfs.Op{Kind: faultfs.OpSync, Path: "f"}) != nil {
				b.WriteByte('!')
			}
		}
		return b.String()
	}
	if series(7) != series(7) {
		t.Error("one seed gives two series")
	}
	if series(7) == series(8) {
		t.Error("two seeds give one series")
	}
	if n := strings.Count(series(7), "!"); n < 30 || n > 90 {
		t.Errorf("%d of 200 at a probability of 0.3", n)
	}
}

func TestTraceIsBounded(t *testing.T) {
	fs := faultfs.New(memfs.New(), func(op faultfs.Op) error {
		if op.Index == 299_999 {
			return syscall.EIO
		}
		return nil
	})
	for range 300_000 {
		_, _ = fs.Stat(".")
	}
	if n := len(fs.Trace()); n < 1<<16 || n > 1<<17 {
		t.Errorf("the trace has %d operations", n)
	}
	want := "299998 stat .\n299999 stat . = input/output error\n300000 stat .\n"
	if got := fs.Last(3); got != want {
		t.Errorf("Last(3) is\n%swant\n%s", got, want)
	}
}
