package blobfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/afero"
	"gocloud.dev/blob"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/internal/listing"
	"github.com/spillwaydb/spillway/internal/objstore"
)

// Schemes are the URL schemes there are.
var Schemes = []string{"s3", "gs", "azblob"}

// Caps is what every filesystem of this package promises.
var Caps = vfs.Caps{Durable: true, SyncDir: true}

const (
	patience    = time.Minute // for an answer, and for the progress of a transfer
	pieceSize   = 8 << 20
	concurrency = 3
	workers     = 8 // requests at once when there are many objects
)

// FS is an object store, below a prefix. It is safe for concurrent use.
type FS struct {
	b        *blob.Bucket
	prefix   string // "" or ending with a slash
	location string
}

var _ vfs.FS = (*FS)(nil)

// Open opens the store that a URL means; see the package comment.
func Open(rawURL string) (*FS, error) {
	p, err := objstore.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(Schemes, p.Scheme) {
		return nil, fmt.Errorf("blob: url: scheme %q is none of %s", p.Scheme, strings.Join(Schemes, ", "))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b, err := p.Open(ctx)
	if err != nil {
		return nil, err
	}
	return New(b, p.Prefix, p.Location), nil
}

// New returns the filesystem on an open bucket, which the filesystem's Close
// closes. All keys begin with prefix, which is empty or ends with a slash;
// location is what errors call it.
func New(b *blob.Bucket, prefix, location string) *FS {
	return &FS{b: b, prefix: prefix, location: location}
}

// Close gives the connections back.
func (fs *FS) Close() error { return objstore.Scrub(fs.b.Close()) }

// Name implements afero.Fs.
func (fs *FS) Name() string { return "blobfs " + fs.location }

// Caps implements vfs.FS.
func (*FS) Caps() vfs.Caps { return Caps }

// request is the context of one request.
func request() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// number gives an error the number that other backends return, and keeps what
// the store said.
func number(err error) error {
	var no syscall.Errno
	if err == nil || errors.As(err, &no) {
		return err
	}
	err = objstore.Classify(err)
	for is, no := range map[error]syscall.Errno{os.ErrNotExist: syscall.ENOENT, os.ErrExist: syscall.EEXIST, os.ErrPermission: syscall.EACCES} {
		if errors.Is(err, is) {
			return fmt.Errorf("%w: %w", no, err)
		}
	}
	return err
}

func missing(err error) bool { return errors.Is(err, os.ErrNotExist) }

// fail is the error of an operation on a name.
func fail(op, name string, err error) error {
	if err = number(err); err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}

// clean checks a name, and refuses the one that marks directories.
func clean(name string) (string, error) {
	p, err := vfs.Clean(name)
	if err == nil && path.Base(p) == marker {
		return "", syscall.EINVAL
	}
	return p, err
}

// key is the name of the object that a path means.
func (fs *FS) key(p string) string { return fs.prefix + p }

// below is what the keys of everything in a directory begin with.
func (fs *FS) below(dir string) string {
	if dir == "." {
		return fs.prefix
	}
	return fs.prefix + dir + "/"
}

// stat describes a path. attrs is nil for a directory.
func (fs *FS) stat(p string) (info listing.Info, attrs *blob.Attributes, err error) {
	if p == "." {
		return listing.Info{Base: p, Dir: true}, nil, nil
	}
	ctx, cancel := request()
	defer cancel()
	attrs, err = fs.b.Attributes(ctx, fs.key(p))
	if err == nil {
		return listing.Info{Base: path.Base(p), Bytes: attrs.Size, Time: attrs.ModTime}, attrs, nil
	}
	if err = number(err); !missing(err) {
		return info, nil, err
	}
	some, lerr := fs.some(p, 1)
	if lerr != nil {
		return info, nil, lerr
	}
	if len(some) == 0 {
		return info, nil, err
	}
	return listing.Info{Base: path.Base(p), Time: some[0].ModTime, Dir: true}, nil, nil
}

// why tells a missing file from one below something that is not a directory.
func (fs *FS) why(p string, err error) error {
	if !missing(err) {
		return err
	}
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		info, _, derr := fs.stat(dir)
		if derr == nil && !info.Dir {
			return syscall.ENOTDIR
		}
		if !missing(derr) {
			break
		}
	}
	return err
}

// wantDir wants a directory to be there.
func (fs *FS) wantDir(p string) error {
	info, _, err := fs.stat(p)
	if err != nil {
		return fs.why(p, err)
	}
	if !info.Dir {
		return syscall.ENOTDIR
	}
	return nil
}

// Stat implements afero.Fs.
func (fs *FS) Stat(name string) (os.FileInfo, error) {
	p, err := clean(name)
	if err != nil {
		return nil, fail("stat", name, err)
	}
	info, _, err := fs.stat(p)
	if err != nil {
		return nil, fail("stat", name, err)
	}
	return info, nil
}

// Create implements afero.Fs. What is written cannot be read before Close.
func (fs *FS) Create(name string) (afero.File, error) {
	return fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0)
}

// Open implements afero.Fs: read-only.
func (fs *FS) Open(name string) (afero.File, error) { return fs.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile implements afero.Fs. There are no permissions. A file that has a
// content can be opened for writing only with O_TRUNC, and none with O_APPEND.
func (fs *FS) OpenFile(name string, flag int, _ os.FileMode) (afero.File, error) {
	p, err := clean(name)
	if err != nil {
		return nil, fail("open", name, err)
	}
	f, err := fs.open(p, name, flag)
	if err != nil {
		return nil, fail("open", name, err)
	}
	return f, nil
}

func (fs *FS) open(p, name string, flag int) (afero.File, error) {
	info, attrs, err := fs.stat(p)
	there := err == nil
	writes := flag&(os.O_WRONLY|os.O_RDWR) != 0
	switch {
	case !there && (!missing(err) || flag&os.O_CREATE == 0):
		return nil, fs.why(p, err)
	case there && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, syscall.EEXIST
	case there && info.Dir && (writes || flag&os.O_CREATE != 0):
		return nil, syscall.EISDIR
	case there && info.Dir:
		return listing.NewDir(name, info, func() ([]os.FileInfo, error) {
			infos, err := fs.list(p)
			return infos, fail("readdir", name, err)
		}), nil
	case flag&os.O_APPEND != 0:
		return nil, fmt.Errorf("append to an object: %w", errors.ErrUnsupported)
	case there && writes && flag&os.O_TRUNC == 0 && info.Bytes > 0:
		return nil, fmt.Errorf("change a part of an object, which is written whole (O_TRUNC): %w", errors.ErrUnsupported)
	}
	if !there {
		if err := fs.wantDir(path.Dir(p)); err != nil {
			return nil, err
		}
	}
	if flag&os.O_EXCL != 0 || !there && !writes { // only then it has its name before Close
		if err := fs.put(p, flag&os.O_EXCL != 0); err != nil {
			return nil, err
		}
	}
	if !writes {
		if attrs == nil {
			if info, attrs, err = fs.stat(p); err != nil {
				return nil, err
			}
		}
		return &reader{fs: fs, key: fs.key(p), name: name, info: info, attrs: attrs}, nil
	}
	must := !there || flag&os.O_TRUNC != 0 // even when nothing is written
	return &writer{fs: fs, key: fs.key(p), name: name, flag: flag, pending: must}, nil
}

// put makes an empty object, only if there is none when ifAbsent is set.
func (fs *FS) put(p string, ifAbsent bool) error {
	ctx, cancel := request()
	defer cancel()
	return number(fs.b.WriteAll(ctx, fs.key(p), nil, &blob.WriterOptions{ContentType: contentType, IfNotExist: ifAbsent}))
}

const contentType = "application/octet-stream"

// SyncDir implements vfs.FS: a store that has answered has done it.
func (fs *FS) SyncDir(dir string) error {
	p, err := clean(dir)
	if err == nil {
		err = fs.wantDir(p)
	}
	return fail("syncdir", dir, err)
}

// unsupported is the answer of a call that no object store can do.
func unsupported(op, name string) error {
	if _, err := clean(name); err != nil {
		return fail(op, name, err)
	}
	return &os.PathError{Op: op, Path: name, Err: errors.ErrUnsupported}
}

// Chmod implements afero.Fs; it fails.
func (*FS) Chmod(name string, _ os.FileMode) error { return unsupported("chmod", name) }

// Chown implements afero.Fs; it fails.
func (*FS) Chown(name string, _, _ int) error { return unsupported("chown", name) }

// Chtimes implements afero.Fs; it fails.
func (*FS) Chtimes(name string, _, _ time.Time) error { return unsupported("chtimes", name) }
