package vfs_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"": ".", ".": ".", "/": ".", "a": "a", "/a//b/": "a/b", "a/../b": "b", "./a/./b": "a/b", "..a/b..": "..a/b..",
	} {
		if got, err := vfs.Clean(in); got != want || err != nil {
			t.Errorf("Clean(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"..", "../a", "/..", "a/../../b", "//../x", "a\x00"} {
		if got, err := vfs.Clean(in); err == nil {
			t.Errorf("Clean(%q) = %q, want an error", in, got)
		}
	}
}

// weak is a filesystem with fewer promises.
type weak struct {
	vfs.FS
	caps vfs.Caps
}

func (w weak) Caps() vfs.Caps { return w.caps }
func (w weak) Name() string   { return "weakfs" }

func TestRequireDataNamesWhatIsMissing(t *testing.T) {
	if err := vfs.RequireData(memfs.New()); err != nil {
		t.Fatal(err)
	}
	err := vfs.RequireData(weak{memfs.New(), vfs.Caps{Durable: true, Append: true}})
	if !errors.Is(err, vfs.ErrCaps) {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{"weakfs", "atomic replace", "directory sync"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "append") {
		t.Errorf("%q names what is there", err)
	}
}

// TestWriteFileAtomicUnderFaults fails each operation, before it and after it,
// and then crashes: the file is the old or the new one, and the error says which
// where it promises to.
func TestWriteFileAtomicUnderFaults(t *testing.T) {
	old, fresh := strings.Repeat("old", 700), strings.Repeat("fresh", 900)
	for n := int64(1); ; n++ {
		failed := false
		for _, fault := range []error{syscall.EIO, &faultfs.After{Err: syscall.EIO}, &faultfs.Short{N: 1500, Err: syscall.ENOSPC}} {
			mem := memfs.New()
			if err := vfs.MkdirAllSync(mem, "d", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := vfs.WriteFileAtomic(mem, "d/f", []byte(old), 0o600); err != nil {
				t.Fatal(err)
			}
			fs := faultfs.New(mem, faultfs.FailNth(n, nil, fault))
			err := vfs.WriteFileAtomic(fs, "d/f", []byte(fresh), 0o600)
			failed = failed || err != nil
			for seed := range int64(40) {
				b, rerr := vfs.ReadFile(mem.CrashClone(seed), "d/f")
				if rerr != nil {
					t.Fatalf("op %d, seed %d: %v", n, seed, rerr)
				}
				got, at := string(b), fmt.Sprintf("op %d failed with %v, seed %d, error %v", n, fault, seed, err)
				switch {
				case got != old && got != fresh:
					t.Fatalf("%s: neither the old nor the new content", at)
				case err == nil && got != fresh:
					t.Fatalf("%s: a success was lost", at)
				case err != nil && !errors.Is(err, vfs.ErrUnknownOutcome) && got != old:
					t.Fatalf("%s: a failure took effect", at)
				}
			}
			if err != nil && !errors.Is(err, vfs.ErrUnknownOutcome) {
				if there, _ := vfs.Exists(mem, "d/f.tmp"); there {
					t.Fatalf("op %d: the temporary file is left after %v", n, err)
				}
			}
		}
		if !failed {
			if n < 6 {
				t.Fatalf("only %d operations were seen", n-1)
			}
			return
		}
	}
}

func TestMkdirAllSyncIsDurable(t *testing.T) {
	fs := memfs.New()
	if err := fs.Mkdir("a", 0o700); err != nil { // by a process that died before its sync
		t.Fatal(err)
	}
	if err := vfs.MkdirAllSync(fs, "a/b/c", 0o700); err != nil {
		t.Fatal(err)
	}
	if there, err := vfs.Exists(fs.CrashClone(memfs.LoseAll), "a/b/c"); !there || err != nil {
		t.Fatalf("after a crash: there %v, %v", there, err)
	}
}
