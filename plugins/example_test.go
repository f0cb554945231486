package plugins_test

import (
	"context"
	"errors"
	"io"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
)

// Options are what plugins.hcl may say in the stage's block.
type Options struct {
	Key int `json:"key"`
}

// xor is a toy cipher.
type xor struct{ key byte }

func (x xor) Info() sink.Info { return sink.Info{Name: "xor", Version: "1", Suffix: ".xor"} }

func (x xor) Encode(_ context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	return nil, x.through(dst, src)
}

func (x xor) Decode(_ context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, src io.Reader) error {
	return x.through(dst, src)
}

func (x xor) through(dst io.Writer, src io.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		for i := range buf[:n] {
			buf[i] ^= x.key
		}
		if _, werr := dst.Write(buf[:n]); werr != nil || err == io.EOF {
			return werr
		}
		if err != nil {
			return err
		}
	}
}

// A whole plugin: this is its main. Started by hand it says what it is; Spillway starts
// it as plugins.hcl says.
func ExampleServe() {
	main := func() {
		plugins.Serve(plugins.Stage("xor", func(o Options) (sink.Stage, error) {
			if o.Key < 1 || o.Key > 255 {
				return nil, errors.New("key wants a number from 1 to 255") // the operator reads it
			}
			return xor{byte(o.Key)}, nil
		}))
	}
	_ = main
}
