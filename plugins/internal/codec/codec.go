// Package codec is what the compressing stages have in common: how they read
// their input to its end, and how they say what was wrong with it.
//
// It refuses to know any format.
package codec

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spillwaydb/spillway/core/sink"
)

const copySize = 128 << 10

// Compress copies src into w and finishes it. On an error w is not closed: what
// it wrote must not look complete.
func Compress(ctx context.Context, name string, w io.WriteCloser, src io.Reader) error {
	// No WriteTo and no ReadFrom: there are libraries that take an
	// io.ErrUnexpectedEOF of the source for its end.
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{src}, make([]byte, copySize)); err != nil {
		return fmt.Errorf("%s: compress: %w", name, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("%s: finish: %w", name, err)
	}
	return nil
}

// Source is the compressed input of a decoder: it counts what is read and
// remembers an error of the reader.
type Source struct {
	// R is where the bytes come from.
	R io.Reader

	n   int64
	err error
}

// Read implements io.Reader.
func (s *Source) Read(b []byte) (int, error) {
	n, err := s.R.Read(b)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// Explain says where in the compressed bytes decoding ended. An error of the
// reader is what it is.
func (s *Source) Explain(op string, err error) error {
	if s.err != nil {
		return fmt.Errorf("%s: %w", op, s.err)
	}
	return fmt.Errorf("%s, within the first %d compressed bytes: %w", op, s.n, err)
}

// Finish makes sure that the decoder has read everything, and that there was
// anything.
func (s *Source) Finish(name string) error {
	if s.n == 0 {
		return sink.Permanent(fmt.Errorf("%s: empty input, not even a frame: %w", name, io.ErrUnexpectedEOF))
	}
	if n, err := io.Copy(io.Discard, s); n > 0 || err != nil {
		return s.Explain(name+": after the end", errors.Join(err, fmt.Errorf("%d bytes left", n)))
	}
	return nil
}
