package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
)

// part brings one part of the checkpoint, unless it is there already.
func (r *restorer) part(ctx context.Context, stored, own *sink.SetPart) error {
	name := path.Join(manifest.SetDir(own.Part.ID()), own.Part.Name)
	return r.bring(ctx, name, stored.Bytes, own.Bytes, own.SHA256, func(ctx context.Context, count func(int)) error {
		if r.Plain {
			return r.decoded(ctx, stored, count, func(in io.Reader) error {
				_, err := r.local.Put(ctx, own.Part, in)
				return err
			})
		}
		src, err := r.src.Open(ctx, stored.Part, stored.SinkReceipt)
		if err != nil {
			return err
		}
		defer src.Close()
		in := newChecked(vfs.ContextReader(ctx, src), stored, count)
		_, err = r.local.Put(ctx, own.Part, in)
		if err == nil || in.err != nil {
			return err
		}
		return sink.Permanent(err) // the source is not to blame
	})
}

// segment brings one segment of the log, decoded.
func (r *restorer) segment(ctx context.Context, set *sink.Set, name string) error {
	if len(set.Parts) != 1 {
		return fmt.Errorf("%w: %s has %d parts; a segment has one", sink.ErrCorrupt, set.ID, len(set.Parts))
	}
	stored := &set.Parts[0]
	return r.bring(ctx, name, stored.Bytes, stored.RawBytes, stored.RawSHA256, func(ctx context.Context, count func(int)) error {
		err := r.decoded(ctx, stored, count, func(in io.Reader) error { return write(r.target, name, in) })
		if err != nil {
			return err
		}
		return r.target.SyncDir(path.Dir(name))
	})
}

// decoded reads a part of the source through its stages.
func (r *restorer) decoded(ctx context.Context, stored *sink.SetPart, count func(int), fn func(io.Reader) error) error {
	return r.pipe.ReadFrom(ctx, counting{r.src, count}, *stored, fn)
}

// Counted is src, with what is read from it added to p.
func Counted(src sink.Sink, p *Progress) sink.Sink {
	return counting{src, func(n int) { p.Done.Add(int64(n)) }}
}

// counting counts what is read from a source.
type counting struct {
	sink.Sink
	count func(int)
}

// Open implements sink.Sink.
func (c counting) Open(ctx context.Context, p sink.Part, receipt sink.Receipt) (io.ReadCloser, error) {
	src, err := c.Sink.Open(ctx, p, receipt)
	if err != nil {
		return nil, err
	}
	return countingReader{src, c.count}, nil
}

type countingReader struct {
	io.ReadCloser
	count func(int)
}

func (c countingReader) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.count(n)
	return n, err
}

// bring runs get, which makes the file name, until it succeeds or there is no
// point in trying again. A file that an earlier run has brought is kept.
func (r *restorer) bring(ctx context.Context, name string, fetch, size int64, sum string, get func(ctx context.Context, count func(int)) error) error {
	if r.res.Resumed {
		whole, err := intact(ctx, r.target, name, size, sum)
		if err != nil {
			return err
		}
		if whole {
			r.reused.Add(fetch)
			r.Progress.Done.Add(fetch)
			return nil
		}
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = r.Backoff
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		var n int64 // of this attempt; a part is read by one goroutine
		err := get(ctx, func(k int) {
			n += int64(k)
			r.Progress.Done.Add(int64(k))
		})
		if err == nil {
			r.fetched.Add(n)
			return struct{}{}, nil
		}
		r.Progress.Done.Add(-n)
		if !mayPass(ctx, err) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(uint(r.Attempts)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, d time.Duration) {
			r.Logger.Warn("fetching failed; trying again", "file", name, "in", d.Round(time.Millisecond), "error", err)
		}))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// mayPass tells whether fetching again may help.
func mayPass(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !sink.IsPermanent(err) && !errors.Is(err, sink.ErrCorrupt) &&
		!errors.Is(err, os.ErrNotExist) && !errors.Is(err, sink.ErrUnknownStage)
}

// intact tells whether a file is there with these bytes, and makes it durable
// if it is: the run that wrote it may have been killed before it could.
func intact(ctx context.Context, fs vfs.FS, name string, size int64, sum string) (whole bool, err error) {
	f, err := fs.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", name, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", name, err)
	}
	if st.Size() != size {
		return false, nil
	}
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, vfs.ContextReader(ctx, f), make([]byte, 256<<10)); err != nil {
		return false, fmt.Errorf("look at %s: %w", name, err)
	}
	if hex.EncodeToString(h.Sum(nil)) != sum {
		return false, nil
	}
	if err := f.Sync(); err != nil {
		// A later fsync may succeed and not have written what this one did
		// not: the file is worth nothing.
		return false, errors.Join(fmt.Errorf("look at %s: fsync: %w", name, err), vfs.RemoveIfExists(fs, name))
	}
	return true, nil
}

// write makes a file durable; its name is not. After an error it is gone: what
// an fsync that failed has left must not be taken for what was written.
func write(fs vfs.FS, name string, src io.Reader) (err error) {
	f, err := fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return sink.Permanent(fmt.Errorf("write: %w", err))
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = sink.Permanent(fmt.Errorf("close %s: %w", name, cerr))
		}
		if err != nil {
			_ = vfs.RemoveIfExists(fs, name)
		}
	}()
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{src}, make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := f.Sync(); err != nil {
		return sink.Permanent(fmt.Errorf("fsync %s: %w", name, err))
	}
	return nil
}

// checked hands stored bytes on and ends in io.EOF only if they are the ones
// that were written.
type checked struct {
	src   io.Reader
	want  *sink.SetPart
	count func(int)
	hash  hash.Hash
	n     int64
	err   error // of the source or the check
}

func newChecked(src io.Reader, want *sink.SetPart, count func(int)) *checked {
	return &checked{src: src, want: want, count: count, hash: sha256.New()}
}

// Read implements io.Reader.
func (c *checked) Read(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.src.Read(b)
	c.count(n)
	c.n += int64(n)
	c.hash.Write(b[:n])
	switch {
	case c.n > c.want.Bytes:
		c.err = c.want.CheckSize(c.n)
		return 0, c.err
	case errors.Is(err, io.EOF):
		return n, c.end()
	case err != nil:
		c.err = err
	}
	return n, err
}

// end is io.EOF, or what is wrong.
func (c *checked) end() error {
	if c.err = c.want.CheckSize(c.n); c.err == nil {
		c.err = c.want.CheckSum(hex.EncodeToString(c.hash.Sum(nil)))
	}
	if c.err != nil {
		return c.err
	}
	return io.EOF
}
