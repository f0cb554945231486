package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
)

// TempSuffix is what WriteFileAtomic appends to the name it writes first. Files
// that end in it are never referenced and may be removed at any start.
const TempSuffix = ".tmp"

// ErrUnknownOutcome is wrapped by errors that come at or after a commit rename:
// the new content may or may not be there, and may or may not survive a crash.
// Read the file again and act on what it says; delete nothing before.
var ErrUnknownOutcome = errors.New("outcome of the rename is unknown")

// WriteFileAtomic replaces name with data: temporary file, fsync, Replace,
// directory sync. When it returns nil the new content is durable. An error
// before the rename leaves name untouched and removes the temporary file; an
// error at or after the rename wraps ErrUnknownOutcome and removes nothing.
//
// Two concurrent calls for one name share a temporary file: serialise them.
func WriteFileAtomic(fs FS, name string, data []byte, perm os.FileMode) error {
	tmp := name + TempSuffix
	if err := writeSynced(fs, tmp, data, perm); err != nil {
		if rerr := fs.Remove(tmp); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
			return fmt.Errorf("write %s: %w (and its temporary file stays: %w)", name, err, rerr)
		}
		return fmt.Errorf("write %s: %w; the previous file is untouched", name, err)
	}
	if err := fs.Replace(tmp, name); err != nil {
		return fmt.Errorf("replace %s: %w: %w", name, ErrUnknownOutcome, err)
	}
	if dir := path.Dir(name); fs.Caps().SyncDir {
		if err := fs.SyncDir(dir); err != nil {
			return fmt.Errorf("sync directory %s after replacing %s: %w: %w", dir, name, ErrUnknownOutcome, err)
		}
	}
	return nil
}

// writeSynced writes data to a fresh file and fsyncs it.
func writeSynced(fs FS, name string, data []byte, perm os.FileMode) (err error) {
	f, err := fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	n, err := WriteAside(f, data)
	if err != nil {
		return err
	}
	if n != len(data) {
		return fmt.Errorf("%s: %w", name, io.ErrShortWrite)
	}
	return SyncAside(f)
}
