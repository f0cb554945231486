package blob

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	gcblob "gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/internal/objstore"
	"github.com/spillwaydb/spillway/plugins/internal/setstore"
)

// store is a bucket as setstore sees it.
type store struct {
	objstore.Place
	dialect
	blobs       *gcblob.Bucket
	partSize    int
	concurrency int
}

var (
	_ setstore.Store     = (*store)(nil)
	_ setstore.Leftovers = (*store)(nil)
	_ setstore.Ranger    = (*store)(nil)
)

// A dialect is what one kind of store does beyond gocloud.dev/blob.
type dialect interface {
	// prepare adds to the options of an upload. It returns the checksums to
	// compute, by the names that stat uses, and what to do at the end of the
	// source and when the object is there; both may be nil.
	prepare(key string, o *gcblob.WriterOptions) (sums map[string]hash.Hash, before, after func() error)
	// stat describes an object, with what the store knows of its content.
	stat(ctx context.Context, key string) (stat, error)
	// unfinished calls f for every unfinished upload below prefix that can be
	// found.
	unfinished(ctx context.Context, prefix string, f func(key string, discard func(context.Context) error) error) error
	// emptied says that everything below prefix is gone.
	emptied(prefix string)
	// readable is why an object cannot be read although it may be there.
	readable(key string) error
}

// stat is what a store says of an object.
type stat struct {
	bytes int64
	etag  string
	sums  map[string][]byte
}

// Location implements setstore.Store.
func (s *store) Location() string { return s.Place.Location }

// Close implements setstore.Store.
func (s *store) Close() error { return objstore.Scrub(s.blobs.Close()) }

// Put implements setstore.Store.
func (s *store) Put(ctx context.Context, name string, src io.Reader) (setstore.Object, error) {
	key := s.Prefix + name
	n, sums, err := s.write(ctx, key, src, false)
	if err != nil {
		return setstore.Object{}, objstore.Classify(err)
	}
	st, err := s.stat(ctx, key)
	if err != nil {
		return setstore.Object{}, fmt.Errorf("ask for what was put: %w", objstore.Classify(err))
	}
	obj := setstore.Object{Bytes: st.bytes, ETag: st.etag, Check: "size"}
	if st.bytes != n {
		return obj, fmt.Errorf("%w: %d bytes were sent, %d are there", sink.ErrCorrupt, n, st.bytes)
	}
	for kind, h := range sums {
		theirs, ours := st.sums[kind], h.Sum(nil)
		switch {
		case theirs == nil:
		case bytes.Equal(theirs, ours):
			obj.Check = kind
			if kind != sumETag {
				obj.Sum = hex.EncodeToString(ours)
			}
		case kind != sumETag: // an ETag may be anything
			return obj, fmt.Errorf("%w: the store's %s is %x, that of what was sent %x", sink.ErrCorrupt, kind, theirs, ours)
		}
	}
	return obj, nil
}

// write makes an object of src. What gocloud.dev/blob does when a source fails
// depends on the store, and can be to finish the object with what there is; so
// the context of the upload is cancelled before it hears of the failure.
func (s *store) write(ctx context.Context, key string, src io.Reader, ifAbsent bool) (n int64, sums map[string]hash.Hash, err error) {
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := &gcblob.WriterOptions{BufferSize: s.partSize, MaxConcurrency: s.concurrency, ContentType: "application/octet-stream", IfNotExist: ifAbsent}
	sums, before, after := s.prepare(key, o)
	f := &feed{ctx: ctx, src: src, cancel: cancel, sums: sums, before: before}
	err = s.blobs.Upload(wctx, key, f, o)
	switch {
	case f.err != nil:
		return f.n, nil, f.err
	case err != nil:
		return f.n, nil, err
	case !f.ended:
		return f.n, nil, sink.ErrEarly
	case after != nil:
		err = after()
	}
	return f.n, sums, err
}

// feed is the source of an upload.
type feed struct {
	ctx    context.Context
	src    io.Reader
	cancel context.CancelFunc
	sums   map[string]hash.Hash
	before func() error
	n      int64
	ended  bool  // at its end
	err    error // or by this
}

// Read implements io.Reader. The end comes alone: all before it was taken.
func (f *feed) Read(b []byte) (int, error) {
	switch {
	case f.err != nil:
		return 0, f.err
	case f.ended:
		return 0, f.end()
	}
	n, err := f.src.Read(b)
	f.n += int64(n)
	for _, h := range f.sums {
		h.Write(b[:n])
	}
	switch err {
	case nil:
		return n, nil
	case io.EOF:
		f.ended = true
		if n > 0 {
			return n, nil
		}
		return 0, f.end()
	}
	return n, f.fail(err)
}

// end is what the driver hears at the end.
func (f *feed) end() error {
	if f.ctx.Err() != nil {
		return f.fail(context.Cause(f.ctx))
	}
	if f.before != nil {
		if err := f.before(); err != nil {
			return f.fail(err)
		}
		f.before = nil
	}
	return io.EOF
}

func (f *feed) fail(err error) error {
	f.err = err
	f.cancel()
	return err
}

// PutNew implements setstore.Store.
func (s *store) PutNew(ctx context.Context, name string, data []byte) error {
	key := s.Prefix + name
	_, _, err := s.write(ctx, key, bytes.NewReader(data), true)
	if objstore.NotImplemented(err) {
		// A store that knows no conditions. The question and the writing are
		// two steps there: one writer for each prefix is a rule of the sink.
		if _, err := s.Stat(ctx, name); !errors.Is(err, os.ErrNotExist) {
			if err == nil {
				err = os.ErrExist
			}
			return err
		}
		_, _, err = s.write(ctx, key, bytes.NewReader(data), false)
	}
	return objstore.Classify(err)
}

// Stat implements setstore.Store.
func (s *store) Stat(ctx context.Context, name string) (setstore.Object, error) {
	st, err := s.stat(ctx, s.Prefix+name)
	return setstore.Object{Bytes: st.bytes, ETag: st.etag}, objstore.Classify(err)
}

// Open implements setstore.Store.
func (s *store) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	if err := s.readable(s.Prefix + name); err != nil {
		return nil, 0, objstore.Classify(err)
	}
	r, err := s.blobs.NewReader(ctx, s.Prefix+name, nil)
	if err != nil {
		return nil, 0, objstore.Classify(err)
	}
	return &reader{r: r, left: r.Size()}, r.Size(), nil
}

// OpenRange implements setstore.Ranger.
func (s *store) OpenRange(ctx context.Context, name string, off, n int64) (io.ReadCloser, int64, error) {
	if s.Scheme == "file" || s.Scheme == "mem" {
		return nil, 0, errors.ErrUnsupported // nothing is far away
	}
	r, err := s.blobs.NewRangeReader(ctx, s.Prefix+name, off, n, nil)
	if err != nil {
		return nil, 0, objstore.Classify(err)
	}
	var out s3.GetObjectOutput
	if r.As(&out) && out.ContentRange == nil { // it is the whole object
		return nil, 0, errors.Join(fmt.Errorf("the store knows no ranges: %w", errors.ErrUnsupported), r.Close())
	}
	return &reader{r: r, left: n}, r.Size(), nil
}

// reader reads an object, or a range of one: all of it, or an error.
type reader struct {
	r    *gcblob.Reader
	left int64
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, objstore.Classify(err)
	}
	if err != nil && r.left > 0 {
		return n, sink.Transient(fmt.Errorf("%d bytes are missing: %w", r.left, io.ErrUnexpectedEOF))
	}
	return n, err
}

// Close implements io.Closer.
func (r *reader) Close() error { return objstore.Classify(r.r.Close()) }

// list calls f for every object below prefix.
func (s *store) list(ctx context.Context, prefix string, f func(*gcblob.ListObject)) error {
	it := s.blobs.List(&gcblob.ListOptions{Prefix: prefix})
	for {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return objstore.Classify(err)
		}
		f(o)
	}
}

// Dirs implements setstore.Store. One list of all objects says more than one of
// the directories and a question for each.
func (s *store) Dirs(ctx context.Context, dir string) ([]setstore.Dir, error) {
	prefix := s.Prefix + dir + "/"
	if d, ok := s.dialect.(fileDialect); ok {
		dirs, err := d.dirs(prefix)
		return dirs, objstore.Classify(err)
	}
	versions := make(map[string]string)
	err := s.list(ctx, prefix, func(o *gcblob.ListObject) {
		name, file, below := strings.Cut(strings.TrimPrefix(o.Key, prefix), "/")
		if !below {
			return
		}
		if versions[name] += ""; file == sink.SetFile {
			versions[name] = fmt.Sprintf("%d-%d-%x", o.Size, o.ModTime.UnixNano(), o.MD5)
		}
	})
	dirs := make([]setstore.Dir, 0, len(versions))
	for name, v := range versions {
		dirs = append(dirs, setstore.Dir{Name: name, Version: v})
	}
	return dirs, err
}

// Remove implements setstore.Store.
func (s *store) Remove(ctx context.Context, name string) error {
	return s.removeKey(ctx, s.Prefix+name)
}

func (s *store) removeKey(ctx context.Context, key string) error {
	if err := objstore.Classify(s.blobs.Delete(ctx, key)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveAll implements setstore.Store.
func (s *store) RemoveAll(ctx context.Context, dir string) error {
	prefix := s.Prefix + dir + "/"
	var keys []string
	if err := s.list(ctx, prefix, func(o *gcblob.ListObject) { keys = append(keys, o.Key) }); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, key := range keys {
		g.Go(func() error { return s.removeKey(gctx, key) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.emptied(prefix)
	return nil
}

// Unfinished implements setstore.Leftovers.
func (s *store) Unfinished(ctx context.Context, dir string) (names []string, err error) {
	seen := make(map[string]bool)
	err = s.unfinished(ctx, s.Prefix+dir+"/", func(key string, _ func(context.Context) error) error {
		name, _, below := strings.Cut(strings.TrimPrefix(key, s.Prefix+dir+"/"), "/")
		if below && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
		return nil
	})
	return names, objstore.Classify(err)
}

// Discard implements setstore.Leftovers.
func (s *store) Discard(ctx context.Context, dir string) error {
	return objstore.Classify(s.unfinished(ctx, s.Prefix+dir+"/", func(_ string, discard func(context.Context) error) error { return discard(ctx) }))
}
