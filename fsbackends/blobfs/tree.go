package blobfs

import (
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"syscall"

	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"github.com/spillwaydb/spillway/fsbackends/internal/listing"
)

// marker is the object that keeps a directory there when nothing else does.
const marker = ".spillway-dir"

// each calls f for every object that o lists, until f says no.
func (fs *FS) each(o *blob.ListOptions, f func(*blob.ListObject) bool) error {
	it := fs.b.List(o)
	for {
		ctx, cancel := request()
		obj, err := it.Next(ctx)
		cancel()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return number(err)
		}
		if !f(obj) {
			return nil
		}
	}
}

// some lists up to n objects below a directory.
func (fs *FS) some(dir string, n int) (objs []*blob.ListObject, err error) {
	err = fs.each(&blob.ListOptions{Prefix: fs.below(dir)}, func(o *blob.ListObject) bool {
		objs = append(objs, o)
		return len(objs) < n
	})
	return objs, err
}

// list lists a directory.
func (fs *FS) list(dir string) (infos []os.FileInfo, err error) {
	prefix := fs.below(dir)
	err = fs.each(&blob.ListOptions{Prefix: prefix, Delimiter: "/"}, func(o *blob.ListObject) bool {
		base := strings.TrimSuffix(strings.TrimPrefix(o.Key, prefix), "/")
		if base != "" && base != marker {
			infos = append(infos, listing.Info{Base: base, Bytes: o.Size, Time: o.ModTime, Dir: o.IsDir})
		}
		return true
	})
	return infos, err
}

// Mkdir implements afero.Fs.
func (fs *FS) Mkdir(name string, _ os.FileMode) error {
	p, err := clean(name)
	if err == nil {
		err = fs.mkdir(p)
	}
	return fail("mkdir", name, err)
}

func (fs *FS) mkdir(p string) error {
	switch _, _, err := fs.stat(p); {
	case err == nil:
		return syscall.EEXIST
	case !missing(err):
		return err
	}
	if err := fs.wantDir(path.Dir(p)); err != nil {
		return err
	}
	return fs.put(path.Join(p, marker), false)
}

// MkdirAll implements afero.Fs.
func (fs *FS) MkdirAll(name string, _ os.FileMode) error {
	p, err := clean(name)
	if err == nil {
		err = fs.mkdirAll(p)
	}
	return fail("mkdir", name, err)
}

func (fs *FS) mkdirAll(p string) error {
	info, _, err := fs.stat(p)
	switch {
	case err == nil && info.Dir:
		return nil
	case err == nil:
		return syscall.EEXIST
	case !missing(err):
		return err
	}
	if err := fs.mkdirAll(path.Dir(p)); err != nil {
		if errors.Is(err, os.ErrExist) {
			return syscall.ENOTDIR
		}
		return err
	}
	return fs.put(path.Join(p, marker), false)
}

// Remove implements afero.Fs: a file, or an empty directory.
func (fs *FS) Remove(name string) error {
	p, err := clean(name)
	if err == nil {
		err = fs.remove(p)
	}
	return fail("remove", name, err)
}

func (fs *FS) remove(p string) error {
	if p == "." {
		return syscall.EINVAL
	}
	info, _, err := fs.stat(p)
	if err != nil {
		return fs.why(p, err)
	}
	if !info.Dir {
		return fs.delete(fs.key(p))
	}
	objs, err := fs.some(p, 2)
	if err != nil {
		return err
	}
	for _, o := range objs {
		if o.Key != fs.below(p)+marker {
			return syscall.ENOTEMPTY
		}
	}
	return fs.delete(fs.below(p) + marker)
}

// delete removes an object; one that is gone is no error.
func (fs *FS) delete(key string) error {
	ctx, cancel := request()
	defer cancel()
	if err := number(fs.b.Delete(ctx, key)); !missing(err) {
		return err
	}
	return nil
}

// RemoveAll implements afero.Fs. The root itself is refused.
func (fs *FS) RemoveAll(name string) error {
	p, err := clean(name)
	if err == nil {
		err = fs.removeAll(p)
	}
	return fail("removeall", name, err)
}

func (fs *FS) removeAll(p string) error {
	if p == "." {
		return syscall.EINVAL
	}
	err := fs.everything(p, func(key, _ string) error { return fs.delete(key) })
	if err != nil {
		return err
	}
	return fs.delete(fs.key(p))
}

// everything calls f for each object below a directory, several at once, with
// its key and its path relative to that.
func (fs *FS) everything(dir string, f func(key, rel string) error) error {
	prefix := fs.below(dir)
	var keys []string
	err := fs.each(&blob.ListOptions{Prefix: prefix}, func(o *blob.ListObject) bool {
		keys = append(keys, o.Key)
		return true
	})
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(workers)
	for _, key := range keys {
		g.Go(func() error { return f(key, strings.TrimPrefix(key, prefix)) })
	}
	return g.Wait()
}

// Rename implements afero.Fs: a copy and a delete, for each file.
func (fs *FS) Rename(oldname, newname string) error {
	from, err := clean(oldname)
	if err == nil {
		var to string
		if to, err = clean(newname); err == nil {
			err = fs.rename(from, to)
		}
	}
	if err = number(err); err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (fs *FS) rename(from, to string) error {
	if from == "." || to == "." {
		return syscall.EINVAL
	}
	src, _, err := fs.stat(from)
	switch {
	case err != nil:
		return fs.why(from, err)
	case from == to && !src.Dir:
		return nil
	case strings.HasPrefix(to, from+"/") && src.Dir:
		return syscall.EINVAL
	case strings.HasPrefix(to, from+"/"):
		return syscall.ENOTDIR
	}
	switch dst, _, err := fs.stat(to); {
	case err == nil && dst.Dir:
		return syscall.EEXIST
	case err == nil && src.Dir:
		return syscall.ENOTDIR
	case err != nil && !missing(err):
		return err
	}
	if err := fs.wantDir(path.Dir(to)); err != nil {
		return err
	}
	if !src.Dir {
		return fs.move(fs.key(from), fs.key(to))
	}
	return fs.everything(from, func(key, rel string) error { return fs.move(key, fs.below(to)+rel) })
}

func (fs *FS) move(from, to string) error {
	ctx, cancel := request()
	defer cancel()
	if err := fs.b.Copy(ctx, to, from, nil); err != nil {
		return number(err)
	}
	return fs.delete(from)
}

// Replace implements vfs.FS. It is not atomic, but nobody sees neither of the
// two.
func (fs *FS) Replace(oldname, newname string) error { return fs.Rename(oldname, newname) }
