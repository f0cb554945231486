package fstest_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/fstest"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// modest promises nothing: what it does not promise it does not do.
type modest struct{ *memfs.FS }

func (modest) Caps() vfs.Caps { return vfs.Caps{} }

func (modest) Chmod(name string, _ os.FileMode) error { return unsupported(name) }

func (modest) Chtimes(name string, _, _ time.Time) error { return unsupported(name) }

func unsupported(name string) error {
	if _, err := vfs.Clean(name); err != nil {
		return err
	}
	return errors.ErrUnsupported
}

func (modest) SyncDir(string) error { return errors.ErrUnsupported }

func (m modest) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	if flag&os.O_APPEND != 0 {
		return nil, errors.ErrUnsupported
	}
	return m.FS.OpenFile(name, flag, perm)
}

// TestOnlyPromises: the suite asks a backend for what its Caps say, no more.
func TestOnlyPromises(t *testing.T) {
	fstest.Run(t, func(*testing.T) vfs.FS { return modest{memfs.New()} })
}
