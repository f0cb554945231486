package main

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/cmd/spillway/status"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/sink"
)

// sinkWatch sees every request to the sinks beside the data directory. It counts
// them, and remembers which sets the sinks hold: a start asks each of them, and what
// is published, listed and removed later passes here too. So the moments that can be
// restored are known without asking a store for them.
type sinkWatch struct {
	mu       sync.Mutex
	requests map[requestKey]requestCount
	held     map[string]*holding // by pipeline and sink

	windows []backup.Window // of what is held; stale: to be made anew
	stale   bool
}

// requestKey is what requests are counted by. Result is "ok", "transient" for an
// error that another attempt may not meet, or "permanent".
type requestKey struct{ pipeline, sink, operation, result string }

type requestCount struct {
	n    int64
	took time.Duration
}

// holding is what one sink holds, as far as is known.
type holding struct {
	sets map[sink.SetID]sink.Set // without parts
	// lists are the listings under way: what changes meanwhile they may have seen
	// or not.
	lists map[*listing]bool
}

// listing is what has changed since a listing began.
type listing struct {
	changes []func(sets map[sink.SetID]sink.Set)
}

func newSinkWatch() *sinkWatch {
	return &sinkWatch{requests: make(map[requestKey]requestCount), held: make(map[string]*holding)}
}

// around returns s, whose requests are seen from now on.
func (w *sinkWatch) around(pipeline, name string, s sink.Sink) sink.Sink {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := pipeline + "/" + name
	h := w.held[key]
	if h == nil {
		h = &holding{sets: make(map[sink.SetID]sink.Set), lists: make(map[*listing]bool)}
		w.held[key] = h
	}
	watched := &watchedSink{Sink: s, watch: w, pipeline: pipeline, name: name, held: h}
	if sweeper, ok := s.(sink.Sweeper); ok {
		return &sweepingWatchedSink{watched, sweeper}
	}
	return watched
}

// count counts a request that has ended.
func (w *sinkWatch) count(s *watchedSink, operation string, began time.Time, err error) {
	key := requestKey{s.pipeline, s.name, operation, "ok"}
	switch {
	case sink.IsPermanent(err):
		key.result = "permanent"
	case err != nil:
		key.result = "transient"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.requests[key]
	c.n++
	c.took += time.Since(began)
	w.requests[key] = c
}

// stores are the requests, in the order of their names.
func (w *sinkWatch) stores() (out []status.Store) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range slices.SortedFunc(maps.Keys(w.requests), func(a, b requestKey) int {
		return strings.Compare(a.pipeline+"\x00"+a.sink+"\x00"+a.operation+"\x00"+a.result, b.pipeline+"\x00"+b.sink+"\x00"+b.operation+"\x00"+b.result)
	}) {
		c := w.requests[k]
		out = append(out, status.Store{
			Pipeline: k.pipeline, Sink: k.sink, Operation: k.operation, Result: k.result, Requests: c.n, Seconds: c.took.Seconds(),
		})
	}
	return out
}

// change notes what has become of the sets of a sink.
func (w *sinkWatch) change(h *holding, f func(sets map[sink.SetID]sink.Set)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(h.sets)
	for l := range h.lists {
		l.changes = append(l.changes, f)
	}
	w.stale = true
}

func (w *sinkWatch) beginList(h *holding) *listing {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := new(listing)
	h.lists[l] = true
	return l
}

// endList takes what a sink has said that it holds.
func (w *sinkWatch) endList(h *holding, l *listing, sets []sink.Set, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(h.lists, l)
	if err != nil && len(sets) == 0 {
		return
	}
	clear(h.sets)
	for i := range sets {
		h.sets[sets[i].ID] = described(&sets[i])
	}
	for _, f := range l.changes {
		f(h.sets)
	}
	w.stale = true
}

// described is a set without its parts, which nothing here asks for.
func described(s *sink.Set) sink.Set {
	return sink.Set{ID: s.ID, CreatedAt: s.CreatedAt, Meta: s.Meta}
}

// restorable are the stretches of time that the sinks together can bring back: those
// of this lineage, and of the ones it goes on from.
func (w *sinkWatch) restorable(lineage string) []backup.Window {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stale {
		all := make(map[sink.SetID]sink.Set)
		for _, h := range w.held {
			maps.Copy(all, h.sets)
		}
		c := backup.NewCatalog(slices.Collect(maps.Values(all)))
		own := map[string]bool{lineage: true}
		for _, l := range c.Lives() {
			if l.Lineage == lineage {
				for _, f := range l.Follows {
					own[f.Lineage] = true
				}
			}
		}
		w.windows = slices.DeleteFunc(c.Windows(), func(win backup.Window) bool { return !own[win.Lineage] })
		w.stale = false
	}
	return slices.Clone(w.windows)
}

// watchedSink is a sink whose requests a sinkWatch sees.
type watchedSink struct {
	sink.Sink
	watch          *sinkWatch
	pipeline, name string
	held           *holding
}

// Put implements sink.Sink.
func (s *watchedSink) Put(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	began := time.Now()
	r, err := s.Sink.Put(ctx, p, src)
	s.watch.count(s, "put", began, err)
	return r, err
}

// Publish implements sink.Sink.
func (s *watchedSink) Publish(ctx context.Context, set sink.Set) error {
	began := time.Now()
	err := s.Sink.Publish(ctx, set)
	s.watch.count(s, "publish", began, err)
	if err == nil {
		d := described(&set)
		s.watch.change(s.held, func(sets map[sink.SetID]sink.Set) { sets[d.ID] = d })
	}
	return err
}

// Open implements sink.Sink.
func (s *watchedSink) Open(ctx context.Context, p sink.Part, r sink.Receipt) (io.ReadCloser, error) {
	began := time.Now()
	f, err := s.Sink.Open(ctx, p, r)
	s.watch.count(s, "open", began, err)
	return f, err
}

// List implements sink.Sink.
func (s *watchedSink) List(ctx context.Context) ([]sink.Set, error) {
	l, began := s.watch.beginList(s.held), time.Now()
	sets, err := s.Sink.List(ctx)
	s.watch.endList(s.held, l, sets, err)
	s.watch.count(s, "list", began, err)
	return sets, err
}

// Remove implements sink.Sink. What was removed may be gone although that failed.
func (s *watchedSink) Remove(ctx context.Context, id sink.SetID) error {
	began := time.Now()
	err := s.Sink.Remove(ctx, id)
	s.watch.count(s, "remove", began, err)
	s.watch.change(s.held, func(sets map[sink.SetID]sink.Set) { delete(sets, id) })
	return err
}

// sweepingWatchedSink is a watchedSink that is a sink.Sweeper.
type sweepingWatchedSink struct {
	*watchedSink
	sweeper sink.Sweeper
}

// Sweep implements sink.Sweeper.
func (s *sweepingWatchedSink) Sweep(ctx context.Context, keep func(sink.SetID) bool) ([]string, error) {
	began := time.Now()
	removed, err := s.sweeper.Sweep(ctx, keep)
	s.watch.count(s.watchedSink, "sweep", began, err)
	return removed, err
}
