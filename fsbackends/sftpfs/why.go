package sftpfs

import (
	"errors"
	"io"
	"os"
	"path"
	"syscall"

	"github.com/pkg/sftp"

	"github.com/spillwaydb/spillway/internal/sftpconn"
)

// open opens p. A file that is new gets its mode here, since the client cannot
// ask for one; one that is there keeps its own.
func open(c *sftpconn.Conn, p string, flag int, perm os.FileMode) (*sftp.File, error) {
	if flag&os.O_CREATE == 0 {
		return c.SFTP.OpenFile(p, flag)
	}
	for {
		f, err := c.SFTP.OpenFile(p, flag|os.O_EXCL)
		if err == nil {
			if err := f.Chmod(perm & permMask); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return f, nil
		}
		if flag&os.O_EXCL != 0 {
			return nil, err
		}
		if _, serr := c.SFTP.Lstat(p); serr != nil {
			return nil, err // not because it was there
		}
		f, err = c.SFTP.OpenFile(p, flag&^os.O_CREATE)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed in the meantime
		}
		return f, err
	}
}

// why finds out what a failure means that the server has only one number for, or
// calls "no such file" when something in front of it is not a directory.
func why(c *sftpconn.Conn, p string, flag int, err error) error {
	var status *sftp.StatusError
	if !errors.As(err, &status) && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	st, serr := c.SFTP.Lstat(p)
	switch {
	case serr == nil && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return syscall.EEXIST
	case serr == nil && st.IsDir() && flag&(os.O_WRONLY|os.O_RDWR) != 0:
		return syscall.EISDIR
	case errors.Is(serr, os.ErrNotExist):
		for dir := path.Dir(p); ; dir = path.Dir(dir) {
			st, derr := c.SFTP.Stat(dir)
			if derr == nil && !st.IsDir() {
				return syscall.ENOTDIR
			}
			if derr == nil || dir == path.Dir(dir) {
				break
			}
		}
	}
	return err
}

// number gives what the client has names for the numbers that other backends
// return.
func number(err error) error {
	var path *os.PathError
	var no syscall.Errno
	switch {
	case errors.As(err, &no):
		return err
	case errors.As(err, &path): // the client's own, with the server's path
		return number(path.Err)
	case errors.Is(err, os.ErrNotExist):
		return syscall.ENOENT
	case errors.Is(err, os.ErrPermission):
		return syscall.EACCES
	}
	return err
}

func isDir(c *sftpconn.Conn, p string) bool {
	st, err := c.SFTP.Stat(p)
	return err == nil && st.IsDir()
}

// isEOF tells the end of a file, which is the error itself, from that of a
// connection.
func isEOF(err error) bool { return err == io.EOF } //nolint:errorlint // see above
