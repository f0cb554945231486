package memfs_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

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
