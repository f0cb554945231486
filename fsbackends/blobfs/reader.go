package blobfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	azblobblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/spf13/afero"
	"gocloud.dev/blob"

	"github.com/spillwaydb/spillway/fsbackends/internal/listing"
)

// reader is a file that is read.
type reader struct {
	fs    *FS
	key   string
	name  string
	info  listing.Info
	attrs *blob.Attributes

	mu     sync.Mutex
	off    int64        // of the next Read
	r      *blob.Reader // a stream that has come to at; nil: none
	at     int64
	cancel context.CancelFunc
	closed bool
}

var _ afero.File = (*reader)(nil)

// open opens a stream of the object that was opened, and of no later one of its
// name. n < 0 means to the end.
func (f *reader) open(ctx context.Context, off, n int64) (*blob.Reader, error) {
	return f.fs.b.NewRangeReader(ctx, f.key, off, n, &blob.ReaderOptions{BeforeRead: func(as func(any) bool) error {
		var (
			s3in *s3.GetObjectInput
			gobj **storage.ObjectHandle
			az   *azblob.DownloadStreamOptions
		)
		switch {
		case as(&s3in):
			s3in.IfMatch = &f.attrs.ETag
		case as(&az):
			etag := azcore.ETag(f.attrs.ETag)
			az.AccessConditions = &azblobblob.AccessConditions{ModifiedAccessConditions: &azblobblob.ModifiedAccessConditions{IfMatch: &etag}}
		case as(&gobj):
			var a storage.ObjectAttrs
			if f.attrs.As(&a) {
				*gobj = (*gobj).Generation(a.Generation)
			}
		}
		return nil
	}})
}

// explain says what it means when the object cannot be read any more.
func (f *reader) explain(err error) error {
	if err = number(err); errors.Is(err, os.ErrExist) || missing(err) { // the condition failed
		err = fmt.Errorf("%w: the object was replaced or removed since it was opened: %w", syscall.ESTALE, err)
	}
	return err
}

// fail is the error of a call; the caller holds mu.
func (f *reader) fail(op string, err error) error {
	if f.closed {
		err = os.ErrClosed
	}
	return &os.PathError{Op: op, Path: f.name, Err: err}
}

// Read implements afero.File.
func (f *reader) Read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return 0, f.fail("read", os.ErrClosed)
	case len(b) == 0:
		return 0, nil
	case f.off >= f.info.Bytes:
		return 0, io.EOF
	}
	n, err := f.read(b)
	f.off += int64(n)
	if n > 0 {
		return n, nil // what is wrong, the next one says
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return 0, f.fail("read", f.explain(err))
}

// read reads from the stream, which stands at off or is opened there.
func (f *reader) read(b []byte) (n int, err error) {
	if f.r != nil && f.at != f.off {
		f.drop()
	}
	if f.r == nil {
		ctx, cancel := context.WithCancel(context.Background())
		watch := time.AfterFunc(patience, cancel)
		r, err := f.open(ctx, f.off, -1)
		watch.Stop()
		if err != nil {
			cancel()
			return 0, err
		}
		f.r, f.at, f.cancel = r, f.off, cancel
	}
	watch := time.AfterFunc(patience, f.cancel)
	n, err = f.r.Read(b)
	watch.Stop()
	f.at += int64(n)
	if err != nil {
		f.drop()
	}
	return n, err
}

// drop ends the stream.
func (f *reader) drop() {
	if f.r != nil {
		f.cancel()
		_ = f.r.Close()
		f.r = nil
	}
}

// ReadAt implements afero.File, with a request of its own.
func (f *reader) ReadAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	closed := f.closed
	f.mu.Unlock()
	switch {
	case off < 0:
		return 0, &os.PathError{Op: "read", Path: f.name, Err: syscall.EINVAL}
	case len(b) == 0:
		return 0, nil
	case closed:
		return 0, &os.PathError{Op: "read", Path: f.name, Err: os.ErrClosed}
	case off >= f.info.Bytes:
		return 0, io.EOF
	}
	ctx, cancel := request()
	defer cancel()
	want := min(int64(len(b)), f.info.Bytes-off)
	r, err := f.open(ctx, off, want)
	if err != nil {
		return 0, &os.PathError{Op: "read", Path: f.name, Err: f.explain(err)}
	}
	defer func() { _ = r.Close() }()
	n, err := io.ReadFull(r, b[:want])
	if err != nil {
		return n, &os.PathError{Op: "read", Path: f.name, Err: f.explain(err)}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Seek implements afero.File.
func (f *reader) Seek(off int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		off += f.off
	case io.SeekEnd:
		off += f.info.Bytes
	}
	if f.closed || off < 0 {
		return 0, f.fail("seek", syscall.EINVAL)
	}
	f.off = off
	return off, nil
}

// Close implements afero.File.
func (f *reader) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return f.fail("close", os.ErrClosed)
	}
	f.closed = true
	f.drop()
	return nil
}

// Name implements afero.File.
func (f *reader) Name() string { return f.name }

// Stat implements afero.File: the object as it was when it was opened.
func (f *reader) Stat() (os.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, f.fail("stat", os.ErrClosed)
	}
	return f.info, nil
}

// unwritten is the answer of a call that would change the object.
func (f *reader) unwritten(op string, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail(op, err)
}

// Sync implements afero.File; there is nothing to do.
func (f *reader) Sync() error {
	_, err := f.Stat()
	return err
}

// Write implements afero.File; it fails.
func (f *reader) Write([]byte) (int, error) { return 0, f.unwritten("write", syscall.EBADF) }

// WriteString implements afero.File; it fails.
func (f *reader) WriteString(string) (int, error) { return 0, f.unwritten("write", syscall.EBADF) }

// WriteAt implements afero.File; it fails.
func (f *reader) WriteAt([]byte, int64) (int, error) { return 0, f.unwritten("write", syscall.EBADF) }

// Truncate implements afero.File; it fails.
func (f *reader) Truncate(int64) error { return f.unwritten("truncate", syscall.EINVAL) }

// Readdir implements afero.File; it fails.
func (f *reader) Readdir(int) ([]os.FileInfo, error) {
	return nil, f.unwritten("readdir", syscall.ENOTDIR)
}

// Readdirnames implements afero.File; it fails.
func (f *reader) Readdirnames(int) ([]string, error) {
	_, err := f.Readdir(0)
	return nil, err
}
