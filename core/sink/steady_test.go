package sink_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// pushed is a file that notes what the disk is asked to do.
type pushed struct {
	vfs.File
	asked []string
	err   error // of a push
}

const mib = 1 << 20

func (f *pushed) Sync() error { return errors.New("somebody is waiting") }

func (f *pushed) WriteAside(b []byte) (int, error) { return f.Write(b) }

func (f *pushed) SyncAside() error {
	f.asked = append(f.asked, "fsync")
	return nil
}

func (f *pushed) PushAside(off, n int64) error {
	f.asked = append(f.asked, fmt.Sprintf("push %d+%d", off/mib, n/mib))
	return f.err
}

// TestSteadily: the disk is given what is written a step at a time, waits for the step
// before it alone, and all of it is fsynced once in a while.
func TestSteadily(t *testing.T) {
	refused := errors.New("the disk is broken")
	sixtyFour := []string{"push 0+1"}
	for i := range 63 {
		sixtyFour = append(sixtyFour, fmt.Sprintf("push %d+2", i))
	}
	for _, c := range []struct {
		name   string
		err    error
		mibs   int
		wanted []string
		fails  error
	}{
		{name: "pushes", mibs: 4, wanted: sixtyFour[:4]},
		{name: "fsyncs what it has pushed", mibs: 65, wanted: append(slices.Clone(sixtyFour), "fsync", "push 63+2")},
		{name: "fsyncs where it cannot", err: errors.ErrUnsupported, mibs: 9, wanted: []string{"push 0+1", "fsync", "fsync"}},
		{name: "fails with the disk", err: refused, mibs: 2, wanted: []string{"push 0+1"}, fails: refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem, err := memfs.New().OpenFile("part", os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			f := &pushed{File: mem, err: c.err}
			w := sink.Steadily(f)
			for range 2 * c.mibs {
				n, werr := w.Write(make([]byte, mib/2))
				if err = werr; err != nil {
					break
				}
				if n != mib/2 {
					t.Fatalf("wrote %d bytes of %d", n, mib/2)
				}
			}
			if !errors.Is(err, c.fails) {
				t.Errorf("got %v, want %v", err, c.fails)
			}
			if !slices.Equal(f.asked, c.wanted) {
				t.Errorf("the disk was asked for\n%q, want\n%q", f.asked, c.wanted)
			}
			if end, _ := mem.Seek(0, io.SeekEnd); c.fails == nil && end != int64(c.mibs)*mib {
				t.Errorf("%d bytes were written, want %d MiB", end, c.mibs)
			}
		})
	}
}
