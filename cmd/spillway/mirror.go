package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/sink"
)

// mirror is a sink on a filesystem that may come and go, as mounts do: after a
// failure it is opened anew for the next call, so that a directory that was
// removed and made again, or is another mount, is found under its name.
type mirror struct {
	name string
	fs   config.Filesystem

	mu    sync.Mutex
	sink  *sink.FSSink // nil: to be opened
	conns io.Closer    // of a remote filesystem
}

var (
	_ sink.Sink    = (*mirror)(nil)
	_ sink.Sweeper = (*mirror)(nil)
)

// open returns the sink on the filesystem, as it is now.
func (m *mirror) open() (*sink.FSSink, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sink == nil {
		fs, err := config.OpenFS(m.fs.URL())
		if err != nil {
			return nil, fmt.Errorf("sink %q: %w", m.name, err)
		}
		m.sink = sink.NewFSSink(m.name, fs, sink.SetsDir)
		if m.fs.Remote() {
			m.conns, _ = fs.(io.Closer)
		}
	}
	return m.sink, nil
}

// Close implements io.Closer.
func (m *mirror) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conns == nil {
		return nil
	}
	return m.conns.Close()
}

// with runs call on the open sink. Memory is never opened anew: it would be
// empty; and a remote filesystem connects again by itself.
func (m *mirror) with(call func(*sink.FSSink) error) error {
	s, err := m.open()
	if err != nil {
		return err
	}
	err = call(s)
	if err != nil && m.fs.Kind == "os" {
		m.mu.Lock()
		if m.sink == s {
			m.sink = nil
		}
		m.mu.Unlock()
	}
	return err
}

// Info implements sink.Sink.
func (m *mirror) Info() sink.Info { return sink.Info{Name: m.name, Version: "1"} }

// Put implements sink.Sink.
func (m *mirror) Put(ctx context.Context, p sink.Part, src io.Reader) (receipt sink.Receipt, err error) {
	err = m.with(func(s *sink.FSSink) error { receipt, err = s.Put(ctx, p, src); return err })
	return receipt, err
}

// Publish implements sink.Sink.
func (m *mirror) Publish(ctx context.Context, set sink.Set) error {
	return m.with(func(s *sink.FSSink) error { return s.Publish(ctx, set) })
}

// Open implements sink.Sink.
func (m *mirror) Open(ctx context.Context, p sink.Part, r sink.Receipt) (src io.ReadCloser, err error) {
	err = m.with(func(s *sink.FSSink) error { src, err = s.Open(ctx, p, r); return err })
	return src, err
}

// List implements sink.Sink.
func (m *mirror) List(ctx context.Context) (sets []sink.Set, err error) {
	err = m.with(func(s *sink.FSSink) error { sets, err = s.List(ctx); return err })
	return sets, err
}

// Remove implements sink.Sink.
func (m *mirror) Remove(ctx context.Context, id sink.SetID) error {
	return m.with(func(s *sink.FSSink) error { return s.Remove(ctx, id) })
}

// Sweep implements sink.Sweeper.
func (m *mirror) Sweep(ctx context.Context, keep func(sink.SetID) bool) (removed []string, err error) {
	err = m.with(func(s *sink.FSSink) error { removed, err = s.Sweep(ctx, keep); return err })
	return removed, err
}
