package fsbackends_test

import (
	"flag"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/fstest"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
)

var agreeSeed = flag.Uint64("seed", 0, "replay TestMemoryAgreesWithDisk with this seed only")

// TestMemoryAgreesWithDisk: what is certified on memfs holds on a real disk,
// since the two answer alike. Replay: go test -run Agrees ./fsbackends -seed N.
func TestMemoryAgreesWithDisk(t *testing.T) {
	first, rounds := uint64(time.Now().UnixNano()), uint64(40)
	if *agreeSeed != 0 {
		first, rounds = *agreeSeed, 1
	}
	memory := func(*testing.T) vfs.FS { return memfs.New() }
	disk := func(t *testing.T) vfs.FS {
		fs, err := osfs.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = fs.(*osfs.FS).Close() })
		return fs
	}
	script, err := faultfs.ParseScript("no faults", "on any path \"not/there\" fail EIO")
	if err != nil {
		t.Fatal(err)
	}
	wrapped := func(*testing.T) vfs.FS { return faultfs.New(memfs.New(), script.Inject) }
	for seed := first; seed < first+rounds; seed++ {
		fstest.Agree(t, memory, disk, seed, 400)
		fstest.Agree(t, memory, wrapped, seed, 100)
	}
}
