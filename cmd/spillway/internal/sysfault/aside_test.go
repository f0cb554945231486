//go:build linux && (amd64 || arm64)

package sysfault_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/sysfault"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
)

// asideDir tells TestAside that it is the process that is watched.
const asideDir = "SYSFAULT_ASIDE"

// TestAside: what is written and fsynced aside is seen, fails as the caller's would,
// and is not done in another way then.
func TestAside(t *testing.T) {
	if dir := os.Getenv(asideDir); dir != "" {
		aside(t, dir)
		return
	}
	needSysfault(t)
	dir := t.TempDir()
	var out strings.Builder
	cmd := exec.Command(os.Args[0], "-test.run=^TestAside$", "-test.v")
	cmd.Env = append(os.Environ(), asideDir+"="+dir)
	cmd.Stdout, cmd.Stderr = &out, &out
	var seen []string
	w, err := sysfault.Start(cmd, dir, func(c sysfault.Call) sysfault.Verdict {
		if c.Path != "" && c.Name != "openat" {
			seen = append(seen, c.String())
			return sysfault.Fail(syscall.EIO)
		}
		return sysfault.Pass
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := w.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"write f", "sync_file_range f", "fsync f", "fsync ."}; !slices.Equal(seen, want) {
		t.Errorf("seen were %q, want %q", seen, want)
	}
	if n := strings.Count(out.String(), "input/output error"); n != 4 {
		t.Errorf("%d of 4 calls failed:\n%s", n, &out)
	}
}

func aside(t *testing.T, dir string) {
	fs, err := osfs.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	_, err = vfs.WriteAside(f, []byte("some"))
	t.Log(err)
	t.Log(vfs.PushAside(f, 0, 4))
	t.Log(vfs.SyncAside(f))
	t.Log(fs.SyncDir("."))
}
