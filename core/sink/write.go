package sink

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/internal/turn"
)

// errTooSlow cuts off a best-effort target that holds up the others.
var errTooSlow = Transient(errors.New("slower than the pipeline's patience; it will be fed from the local part"))

// run is one part on its way through a chain of members. Its first failure is
// its result, and ends every member at once.
type run struct {
	p      *Pipeline
	op     string // "write" or "read"
	part   Part
	ctx    context.Context
	cancel context.CancelCauseFunc
	unhook func() bool

	mu    sync.Mutex
	err   error
	pipes []*pipe
}

func (p *Pipeline) newRun(ctx context.Context, op string, part Part) *run {
	r := &run{p: p, op: op, part: part}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.unhook = context.AfterFunc(ctx, func() {
		r.fail(&Error{Op: op, Path: part.Name, Err: context.Cause(ctx)})
	})
	return r
}

// pipe makes a pipe that breaks when the run fails.
func (r *run) pipe() *pipe { return r.pipeFor(int64(r.p.opts.Buffer)) }

// pipeFor is pipe for n bytes, if those are few.
func (r *run) pipeFor(n int64) *pipe {
	q := newPipe(int(min(max(n, 512), int64(r.p.opts.Buffer))), r.p.opts.Clock)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pipes = append(r.pipes, q)
	if r.err != nil {
		q.closeWrite(r.err)
		q.closeRead(r.err)
	}
	return q
}

// fail records the first error, cancels the members and breaks every pipe, in
// this order: whatever fails because of it comes later.
func (r *run) fail(err error) { r.blame(nil, err) }

// blame is fail that counts the error, if it is the first, as m's.
func (r *run) blame(m *member, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	if m != nil {
		m.errors.Add(1)
	}
	r.err = err
	r.cancel(err)
	for _, q := range r.pipes {
		q.closeWrite(err)
		q.closeRead(err)
	}
}

// failure is the first error so far.
func (r *run) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// stop releases what the run holds. No member of a finished run is affected.
func (r *run) stop() {
	r.unhook()
	r.cancel(nil)
}

// Write runs encode, the stages, the local sink and all targets at once for one
// part, and rereads the local bytes, if there are any, against a checksum of what was written. Nothing is visible
// before Publish.
//
// encode runs in the calling goroutine and has returned when Write returns. Its
// writer fails as soon as anything required does, or ctx is cancelled. An error
// says who failed first; the caller then calls Abort for the set. Best-effort
// targets never fail the part: the ones that do not have it are the ones not
// named in TargetReceipts.
func (p *Pipeline) Write(ctx context.Context, part Part, encode func(w io.Writer) (keys int64, err error), prog *Progress) (SetPart, error) {
	if err := CheckPart(part); err != nil {
		return SetPart{}, &Error{Op: "write", Path: part.Name, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return SetPart{}, &Error{Op: "write", Path: part.Name, Err: context.Cause(ctx)}
	}
	if prog == nil {
		prog = &Progress{}
	}
	p.track(part.ID())
	r := p.newRun(ctx, "write", part)
	defer r.stop()

	out := &tee{run: r, prog: prog, hash: sha256.New()}
	for _, m := range p.sinks() {
		out.add(m)
	}
	// Whatever happens, an encoder's runtime.Goexit included, no goroutine
	// stays behind unless it is stuck.
	defer out.join(func(*outlet) bool { return true })

	var head io.Writer = out
	closeHead := out.finish
	waits := out.waited
	chain := make([]*task[Receipt], len(p.stages))
	for i := len(p.stages) - 1; i >= 0; i-- {
		in := r.pipe()
		chain[i] = r.encodeStage(p.stages[i], in, head, closeHead, waits)
		head, closeHead = in, func() { in.closeWrite(nil) }
		waits = func() time.Duration { _, _, w := in.flow(); return w }
	}
	ended := false
	defer func() {
		if !ended { // a runtime.Goexit in encode: nobody will see this
			r.blame(p.enc, &Error{Op: "encode", Path: part.Name, Err: errors.New("encoder: ended its goroutine")})
		}
		for _, t := range chain {
			_, _ = t.wait(r.ctx.Done())
		}
	}()

	raw := &rawWriter{dst: head, prog: prog}
	if len(p.stages) > 0 {
		raw.hash = sha256.New() // without stages the stored digest is the same
	}
	start := p.opts.Clock.Now()
	made := func() flow { return flow{out: raw.n.Load(), busy: p.opts.Clock.Now().Sub(start) - waits()} }
	work := p.enc.begin(made)
	defer func() {
		if !ended {
			work.end(errors.New("ended its goroutine"))
		}
	}()
	keys, err := p.runEncoder(raw, encode)
	ended = true
	work.end(err)
	p.step(OpEncode, p.enc, part, part.ID(), start, made(), err)
	if err != nil {
		r.blame(p.enc, &Error{Op: "encode", Path: part.Name, Err: fmt.Errorf("encoder: %w", err)})
	} else {
		closeHead()
	}

	sp := SetPart{Part: part, RawBytes: raw.n.Load(), Keys: keys, Stages: p.StageRecords()}
	for i, t := range chain {
		receipt, err := t.wait(r.ctx.Done())
		if err != nil { // already recorded, unless it is stuck
			r.blame(p.stages[i], &Error{Op: "encode", Path: part.Name, Stage: p.stages[i].name, Err: err})
		}
		sp.StageReceipts = append(sp.StageReceipts, receipt)
	}
	out.join(func(o *outlet) bool { return o.m.required })
	if r.failure() == nil {
		sp.Bytes, sp.SHA256 = out.n, hex.EncodeToString(out.hash.Sum(nil))
		sp.RawSHA256 = sp.SHA256
		if raw.hash != nil {
			sp.RawSHA256 = hex.EncodeToString(raw.hash.Sum(nil))
		}
		if p.local != nil {
			sp.SinkReceipt = out.outlets[0].receipt
			if err := p.verify(r.ctx, sp, out.crc); err != nil {
				r.fail(err)
			}
		}
	}
	out.join(func(o *outlet) bool { return !o.m.required })
	if err := r.failure(); err != nil {
		return SetPart{}, err
	}
	for _, o := range out.outlets {
		if o.m == p.local {
			continue
		}
		if o.err != nil {
			p.log.Warn("a best-effort sink missed a part; it will be fed from the local one", "sink", o.m.name, "part", part.Name, "set", part.ID().String(), "error", o.err)
			continue
		}
		if sp.TargetReceipts == nil {
			sp.TargetReceipts = make(map[string]Receipt)
		}
		sp.TargetReceipts[o.m.name] = o.receipt
	}
	return sp, nil
}

// runEncoder calls encode in this goroutine and turns a panic into an error.
func (p *Pipeline) runEncoder(w *rawWriter, encode func(io.Writer) (int64, error)) (keys int64, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError(p.log, "encoder", v)
		}
	}()
	return encode(w)
}

// encodeStage starts one stage between in and dst. done ends dst.
func (r *run) encodeStage(m *member, in *pipe, dst io.Writer, done func(), waits func() time.Duration) *task[Receipt] {
	p := r.p
	w := &countWriter{dst: dst}
	begin := p.opts.Clock.Now()
	sofar := func() flow {
		n, wait, _ := in.flow()
		return flow{in: n, out: w.n.Load(), busy: p.opts.Clock.Now().Sub(begin) - wait - waits()}
	}
	work := m.begin(sofar)
	return start(p, m, func() (Receipt, error) {
		if err := m.ready(); err != nil {
			return nil, err
		}
		return m.stage.Encode(r.ctx, r.part, w, readOnly{in})
	}, func(receipt Receipt, err error) error {
		err = finished(r.ctx, in, receipt, err)
		work.end(err)
		p.step(OpEncode, m, r.part, r.part.ID(), begin, sofar(), err)
		if err != nil {
			err = &Error{Op: "encode", Path: r.part.Name, Stage: m.name, Err: err}
			r.blame(m, err)
			return err
		}
		in.closeRead(nil)
		done()
		return nil
	})
}

// finished judges the return of a member that reads in: nil counts only at the
// end of the input, and with a receipt of sane size.
func finished(ctx context.Context, in *pipe, receipt Receipt, err error) error {
	switch {
	case err != nil:
		return explain(ctx, err)
	case !in.drained():
		if cause := in.readError(); cause != nil {
			return cause
		}
		return Permanent(ErrEarly)
	case len(receipt) > MaxReceipt:
		return Permanent(fmt.Errorf("receipt of %d bytes; at most %d are kept", len(receipt), MaxReceipt))
	}
	return nil
}

// tee is the end of the stages: it hashes the stored bytes and hands them to
// every sink.
type tee struct {
	run  *run
	prog *Progress

	mu      sync.Mutex // a stage might write from several goroutines
	hash    hash.Hash
	crc     uint32 // CRC-32C, for verify
	n       int64
	closed  bool
	outlets []*outlet // the local sink first
}

// outlet is one sink's Put in progress.
type outlet struct {
	m       *member
	in      *pipe
	ctx     context.Context
	cancel  context.CancelCauseFunc
	release func()
	task    *task[Receipt]
	dropped bool // no longer written to
	joined  bool

	receipt Receipt // the outcome, once joined
	err     error
}

// add starts the Put of one sink.
func (t *tee) add(m *member) {
	r, p := t.run, t.run.p
	o := &outlet{m: m, in: r.pipe()}
	if !m.required {
		o.in.patience(p.opts.Patience, errTooSlow)
	}
	var end context.CancelFunc
	o.ctx, end = withHeldTimeout(r.ctx, p.opts.Clock, m.timeout)
	o.ctx, o.cancel = context.WithCancelCause(o.ctx)
	// A timeout breaks the pipe, so that a sink that only reads notices too.
	unhook := context.AfterFunc(o.ctx, func() {
		cause := context.Cause(o.ctx)
		if m.required {
			r.blame(m, &Error{Op: "put", Path: r.part.Name, Sink: m.name, Err: cause})
		}
		o.in.closeRead(cause)
	})
	o.release = func() { unhook(); o.cancel(nil); end() }
	begin := p.opts.Clock.Now()
	sofar := func() flow {
		n, wait, _ := o.in.flow()
		return flow{in: n, busy: p.opts.Clock.Now().Sub(begin) - wait}
	}
	work := m.begin(sofar)
	o.task = start(p, m, func() (Receipt, error) {
		if err := m.ready(); err != nil {
			return nil, err
		}
		return m.sink.Put(o.ctx, r.part, readOnly{o.in})
	}, func(receipt Receipt, err error) error {
		err = finished(o.ctx, o.in, receipt, err)
		unhook() // a deadline that passes from here on means nothing
		work.end(err)
		p.step(OpPut, m, r.part, r.part.ID(), begin, sofar(), err)
		if err != nil {
			err = sinkError("put", r.part.Name, m.name, err)
			if m.required {
				r.blame(m, err)
			} else if r.failure() == nil {
				m.errors.Add(1)
			}
		}
		o.in.closeRead(err)
		return err
	})
	t.outlets = append(t.outlets, o)
}

// Write implements io.Writer.
func (t *tee) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, io.ErrClosedPipe
	}
	t.hash.Write(b)
	t.crc = crc32.Update(t.crc, castagnoli, b)
	for _, o := range t.outlets {
		if o.dropped {
			continue
		}
		if _, err := o.in.Write(b); err != nil {
			if o.m.required {
				return 0, err
			}
			o.dropped = true
		}
	}
	t.n += int64(len(b))
	t.prog.StoredBytes.Add(int64(len(b)))
	return len(b), nil
}

// finish tells every sink that the part is complete.
func (t *tee) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, o := range t.outlets {
		o.in.closeWrite(nil)
	}
}

// waited is how long the writer waited for sinks.
func (t *tee) waited() (d time.Duration) {
	for _, o := range t.outlets {
		_, _, w := o.in.flow()
		d += w
	}
	return d
}

// join waits for the sinks that which selects. A required one is waited for
// until the run fails, a best-effort one for as long as patience lasts.
func (t *tee) join(which func(*outlet) bool) {
	r, p := t.run, t.run.p
	for _, o := range t.outlets {
		if o.joined || !which(o) {
			continue
		}
		o.joined = true
		if !o.m.required {
			_, _, waited := o.in.flow()
			stop := after(p.opts.Clock, max(p.opts.Patience-waited, p.opts.Patience/8), func() { o.cancel(errTooSlow) })
			defer stop()
		}
		o.receipt, o.err = o.task.wait(o.ctx.Done())
		o.release()
		if o.err != nil && o.m.required {
			r.blame(o.m, &Error{Op: "put", Path: r.part.Name, Sink: o.m.name, Err: o.err})
		}
	}
}

// rawWriter is what the encoder writes to.
type rawWriter struct {
	dst  io.Writer
	hash hash.Hash // may be nil
	n    atomic.Int64
	prog *Progress

	writes yielder
}

func (w *rawWriter) Write(b []byte) (int, error) {
	n, err := w.dst.Write(b)
	if w.writes.due(n) {
		turn.Yield()
	}
	if w.hash != nil {
		w.hash.Write(b[:n])
	}
	w.n.Add(int64(n))
	w.prog.RawBytes.Add(int64(n))
	return n, err
}
