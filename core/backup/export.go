package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

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
	w.Header(aux)
	db := -1
	for _, part := range p.Set.Parts {
		err := pipe.ReadFrom(ctx, src, part, func(in io.Reader) error {
			return rdb.Read(in, rdb.Handler{Object: func(o *rdb.Object) error {
				if o.DB != db {
					db = o.DB
					w.SelectDB(db)
				}
				keys++
				writeObject(w, o)
				return w.Err()
			}})
		})
		if err != nil {
			return keys, err
		}
	}
	return keys, w.End()
}

// writeObject copies one key, packed as it is where the format has that.
func writeObject(w *rdb.Writer, o *rdb.Object) {
	if o.ExpireMS != 0 {
		w.Expire(o.ExpireMS)
	}
	switch {
	case o.LFU >= 0:
		w.Freq(uint8(min(o.LFU, math.MaxUint8)))
	case o.LRU >= 0:
		w.Idle(o.LRU)
	}
	switch {
	case o.Type == rdb.TypeString:
		w.String(o.Key, o.Str)
		return
	case o.Intset != nil && o.Type == rdb.TypeSet:
		w.Intset(o.Key, o.Intset)
		return
	case o.Listpack != nil && o.Type != rdb.TypeSet:
		w.Listpack(o.Type, o.Key, o.Listpack)
		return
	}
	switch n := o.Len(); o.Type {
	case rdb.TypeList:
		w.BeginList(o.Key, n)
	case rdb.TypeSet:
		w.BeginSet(o.Key, n)
	case rdb.TypeHash:
		w.BeginHash(o.Key, n)
	default:
		w.BeginZSet(o.Key, n)
	}
	for i, item := range o.Items {
		w.Item(item)
		if o.Type == rdb.TypeZSet {
			w.Score(o.Scores[i])
		}
	}
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
	for _, part := range p.Set.Parts {
		w.db = -1
		err := pipe.ReadFrom(ctx, src, part, func(in io.Reader) error {
			if part.Part.Kind == sink.KindRewrite {
				return eachCommand(in, func(args [][]byte) error { return w.write(args...) })
			}
			return rdb.Read(in, rdb.Handler{Object: w.object})
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
	out  *bufio.Writer
	db   int // that is selected, -1: not known
	n    int64
	buf  []byte
	args [][]byte
	num  []byte
}

func (w *aofWriter) write(args ...[]byte) error {
	w.n++
	w.buf = resp.AppendCommand(w.buf[:0], args...)
	_, err := w.out.Write(w.buf)
	return err
}

func (w *aofWriter) sel(db int) error {
	if db == w.db {
		return nil
	}
	w.db = db
	return w.write([]byte("SELECT"), strconv.AppendInt(nil, int64(db), 10))
}

// itemsPerCommand is Redis's AOF_REWRITE_ITEMS_PER_CMD.
const itemsPerCommand = 64

var verbs = map[rdb.Type][]byte{
	rdb.TypeList: []byte("RPUSH"), rdb.TypeSet: []byte("SADD"), rdb.TypeHash: []byte("HSET"), rdb.TypeZSet: []byte("ZADD"),
}

// object writes the commands that build a key.
func (w *aofWriter) object(o *rdb.Object) error {
	if err := w.sel(o.DB); err != nil {
		return err
	}
	if o.Type == rdb.TypeString {
		if err := w.write([]byte("SET"), o.Key, o.Str); err != nil {
			return err
		}
	}
	group := 1
	if o.Type == rdb.TypeHash {
		group = 2
	}
	for at := 0; at < len(o.Items); {
		end := min(at+itemsPerCommand*group, len(o.Items))
		w.args, w.num = append(w.args[:0], verbs[o.Type], o.Key), w.num[:0]
		for ; at < end; at++ {
			if o.Type == rdb.TypeZSet {
				w.args = append(w.args, w.score(o.Scores[at]))
			}
			w.args = append(w.args, o.Items[at])
		}
		if err := w.write(w.args...); err != nil {
			return err
		}
	}
	if o.ExpireMS == 0 {
		return nil
	}
	return w.write([]byte("PEXPIREAT"), o.Key, strconv.AppendInt(nil, o.ExpireMS, 10))
}

// score formats a score so that it reads back as the same number.
func (w *aofWriter) score(f float64) []byte {
	start := len(w.num)
	switch {
	case math.IsInf(f, 1):
		w.num = append(w.num, "inf"...)
	case math.IsInf(f, -1):
		w.num = append(w.num, "-inf"...)
	default:
		w.num = strconv.AppendFloat(w.num, f, 'g', -1, 64)
	}
	return w.num[start:len(w.num):len(w.num)]
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
