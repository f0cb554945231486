package lz4

import (
	"context"
	"fmt"
	"io"

	"github.com/pierrec/lz4/v4"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/codec"
)

// Name is the stage's name in configuration and manifests.
const Name = "lz4"

// Options configure the stage. The zero value is usable.
type Options struct {
	// Level is 0 (fast) to 9 (small). It matters to Encode only.
	Level int `json:"level,omitempty"`
}

// levels are the library's names for Level.
var levels = []lz4.CompressionLevel{
	lz4.Fast, lz4.Level1, lz4.Level2, lz4.Level3, lz4.Level4, lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9,
}

type stage struct{ level lz4.CompressionLevel }

var _ sink.Stage = (*stage)(nil)

// New returns the stage.
func New(opts Options) (sink.Stage, error) {
	if opts.Level < 0 || opts.Level >= len(levels) {
		return nil, sink.BadOption("level", fmt.Errorf("lz4: level %d; want 0 (fast) to %d (small)", opts.Level, len(levels)-1))
	}
	return &stage{level: levels[opts.Level]}, nil
}

// Info implements sink.Stage.
func (s *stage) Info() sink.Info { return sink.Info{Name: Name, Version: "1", Suffix: ".lz4"} }

// Encode implements sink.Stage.
func (s *stage) Encode(ctx context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	w := lz4.NewWriter(dst)
	err := w.Apply(lz4.CompressionLevelOption(s.level), lz4.BlockSizeOption(lz4.Block1Mb), lz4.ChecksumOption(true), lz4.ConcurrencyOption(1))
	if err != nil {
		return nil, fmt.Errorf("lz4: %w", err)
	}
	return nil, codec.Compress(ctx, Name, w, src)
}

// Decode implements sink.Stage.
func (s *stage) Decode(_ context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, src io.Reader) error {
	in := &codec.Source{R: src}
	r := lz4.NewReader(in)
	if err := r.Apply(lz4.ConcurrencyOption(1)); err != nil {
		return fmt.Errorf("lz4: %w", err)
	}
	if _, err := io.Copy(dst, r); err != nil {
		return in.Explain("lz4: decompress", err)
	}
	return in.Finish(Name)
}
