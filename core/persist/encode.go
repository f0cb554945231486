package persist

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
)

// encode begins to write every shard's view through the pipeline, each on a
// goroutine of its own, and returns a function that waits for all of them. The
// first error ends the others.
func (p *Persister) encode(j *job, views []*keyspace.View) (wait func() ([]sink.SetPart, error)) {
	parts := make([]sink.SetPart, len(views))
	group, ctx := errgroup.WithContext(j.ctx)
	for i, v := range views {
		part := j.in.pipe.Part(j.id, j.set, i, len(views))
		group.Go(func() (err error) {
			parts[i], err = p.encodeShard(ctx, j, part, v)
			return err
		})
	}
	return func() ([]sink.SetPart, error) { return parts, group.Wait() }
}

// encodeShard writes one view, which is released whatever happens. A panic, in a
// stage for instance, fails the job and is reported; the server lives on.
func (p *Persister) encodeShard(ctx context.Context, j *job, part sink.Part, v *keyspace.View) (done sink.SetPart, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("checkpoint worker of shard %d died: %v", part.Shard, r)
			p.jobLog.Error("checkpoint worker died; its job has failed",
				"shard", part.Shard, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	defer v.Release()
	began := p.clock.Now()
	defer func() {
		tell(p.events, p.events.CheckpointStep, StepEvent{
			Generation: j.gen, Step: StepShard, Shard: part.Shard, Began: began, Took: p.clock.Now().Sub(began), Keys: done.Keys, Bytes: done.Bytes, Err: err,
		})
	}()
	encode := encodeSnapshot
	if part.Kind == sink.KindRewrite {
		encode = encodeRewrite
	}
	return j.in.pipe.Write(ctx, part, encode(j, part, v), &j.progress)
}

// encodeSnapshot writes the view as an RDB file of its own.
func encodeSnapshot(j *job, part sink.Part, v *keyspace.View) func(io.Writer) (int64, error) {
	return func(out io.Writer) (int64, error) {
		w := rdb.NewWriter(out)
		header := w.Header
		if v.Dated() {
			header = w.DatedHeader
		}
		header(append(rdb.HeaderAt(j.cutAt), [2]string{"spillway-shard", fmt.Sprintf("%d/%d", part.Shard, part.Shards)}))
		keys, err := v.Encode(w, func(n int64) { j.progress.Keys.Add(n) })
		if err != nil {
			return keys, err
		}
		return keys, w.End()
	}
}

// encodeRewrite writes the view as the RESP commands that rebuild it.
func encodeRewrite(j *job, _ sink.Part, v *keyspace.View) func(io.Writer) (int64, error) {
	return func(out io.Writer) (int64, error) {
		var buf []byte
		keys, err := v.EncodeCommands(func(args [][]byte) error {
			buf = resp.AppendCommand(buf, args...)
			if len(buf) < rewriteFlush {
				return nil
			}
			_, err := out.Write(buf)
			buf = buf[:0]
			return err
		}, func(n int64) { j.progress.Keys.Add(n) })
		if err != nil {
			return keys, err
		}
		_, err = out.Write(buf)
		return keys, err
	}
}

const rewriteFlush = 256 << 10
