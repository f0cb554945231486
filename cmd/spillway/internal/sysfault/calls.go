//go:build linux && (amd64 || arm64)

package sysfault

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// kind is a call that is watched.
type kind struct {
	name  string
	at    place // what it changes
	to    place // the new name that it gives to that
	flags int   // the argument with open's flags; 0 is none
}

// place says which arguments of a call name a file.
type place struct {
	given bool
	fd    int // an open file, or the directory that path is relative to; -1 is the working directory
	path  int // -1: fd is the file
}

func file(fd int) place      { return place{given: true, fd: fd, path: -1} }
func at(dir, path int) place { return place{given: true, fd: dir, path: path} }
func cwd(path int) place     { return place{given: true, fd: -1, path: path} }

// kinds are the calls that are watched, by number.
var kinds = map[int]kind{
	unix.SYS_OPENAT:          {name: "openat", at: at(0, 1), flags: 2},
	unix.SYS_WRITE:           {name: "write", at: file(0)},
	unix.SYS_WRITEV:          {name: "writev", at: file(0)},
	unix.SYS_PWRITE64:        {name: "pwrite64", at: file(0)},
	unix.SYS_PWRITEV:         {name: "pwritev", at: file(0)},
	unix.SYS_PWRITEV2:        {name: "pwritev2", at: file(0)},
	unix.SYS_SENDFILE:        {name: "sendfile", at: file(0)},
	unix.SYS_SPLICE:          {name: "splice", at: file(2)},
	unix.SYS_COPY_FILE_RANGE: {name: "copy_file_range", at: file(2)},
	unix.SYS_FSYNC:           {name: "fsync", at: file(0)},
	unix.SYS_FDATASYNC:       {name: "fdatasync", at: file(0)},
	unix.SYS_SYNC_FILE_RANGE: {name: "sync_file_range", at: file(0)},
	unix.SYS_FALLOCATE:       {name: "fallocate", at: file(0)},
	unix.SYS_FTRUNCATE:       {name: "ftruncate", at: file(0)},
	unix.SYS_TRUNCATE:        {name: "truncate", at: cwd(0)},
	unix.SYS_RENAMEAT:        {name: "renameat", at: at(0, 1), to: at(2, 3)},
	unix.SYS_RENAMEAT2:       {name: "renameat2", at: at(0, 1), to: at(2, 3)},
	unix.SYS_LINKAT:          {name: "linkat", at: at(0, 1), to: at(2, 3)},
	unix.SYS_SYMLINKAT:       {name: "symlinkat", at: at(1, 2)},
	unix.SYS_UNLINKAT:        {name: "unlinkat", at: at(0, 1)},
	unix.SYS_MKDIRAT:         {name: "mkdirat", at: at(0, 1)},
	unix.SYS_FCHMOD:          {name: "fchmod", at: file(0)},
	unix.SYS_FCHMODAT:        {name: "fchmodat", at: at(0, 1)},
}

// resolve finds out what a call is about, and counts it if it is about what is
// below root. The process waits in the call, so what its memory says is what
// the kernel will read, unless another thread of it plays tricks.
func (w *Watch) resolve(pid int, k kind, args *[6]uint64) (c Call, err error) {
	c.Name = k.name
	if c.Path, err = w.path(pid, k.at, args); err != nil || c.Path == "" {
		return c, err
	}
	if c.To, err = w.path(pid, k.to, args); err != nil {
		return c, err
	}
	w.n++
	c.N = w.n
	return c, nil
}

// path is the file at a place, relative to root, "" if it is elsewhere.
func (w *Watch) path(pid int, p place, args *[6]uint64) (string, error) {
	if !p.given {
		return "", nil
	}
	name := ""
	if p.path >= 0 {
		var err error
		if name, err = peek(pid, args[p.path]); err != nil {
			return "", err
		}
	}
	if !filepath.IsAbs(name) {
		link := fmt.Sprintf("/proc/%d/cwd", pid)
		if p.fd >= 0 && int32(args[p.fd]) != unix.AT_FDCWD {
			link = fmt.Sprintf("/proc/%d/fd/%d", pid, int32(args[p.fd]))
		}
		base, err := os.Readlink(link)
		if errors.Is(err, os.ErrNotExist) {
			return "", nil // not open: the call will fail by itself
		}
		if err != nil {
			return "", err
		}
		name = filepath.Join(strings.TrimSuffix(base, " (deleted)"), name)
	}
	rel, err := filepath.Rel(w.root, name)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", nil // a socket has no path that could be relative to root
	}
	return rel, nil
}

// peek reads a path in the memory of a process.
func peek(pid int, addr uint64) (string, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, unix.PathMax)
	n, err := f.ReadAt(buf, int64(addr)) // short where the mapping ends
	end := bytes.IndexByte(buf[:n], 0)
	if end < 0 {
		return "", fmt.Errorf("reading a path of process %d: %w", pid, err)
	}
	return string(buf[:end]), nil
}
