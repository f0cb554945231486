package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/spillwaydb/spillway/core/vfs"
)

// FSSink keeps sets on a filesystem, one directory each:
//
//	<root>/00000042-3f9a1c2e-77b0d415/shard-0000.rdb.zst   a snapshot or a rewrite
//	                                 /shard-0001.rdb.zst
//	                                 /SET.json             written last: the set is published
//	<root>/segment-00000007-3f9a1c2e-0c55e1f2/…            an archived log segment
//
// The digits behind the number are the set's token: see SetID.
//
// Put fsyncs the file. Publish checks that every part is there in full, syncs
// the directory, and then creates SET.json atomically. On a filesystem whose
// Caps promise less, the sink promises that much less.
type FSSink struct {
	name string
	fs   vfs.FS
	root string
}

var (
	_ Sink    = (*FSSink)(nil)
	_ Sweeper = (*FSSink)(nil)
)

const (
	dirPerm  = 0o700
	filePerm = 0o600
)

// NewFSSink returns a sink that keeps its sets under root, which is made when
// the first part is put.
func NewFSSink(name string, fs vfs.FS, root string) *FSSink {
	return &FSSink{name: name, fs: fs, root: path.Clean(strings.TrimLeft(root, "/"))}
}

// Info implements Sink.
func (s *FSSink) Info() Info { return Info{Name: s.name, Version: "1"} }

// Dir is the directory of a set, relative to the root of the filesystem.
func (s *FSSink) Dir(id SetID) string { return path.Join(s.root, DirName(id)) }

// fault wraps an error of this sink.
func (s *FSSink) fault(op, name string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Path: name, Sink: s.name, Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		e.Hint = "free some space"
	case errors.Is(err, os.ErrPermission):
		e.Hint = "check who owns the directory"
	}
	return e
}

// Put implements Sink.
func (s *FSSink) Put(ctx context.Context, p Part, src io.Reader) (Receipt, error) {
	if err := CheckPart(p); err != nil {
		return nil, s.fault("put", p.Name, err)
	}
	dir := s.Dir(p.ID())
	name := path.Join(dir, p.Name)
	if done, err := vfs.Exists(s.fs, path.Join(dir, SetFile)); err != nil {
		return nil, s.fault("put", name, err)
	} else if done {
		return nil, &Error{Op: "put", Path: name, Sink: s.name, Err: Permanent(fmt.Errorf("set %s is published already: %w", p.ID(), os.ErrExist))}
	}
	if err := vfs.MkdirAllSync(s.fs, dir, dirPerm); err != nil {
		return nil, s.fault("put", name, err)
	}
	if err := s.store(ctx, name, src); err != nil {
		// What is there is worth nothing; Remove or a sweep finds it otherwise.
		_ = vfs.RemoveIfExists(s.fs, name)
		return nil, s.fault("put", name, err)
	}
	return nil, nil
}

// store writes and fsyncs one file.
func (s *FSSink) store(ctx context.Context, name string, src io.Reader) (err error) {
	f, err := s.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, filePerm)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	out := io.Writer(onlyWriter{f})
	if s.fs.Caps().Inodes { // elsewhere a file is finished once, and shares no disk with a log
		out = Steadily(f)
	}
	if _, err := io.CopyBuffer(out, onlyReader{src}, make([]byte, copyBuffer)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	return vfs.SyncAside(f)
}

// Publish implements Sink. Publishing the very same set again is a success.
func (s *FSSink) Publish(ctx context.Context, set Set) error {
	dir := s.Dir(set.ID)
	if err := ctx.Err(); err != nil {
		return s.fault("publish", dir, context.Cause(ctx))
	}
	doc, err := EncodeSet(set)
	if err != nil {
		return s.fault("publish", dir, err)
	}
	if _, err := DecodeSet(doc); err != nil {
		return s.fault("publish", dir, Permanent(fmt.Errorf("it could not be read back: %w", err)))
	}
	for _, sp := range set.Parts {
		name := path.Join(dir, sp.Part.Name)
		st, err := s.fs.Stat(name)
		if err != nil {
			return s.fault("publish", name, err)
		}
		if st.Size() != sp.Bytes {
			return s.fault("publish", name, fmt.Errorf("%w: %d bytes were put, %d are there", ErrCorrupt, sp.Bytes, st.Size()))
		}
	}
	file := path.Join(dir, SetFile)
	old, err := vfs.ReadFile(s.fs, file)
	if err == nil && !bytes.Equal(old, doc) {
		return s.fault("publish", file, Permanent(fmt.Errorf("another set of this name is published: %w", os.ErrExist)))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return s.fault("publish", file, err)
	}
	if err := vfs.MkdirAllSync(s.fs, dir, dirPerm); err != nil { // a set may have no parts
		return s.fault("publish", dir, err)
	}
	// The parts' names must not come to disk after the name that counts.
	if err := s.syncDir(dir); err != nil {
		return s.fault("publish", dir, err)
	}
	if err := vfs.WriteFileAtomic(s.fs, file, doc, filePerm); err != nil {
		return s.fault("publish", file, err)
	}
	return s.fault("publish", dir, s.syncDir(path.Dir(dir)))
}

func (s *FSSink) syncDir(dir string) error {
	if !s.fs.Caps().SyncDir {
		return nil
	}
	return s.fs.SyncDir(dir)
}

// Open implements Sink.
func (s *FSSink) Open(ctx context.Context, p Part, _ Receipt) (io.ReadCloser, error) {
	if err := CheckPart(p); err != nil {
		return nil, s.fault("open", p.Name, err)
	}
	name := path.Join(s.Dir(p.ID()), p.Name)
	if ctx.Err() != nil {
		return nil, s.fault("open", name, context.Cause(ctx))
	}
	f, err := s.fs.Open(name)
	if err != nil {
		return nil, s.fault("open", name, err)
	}
	return f, nil
}

// List implements Sink.
func (s *FSSink) List(ctx context.Context) ([]Set, error) {
	infos, err := vfs.ReadDir(s.fs, s.root)
	if err != nil {
		return nil, s.fault("list", s.root, err)
	}
	var sets []Set
	var errs []error
	for _, fi := range infos {
		if ctx.Err() != nil {
			return nil, s.fault("list", s.root, context.Cause(ctx))
		}
		id, ok := ParseDirName(fi.Name())
		if !ok || !fi.IsDir() {
			continue
		}
		name := path.Join(s.root, fi.Name(), SetFile)
		set, err := s.readSet(name)
		switch {
		case errors.Is(err, os.ErrNotExist): // staged, or removed meanwhile
		case err != nil:
			errs = append(errs, s.fault("list", name, err))
		case !set.ID.SharesDir(id):
			errs = append(errs, s.fault("list", name, fmt.Errorf("%w: it describes %s", ErrCorrupt, set.ID)))
		default:
			sets = append(sets, set)
		}
	}
	SortSets(sets)
	return sets, errors.Join(errs...)
}

func (s *FSSink) readSet(name string) (Set, error) {
	st, err := s.fs.Stat(name)
	if err != nil {
		return Set{}, err
	}
	if st.Size() > MaxSetFile {
		return Set{}, fmt.Errorf("%w: %d bytes", ErrCorrupt, st.Size())
	}
	b, err := vfs.ReadFile(s.fs, name)
	if err != nil {
		return Set{}, err
	}
	return DecodeSet(b)
}

// Remove implements Sink.
func (s *FSSink) Remove(ctx context.Context, id SetID) error {
	dir := s.Dir(id)
	if err := CheckToken(id.Token); err != nil {
		return s.fault("remove", dir, err)
	}
	if ctx.Err() != nil {
		return s.fault("remove", dir, context.Cause(ctx))
	}
	if there, err := vfs.Exists(s.fs, dir); err != nil || !there {
		return s.fault("remove", dir, err)
	}
	file := path.Join(dir, SetFile)
	if set, err := s.readSet(file); err == nil && set.ID != id {
		return s.fault("remove", dir, Permanent(fmt.Errorf("it holds %s, not %s", set.ID, id)))
	}
	// Invisible first, and for good, before any part goes.
	if err := vfs.RemoveIfExists(s.fs, file); err != nil {
		return s.fault("remove", file, err)
	}
	if err := s.syncDir(dir); err != nil {
		return s.fault("remove", dir, err)
	}
	if err := s.fs.RemoveAll(dir); err != nil {
		return s.fault("remove", dir, err)
	}
	return s.fault("remove", dir, s.syncDir(path.Dir(dir)))
}

// Sweep implements Sweeper. The id that keep is asked about has KindSnapshot
// for a rewrite too: what is only staged does not say which it is.
func (s *FSSink) Sweep(ctx context.Context, keep func(SetID) bool) (removed []string, err error) {
	infos, err := vfs.ReadDir(s.fs, s.root)
	if err != nil {
		return nil, s.fault("sweep", s.root, err)
	}
	var errs []error
	for _, fi := range infos {
		id, ok := ParseDirName(fi.Name())
		if !ok || !fi.IsDir() {
			continue
		}
		if ctx.Err() != nil {
			return removed, s.fault("sweep", s.root, context.Cause(ctx))
		}
		dir := path.Join(s.root, fi.Name())
		published, err := vfs.Exists(s.fs, path.Join(dir, SetFile))
		if err != nil || published || keep(id) {
			if err != nil {
				errs = append(errs, s.fault("sweep", dir, err))
			}
			continue
		}
		if err := s.fs.RemoveAll(dir); err != nil {
			errs = append(errs, s.fault("sweep", dir, err))
			continue
		}
		removed = append(removed, dir)
	}
	if len(removed) > 0 {
		if err := s.syncDir(s.root); err != nil {
			errs = append(errs, s.fault("sweep", s.root, err))
		}
	}
	return removed, errors.Join(errs...)
}
