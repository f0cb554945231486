package faultfs

import (
	"errors"
	"os"

	"github.com/spf13/afero"
)

var _ afero.File = (*file)(nil)

// file wraps an open file. Seek and Name, which touch no disk, pass through.
type file struct {
	afero.File
	fs   *FS
	path string
}

// dropper is what memfs files offer to make a failed fsync cost something.
type dropper interface{ DropDirty() }

// Close implements afero.File; a fault does not leak the inner file.
func (f *file) Close() error {
	err := f.fs.before(Op{Kind: OpClose, Path: f.path})
	if cerr := f.File.Close(); cerr != nil {
		return cerr
	}
	if err != nil {
		return &os.PathError{Op: string(OpClose), Path: f.path, Err: err}
	}
	return nil
}

// Read implements afero.File.
func (f *file) Read(b []byte) (n int, err error) {
	err = f.fs.do(Op{Kind: OpRead, Path: f.path, N: int64(len(b))}, func() (err error) {
		n, err = f.File.Read(b)
		return err
	})
	return n, err
}

// ReadAt implements afero.File.
func (f *file) ReadAt(b []byte, off int64) (n int, err error) {
	err = f.fs.do(Op{Kind: OpRead, Path: f.path, N: int64(len(b))}, func() (err error) {
		n, err = f.File.ReadAt(b, off)
		return err
	})
	return n, err
}

// Write implements afero.File.
func (f *file) Write(b []byte) (int, error) { return f.write(b, f.File.Write) }

// WriteString implements afero.File.
func (f *file) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// WriteAt implements afero.File.
func (f *file) WriteAt(b []byte, off int64) (int, error) {
	return f.write(b, func(b []byte) (int, error) { return f.File.WriteAt(b, off) })
}

func (f *file) write(b []byte, inner func([]byte) (int, error)) (n int, err error) {
	fault := f.fs.before(Op{Kind: OpWrite, Path: f.path, N: int64(len(b))})
	if fault == nil {
		return inner(b)
	}
	let := int64(0)
	var short *Short
	var after *After
	switch {
	case errors.As(fault, &short):
		let = min(max(short.N, 0), int64(len(b)))
	case errors.As(fault, &after):
		let = int64(len(b))
	}
	if let > 0 {
		if n, err = inner(b[:let]); err != nil {
			return n, err
		}
	}
	return n, &os.PathError{Op: string(OpWrite), Path: f.path, Err: fault}
}

// Truncate implements afero.File.
func (f *file) Truncate(size int64) error {
	return f.fs.do(Op{Kind: OpTruncate, Path: f.path, N: size}, func() error { return f.File.Truncate(size) })
}

// Sync implements afero.File. A fault drops the dirty pages of a memfs file,
// except with After: then the sync has happened.
func (f *file) Sync() error {
	synced := false
	err := f.fs.do(Op{Kind: OpSync, Path: f.path}, func() error {
		synced = true
		return f.File.Sync()
	})
	if d, ok := f.File.(dropper); ok && err != nil && !synced {
		d.DropDirty()
	}
	return err
}

// Stat implements afero.File.
func (f *file) Stat() (st os.FileInfo, err error) {
	err = f.fs.do(Op{Kind: OpStat, Path: f.path}, func() (err error) {
		st, err = f.File.Stat()
		return err
	})
	return st, err
}

// Readdir implements afero.File.
func (f *file) Readdir(count int) (infos []os.FileInfo, err error) {
	err = f.fs.do(Op{Kind: OpReaddir, Path: f.path}, func() (err error) {
		infos, err = f.File.Readdir(count)
		return err
	})
	return infos, err
}

// Readdirnames implements afero.File.
func (f *file) Readdirnames(count int) (names []string, err error) {
	err = f.fs.do(Op{Kind: OpReaddir, Path: f.path}, func() (err error) {
		names, err = f.File.Readdirnames(count)
		return err
	})
	return names, err
}
