package memfs_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestSyncedSurvives is a random run against a plain model: what was synced is
// there after any crash, byte for byte where nothing was written since.
func TestSyncedSurvives(t *testing.T) {
	for seed := range int64(12) {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		fs := memfs.New()
		f, err := fs.Create("f")
		if err != nil {
			t.Fatal(err)
		}
		if err := fs.SyncDir("."); err != nil {
			t.Fatal(err)
		}
		var live, synced []byte
		low, high := 0, 0 // the smallest and the largest size since the last sync
		for range 60 {
			switch rng.IntN(6) {
			case 0, 1, 2:
				b := make([]byte, rng.IntN(40_000))
				for i := range b {
					b[i] = byte(rng.Uint32())
				}
				off := rng.IntN(len(live) + 2000)
				if _, err := f.WriteAt(b, int64(off)); err != nil {
					t.Fatal(err)
				}
				if end := off + len(b); len(b) > 0 && end > len(live) {
					live = append(live, make([]byte, end-len(live))...)
				}
				copy(live[min(off, len(live)):], b)
				high = max(high, len(live))
			case 3:
				n := rng.IntN(len(live) + 20_000)
				if err := f.Truncate(int64(n)); err != nil {
					t.Fatal(err)
				}
				live = append(live, make([]byte, max(n-len(live), 0))...)[:n]
				low, high = min(low, n), max(high, n)
			case 4:
				if err := f.Sync(); err != nil {
					t.Fatal(err)
				}
				synced, low, high = bytes.Clone(live), len(live), len(live)
			}
			if got := content(t, fs); !bytes.Equal(got, live) {
				t.Fatalf("seed %d: live content differs (go test -run TestSyncedSurvives)", seed)
			}
			if got := content(t, fs.CrashClone(memfs.LoseAll)); !bytes.Equal(got, synced) {
				t.Fatalf("seed %d: the synced content is not what LoseAll leaves", seed)
			}
			if got := content(t, fs.CrashClone(memfs.KeepAll)); !bytes.Equal(got, live) {
				t.Fatalf("seed %d: the live content is not what KeepAll leaves", seed)
			}
			checkMixture(t, content(t, fs.CrashClone(rng.Int64())), live, synced, low, high)
			if used := fs.Used(); used != int64(len(live)) {
				t.Fatalf("seed %d: Used() = %d, want %d", seed, used, len(live))
			}
		}
	}
}

// checkMixture: each byte of a crashed file is the live one or the synced one,
// zero past their ends and behind a truncation; the size is one the file had
// since the last sync.
func checkMixture(t *testing.T, got, live, synced []byte, low, high int) {
	t.Helper()
	if len(got) < low || len(got) > high {
		t.Fatalf("the size is %d, and was between %d and %d since the last sync", len(got), low, high)
	}
	at := func(b []byte, i int) byte {
		if i < len(b) {
			return b[i]
		}
		return 0
	}
	for i, c := range got {
		if c != at(live, i) && c != at(synced, i) && (c != 0 || i < low) {
			t.Fatalf("byte %d is neither live nor synced, nor was it cut off", i)
		}
	}
}

func content(t *testing.T, fs vfs.FS) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fs, "f")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOSyncIsDurable(t *testing.T) {
	fs := memfs.New()
	f, err := fs.OpenFile("f", os.O_WRONLY|os.O_CREATE|os.O_SYNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	fs.SyncDir(".")
	f.Write([]byte("durable"))
	if got := content(t, fs.CrashClone(memfs.LoseAll)); string(got) != "durable" {
		t.Fatalf("an O_SYNC write left %q", got)
	}
}
