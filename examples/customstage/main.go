// Command customstage is a Spillway plugin with one stage, rot: it rotates the
// letters of what is stored. See README.md for how to run it.
package main

import (
	"context"
	"errors"
	"io"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
)

func main() { plugins.Serve(plugins.Stage("rot", New)) }

// Options are the attributes that plugins.hcl may give the stage.
type Options struct {
	By int `json:"by"`
}

// New makes the stage; what it returns as an error, the operator reads.
func New(o Options) (sink.Stage, error) {
	if o.By < 1 || o.By > 25 {
		return nil, errors.New("by wants a number from 1 to 25")
	}
	return rot{o.By}, nil
}

type rot struct{ by int }

func (r rot) Info() sink.Info { return sink.Info{Name: "rot", Version: "1", Suffix: ".rot"} }

func (r rot) Encode(_ context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	_, err := io.Copy(dst, rotating{src, byte(r.by)}) // to io.EOF: nothing else is a success
	return nil, err
}

func (r rot) Decode(_ context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, src io.Reader) error {
	_, err := io.Copy(dst, rotating{src, byte(26 - r.by)})
	return err
}

type rotating struct {
	io.Reader
	by byte
}

func (r rotating) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	for i, c := range b[:n] {
		if low := c | 0x20; low >= 'a' && low <= 'z' {
			b[i] = c&0x20 | 0x40 | ((low-'a'+r.by)%26 + 1)
		}
	}
	return n, err
}
