package plugintest

import (
	"bytes"
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"sync"

	"github.com/spillwaydb/spillway/core/sink"
)

// FuncStage is a stage made of functions. A nil function copies.
type FuncStage struct {
	Name, Suffix string
	EncodeFunc   func(ctx context.Context, p sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error)
	DecodeFunc   func(ctx context.Context, p sink.Part, r sink.Receipt, dst io.Writer, src io.Reader) error
}

var _ sink.Stage = (*FuncStage)(nil)

// Info implements sink.Stage.
func (s *FuncStage) Info() sink.Info {
	return sink.Info{Name: s.Name, Version: "test", Suffix: s.Suffix}
}

// Encode implements sink.Stage.
func (s *FuncStage) Encode(ctx context.Context, p sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	if s.EncodeFunc != nil {
		return s.EncodeFunc(ctx, p, dst, src)
	}
	_, err := io.Copy(dst, src)
	return nil, err
}

// Decode implements sink.Stage.
func (s *FuncStage) Decode(ctx context.Context, p sink.Part, r sink.Receipt, dst io.Writer, src io.Reader) error {
	if s.DecodeFunc != nil {
		return s.DecodeFunc(ctx, p, r, dst, src)
	}
	_, err := io.Copy(dst, src)
	return err
}

// XOR returns a stage that flips every byte with a key it hands out as its
// receipt: reading with the wrong receipt shows.
func XOR(name string, key byte) *FuncStage {
	flip := func(dst io.Writer, src io.Reader, key byte) error {
		buf, keys := make([]byte, 4096), bytes.Repeat([]byte{key}, 4096)
		for {
			n, err := src.Read(buf)
			subtle.XORBytes(buf, buf[:n], keys)
			if n > 0 {
				if _, werr := dst.Write(buf[:n]); werr != nil {
					return werr
				}
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
	return &FuncStage{
		Name: name, Suffix: "." + name,
		EncodeFunc: func(_ context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
			return sink.Receipt{key}, flip(dst, src, key)
		},
		DecodeFunc: func(_ context.Context, _ sink.Part, r sink.Receipt, dst io.Writer, src io.Reader) error {
			if len(r) != 1 {
				return fmt.Errorf("receipt of %d bytes, want 1", len(r))
			}
			return flip(dst, src, r[0])
		},
	}
}

// FuncSink is Inner with functions in front of it. A nil function calls Inner.
type FuncSink struct {
	Inner       sink.Sink
	PutFunc     func(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error)
	PublishFunc func(ctx context.Context, s sink.Set) error
	OpenFunc    func(ctx context.Context, p sink.Part, r sink.Receipt) (io.ReadCloser, error)
	ListFunc    func(ctx context.Context) ([]sink.Set, error)
	RemoveFunc  func(ctx context.Context, id sink.SetID) error
}

var _ sink.Sink = (*FuncSink)(nil)

// Info implements sink.Sink.
func (s *FuncSink) Info() sink.Info { return s.Inner.Info() }

// Put implements sink.Sink.
func (s *FuncSink) Put(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	if s.PutFunc != nil {
		return s.PutFunc(ctx, p, src)
	}
	return s.Inner.Put(ctx, p, src)
}

// Publish implements sink.Sink.
func (s *FuncSink) Publish(ctx context.Context, set sink.Set) error {
	if s.PublishFunc != nil {
		return s.PublishFunc(ctx, set)
	}
	return s.Inner.Publish(ctx, set)
}

// Open implements sink.Sink.
func (s *FuncSink) Open(ctx context.Context, p sink.Part, r sink.Receipt) (io.ReadCloser, error) {
	if s.OpenFunc != nil {
		return s.OpenFunc(ctx, p, r)
	}
	return s.Inner.Open(ctx, p, r)
}

// List implements sink.Sink.
func (s *FuncSink) List(ctx context.Context) ([]sink.Set, error) {
	if s.ListFunc != nil {
		return s.ListFunc(ctx)
	}
	return s.Inner.List(ctx)
}

// Remove implements sink.Sink.
func (s *FuncSink) Remove(ctx context.Context, id sink.SetID) error {
	if s.RemoveFunc != nil {
		return s.RemoveFunc(ctx, id)
	}
	return s.Inner.Remove(ctx, id)
}

// MemSink is a correct sink in memory. Its receipts are needed to open a part.
type MemSink struct {
	name string

	mu        sync.Mutex
	parts     map[sink.SetID]map[string]memPart
	published map[sink.SetID]sink.Set
	puts      int
}

type memPart struct {
	data    []byte
	receipt string
}

var _ sink.Sink = (*MemSink)(nil)

// NewMemSink returns an empty sink.
func NewMemSink(name string) *MemSink {
	return &MemSink{name: name, parts: make(map[sink.SetID]map[string]memPart), published: make(map[sink.SetID]sink.Set)}
}

// Info implements sink.Sink.
func (s *MemSink) Info() sink.Info { return sink.Info{Name: s.name, Version: "test"} }

// Put implements sink.Sink.
func (s *MemSink) Put(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	if err := sink.CheckPart(p); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(src)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, done := s.published[p.ID()]; done {
		return nil, sink.Permanent(fmt.Errorf("put %s: %s is published: %w", p.Name, p.ID(), os.ErrExist))
	}
	if s.parts[p.ID()] == nil {
		s.parts[p.ID()] = make(map[string]memPart)
	}
	s.puts++
	r := fmt.Sprintf("%s-%d", s.name, s.puts)
	s.parts[p.ID()][p.Name] = memPart{data, r}
	return sink.Receipt(r), nil
}

// Publish implements sink.Sink.
func (s *MemSink) Publish(ctx context.Context, set sink.Set) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sp := range set.Parts {
		got, ok := s.parts[set.ID][sp.Part.Name]
		if !ok || int64(len(got.data)) != sp.Bytes || got.receipt != string(sp.SinkReceipt) {
			return fmt.Errorf("publish %s: part %s: %w", set.ID, sp.Part.Name, os.ErrNotExist)
		}
	}
	if old, done := s.published[set.ID]; done && !reflect.DeepEqual(old, *set.Clone()) {
		return sink.Permanent(fmt.Errorf("publish %s: another set of this ID is published: %w", set.ID, os.ErrExist))
	}
	s.published[set.ID] = *set.Clone()
	return nil
}

// Open implements sink.Sink.
func (s *MemSink) Open(_ context.Context, p sink.Part, r sink.Receipt) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, ok := s.parts[p.ID()][p.Name]
	if !ok || got.receipt != string(r) {
		return nil, fmt.Errorf("open %s of %s with receipt %q: %w", p.Name, p.ID(), r, os.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(got.data)), nil
}

// List implements sink.Sink.
func (s *MemSink) List(context.Context) ([]sink.Set, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sets []sink.Set
	for _, set := range s.published {
		sets = append(sets, *set.Clone())
	}
	slices.SortFunc(sets, func(a, b sink.Set) int { return int(a.ID.Generation) - int(b.ID.Generation) })
	return sets, nil
}

// Remove implements sink.Sink.
func (s *MemSink) Remove(_ context.Context, id sink.SetID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.published, id)
	delete(s.parts, id)
	return nil
}

// Staged is the number of parts held, published or not.
func (s *MemSink) Staged() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.parts {
		n += len(m)
	}
	return n
}

// Corrupt flips one bit of a part that is held.
func (s *MemSink) Corrupt(p sink.Part, offset int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.parts[p.ID()][p.Name]
	got.data = slices.Clone(got.data)
	got.data[offset] ^= 1
	s.parts[p.ID()][p.Name] = got
}
