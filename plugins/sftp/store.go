package sftp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/internal/sftpconn"
	"github.com/spillwaydb/spillway/plugins/internal/setstore"
)

const (
	chunk     = 1 << 20
	tmpSuffix = ".tmp" // which no part has, see sink.CheckName
	filePerm  = 0o600
	questions = 16 // on their way at once, on one connection
	// cleanTimeout is how long removing a temporary file may take when its
	// upload has failed.
	cleanTimeout = 4 * time.Second
)

// store is a directory on an SFTP server as setstore sees it.
type store struct {
	sftpconn.Place
	pool        *pool
	concurrency int
}

var (
	_ setstore.Store     = (*store)(nil)
	_ setstore.Leftovers = (*store)(nil)
)

// Location implements setstore.Store.
func (s *store) Location() string { return s.Place.Location }

// Close implements setstore.Store.
func (s *store) Close() error {
	s.pool.close()
	return nil
}

func (s *store) path(name string) string { return path.Join(s.Dir, name) }

// Put implements setstore.Store.
func (s *store) Put(ctx context.Context, name string, src io.Reader) (obj setstore.Object, err error) {
	in := &counted{src: src}
	for {
		err = s.pool.with(ctx, func(c *sftpconn.Conn) error {
			obj, err = s.write(ctx, c, s.path(name), in)
			return err
		})
		// A connection that had waited may have been dead for long.
		if err == nil || in.started || !broken(err) || ctx.Err() != nil {
			return obj, err
		}
		in.started = true
	}
}

// counted knows whether anything was asked of src.
type counted struct {
	src     io.Reader
	started bool
}

// Read implements io.Reader.
func (c *counted) Read(b []byte) (int, error) {
	c.started = true
	return c.src.Read(b)
}

// PutNew implements setstore.Store.
func (s *store) PutNew(ctx context.Context, name string, data []byte) error {
	return s.pool.with(ctx, func(c *sftpconn.Conn) error {
		switch _, err := c.SFTP.Lstat(s.path(name)); {
		case err == nil:
			return os.ErrExist
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
		if _, err := s.write(ctx, c, s.path(name), strings.NewReader(string(data))); err != nil {
			return err
		}
		// The directory's own name, and its parent's.
		for dir := path.Dir(path.Dir(name)); ; dir = path.Dir(dir) {
			if err := c.SyncDir(s.path(dir)); err != nil || dir == "." {
				return err
			}
		}
	})
}

// write stores src under a temporary name, and renames it to its own.
func (s *store) write(ctx context.Context, c *sftpconn.Conn, name string, src io.Reader) (obj setstore.Object, err error) {
	dir := path.Dir(name)
	if err := c.SFTP.MkdirAll(dir); err != nil {
		return obj, fmt.Errorf("make the directory: %w", err)
	}
	tmp := path.Join(dir, "."+path.Base(name)+"."+rand.Text()+tmpSuffix)
	f, err := c.SFTP.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return obj, fmt.Errorf("create: %w", err)
	}
	defer func() {
		if err != nil {
			s.clean(ctx, c, tmp, err)
		}
	}()
	if err := f.Chmod(filePerm); err != nil {
		return obj, errors.Join(fmt.Errorf("chmod: %w", err), f.Close())
	}
	if err := s.fill(ctx, f, src); err != nil {
		return obj, errors.Join(err, f.Close())
	}
	if c.Fsync {
		if err := f.Sync(); err != nil {
			return obj, errors.Join(fmt.Errorf("fsync: %w", err), f.Close())
		}
	}
	if err := f.Close(); err != nil {
		return obj, fmt.Errorf("close: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return obj, context.Cause(ctx)
	}
	if err := c.Replace(tmp, name); err != nil {
		return obj, fmt.Errorf("rename: %w", err)
	}
	if err := c.SyncDir(dir); err != nil {
		return obj, err
	}
	st, err := c.SFTP.Lstat(name)
	if err != nil {
		return obj, fmt.Errorf("ask for what was put: %w", err)
	}
	return describe(st), nil
}

// fill writes src into f, several pieces at once.
func (s *store) fill(ctx context.Context, f io.WriterAt, src io.Reader) error {
	free := make(chan []byte, s.concurrency)
	for range s.concurrency {
		free <- nil // made when it is needed
	}
	g, gctx := errgroup.WithContext(ctx)
	var rerr error
	for off := int64(0); rerr == nil && gctx.Err() == nil; {
		var buf []byte
		select {
		case buf = <-free:
		case <-gctx.Done():
			continue
		}
		if buf == nil {
			buf = make([]byte, chunk)
		}
		n := 0
		for n < len(buf) && rerr == nil {
			var k int
			k, rerr = src.Read(buf[n:])
			n += k
		}
		if n == 0 || (rerr != nil && rerr != io.EOF) {
			break
		}
		at := off
		off += int64(n)
		g.Go(func() error {
			_, err := f.WriteAt(buf[:n], at)
			free <- buf
			return err
		})
	}
	err := g.Wait()
	switch {
	case rerr != nil && rerr != io.EOF:
		return rerr
	case err != nil:
		return fmt.Errorf("write: %w", err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return nil
}

// clean removes a temporary file, if the connection still serves for that.
func (s *store) clean(ctx context.Context, c *sftpconn.Conn, tmp string, err error) {
	if broken(err) || ctx.Err() != nil {
		// Sweep finds it otherwise.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
		defer cancel()
		_ = s.pool.with(ctx, func(c *sftpconn.Conn) error { return c.SFTP.Remove(tmp) })
		return
	}
	_ = c.SFTP.Remove(tmp)
}

// describe makes an ETag of what changes with every upload.
func describe(st os.FileInfo) setstore.Object {
	return setstore.Object{Bytes: st.Size(), ETag: fmt.Sprintf("%d-%d", st.ModTime().Unix(), st.Size()), Check: "size"}
}

// Stat implements setstore.Store.
func (s *store) Stat(ctx context.Context, name string) (obj setstore.Object, err error) {
	err = s.pool.with(ctx, func(c *sftpconn.Conn) error {
		st, err := c.SFTP.Lstat(s.path(name))
		if err == nil {
			obj = describe(st)
		}
		return err
	})
	return obj, err
}

// Dirs implements setstore.Store.
func (s *store) Dirs(ctx context.Context, dir string) (dirs []setstore.Dir, err error) {
	err = s.pool.with(ctx, func(c *sftpconn.Conn) error {
		infos, err := c.SFTP.ReadDirContext(ctx, s.path(dir))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, fi := range infos {
			if fi.IsDir() {
				dirs = append(dirs, setstore.Dir{Name: fi.Name()})
			}
		}
		var g errgroup.Group
		g.SetLimit(questions)
		for i := range dirs {
			g.Go(func() error {
				st, err := c.SFTP.Lstat(s.path(path.Join(dir, dirs[i].Name, sink.SetFile)))
				if err == nil {
					dirs[i].Version = describe(st).ETag
				} else if errors.Is(err, os.ErrNotExist) {
					err = nil
				}
				return err
			})
		}
		return g.Wait()
	})
	return dirs, err
}

// Remove implements setstore.Store.
func (s *store) Remove(ctx context.Context, name string) error {
	return s.pool.with(ctx, func(c *sftpconn.Conn) error {
		err := c.SFTP.Remove(s.path(name))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = c.SyncDir(s.path(path.Dir(name)))
		}
		return err
	})
}

// RemoveAll implements setstore.Store.
func (s *store) RemoveAll(ctx context.Context, dir string) error {
	return s.pool.with(ctx, func(c *sftpconn.Conn) error {
		err := c.SFTP.RemoveAll(s.path(dir))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = c.SyncDir(s.path(path.Dir(dir)))
		}
		return err
	})
}

// Unfinished implements setstore.Leftovers.
func (s *store) Unfinished(ctx context.Context, dir string) (names []string, err error) {
	dirs, err := s.Dirs(ctx, dir)
	if err != nil {
		return nil, err
	}
	for _, d := range dirs {
		if _, ok := sink.ParseDirName(d.Name); !ok {
			continue
		}
		left, err := s.temporary(ctx, path.Join(dir, d.Name))
		if err != nil {
			return names, err
		}
		if len(left) > 0 {
			names = append(names, d.Name)
		}
	}
	return names, nil
}

// temporary are the unfinished files in a directory.
func (s *store) temporary(ctx context.Context, dir string) (names []string, err error) {
	err = s.pool.with(ctx, func(c *sftpconn.Conn) error {
		infos, err := c.SFTP.ReadDirContext(ctx, s.path(dir))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		for _, fi := range infos {
			if strings.HasPrefix(fi.Name(), ".") && strings.HasSuffix(fi.Name(), tmpSuffix) {
				names = append(names, path.Join(dir, fi.Name()))
			}
		}
		return err
	})
	return names, err
}

// Discard implements setstore.Leftovers.
func (s *store) Discard(ctx context.Context, dir string) error {
	names, err := s.temporary(ctx, dir)
	for _, name := range names {
		if err == nil {
			err = s.Remove(ctx, name)
		}
	}
	return err
}
