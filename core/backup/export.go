package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/wal"
)

// ErrNeedsEngine is wrapped by WriteRDB for a point that is more than a
// snapshot: commands have to be executed to know what they come to.
var ErrNeedsEngine = errors.New("an RDB file of commands takes an engine to execute them")

// Mergeable tells whether WriteRDB can do p: it is a snapshot, and behind it
// the log has no blocks.
func (p *Point) Mergeable() bool {
	return p.Set.ID.Kind == sink.KindSnapshot && !slices.ContainsFunc(p.Segments, func(s sink.Set) bool {
		return !blockTime(&s, sink.MetaFirstTime).IsZero()
	})
}

// WriteRDB merges the parts of a snapshot into one RDB file, as Redis writes it,
// and returns how many keys that has. It holds one key in memory at a time. aux
// is the header. What was written is to be thrown away after an error.
func WriteRDB(ctx context.Context, src sink.Sink, p *Point, stages *sink.Registry, aux [][2]string, out io.Writer) (keys int64, err error) {
	if !p.Mergeable() {
		return 0, ErrNeedsEngine
	}
	pipe := sink.NewPipeline("export", nil, src, nil, sink.PipelineOptions{Registry: stages})
	defer pipe.Close()
	w := rdb.NewWriter(out)
	dated, err := anyDated(ctx, pipe, src, p.Set.Parts)
	if err != nil {
		return 0, err
	}
	if dated {
		w.DatedHeader(aux)
	} else {
		w.Header(aux)
	}
	db := -1
	for _, part := range p.Set.Parts {
		err := pipe.ReadFrom(ctx, src, part, func(in io.Reader) error {
			return rdb.Read(in, rdb.Handler{
				Function: func(code []byte) error {
					w.Function(code)
					return w.Err()
				},
				Object: func(o *rdb.Object) error {
					if o.DB != db {
						db = o.DB
						w.SelectDB(db)
					}
					keys++
					w.Object(o)
					return w.Err()
				},
			})
		})
		if err != nil {
			return keys, err
		}
	}
	return keys, w.End()
}

// errEnough ends the reading of a part of which no more is needed.
var errEnough = errors.New("no more of this part is needed")

// anyDated tells whether a part is of a version that has deadlines for fields of
// hashes: the merged file has to be of one then. It reads no more than the beginning of
// each.
func anyDated(ctx context.Context, pipe *sink.Pipeline, src sink.Sink, parts []sink.SetPart) (dated bool, err error) {
	for _, part := range parts {
		err := pipe.ReadFrom(ctx, src, part, func(in io.Reader) error {
			newer, err := rdb.Dated(in)
			dated = dated || newer
			if err == nil {
				err = errEnough
			}
			return err
		})
		if !errors.Is(err, errEnough) {
			return false, err
		}
		if dated {
			break
		}
	}
	return dated, nil
}

// WriteAOF writes p as one file of RESP commands that Redis loads as its
// append-only file, and returns how many there are: the checkpoint as commands,
// then those of the segments, transactions as transactions. It holds one key or
// one block in memory at a time. What was written is to be thrown away after an
// error.
func WriteAOF(ctx context.Context, src sink.Sink, p *Point, stages *sink.Registry, out io.Writer) (commands int64, err error) {
	pipe := sink.NewPipeline("export", nil, src, nil, sink.PipelineOptions{Registry: stages})
	defer pipe.Close()
	w := &aofWriter{out: bufio.NewWriterSize(out, 256<<10), db: -1}
	w.built = rdb.NewCommands(func(args [][]byte) error { return w.write(args...) })
	for _, part := range p.Set.Parts {
		w.db = -1
		err := pipe.ReadFrom(ctx, src, part, func(in io.Reader) error {
			if part.Part.Kind == sink.KindRewrite {
				return eachCommand(in, func(args [][]byte) error { return w.write(args...) })
			}
			return rdb.Read(in, rdb.Handler{Object: w.object, Function: w.function})
		})
		if err != nil {
			return w.n, err
		}
	}
	w.db = -1
	for i := range p.Segments {
		if err := w.segment(ctx, pipe, src, p, &p.Segments[i]); errors.Is(err, errBeyond) {
			break
		} else if err != nil {
			return w.n, err
		}
	}
	return w.n, w.out.Flush()
}

type aofWriter struct {
	out   *bufio.Writer
	built *rdb.Commands // of keys
	db    int           // that is selected, -1: not known
	n     int64
	buf   []byte
}

func (w *aofWriter) write(args ...[]byte) error {
	w.n++
	w.buf = resp.AppendCommand(w.buf[:0], args...)
	_, err := w.out.Write(w.buf)
	return err
}

func (w *aofWriter) sel(db int) error {
	if db != w.db {
		w.db = db
		w.built.SelectDB(db)
	}
	return w.built.Err()
}

// function writes the command that loads a function library.
func (w *aofWriter) function(code []byte) error {
	w.built.Function(code)
	return w.built.Err()
}

// object writes the commands that build a key.
func (w *aofWriter) object(o *rdb.Object) error {
	if err := w.sel(o.DB); err != nil {
		return err
	}
	w.built.Object(o)
	return w.built.Err()
}

// segment writes the commands of a segment, up to the point's moment.
func (w *aofWriter) segment(ctx context.Context, pipe *sink.Pipeline, src sink.Sink, p *Point, set *sink.Set) error {
	if len(set.Parts) != 1 {
		return fmt.Errorf("%w: %s has %d parts; a segment has one", sink.ErrCorrupt, set.ID, len(set.Parts))
	}
	part := set.Parts[0]
	beyond := false
	err := pipe.ReadFrom(ctx, src, part, func(in io.Reader) error {
		opts := wal.ReplayOptions{ID: set.Meta[sink.MetaLogID]}
		_, err := wal.ReplayStream(in, part.Part.Name, part.RawBytes, opts, func(b wal.Block) error {
			if beyond || !p.Until.IsZero() && b.TimeMS > p.Until.UnixMilli() {
				beyond = true // the rest is still read: the digest is at its end
				return nil
			}
			return w.block(b)
		})
		return err
	})
	if err == nil && beyond {
		err = errBeyond
	}
	return err
}

func (w *aofWriter) block(b wal.Block) error {
	if b.Tx {
		if err := w.sel(b.DB); err != nil {
			return err
		}
		if err := w.write([]byte("MULTI")); err != nil {
			return err
		}
	}
	for _, c := range b.Cmds {
		if err := w.sel(c.DB); err != nil {
			return err
		}
		if err := w.write(c.Args...); err != nil {
			return err
		}
	}
	if b.Tx {
		return w.write([]byte("EXEC"))
	}
	return nil
}
