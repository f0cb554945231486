package fstest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core/vfs"
)

// testReplace: who reads while a file is replaced sees an old content or a new
// one, whole, and never nothing.
func testReplace(t *testing.T, fs vfs.FS) {
	if !fs.Caps().AtomicReplace {
		return
	}
	const rounds = 200
	content := func(i int) string { return strings.Repeat(fmt.Sprintf("%04d,", i), 500) }
	put(t, fs, "f", content(0))
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				b, err := vfs.ReadFile(fs, "f")
				if err != nil {
					t.Errorf("while it is replaced: %v", err)
					return
				}
				if len(b) != 2500 || strings.Repeat(string(b[:5]), 500) != string(b) {
					t.Errorf("while it is replaced: %d bytes, %.20q…", len(b), b)
					return
				}
			}
		})
	}
	for i := 1; i <= rounds; i++ {
		put(t, fs, "next", content(i))
		must(t, fs.Replace("next", "f"))
	}
	close(done)
	wg.Wait()
	want(t, fs, "f", content(rounds))
}

func testExclusive(t *testing.T, fs vfs.FS) {
	const workers, rounds = 8, 20
	for round := range rounds {
		var wg sync.WaitGroup
		won := make([]bool, workers)
		errs := make([]error, workers)
		for i := range workers {
			wg.Go(func() {
				f, err := fs.OpenFile(fmt.Sprintf("x%d", round), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if errs[i] = err; err == nil {
					won[i] = true
					f.Close()
				}
			})
		}
		wg.Wait()
		n := 0
		for _, w := range won {
			if w {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%d of %d created one file exclusively: %v", n, workers, errs)
		}
	}
}

func testConcurrent(t *testing.T, fs vfs.FS) {
	// The pairs that kill or race afero's MemMapFs: rename against rename and
	// remove of one name, seek against write.
	put(t, fs, "shared", "")
	shared := open(t, fs, "shared", os.O_RDWR)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 50 {
				name := fmt.Sprintf("n%d", (i+j)%3)
				if f, err := fs.Create(name); err == nil {
					f.Write([]byte("data"))
					f.Sync()
					f.Close()
				}
				fs.Rename(name, "target")
				fs.Remove("target")
				shared.Seek(int64(j), io.SeekStart)
				shared.Write([]byte("x"))
				shared.ReadAt(make([]byte, 8), 0)
				fs.Stat("target")
				vfs.ReadDir(fs, ".")
			}
		})
	}
	wg.Wait()
}

func testLock(t *testing.T, fs vfs.FS) {
	if !fs.Caps().Lock {
		return
	}
	l := fs.(vfs.Locker)
	held, err := l.Lock("LOCK")
	must(t, err)
	_, err = l.Lock("LOCK")
	var locked *vfs.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || locked.Path != "LOCK" {
		t.Fatalf("second Lock: %v, want a LockedError with our pid", err)
	}
	must(t, held.Close())
	held.Close()
	again, err := l.Lock("LOCK")
	must(t, err)
	must(t, again.Close())
	_, err = l.Lock("../LOCK")
	wantErr(t, err, vfs.ErrEscape)
}
