package zstd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/codec"
)

// Name is the stage's name in configuration and manifests.
const Name = "zstd"

// DefaultLevel is what Level 0 means: fast enough to keep up with a disk.
const DefaultLevel = 1

// maxWindow bounds the memory that a frame can make a decoder reserve, whatever
// is really in it. It is what RFC 8878 wants every decoder to support, what our
// own encoder uses at most, and the zstd tool unless told --ultra or --long.
const maxWindow = 8 << 20

// Options configure the stage. The zero value is usable.
type Options struct {
	// Level is Zstandard's, 1 (fast) to 22 (small); 0 means DefaultLevel. It
	// matters to Encode only.
	Level int `hcl:"level,optional" json:"level,omitempty"`
}

// stage keeps encoders and decoders for reuse: each holds megabytes. They work
// in the calling goroutine and start none.
type stage struct {
	level    zstd.EncoderLevel
	encoders sync.Pool
	decoders sync.Pool
}

var _ sink.Stage = (*stage)(nil)

// New returns the stage.
func New(opts Options) (sink.Stage, error) {
	if opts.Level == 0 {
		opts.Level = DefaultLevel
	}
	if opts.Level < 1 || opts.Level > 22 {
		return nil, sink.BadOption("level", fmt.Errorf("zstd: level %d; want 1 (fast) to 22 (small)", opts.Level))
	}
	return &stage{level: zstd.EncoderLevelFromZstd(opts.Level)}, nil
}

// Info implements sink.Stage.
func (s *stage) Info() sink.Info { return sink.Info{Name: Name, Version: "1", Suffix: ".zst"} }

// Encode implements sink.Stage.
func (s *stage) Encode(ctx context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	enc, ok := s.encoders.Get().(*zstd.Encoder)
	if !ok {
		var err error
		enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(s.level), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
	}
	defer func() {
		enc.Reset(nil)
		s.encoders.Put(enc)
	}()
	enc.Reset(dst)
	return nil, codec.Compress(ctx, Name, enc, src)
}

// Decode implements sink.Stage.
func (s *stage) Decode(_ context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, src io.Reader) error {
	dec, ok := s.decoders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return fmt.Errorf("zstd: %w", err)
		}
	}
	defer func() {
		if dec.Reset(nil) == nil {
			s.decoders.Put(dec)
		}
	}()
	in := &codec.Source{R: src}
	if err := dec.Reset(in); err != nil {
		return explain(in, "zstd: start", err)
	}
	if _, err := io.Copy(dst, dec); err != nil {
		return explain(in, "zstd: decompress", err)
	}
	return in.Finish(Name)
}

// explain says why decoding ended; a window that is too large is not damage,
// and stays too large.
func explain(in *codec.Source, op string, err error) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return sink.Permanent(fmt.Errorf("%s: the frame wants a window larger than %d MiB; compress without --ultra and --long: %w", op, maxWindow>>20, err))
	}
	return in.Explain(op, err)
}
