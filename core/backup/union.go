package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spillwaydb/spillway/core/sink"
)

// Union shows several sources as one: checkpoints on one sink and the archived
// log on another. Where two have a set of the same name the first one's counts.
// It is for reading, and for Remove.
func Union(sources ...sink.Sink) sink.Sink {
	if len(sources) == 1 {
		return sources[0]
	}
	return &union{sources: sources, of: make(map[sink.SetID]sink.Sink)}
}

type union struct {
	sources []sink.Sink

	mu sync.Mutex
	of map[sink.SetID]sink.Sink // as listed last
}

var errUnion = sink.Permanent(errors.New("several sources together are read, not written"))

// Info implements sink.Sink.
func (u *union) Info() sink.Info {
	var names []string
	for _, s := range u.sources {
		names = append(names, s.Info().Name)
	}
	return sink.Info{Name: strings.Join(names, " and "), Version: "1"}
}

// Put implements sink.Sink: it refuses.
func (u *union) Put(context.Context, sink.Part, io.Reader) (sink.Receipt, error) {
	return nil, errUnion
}

// Publish implements sink.Sink: it refuses.
func (u *union) Publish(context.Context, sink.Set) error { return errUnion }

// List implements sink.Sink. A source that cannot be listed fails it: what the
// others have may not be what it takes.
func (u *union) List(ctx context.Context) ([]sink.Set, error) {
	var sets []sink.Set
	var unreadable []error
	of := make(map[sink.SetID]sink.Sink)
	for _, src := range u.sources {
		own, err := src.List(ctx)
		if err != nil && len(own) == 0 {
			return nil, err
		}
		if err != nil {
			unreadable = append(unreadable, err)
		}
		for _, s := range own {
			if of[s.ID] == nil {
				of[s.ID] = src
				sets = append(sets, s)
			}
		}
	}
	u.mu.Lock()
	u.of = of
	u.mu.Unlock()
	slices.SortStableFunc(sets, func(a, b sink.Set) int {
		return int(min(max(int64(a.ID.Generation)-int64(b.ID.Generation), -1), 1))
	})
	return sets, errors.Join(unreadable...)
}

func (u *union) owner(id sink.SetID) (sink.Sink, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s := u.of[id]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%s is on none of the sources", id)
}

// Open implements sink.Sink, for what List has shown.
func (u *union) Open(ctx context.Context, p sink.Part, r sink.Receipt) (io.ReadCloser, error) {
	s, err := u.owner(p.ID())
	if err != nil {
		return nil, err
	}
	return s.Open(ctx, p, r)
}

// Remove implements sink.Sink, for what List has shown.
func (u *union) Remove(ctx context.Context, id sink.SetID) error {
	s, err := u.owner(id)
	if err != nil {
		return err
	}
	return s.Remove(ctx, id)
}
