//go:build !(linux && (amd64 || arm64))

package osfs

import "os"

// Elsewhere directories are changed as by any other program.

func (fs *FS) openFile(p string, flag int, perm os.FileMode) (*os.File, error) {
	return fs.root.OpenFile(p, flag, perm)
}

func (fs *FS) mkdir(p string, perm os.FileMode) error { return fs.root.Mkdir(p, perm) }

func (fs *FS) remove(p string) error { return fs.root.Remove(p) }

func (fs *FS) rename(from, to string) error { return fs.root.Rename(from, to) }
