package memfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestCrash runs scripts of operations and shows every state a crash can leave.
// "crash" lists the distinct states over many seeds, with how a file's synced
// and unsynced halves came out abbreviated: file=content.
func TestCrash(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		fs := memfs.New()
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				fs = memfs.New()
				return script(fs, d.Input)
			case "do":
				return script(fs, d.Input)
			case "crash":
				return states(fs)
			}
			return fmt.Sprintf("unknown command %s", d.Cmd)
		})
	})
}

// script runs one operation a line and returns the errors.
func script(fs *memfs.FS, text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if err := step(fs, f); err != nil {
			fmt.Fprintf(&out, "%s: %v\n", f[0], err)
		}
	}
	return out.String()
}

func step(fs *memfs.FS, f []string) error {
	switch f[0] {
	case "mkdir":
		return fs.Mkdir(f[1], 0o700)
	case "create":
		h, err := fs.OpenFile(f[1], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			h.Close()
		}
		return err
	case "write", "append", "sync", "truncate": // write file letter: a whole block of it
		h, err := fs.OpenFile(f[1], os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer h.Close()
		switch f[0] {
		case "sync":
			return h.Sync()
		case "truncate":
			return h.Truncate(0)
		case "append":
			if _, err := h.Seek(0, io.SeekEnd); err != nil {
				return err
			}
		}
		for _, c := range f[2] {
			if _, err := h.Write(bytes.Repeat([]byte(string(c)), 512)); err != nil {
				return err
			}
		}
		return nil
	case "rename":
		return fs.Rename(f[1], f[2])
	case "remove":
		return fs.Remove(f[1])
	case "removeall":
		return fs.RemoveAll(f[1])
	case "syncdir":
		return fs.SyncDir(f[1])
	case "failsync":
		fs.FailSync(func(name string) error { return syscall.EIO })
	case "healsync":
		fs.FailSync(nil)
	default:
		return errors.New("unknown step")
	}
	return nil
}

// states returns the distinct states after a crash, over 400 seeds.
func states(fs *memfs.FS) string {
	var all []string
	for seed := range int64(400) {
		all = append(all, show(fs.CrashClone(seed)))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "\n") + "\n"
}

// show is a tree in one line; files as one letter for each 512-byte block.
func show(fs vfs.FS) string {
	var out []string
	var walk func(dir string)
	walk = func(dir string) {
		infos, err := vfs.ReadDir(fs, dir)
		if err != nil {
			panic(err)
		}
		for _, st := range infos {
			p := path.Join(dir, st.Name())
			if st.IsDir() {
				out = append(out, p+"/")
				walk(p)
				continue
			}
			data, err := vfs.ReadFile(fs, p)
			if err != nil {
				panic(err)
			}
			blocks := ""
			for i := 0; i < len(data); i += 512 {
				c := data[i]
				for _, b := range data[i:min(i+512, len(data))] {
					if b != c {
						c = '?' // a block torn inside
					}
				}
				if c == 0 {
					c = '.'
				}
				blocks += string(c)
			}
			out = append(out, p+"="+blocks)
		}
	}
	walk(".")
	if len(out) == 0 {
		return "(empty)"
	}
	return strings.Join(out, " ")
}

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
		low := 0 // the smallest size since the last sync
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
			case 3:
				n := rng.IntN(len(live) + 20_000)
				if err := f.Truncate(int64(n)); err != nil {
					t.Fatal(err)
				}
				live = append(live, make([]byte, max(n-len(live), 0))...)[:n]
				low = min(low, n)
			case 4:
				if err := f.Sync(); err != nil {
					t.Fatal(err)
				}
				synced, low = bytes.Clone(live), len(live)
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
			checkMixture(t, content(t, fs.CrashClone(rng.Int64())), live, synced, low)
			if used := fs.Used(); used != int64(len(live)) {
				t.Fatalf("seed %d: Used() = %d, want %d", seed, used, len(live))
			}
		}
	}
}

// checkMixture: each byte of a crashed file is the live one or the synced one,
// zero past their ends; the size is one the file had since the last sync.
func checkMixture(t *testing.T, got, live, synced []byte, low int) {
	t.Helper()
	if len(got) < min(len(live), len(synced), low) || len(got) > max(len(live), len(synced)) {
		t.Fatalf("the size is %d, neither between live %d and synced %d", len(got), len(live), len(synced))
	}
	at := func(b []byte, i int) byte {
		if i < len(b) {
			return b[i]
		}
		return 0
	}
	for i, c := range got {
		if c != at(live, i) && c != at(synced, i) {
			t.Fatalf("byte %d is neither live nor synced", i)
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

func TestCloneIsIndependentAndDeterministic(t *testing.T) {
	fs := memfs.New()
	script(fs, "mkdir d\ncreate d/a\nwrite d/a abc\nsync d/a\nsyncdir .\ncreate d/b\nappend d/a xyz\nrename d/b d/c")
	for seed := range int64(50) {
		one, two := show(fs.CrashClone(seed)), show(fs.CrashClone(seed))
		if one != two {
			t.Fatalf("seed %d gives %s and %s", seed, one, two)
		}
	}
	before, clone := show(fs), fs.CrashClone(memfs.KeepAll)
	kept := show(clone)
	script(clone, "write d/a qqqqqqqqq\ncreate new\nremove d/c")
	if show(fs) != before {
		t.Fatal("writing to the clone changed the original")
	}
	clone = fs.CrashClone(memfs.KeepAll)
	script(fs, "write d/a qqqqqqqqq\nremoveall d")
	if show(clone) != kept {
		t.Fatal("writing to the original changed the clone")
	}
	if show(clone.CrashClone(memfs.LoseAll)) != kept {
		t.Fatal("what survived one crash did not survive the next")
	}
}

func TestCloneIsUnlocked(t *testing.T) {
	fs := memfs.New()
	if _, err := fs.Lock("LOCK"); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.CrashClone(2).Lock("LOCK"); err != nil {
		t.Fatalf("the clone is locked: %v", err)
	}
}

func TestQuota(t *testing.T) {
	fs := memfs.New()
	fs.SetQuota(1000)
	f, err := fs.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write(make([]byte, 1500)); n != 1000 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Write = %d, %v; want a short write of 1000 and ENOSPC", n, err)
	}
	if _, err := fs.Create("g"); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Create on a full disk: %v", err)
	}
	if err := fs.Mkdir("d", 0o700); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Mkdir on a full disk: %v", err)
	}
	if n, err := f.WriteAt(make([]byte, 1000), 0); n != 1000 || err != nil {
		t.Fatalf("overwriting on a full disk = %d, %v", n, err)
	}
	if n, err := f.WriteAt([]byte("x"), 5000); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a sparse write past the quota = %d, %v", n, err)
	}
	if err := f.Truncate(2000); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Truncate past the quota: %v", err)
	}
	if fs.Used() != 1000 {
		t.Fatalf("Used = %d", fs.Used())
	}
	// An open file keeps its bytes after its name is gone.
	if err := fs.Remove("f"); err != nil {
		t.Fatal(err)
	}
	if fs.Used() != 1000 {
		t.Fatalf("Used after removing an open file = %d", fs.Used())
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if fs.Used() != 0 {
		t.Fatalf("Used after closing it = %d", fs.Used())
	}
	fs.SetQuota(0)
	if err := vfs.WriteFileAtomic(fs, "g", make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFileAtomic(fs, "g", make([]byte, 50), 0o600); err != nil {
		t.Fatal(err)
	}
	if fs.Used() != 50 {
		t.Fatalf("Used after a replacement = %d, want 50", fs.Used())
	}
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

func TestHugeOffsets(t *testing.T) {
	f, err := memfs.New().Create("f")
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{1 << 40, 1<<63 - 1} {
		if _, err := f.WriteAt([]byte("xy"), off); !errors.Is(err, syscall.EFBIG) {
			t.Errorf("WriteAt(%d): %v, want EFBIG", off, err)
		}
		if err := f.Truncate(off); !errors.Is(err, syscall.EFBIG) {
			t.Errorf("Truncate(%d): %v, want EFBIG", off, err)
		}
	}
}

// TestCrashWhileWriting clones under concurrent use; the race detector watches.
func TestCrashWhileWriting(t *testing.T) {
	fs := memfs.New()
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for j := range 100 {
				script(fs, fmt.Sprintf("create %d-%d\nappend %d-%d abc\nsync %d-%d\nsyncdir .\nrename %d-%d same\n", i, j, i, j, i, j, i, j))
			}
		})
	}
	for seed := range int64(50) {
		c := fs.CrashClone(seed)
		script(c, "create after\nappend after z\nsync after\nsyncdir .")
		show(c)
	}
	wg.Wait()
}

func BenchmarkAppendSync(b *testing.B) {
	fs := memfs.New()
	f, err := fs.OpenFile("f", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 1000)
	b.SetBytes(int64(len(data)))
	for i := 0; b.Loop(); i++ {
		if i%100_000 == 0 {
			f.Truncate(0)
		}
		if _, err := f.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}
