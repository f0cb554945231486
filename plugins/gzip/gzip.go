package gzip

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/codec"
)

// Name is the stage's name in configuration and manifests.
const Name = "gzip"

// DefaultLevel is what Level 0 means.
const DefaultLevel = 5

// Options configure the stage. The zero value is usable.
type Options struct {
	// Level is 1 (fast) to 9 (small); 0 means DefaultLevel. It matters to
	// Encode only.
	Level int `json:"level,omitempty"`
}

type stage struct {
	level   int
	writers sync.Pool // each holds close to a megabyte
}

var _ sink.Stage = (*stage)(nil)

// New returns the stage.
func New(opts Options) (sink.Stage, error) {
	if opts.Level == 0 {
		opts.Level = DefaultLevel
	}
	if opts.Level < gzip.BestSpeed || opts.Level > gzip.BestCompression {
		return nil, sink.BadOption("level", fmt.Errorf("gzip: level %d; want 1 (fast) to 9 (small)", opts.Level))
	}
	return &stage{level: opts.Level}, nil
}

// Info implements sink.Stage.
func (s *stage) Info() sink.Info { return sink.Info{Name: Name, Version: "1", Suffix: ".gz"} }

// Encode implements sink.Stage.
func (s *stage) Encode(ctx context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	w, ok := s.writers.Get().(*gzip.Writer)
	if ok {
		w.Reset(dst)
	} else {
		var err error
		if w, err = gzip.NewWriterLevel(dst, s.level); err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
	}
	defer func() {
		w.Reset(io.Discard)
		s.writers.Put(w)
	}()
	return nil, codec.Compress(ctx, Name, w, src)
}

// Decode implements sink.Stage.
func (s *stage) Decode(_ context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, src io.Reader) error {
	in := &codec.Source{R: src}
	r, err := gzip.NewReader(in)
	if err != nil {
		if ferr := in.Finish(Name); ferr != nil {
			return ferr
		}
		return in.Explain("gzip: start", err)
	}
	if _, err := io.Copy(dst, r); err != nil {
		return in.Explain("gzip: decompress", err)
	}
	return in.Finish(Name)
}
