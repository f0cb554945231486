package coretest

import (
	"os"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/vfs"
)

// Bug replaces operations of the disk by wrong ones, to see whether the
// laboratory finds out; nil leaves an operation alone.
type Bug struct {
	Sync    func(f afero.File) error
	Write   func(f afero.File, b []byte) (int, error)
	SyncDir func(fs vfs.FS, dir string) error
	Replace func(fs vfs.FS, from, to string) error
}

// Plant is for New and its like.
func (b Bug) Plant(o *core.Options) {
	if o.FS != nil {
		o.FS = b.wrap(o.FS)
	}
}

func (b Bug) wrap(fs vfs.FS) vfs.FS { return buggyFS{fs, fs.(vfs.Locker), b} }

type buggyFS struct {
	vfs.FS
	vfs.Locker
	bug Bug
}

func (fs buggyFS) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	f, err := fs.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return buggyFile{f, fs.bug}, nil
}

func (fs buggyFS) SyncDir(dir string) error {
	if fs.bug.SyncDir != nil {
		return fs.bug.SyncDir(fs.FS, dir)
	}
	return fs.FS.SyncDir(dir)
}

func (fs buggyFS) Replace(from, to string) error {
	if fs.bug.Replace != nil {
		return fs.bug.Replace(fs.FS, from, to)
	}
	return fs.FS.Replace(from, to)
}

type buggyFile struct {
	afero.File
	bug Bug
}

func (f buggyFile) Sync() error {
	if f.bug.Sync != nil {
		return f.bug.Sync(f.File)
	}
	return f.File.Sync()
}

func (f buggyFile) Write(b []byte) (int, error) {
	if f.bug.Write != nil {
		return f.bug.Write(f.File, b)
	}
	return f.File.Write(b)
}
