package memfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
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

// TestCrash runs scripts of operations. "crash" lists the distinct states that
// CrashClone leaves, over many seeds, and wants every one of them to be possible
// on the disk of the model; with "all" it wants all of those. Files are shown as
// file=content, a letter for each block of 512 bytes.
func TestCrash(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		fs, m := memfs.New(), newModel()
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				fs, m = memfs.New(), newModel()
				return script(fs, m, d.Input)
			case "do":
				return script(fs, m, d.Input)
			case "kill":
				fs = fs.KillClone()
				return script(fs, m, d.Input)
			case "show":
				return show(fs) + "\n"
			case "crash":
				possible, _ := m.states(1 << 20)
				var parts func(string) []string
				if d.HasArg("all") {
					parts = func(state string) []string { return []string{state} }
				}
				reached, odd, missed := states(fs, possible, parts)
				for _, state := range odd {
					t.Errorf("%s: no disk can be in this state: %s", d.Pos, state)
				}
				for _, state := range missed {
					t.Errorf("%s: the model has this state and CrashClone never does: %s", d.Pos, state)
				}
				return strings.Join(slices.Sorted(maps.Keys(reached)), "\n") + "\n"
			}
			return fmt.Sprintf("unknown command %s", d.Cmd)
		})
	})
}

// script runs one operation a line on fs and on the model, which may be nil, and
// returns the errors.
func script(fs *memfs.FS, m *model, text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if err := step(fs, f); err != nil {
			fmt.Fprintf(&out, "%s: %v\n", f[0], err)
			if m != nil && f[0] == "sync" && errors.Is(err, syscall.EIO) {
				m.do([]string{"dropped", f[1]})
			}
		} else if m != nil {
			m.do(f)
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
	case "write", "append", "half", "sync", "truncate": // write file letter: a whole block of it
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
		case "append", "half":
			if _, err := h.Seek(0, io.SeekEnd); err != nil {
				return err
			}
		}
		size := 512
		if f[0] == "half" {
			size = 256
		}
		var data []byte
		for _, c := range f[2] {
			data = append(data, bytes.Repeat([]byte(string(c)), size)...)
		}
		_, err = h.Write(data)
		return err
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
	case "evict":
		fs.Evict()
	default:
		return errors.New("unknown step")
	}
	return nil
}

// states returns the distinct states after a crash, and those among them that
// are not possible. With parts it goes on through the seeds until it has seen
// every part of every possible state, and returns the parts that it missed.
func states(fs *memfs.FS, possible map[string]bool, parts func(state string) []string) (reached map[string]bool, odd, missed []string) {
	reached = map[string]bool{}
	left := map[string]bool{}
	if parts != nil {
		for state := range possible {
			for _, p := range parts(state) {
				left[p] = true
			}
		}
	}
	for seed := int64(0); seed < 400 || len(left) > 0 && seed < 200_000; seed++ {
		state := show(fs.CrashClone(seed))
		if reached[state] {
			continue
		}
		reached[state] = true
		if !possible[state] {
			odd = append(odd, state)
		}
		if parts != nil {
			for _, p := range parts(state) {
				delete(left, p)
			}
		}
	}
	return reached, odd, slices.Sorted(maps.Keys(left))
}

// show is a tree in one line.
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
			out = append(out, p+"="+letters(halves(data)))
		}
	}
	walk(".")
	if len(out) == 0 {
		return "(empty)"
	}
	return strings.Join(out, " ")
}

// halves is content as the model has it: one letter for 256 bytes.
func halves(data []byte) string {
	var b strings.Builder
	for part := range slices.Chunk(data, 256) {
		c := part[0]
		switch {
		case bytes.Count(part, part[:1]) != len(part):
			c = '?' // torn inside
		case c == 0:
			c = '.'
		}
		b.WriteByte(c)
	}
	return b.String()
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

func TestCloneIsIndependentAndDeterministic(t *testing.T) {
	fs := memfs.New()
	script(fs, nil, "mkdir d\ncreate d/a\nwrite d/a abc\nsync d/a\nsyncdir .\ncreate d/b\nappend d/a xyz\nrename d/b d/c")
	for seed := range int64(50) {
		one, two := show(fs.CrashClone(seed)), show(fs.CrashClone(seed))
		if one != two {
			t.Fatalf("seed %d gives %s and %s", seed, one, two)
		}
	}
	before, clone := show(fs), fs.CrashClone(memfs.KeepAll)
	kept := show(clone)
	script(clone, nil, "write d/a qqqqqqqqq\ncreate new\nremove d/c")
	if show(fs) != before {
		t.Fatal("writing to the clone changed the original")
	}
	clone = fs.CrashClone(memfs.KeepAll)
	script(fs, nil, "write d/a qqqqqqqqq\nremoveall d")
	if show(clone) != kept {
		t.Fatal("writing to the original changed the clone")
	}
	if show(clone.CrashClone(memfs.LoseAll)) != kept {
		t.Fatal("what survived one crash did not survive the next")
	}
}

func TestKillCloneIsIndependent(t *testing.T) {
	fs := memfs.New()
	script(fs, nil, "mkdir d\ncreate d/a\nwrite d/a abc\nsync d/a\nsyncdir d\nsyncdir .\nappend d/a xyz\ncreate d/b\ncreate gone")
	open, err := fs.OpenFile("gone", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	script(fs, nil, "remove gone")
	kill := fs.KillClone()
	before, lost := show(kill), show(kill.CrashClone(memfs.LoseAll))
	if before != show(fs) || lost != show(fs.CrashClone(memfs.LoseAll)) {
		t.Fatalf("the clone is %s and, crashed, %s", before, lost)
	}
	if kill.Used() != fs.Used()-1000 {
		t.Fatalf("the clone uses %d bytes of %d: the open file without a name is gone with its process", kill.Used(), fs.Used())
	}
	script(fs, nil, "write d/a qqqqqqqqq\nsync d/a\nsyncdir .\nsyncdir d\nremove d/b")
	if show(kill) != before || show(kill.CrashClone(memfs.LoseAll)) != lost {
		t.Fatal("what happened to the original changed the clone")
	}
	before = show(fs)
	script(kill, nil, "write d/a zzzzzzzzzzzz\nsync d/a\nremove d/b")
	if show(fs) != before {
		t.Fatal("what happened to the clone changed the original")
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
				script(fs, nil, fmt.Sprintf("create %d-%d\nappend %d-%d abc\nsync %d-%d\nsyncdir .\nrename %d-%d same\n", i, j, i, j, i, j, i, j))
			}
		})
	}
	for seed := range int64(50) {
		c := fs.CrashClone(seed)
		script(c, nil, "create after\nappend after z\nsync after\nsyncdir .")
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
