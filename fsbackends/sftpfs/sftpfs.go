package sftpfs

import (
	"context"
	"errors"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/internal/listing"
	"github.com/spillwaydb/spillway/internal/sftpconn"
)

// Scheme is the scheme of the URLs.
const Scheme = sftpconn.Scheme

// Caps is what every filesystem of this package promises.
var Caps = vfs.Caps{Durable: true, AtomicReplace: true, SyncDir: true, Append: true, Inodes: true}

const (
	defaultTimeout = time.Minute
	permMask       = 0o700 // what is left of the permissions callers ask for
)

// Options say which server, and how to connect to it.
type Options struct {
	// URL is the directory; see the package comment.
	URL string
	// KnownHosts is a file of host keys; "" means ~/.ssh/known_hosts.
	KnownHosts string
	// KeyFile is a private key. "" means the agent's and the usual files.
	KeyFile string
	// Passphrase opens the key; "" means SPILLWAY_SFTP_PASSPHRASE.
	Passphrase string
	// Password is what is tried last; "" means SPILLWAY_SFTP_PASSWORD.
	Password string
	// Timeout is how long a call may stand still; 0 means a minute.
	Timeout time.Duration
	// Logger may be nil.
	Logger hclog.Logger
}

// FS is a directory on an SFTP server. It is safe for concurrent use.
type FS struct {
	dialer  *sftpconn.Dialer
	timeout time.Duration

	mu     sync.Mutex
	conn   *sftpconn.Conn // nil: to be made
	closed bool
}

var _ vfs.FS = (*FS)(nil)

// New returns the filesystem. It does not connect yet; the directory is made at
// the first call when it is missing.
func New(o Options) (*FS, error) {
	p, err := sftpconn.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	d, err := sftpconn.New(p, sftpconn.Options{
		KnownHosts: o.KnownHosts, KeyFile: o.KeyFile, Passphrase: o.Passphrase, Password: o.Password, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	return &FS{dialer: d, timeout: o.Timeout}, nil
}

// Close ends the connection, and with it every open file.
func (fs *FS) Close() error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.closed = true
	if fs.conn != nil {
		fs.conn.Close()
		fs.conn = nil
	}
	return nil
}

// Name implements afero.Fs.
func (fs *FS) Name() string { return "sftpfs " + fs.dialer.Location }

// Caps implements vfs.FS.
func (*FS) Caps() vfs.Caps { return Caps }

// connect returns the connection, which all calls share.
func (fs *FS) connect() (*sftpconn.Conn, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.closed {
		return nil, os.ErrClosed
	}
	if fs.conn != nil {
		return fs.conn, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), fs.timeout)
	defer cancel()
	c, err := fs.dialer.Dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.SFTP.MkdirAll(fs.dialer.Dir); err != nil {
		c.Close()
		return nil, err
	}
	fs.conn = c
	return c, nil
}

// bounded runs a call on a connection, and cuts that when the call stands still.
func (fs *FS) bounded(c *sftpconn.Conn, call func() error) error {
	watch := time.AfterFunc(fs.timeout, c.Cut)
	defer watch.Stop()
	err := call()
	// io.EOF is the end of a file here, and of a connection only elsewhere.
	if err != nil && sftpconn.Broken(err) && !isEOF(err) {
		fs.lost(c)
	}
	return err
}

// lost forgets a connection.
func (fs *FS) lost(c *sftpconn.Conn) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.conn == c {
		fs.conn = nil
		c.Close()
	}
}

// resolve is the path on the server.
func (fs *FS) resolve(name string) (string, error) {
	p, err := vfs.Clean(name)
	if err != nil {
		return "", err
	}
	return path.Join(fs.dialer.Dir, p), nil
}

// do runs a call with the path that a name means.
func (fs *FS) do(op, name string, call func(c *sftpconn.Conn, p string) error) error {
	p, err := fs.resolve(name)
	if err != nil {
		return &os.PathError{Op: op, Path: name, Err: err}
	}
	c, err := fs.connect()
	if err != nil {
		return &os.PathError{Op: op, Path: name, Err: err}
	}
	err = fs.bounded(c, func() error {
		err := call(c, p)
		if errors.Is(err, os.ErrNotExist) {
			err = why(c, p, 0, err)
		}
		return err
	})
	if err != nil {
		return &os.PathError{Op: op, Path: name, Err: number(err)}
	}
	return nil
}

// Create implements afero.Fs: read-write, created with mode 0600 or truncated.
func (fs *FS) Create(name string) (afero.File, error) {
	return fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

// Open implements afero.Fs: read-only.
func (fs *FS) Open(name string) (afero.File, error) { return fs.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile implements afero.Fs.
func (fs *FS) OpenFile(name string, flag int, perm os.FileMode) (f afero.File, err error) {
	err = fs.do("open", name, func(c *sftpconn.Conn, p string) error {
		h, err := open(c, p, flag, perm)
		if err != nil {
			return why(c, p, flag, err)
		}
		if flag&(os.O_WRONLY|os.O_RDWR) == 0 { // the server opens a directory as a file
			st, err := h.Stat()
			if err == nil && st.IsDir() {
				if err = h.Close(); err == nil && flag&os.O_CREATE != 0 {
					err = syscall.EISDIR
				}
				if fs.isRoot(p) {
					st = rootInfo{st}
				}
				f = fs.dir(name, st)
			}
			if err != nil || f != nil {
				return err
			}
		}
		f = &file{fs: fs, conn: c, f: h, name: name, flag: flag}
		return nil
	})
	if err != nil {
		return nil, err // not f: a nil pointer in an interface is not nil
	}
	return f, nil
}

// dir is an open directory.
func (fs *FS) dir(name string, st os.FileInfo) afero.File {
	return listing.NewDir(name, st, func() (infos []os.FileInfo, err error) {
		err = fs.do("readdir", name, func(c *sftpconn.Conn, p string) error {
			infos, err = c.SFTP.ReadDir(p)
			return err
		})
		return infos, err
	})
}

// Stat implements afero.Fs.
func (fs *FS) Stat(name string) (st os.FileInfo, err error) {
	err = fs.do("stat", name, func(c *sftpconn.Conn, p string) error {
		st, err = c.SFTP.Stat(p)
		if err == nil && fs.isRoot(p) {
			st = rootInfo{st}
		}
		return err
	})
	return st, err
}

// rootInfo describes the root, which has no name here.
type rootInfo struct{ os.FileInfo }

// Name implements os.FileInfo.
func (rootInfo) Name() string { return "." }

// Mkdir implements afero.Fs.
func (fs *FS) Mkdir(name string, perm os.FileMode) error {
	return fs.do("mkdir", name, func(c *sftpconn.Conn, p string) error { return mkdir(c, p, perm) })
}

func mkdir(c *sftpconn.Conn, p string, perm os.FileMode) error {
	if err := c.SFTP.Mkdir(p); err != nil {
		return why(c, p, os.O_CREATE|os.O_EXCL, err)
	}
	return c.SFTP.Chmod(p, perm&permMask)
}

// MkdirAll implements afero.Fs.
func (fs *FS) MkdirAll(name string, perm os.FileMode) error {
	return fs.do("mkdir", name, func(c *sftpconn.Conn, p string) error {
		rest := strings.Trim(strings.TrimPrefix(p, fs.dialer.Dir), "/")
		at, elems := fs.dialer.Dir, strings.Split(rest, "/")
		for i, elem := range elems {
			if elem == "" {
				continue
			}
			at = path.Join(at, elem)
			err := mkdir(c, at, perm)
			switch {
			case err == nil, errors.Is(err, os.ErrExist) && isDir(c, at):
			case errors.Is(err, os.ErrExist) && i < len(elems)-1:
				return syscall.ENOTDIR
			default:
				return err
			}
		}
		return nil
	})
}

// isRoot tells whether a path on the server is the root, which is neither removed
// nor renamed.
func (fs *FS) isRoot(p string) bool { return p == fs.dialer.Dir }

// Remove implements afero.Fs: a file, or an empty directory.
func (fs *FS) Remove(name string) error {
	return fs.do("remove", name, func(c *sftpconn.Conn, p string) error {
		if fs.isRoot(p) {
			return syscall.EINVAL
		}
		err := c.SFTP.Remove(p)
		if err != nil && isDir(c, p) {
			if infos, lerr := c.SFTP.ReadDir(p); lerr == nil && len(infos) > 0 {
				return syscall.ENOTEMPTY
			}
		}
		return err
	})
}

// RemoveAll implements afero.Fs. The root itself is refused.
func (fs *FS) RemoveAll(name string) error {
	return fs.do("removeall", name, func(c *sftpconn.Conn, p string) error {
		if fs.isRoot(p) {
			return syscall.EINVAL
		}
		err := c.SFTP.RemoveAll(p)
		if errors.Is(err, os.ErrNotExist) {
			if err = why(c, p, 0, err); errors.Is(err, os.ErrNotExist) {
				return nil
			}
		}
		return err
	})
}

// Rename implements afero.Fs. What is at the target is looked at first, since
// the server does not say why it refused; a file takes a file's place in one
// step all the same.
func (fs *FS) Rename(oldname, newname string) error {
	fail := func(err error) error {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	from, err := fs.resolve(oldname)
	if err != nil {
		return fail(err)
	}
	to, err := fs.resolve(newname)
	if err != nil {
		return fail(err)
	}
	if fs.isRoot(from) || fs.isRoot(to) {
		return fail(syscall.EINVAL)
	}
	c, err := fs.connect()
	if err != nil {
		return fail(err)
	}
	if err := fs.bounded(c, func() error { return rename(c, from, to) }); err != nil {
		return fail(number(err))
	}
	return nil
}

func rename(c *sftpconn.Conn, from, to string) error {
	src, err := c.SFTP.Lstat(from)
	if err != nil {
		return why(c, from, 0, err)
	}
	if from == to && !src.IsDir() {
		return nil
	}
	if strings.HasPrefix(to, from+"/") {
		if src.IsDir() {
			return syscall.EINVAL
		}
		return syscall.ENOTDIR
	}
	switch dst, err := c.SFTP.Lstat(to); {
	case err == nil && dst.IsDir():
		return syscall.EEXIST
	case err == nil && src.IsDir():
		return syscall.ENOTDIR
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	if err := c.Replace(from, to); err != nil {
		return why(c, to, 0, err)
	}
	return nil
}

// Replace implements vfs.FS; posix-rename is it.
func (fs *FS) Replace(oldname, newname string) error { return fs.Rename(oldname, newname) }

// SyncDir implements vfs.FS.
func (fs *FS) SyncDir(dir string) error {
	return fs.do("syncdir", dir, func(c *sftpconn.Conn, p string) error {
		st, err := c.SFTP.Stat(p)
		if err != nil {
			return err
		}
		if !st.IsDir() {
			return syscall.ENOTDIR
		}
		return c.SyncDir(p)
	})
}

// Chmod implements afero.Fs. Group and others get nothing.
func (fs *FS) Chmod(name string, mode os.FileMode) error {
	return fs.do("chmod", name, func(c *sftpconn.Conn, p string) error { return c.SFTP.Chmod(p, mode&permMask) })
}

// Chown implements afero.Fs.
func (fs *FS) Chown(name string, uid, gid int) error {
	return fs.do("chown", name, func(c *sftpconn.Conn, p string) error { return c.SFTP.Chown(p, uid, gid) })
}

// Chtimes implements afero.Fs, to the second.
func (fs *FS) Chtimes(name string, atime, mtime time.Time) error {
	return fs.do("chtimes", name, func(c *sftpconn.Conn, p string) error { return c.SFTP.Chtimes(p, atime, mtime) })
}
