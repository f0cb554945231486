package zstd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/spillwaydb/spillway/core/sink"
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
		return nil, fmt.Errorf("zstd: level %d; want 1 (fast) to 22 (small)", opts.Level)
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
	if _, err := io.Copy(enc, src); err != nil {
		return nil, fmt.Errorf("zstd: compress: %w", err) // not closed: the frame must not look complete
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("zstd: finish the frame: %w", err)
	}
	return nil, nil
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
	in := &source{r: src}
	if err := dec.Reset(in); err != nil {
		return in.explain("zstd: start", err)
	}
	if _, err := io.Copy(dst, dec); err != nil {
		return in.explain("zstd: decompress", err)
	}
	if in.n == 0 {
		return sink.Permanent(fmt.Errorf("zstd: empty input, not even a frame: %w", io.ErrUnexpectedEOF))
	}
	// The decoder has met the end already; this makes sure for the caller.
	if n, err := io.Copy(io.Discard, in); n > 0 || err != nil {
		return in.explain("zstd: after the last frame", errors.Join(err, fmt.Errorf("%d bytes left", n)))
	}
	return nil
}

// source counts what the decoder reads and remembers an error of the reader.
type source struct {
	r   io.Reader
	n   int64
	err error
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// explain says where in the compressed bytes decoding ended. Damage is
// permanent, an error of the reader is what it is.
func (s *source) explain(op string, err error) error {
	switch {
	case s.err != nil:
		return fmt.Errorf("%s: %w", op, s.err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return sink.Permanent(fmt.Errorf("%s: the frame wants a window larger than %d MiB; compress without --ultra and --long: %w", op, maxWindow>>20, err))
	}
	return fmt.Errorf("%s, within the first %d compressed bytes: %w", op, s.n, err)
}
