package faultfs_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/fstest"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

func TestConformance(t *testing.T) {
	fstest.Run(t, func(*testing.T) vfs.FS { return faultfs.New(memfs.New(), nil) })
}

func trace(fs *faultfs.FS) string {
	var b strings.Builder
	for _, op := range fs.Trace() {
		b.WriteString(op.String() + "\n")
	}
	return b.String()
}

func TestTrace(t *testing.T) {
	fs := faultfs.New(memfs.New(), nil)
	if err := vfs.WriteFileAtomic(fs, "d/../f", []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "create d/../f.tmp\nwrite d/../f.tmp 5\nsync d/../f.tmp\nclose d/../f.tmp\nrename d/../f.tmp d/../f\nsyncdir .\n"
	if got := trace(fs); got != want {
		t.Fatalf("trace:\n%swant:\n%s", got, want)
	}
	if fs.Count() != 6 || fs.Trace()[5].Index != 6 {
		t.Fatalf("Count = %d, last index %d", fs.Count(), fs.Trace()[5].Index)
	}
	fs.Reset()
	if fs.Count() != 0 || len(fs.Trace()) != 0 {
		t.Fatal("Reset left something")
	}
}

// TestFaultHasNoEffect: an injected error means that nothing happened, and the
// error can be told.
func TestFaultHasNoEffect(t *testing.T) {
	for kind, call := range map[faultfs.OpKind]func(fs vfs.FS) error{
		faultfs.OpCreate:    func(fs vfs.FS) error { _, err := fs.Create("new"); return err },
		faultfs.OpOpen:      func(fs vfs.FS) error { _, err := fs.Open("f"); return err },
		faultfs.OpMkdir:     func(fs vfs.FS) error { return fs.Mkdir("d", 0o700) },
		faultfs.OpRemove:    func(fs vfs.FS) error { return fs.Remove("f") },
		faultfs.OpRemoveAll: func(fs vfs.FS) error { return fs.RemoveAll("f") },
		faultfs.OpRename:    func(fs vfs.FS) error { return fs.Replace("f", "g") },
		faultfs.OpStat:      func(fs vfs.FS) error { _, err := fs.Stat("f"); return err },
		faultfs.OpSyncDir:   func(fs vfs.FS) error { return fs.SyncDir(".") },
		faultfs.OpAttr:      func(fs vfs.FS) error { return fs.Chmod("f", 0) },
		faultfs.OpLock:      func(fs vfs.FS) error { _, err := fs.(vfs.Locker).Lock("L"); return err },
		faultfs.OpWrite:     onFile(func(f vfs.File) error { _, err := f.WriteString("xxx"); return err }),
		faultfs.OpTruncate:  onFile(func(f vfs.File) error { return f.Truncate(0) }),
		faultfs.OpRead:      onFile(func(f vfs.File) error { _, err := f.Read(make([]byte, 1)); return err }),
		faultfs.OpSync:      onFile(func(f vfs.File) error { return f.Sync() }),
		faultfs.OpClose:     onFile(func(f vfs.File) error { return f.Close() }),
	} {
		mem := memfs.New()
		if err := vfs.WriteFileAtomic(mem, "f", []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
		fs := faultfs.New(mem, faultfs.FailKind(syscall.EIO, kind))
		if err := call(fs); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v, want EIO", kind, err)
		}
		infos, err := vfs.ReadDir(mem, ".")
		if err != nil || len(infos) != 1 || infos[0].Name() != "f" || infos[0].Mode().Perm() != 0o600 {
			t.Errorf("%s had an effect: %v, %v", kind, infos, err)
		}
		if b, _ := vfs.ReadFile(mem, "f"); string(b) != "content" {
			t.Errorf("%s left %q", kind, b)
		}
	}
}

func onFile(call func(f vfs.File) error) func(vfs.FS) error {
	return func(fs vfs.FS) error {
		f, err := fs.OpenFile("f", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return call(f)
	}
}

func TestAfterHasItsEffect(t *testing.T) {
	mem := memfs.New()
	fs := faultfs.New(mem, nil)
	if err := vfs.WriteFileAtomic(fs, "f", []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	fs.SetInject(faultfs.FailKind(&faultfs.After{Err: syscall.EIO}, faultfs.OpRename))
	err := vfs.WriteFileAtomic(fs, "f", []byte("new"), 0o600)
	if !errors.Is(err, vfs.ErrUnknownOutcome) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	if b, _ := vfs.ReadFile(mem, "f"); string(b) != "new" {
		t.Fatalf("the rename did not happen: %q", b)
	}
}

func TestShortWriteAndQuota(t *testing.T) {
	mem := memfs.New()
	fs := faultfs.New(mem, faultfs.Quota(10))
	f, err := fs.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("12345678")); n != 8 || err != nil {
		t.Fatalf("within the quota: %d, %v", n, err)
	}
	if n, err := f.Write([]byte("abcd")); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("over the quota: %d, %v; want a short write of 2", n, err)
	}
	if n, err := f.Write([]byte("e")); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("with nothing left: %d, %v", n, err)
	}
	if b, _ := vfs.ReadFile(mem, "f"); string(b) != "12345678ab" {
		t.Fatalf("the file holds %q", b)
	}
}

func TestFailedSyncDropsPages(t *testing.T) {
	mem := memfs.New()
	fs := faultfs.New(mem, faultfs.FailNth(1, func(op faultfs.Op) bool { return op.Kind == faultfs.OpSync }, syscall.EIO))
	f, err := fs.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("lost"))
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the first sync: %v", err)
	}
	if err := f.Sync(); err != nil {
		t.Fatalf("the second sync: %v", err)
	}
	for seed := range int64(20) {
		if b, _ := vfs.ReadFile(mem.CrashClone(seed), "f"); len(b) != 0 {
			t.Fatalf("seed %d: %q survived a failed fsync", seed, b)
		}
	}
}

func TestInjectors(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	writes := func(op faultfs.Op) bool { return op.Kind == faultfs.OpWrite }
	inject := faultfs.Chain(faultfs.FailNth(2, writes, one), faultfs.FailFrom(4, nil, two))
	var got []error
	for _, kind := range []faultfs.OpKind{faultfs.OpWrite, faultfs.OpSync, faultfs.OpWrite, faultfs.OpSync, faultfs.OpWrite, faultfs.OpOpen} {
		got = append(got, inject(faultfs.Op{Kind: kind}))
	}
	if want := []error{nil, nil, one, nil, two, two}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}
