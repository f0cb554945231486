package setstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/spillwaydb/spillway/core/sink"
)

// List implements sink.Sink.
func (s *Sink) List(ctx context.Context) ([]sink.Set, error) {
	dirs, err := s.dirs(ctx)
	if err != nil {
		return nil, s.fault(ctx, "list", sink.SetsDir, err)
	}
	var (
		mu   sync.Mutex
		sets []sink.Set
		errs []error
		g    errgroup.Group
	)
	g.SetLimit(width)
	for _, d := range dirs {
		id, ok := sink.ParseDirName(d.Name)
		if !ok || d.Version == "" {
			continue
		}
		g.Go(func() error {
			name := path.Join(sink.SetsDir, d.Name, sink.SetFile)
			set, err := s.cached(ctx, name, d.Version)
			if err == nil && !set.ID.SharesDir(id) {
				err = fmt.Errorf("%w: it describes %s", sink.ErrCorrupt, set.ID)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				sets = append(sets, set)
			case !errors.Is(err, os.ErrNotExist): // removed meanwhile
				errs = append(errs, s.fault(ctx, "list", name, err))
			}
			return nil
		})
	}
	_ = g.Wait()
	s.known.forget(dirs)
	if ctx.Err() != nil {
		return nil, s.fault(ctx, "list", sink.SetsDir, context.Cause(ctx))
	}
	sink.SortSets(sets)
	return sets, errors.Join(errs...)
}

// cached is readSet, unless the document was read before and is the same.
func (s *Sink) cached(ctx context.Context, name, version string) (sink.Set, error) {
	doc := s.known.get(name, version)
	if doc == nil {
		var err error
		doc, err = s.readDoc(ctx, name)
		if err != nil {
			return sink.Set{}, err
		}
	}
	set, err := sink.DecodeSet(doc)
	if err == nil {
		s.known.put(name, version, doc)
	}
	return set, err
}

func (s *Sink) readDoc(ctx context.Context, name string) ([]byte, error) {
	return try(ctx, s, "read", name, func(ctx context.Context) ([]byte, error) { return s.readAll(ctx, name) })
}

func (s *Sink) readSet(ctx context.Context, name string) (sink.Set, error) {
	doc, err := s.readDoc(ctx, name)
	if err != nil {
		return sink.Set{}, err
	}
	return sink.DecodeSet(doc)
}

// readAll reads a set's document in one attempt.
func (s *Sink) readAll(ctx context.Context, name string) ([]byte, error) {
	rc, size, err := s.store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if size > sink.MaxSetFile {
		return nil, sink.Permanent(fmt.Errorf("%w: %d bytes", sink.ErrCorrupt, size))
	}
	b, err := io.ReadAll(io.LimitReader(rc, sink.MaxSetFile+1))
	if err == nil && int64(len(b)) != size {
		err = fmt.Errorf("%d bytes of %d: %w", len(b), size, io.ErrUnexpectedEOF)
	}
	return b, err
}

// Remove implements sink.Sink.
func (s *Sink) Remove(ctx context.Context, id sink.SetID) error {
	dir := dirOf(id)
	if err := sink.CheckToken(id.Token); err != nil {
		return s.fault(ctx, "remove", dir, err)
	}
	file := path.Join(dir, sink.SetFile)
	switch set, err := s.readSet(ctx, file); {
	case err == nil && set.ID != id:
		return s.fault(ctx, "remove", dir, sink.Permanent(fmt.Errorf("it holds %s, not %s", set.ID, id)))
	case err == nil, errors.Is(err, os.ErrNotExist), errors.Is(err, sink.ErrCorrupt), sink.IsPermanent(err) && !errors.Is(err, os.ErrPermission):
		// A document that cannot be read is no reason to keep it.
	default:
		return s.fault(ctx, "remove", file, err)
	}
	// Invisible first, and for good, before any part goes.
	s.known.lose(file)
	if err := s.remove(ctx, file); err != nil {
		return s.fault(ctx, "remove", file, err)
	}
	return s.fault(ctx, "remove", dir, s.removeAll(ctx, dir))
}

// Sweep implements sink.Sweeper. The id that keep is asked about has
// KindSnapshot for a rewrite too: what is only staged does not say which it is.
func (s *Sink) Sweep(ctx context.Context, keep func(sink.SetID) bool) (removed []string, err error) {
	dirs, err := s.dirs(ctx)
	if err != nil {
		return nil, s.fault(ctx, "sweep", sink.SetsDir, err)
	}
	var errs []error
	left, hasLeft := s.store.(Leftovers)
	unfinished := make(map[string]bool)
	if hasLeft {
		names, err := try(ctx, s, "sweep", sink.SetsDir, func(ctx context.Context) ([]string, error) { return left.Unfinished(ctx, sink.SetsDir) })
		if err != nil {
			errs = append(errs, s.fault(ctx, "sweep", sink.SetsDir, fmt.Errorf("look for unfinished uploads: %w", err)))
		}
		for _, d := range names {
			unfinished[d] = true
			if !slices.ContainsFunc(dirs, func(o Dir) bool { return o.Name == d }) {
				dirs = append(dirs, Dir{Name: d})
			}
		}
	}
	slices.SortFunc(dirs, func(a, b Dir) int { return strings.Compare(a.Name, b.Name) })
	for _, d := range dirs {
		id, ok := sink.ParseDirName(d.Name)
		if !ok || (d.Version != "" && !unfinished[d.Name]) || keep(id) {
			continue
		}
		if ctx.Err() != nil {
			return removed, s.fault(ctx, "sweep", sink.SetsDir, context.Cause(ctx))
		}
		dir := path.Join(sink.SetsDir, d.Name)
		// Asked again: it may have been published since it was listed.
		_, err := s.stat(ctx, path.Join(dir, sink.SetFile))
		published := err == nil
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, s.fault(ctx, "sweep", dir, err))
			continue
		}
		err = nil
		if unfinished[d.Name] { // in a published set, of an attempt that another one has overtaken
			_, err = try(ctx, s, "sweep", dir, func(ctx context.Context) (struct{}, error) { return struct{}{}, left.Discard(ctx, dir) })
		}
		if !published && err == nil {
			err = s.removeAll(ctx, dir)
		}
		if err != nil {
			errs = append(errs, s.fault(ctx, "sweep", dir, err))
		} else if !published {
			removed = append(removed, dir)
		}
	}
	return removed, errors.Join(errs...)
}

func (s *Sink) dirs(ctx context.Context) ([]Dir, error) {
	return try(ctx, s, "list", sink.SetsDir, func(ctx context.Context) ([]Dir, error) { return s.store.Dirs(ctx, sink.SetsDir) })
}

func (s *Sink) stat(ctx context.Context, name string) (Object, error) {
	return try(ctx, s, "stat", name, func(ctx context.Context) (Object, error) { return s.store.Stat(ctx, name) })
}

func (s *Sink) remove(ctx context.Context, name string) error {
	_, err := try(ctx, s, "remove", name, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.store.Remove(ctx, name) })
	return err
}

func (s *Sink) removeAll(ctx context.Context, dir string) error {
	_, err := try(ctx, s, "remove", dir, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.store.RemoveAll(ctx, dir) })
	return err
}
