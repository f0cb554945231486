package blobfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/afero"
	"gocloud.dev/blob"

	"github.com/spillwaydb/spillway/fsbackends/internal/listing"
)

// writer is a file that is written, from its beginning to its end.
type writer struct {
	fs   *FS
	key  string
	name string
	flag int

	mu      sync.Mutex
	w       *blob.Writer
	cancel  context.CancelFunc
	n       int64
	pending bool  // Close has something to store
	stored  bool  // what was written is there
	err     error // which ended the upload
	closed  bool
}

var _ afero.File = (*writer)(nil)

// fail is the error of a call; the caller holds mu.
func (f *writer) fail(op string, err error) error {
	if f.closed {
		err = os.ErrClosed
	}
	return &os.PathError{Op: op, Path: f.name, Err: err}
}

// begin opens the upload, for as long as it makes progress.
func (f *writer) begin() error {
	if f.w != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	w, err := f.fs.b.NewWriter(ctx, f.key, &blob.WriterOptions{BufferSize: pieceSize, MaxConcurrency: concurrency, ContentType: contentType})
	if err != nil {
		cancel()
		return err
	}
	f.w, f.cancel, f.pending = w, cancel, true
	return nil
}

// step is one call of the upload. An error ends it, so that no part of a file
// becomes an object.
func (f *writer) step(call func() error) error {
	if f.err == nil {
		f.err = f.begin()
	}
	if f.err == nil {
		watch := time.AfterFunc(patience, f.cancel)
		f.err = call()
		watch.Stop()
	}
	if f.err != nil && f.cancel != nil {
		f.cancel()
	}
	return number(f.err)
}

// Write implements afero.File.
func (f *writer) Write(b []byte) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return 0, f.fail("write", os.ErrClosed)
	case f.stored:
		return 0, f.fail("write", fmt.Errorf("an object that was synced is whole: %w", errors.ErrUnsupported))
	}
	err = f.step(func() error { n, err = f.w.Write(b); return err })
	f.n += int64(n)
	if err != nil {
		return n, f.fail("write", err)
	}
	return n, nil
}

// WriteString implements afero.File.
func (f *writer) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// WriteAt implements afero.File, at the end of what was written and nowhere else.
func (f *writer) WriteAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	end, closed := f.n, f.closed
	f.mu.Unlock()
	switch {
	case off < 0:
		return 0, &os.PathError{Op: "write", Path: f.name, Err: syscall.EINVAL}
	case off != end && !closed:
		return 0, &os.PathError{Op: "write", Path: f.name, Err: fmt.Errorf("out of order: %w", errors.ErrUnsupported)}
	}
	return f.Write(b)
}

// Sync implements afero.File: the object is complete, under its name. Nothing
// can be written after it.
func (f *writer) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return f.fail("sync", os.ErrClosed)
	}
	if err := f.store(); err != nil {
		return f.fail("sync", err)
	}
	return nil
}

// store completes the object.
func (f *writer) store() error {
	if f.stored || !f.pending && f.err == nil {
		return nil
	}
	err := f.step(func() error { return f.w.Close() })
	if err == nil {
		f.stored = true
		f.cancel()
	}
	return err
}

// Close implements afero.File. When it returns nil the object is complete, under
// its name; when it does not, what was there before is.
func (f *writer) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return f.fail("close", os.ErrClosed)
	}
	if f.err != nil && f.w != nil {
		_ = f.w.Close() // it was cancelled: this frees what it holds
	}
	err := f.store()
	f.closed = true
	if err != nil {
		return &os.PathError{Op: "close", Path: f.name, Err: err}
	}
	return nil
}

// Name implements afero.File.
func (f *writer) Name() string { return f.name }

// Stat implements afero.File; the size is what was written so far.
func (f *writer) Stat() (os.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, f.fail("stat", os.ErrClosed)
	}
	return listing.Info{Base: path.Base(f.key), Bytes: f.n, Time: time.Now()}, nil
}

// Seek implements afero.File, to where it is already.
func (f *writer) Seek(off int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if whence != io.SeekStart {
		off += f.n
	}
	switch {
	case f.closed:
		return 0, f.fail("seek", os.ErrClosed)
	case off < 0:
		return 0, f.fail("seek", syscall.EINVAL)
	case off != f.n:
		return 0, f.fail("seek", errors.ErrUnsupported)
	}
	return off, nil
}

// Truncate implements afero.File, to the size it has.
func (f *writer) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return f.fail("truncate", os.ErrClosed)
	case size < 0:
		return f.fail("truncate", syscall.EINVAL)
	case size != f.n:
		return f.fail("truncate", errors.ErrUnsupported)
	}
	return nil
}

// unread is the answer of a call that reads.
func (f *writer) unread(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flag&os.O_RDWR == 0 {
		return f.fail(op, syscall.EBADF)
	}
	return f.fail(op, fmt.Errorf("read an object before it is closed: %w", errors.ErrUnsupported))
}

// Read implements afero.File; it fails.
func (f *writer) Read([]byte) (int, error) { return 0, f.unread("read") }

// ReadAt implements afero.File; it fails.
func (f *writer) ReadAt([]byte, int64) (int, error) { return 0, f.unread("read") }

// Readdir implements afero.File; it fails.
func (f *writer) Readdir(int) ([]os.FileInfo, error) {
	return nil, &os.PathError{Op: "readdir", Path: f.name, Err: syscall.ENOTDIR}
}

// Readdirnames implements afero.File; it fails.
func (f *writer) Readdirnames(int) ([]string, error) {
	_, err := f.Readdir(0)
	return nil, err
}
