package sink_test

import (
	"context"
	"fmt"
	"io"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// flip is a stage: it inverts every byte, and Decode is the same again.
type flip struct{}

func (flip) Info() sink.Info { return sink.Info{Name: "flip", Version: "1", Suffix: ".flip"} }

func (flip) Encode(_ context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	return nil, invert(dst, src)
}

func (flip) Decode(_ context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, src io.Reader) error {
	return invert(dst, src)
}

func invert(dst io.Writer, src io.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		for i := range buf[:n] {
			buf[i] = ^buf[i]
		}
		if _, werr := dst.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil // the only success: src was read to its end
		}
		if err != nil {
			return err
		}
	}
}

// A part goes through the stages into the sinks, and back. The engine does this for
// every shard; a stage's or sink's author does it to see what the pipeline makes of it.
func ExamplePipeline() {
	ctx := context.Background()
	store := sink.NewFSSink("store", memfs.New(), "checkpoints")
	p := sink.NewPipeline("example", []sink.Stage{flip{}}, store, nil, sink.PipelineOptions{})
	defer p.Close()

	id := sink.NewSetID(1, sink.KindSnapshot, "0123456789abcdef0123456789abcdef")
	part, err := p.Write(ctx, p.Part(1, id, 0, 1), func(w io.Writer) (keys int64, err error) {
		_, err = io.WriteString(w, "hello")
		return 1, err
	}, nil)
	if err != nil {
		panic(err)
	}
	err = p.ReadFrom(ctx, store, part, func(r io.Reader) error {
		got, err := io.ReadAll(r)
		fmt.Printf("%s: %d bytes stored, read back: %s\n", part.Part.Name, part.Bytes, got)
		return err
	})
	fmt.Println(err)
	// Output:
	// shard-0000.rdb.flip: 5 bytes stored, read back: hello
	// <nil>
}
