package coretest

import (
	"errors"
	"os"
	"testing"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestHistoryFindsPlantedBugs: the histories find each of these bugs, shrink it
// to a few steps, and these steps, read from their text, find it again. Without
// the bug they are harmless. Under the race detector it is one of the bugs.
func TestHistoryFindsPlantedBugs(t *testing.T) {
	for name, bug := range testutil.OneUnderRace(map[string]Bug{
		"fsync does nothing":                 {Sync: func(afero.File) error { return nil }},
		"a directory sync does nothing":      {SyncDir: func(vfs.FS, string) error { return nil }},
		"a failed fsync is called a success": {Sync: func(f afero.File) error { _ = f.Sync(); return nil }},
		"a failed fsync is done again": {Sync: func(f afero.File) error {
			if f.Sync() == nil {
				return nil
			}
			return f.Sync()
		}},
		"a failed write is called a success": {Write: func(f afero.File, b []byte) (int, error) { _, _ = f.Write(b); return len(b), nil }},
		"MANIFEST is removed and then renamed": {Replace: func(fs vfs.FS, from, to string) error {
			if err := fs.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			if err := fs.SyncDir("."); err != nil {
				return err
			}
			return fs.Replace(from, to)
		}},
	}, "fsync does nothing") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 1000; seed++ {
				steps := generate(seed, 60)
				_, err := playIn(t, seed, steps, bug)
				if err == nil {
					continue
				}
				fails := func(s []step) error {
					_, err := playIn(t, seed, s, bug)
					return err
				}
				short, err := shrink(steps, err, fails)
				// A step may stay by chance, see below.
				for more := 0; more < 5 && len(short) > 12; more++ {
					short, err = shrink(short, err, fails)
				}
				text := scriptText(short)
				t.Logf("found in history %d, shrunk to\n%s", seed, text)
				if len(short) > 12 {
					t.Errorf("%d steps are left", len(short))
				}
				again, err := parseScript(text)
				if err != nil {
					t.Fatal(err)
				}
				for try := 1; ; try++ {
					if _, err = playIn(t, seed, again, bug); err != nil {
						t.Logf("found again at try %d", try)
						break
					}
					// Goroutines take turns in an order of their own: the fault and the
					// crash of a short script do not meet the same operations each time.
					if try == 500 {
						t.Error("it is not found again")
						break
					}
				}
				if _, err := playIn(t, seed, again, Bug{}); err != nil {
					t.Errorf("without the bug: %v", err)
				}
				return
			}
			t.Fatal("not found")
		})
	}
}
