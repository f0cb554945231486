package osfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/core/vfs"
)

// TestWriteAside: others have the processor, of which there is one, while a write waits; all
// is written though the kernel takes it in parts; and what write(2) refuses is refused in its words.
func TestWriteAside(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	fds := make([]int, 2)
	if err := syscall.Pipe(fds); err != nil { // os.Pipe's do not block
		t.Fatal(err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	defer r.Close()
	want := make([]byte, 1<<20) // more than a pipe holds
	for i := range want {
		want[i] = byte(i * 7 >> 3)
	}
	ended := make(chan error, 1)
	go func() {
		n, err := writeAside(w, want)
		if n != len(want) && err == nil {
			err = fmt.Errorf("%d of %d bytes", n, len(want))
		}
		w.Close()
		ended <- err
	}()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, and %d bytes came, of which all are right: %v", err, len(got), bytes.Equal(got, want))
	}
	n, err := writeAside(r, want)
	m, werr := r.Write(want)
	if n != 0 || m != 0 || err == nil || werr == nil || err.Error() != werr.Error() {
		t.Errorf("to the end that is read: %d, %v; write(2) says %d, %v", n, err, m, werr)
	}
}

// TestPushAside: what was pushed is in the file, and what cannot be is said to be so.
func TestPushAside(t *testing.T) {
	fs, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const step = 64 << 10
	for i := range 8 {
		if _, err := vfs.WriteAside(f, bytes.Repeat([]byte{byte(i)}, step)); err != nil {
			t.Fatal(err)
		}
		from := int64(max(i-1, 0)) * step
		if err := vfs.PushAside(f, from, int64(i+1)*step-from); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Fatal(err)
		}
	}
	got, err := vfs.ReadFile(fs, "f")
	if err != nil || len(got) != 8*step || got[8*step-1] != 7 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := pushAside(w, 0, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("of a pipe: %v", err)
	}
}
