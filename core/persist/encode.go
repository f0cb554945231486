package persist

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
)

// A worker is the goroutine that serializes one shard's frozen views and does
// their I/O. It is started by the first job it gets. A panic in it fails the
// job, is reported, and the next job starts it again; the server lives on.
type worker struct {
	shard int
	log   hclog.Logger
	done  chan<- completion

	mu      sync.Mutex
	jobs    chan partJob // nil while no goroutine runs
	running sync.WaitGroup
}

// partJob is one shard's share of a checkpoint.
type partJob struct {
	ctx  context.Context
	job  *job
	part sink.Part
	view *keyspace.View
	pipe *sink.Pipeline
}

// completion is what a worker or the publisher reports to the tick.
type completion struct {
	job       *job
	shard     int
	part      sink.SetPart
	published bool // from the publisher: every required sink holds the set
	err       error
}

func newWorker(shard int, log hclog.Logger, done chan<- completion) *worker {
	return &worker{shard: shard, log: log.With("shard", shard), done: done}
}

// submit hands the worker a job; the view is the worker's from here on. At
// most one job per shard is in flight, so it never blocks.
func (w *worker) submit(j partJob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.jobs == nil {
		w.jobs = make(chan partJob, 1)
		w.running.Add(1)
		go w.run(w.jobs)
	}
	w.jobs <- j
}

// stop ends the goroutine after the job it is at.
func (w *worker) stop() {
	w.mu.Lock()
	if w.jobs != nil {
		close(w.jobs)
		w.jobs = nil
	}
	w.mu.Unlock()
	w.running.Wait()
}

func (w *worker) run(jobs <-chan partJob) {
	defer w.running.Done()
	for j := range jobs {
		c := completion{job: j.job, shard: w.shard}
		died := w.do(j, &c)
		if died {
			// The goroutine is replaced before the completion is out: the
			// next job may follow at once.
			w.mu.Lock()
			if w.jobs == jobs {
				w.jobs = nil
			}
			w.mu.Unlock()
		}
		w.done <- c
		if died {
			return
		}
	}
}

// do runs one job and tells whether the worker died of it. The view is
// released whatever happens.
func (w *worker) do(j partJob, c *completion) (died bool) {
	defer func() {
		if r := recover(); r != nil {
			died = true
			c.err = fmt.Errorf("checkpoint worker of shard %d died: %v", w.shard, r)
			w.log.Error("checkpoint worker died; it is restarted by the next job", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	defer j.view.Release()
	encode := encodeSnapshot
	if j.part.Kind == sink.KindRewrite {
		encode = encodeRewrite
	}
	c.part, c.err = j.pipe.Write(j.ctx, j.part, encode(j), &j.job.progress)
	return false
}

// encodeSnapshot writes the view as an RDB file of its own.
func encodeSnapshot(j partJob) func(io.Writer) (int64, error) {
	return func(out io.Writer) (int64, error) {
		w := rdb.NewWriter(out)
		w.Header(append(rdb.HeaderAt(j.job.cutAt), [2]string{"spillway-shard", fmt.Sprintf("%d/%d", j.part.Shard, j.part.Shards)}))
		keys, err := j.view.Encode(w, func(n int64) { j.job.progress.Keys.Add(n) })
		if err != nil {
			return keys, err
		}
		return keys, w.End()
	}
}

// encodeRewrite writes the view as the RESP commands that rebuild it.
func encodeRewrite(j partJob) func(io.Writer) (int64, error) {
	return func(out io.Writer) (int64, error) {
		var buf []byte
		keys, err := j.view.EncodeCommands(func(args [][]byte) error {
			buf = resp.AppendCommand(buf, args...)
			if len(buf) < rewriteFlush {
				return nil
			}
			_, err := out.Write(buf)
			buf = buf[:0]
			return err
		}, func(n int64) { j.job.progress.Keys.Add(n) })
		if err != nil {
			return keys, err
		}
		_, err = out.Write(buf)
		return keys, err
	}
}

const rewriteFlush = 256 << 10
