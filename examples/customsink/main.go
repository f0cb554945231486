// Command customsink is a Spillway plugin with one sink, folder. See README.md.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
)

func main() { plugins.Serve(plugins.Sink("folder", New)) }

// New makes the sink; what it returns as an error, the operator reads.
func New(f Folder) (sink.Sink, error) { return f, os.MkdirAll(f.Path, 0o700) }

// Folder keeps each set in a directory of its own. SET.json makes it visible.
type Folder struct{ Path string }

func (f Folder) Info() sink.Info { return sink.Info{Name: "folder", Version: "1"} }

func (f Folder) Put(_ context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	if err := sink.CheckPart(p); err != nil {
		return nil, err
	}
	if _, err := os.Stat(f.in(p.ID(), sink.SetFile)); err == nil {
		return nil, fmt.Errorf("%s is published: %w", p.ID(), os.ErrExist)
	}
	return nil, store(f.in(p.ID(), ""), p.Name, src)
}

func (f Folder) Publish(ctx context.Context, s sink.Set) error {
	doc, err := sink.EncodeSet(s)
	err = errors.Join(err, ctx.Err())
	for _, p := range s.Parts {
		_, serr := os.Stat(f.in(s.ID, p.Part.Name))
		err = errors.Join(err, serr)
	}
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(f.in(s.ID, sink.SetFile)); err == nil && !bytes.Equal(old, doc) {
		return fmt.Errorf("another %s is published: %w", s.ID, os.ErrExist)
	}
	return store(f.in(s.ID, ""), sink.SetFile, bytes.NewReader(doc))
}

func (f Folder) Open(_ context.Context, p sink.Part, _ sink.Receipt) (io.ReadCloser, error) {
	if err := sink.CheckPart(p); err != nil {
		return nil, err
	}
	return open(f.in(p.ID(), ""), p.Name)
}

func (f Folder) List(context.Context) ([]sink.Set, error) { return list(f.Path) }

func (f Folder) Remove(_ context.Context, id sink.SetID) error {
	if err := sink.CheckToken(id.Token); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(f.in(id, sink.SetFile)), os.RemoveAll(f.in(id, "")))
}

func (f Folder) in(id sink.SetID, name string) string {
	return filepath.Join(f.Path, sink.DirName(id), name)
}
