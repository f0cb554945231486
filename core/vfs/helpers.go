package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"syscall"
)

// ErrNotRegular is wrapped by the error for what is to be a file and is something
// else: a directory, a named pipe, a device, a socket. To open or read those may
// take for ever.
var ErrNotRegular = errors.New("not a regular file")

// CheckRegular is an error that wraps ErrNotRegular and says what there is
// instead, or nil for a regular file.
func CheckRegular(mode os.FileMode) error {
	what := "something"
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		what = "a directory"
	case mode&os.ModeNamedPipe != 0:
		what = "a named pipe (FIFO)"
	case mode&os.ModeSocket != 0:
		what = "a socket"
	case mode&os.ModeDevice != 0:
		what = "a device"
	}
	return fmt.Errorf("it is %s, %w", what, ErrNotRegular)
}

// IsNotRegular tells whether err says that something else than a regular file
// was there: it was refused by the open, or by the first read or write.
func IsNotRegular(err error) bool {
	return errors.Is(err, ErrNotRegular) || errors.Is(err, syscall.EISDIR)
}

// ReadFile returns the whole content of name. Memory is reserved as bytes
// arrive, not by the size the backend claims.
func ReadFile(fs FS, name string) ([]byte, error) { return ReadSmall(fs, name, math.MaxInt64) }

// ErrTooLarge is wrapped by the error for a file that has more in it than any
// of its kind.
var ErrTooLarge = errors.New("the file is too large")

// ReadSmall is ReadFile for a file of at most so many bytes; a longer one is not
// read, and an error that wraps ErrTooLarge.
func ReadSmall(fs FS, name string, most int64) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if err := CheckRegular(st.Mode()); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if st.Size() > most {
		return nil, fmt.Errorf("read %s: %w: %d bytes, at most %d are read", name, ErrTooLarge, st.Size(), most)
	}
	var b bytes.Buffer
	if n := st.Size(); n > 0 {
		b.Grow(int(min(n, 1<<20)) + bytes.MinRead)
	}
	if _, err := io.Copy(&b, f); err != nil {
		return nil, fmt.Errorf("read %s at offset %d: %w", name, b.Len(), err)
	}
	return b.Bytes(), nil
}

// Exists tells whether name is there, as a file or a directory. An error means
// that it could not be told.
func Exists(fs FS, name string) (bool, error) {
	_, err := fs.Stat(name)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	}
	return false, fmt.Errorf("stat %s: %w", name, err)
}

// ReadDir returns the entries of dir in the backend's order; a directory that
// is not there has none.
func ReadDir(fs FS, dir string) ([]os.FileInfo, error) {
	f, err := fs.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	defer f.Close()
	infos, err := f.Readdir(-1)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	return infos, nil
}

// MkdirAllSync creates dir and its missing parents and makes each of them
// durable by syncing the directory that holds it. It syncs for directories that
// are already there too: an earlier process may have died between its mkdir and
// its sync.
func MkdirAllSync(fs FS, dir string, perm os.FileMode) error {
	dir, err := Clean(dir)
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if dir == "." {
		return nil
	}
	parent := path.Dir(dir)
	if err := MkdirAllSync(fs, parent, perm); err != nil {
		return err
	}
	if err := fs.Mkdir(dir, perm); err != nil {
		if !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("make directory %s: %w", dir, err)
		}
		if st, serr := fs.Stat(dir); serr != nil {
			return fmt.Errorf("make directory %s: %w", dir, serr)
		} else if !st.IsDir() {
			return fmt.Errorf("make directory %s: a file of that name is in the way; move it: %w", dir, err)
		}
	}
	if !fs.Caps().SyncDir {
		return nil
	}
	if err := fs.SyncDir(parent); err != nil {
		return fmt.Errorf("sync directory %s: %w", parent, err)
	}
	return nil
}

// RemoveIfExists removes name and is content when it is not there.
func RemoveIfExists(fs FS, name string) error {
	if err := fs.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}
