package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
	"github.com/spillwaydb/spillway/plugins/stream"
)

const (
	// linger is how long a call that failed waits for a Read of the caller's
	// source or a Write to its destination that is under way. Both begin to
	// fail when the call has, so this is for those that do not.
	linger = time.Second
	// A stage that encodes may write this many times what it has read, and
	// slack more: what goes on for longer is no stage but a flood.
	maxExpansion = 16
	slack        = 64 << 20

	copySize = 256 << 10
)

// transfer is a call that carries the bytes of a part: src to the plugin, what
// it makes of them to dst, or one of the two.
type transfer struct {
	pr   *process
	what string // "encode shard-0000.rdb", for errors
	src  io.Reader
	dst  io.Writer
	// bounded says that what comes back is to be in proportion to what went.
	bounded bool
	// rpc makes the call and returns the plugin's answer.
	rpc func(context.Context, *pluginpb.Call, *pluginpb.Stream) (answer, error)

	in, out atomic.Int64          // bytes read from src, written to dst
	sealing atomic.Bool           // src is at its end
	own     atomic.Pointer[error] // what src or dst failed with
}

// answer is what the plugin says of a call that went well.
type answer struct {
	receipt       []byte
	read, written *pluginpb.Totals
}

type reply struct {
	answer
	err error
}

// errAnswered ends the wait for a connection that will not come.
var errAnswered = errors.New("the plugin has answered")

// run carries the bytes. It returns nil only if the plugin says so, has read
// src to io.EOF, and has written what arrived in dst.
func (t *transfer) run(ctx context.Context, in *instance) (sink.Receipt, error) {
	pr := t.pr
	pr.using.Add(1)
	defer pr.using.Add(-1)
	id := pr.calls.Add(1)
	l, err := pr.listen(id, t.what)
	if err != nil {
		return nil, err
	}
	rctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(pr.life, func() { cancel(context.Cause(pr.life)) })()
	actx, stopAccept := context.WithCancelCause(rctx)
	defer stopAccept(nil)

	replied := make(chan reply, 1)
	go func() {
		a, err := t.rpc(rctx, &pluginpb.Call{Id: id, Instance: in.id}, &pluginpb.Stream{Socket: l.Socket(), Token: l.Token()})
		replied <- reply{a, err}
		afterAnswer(err, func() { stopAccept(errAnswered) })
	}()
	var receipt []byte
	conn, err := l.Accept(actx)
	if err == nil {
		receipt, err = t.flow(rctx, conn, replied)
	} else if errors.Is(err, errAnswered) {
		err = t.unconnected(<-replied)
	}
	if err == nil {
		pr.plugin.worked()
		return receipt, nil
	}
	cancel(err)
	return nil, t.explain(ctx, id, err)
}

// afterAnswer ends the wait for a connection: at once when the call failed. A
// call that went well has connected, even if nobody has noticed yet.
func afterAnswer(err error, stop func()) {
	if err != nil {
		stop()
		return
	}
	time.AfterFunc(linger, stop)
}

// unconnected judges an answer that came without a connection.
func (t *transfer) unconnected(r reply) error {
	if r.err != nil {
		return answeredError{r.err}
	}
	return sink.Permanent(errors.New("said it was done without connecting to the stream"))
}

// answeredError is an error the RPC ended with.
type answeredError struct{ error }

func (e answeredError) Unwrap() error { return e.error }

// flow moves the bytes over the connection, both ways at once.
func (t *transfer) flow(ctx context.Context, conn *stream.Conn, replied <-chan reply) ([]byte, error) {
	sent, received := make(chan error, 1), make(chan error, 1)
	pending := 2
	defer func() {
		_ = conn.Close()
		timer := time.NewTimer(linger)
		defer timer.Stop()
		for ; pending > 0; pending-- {
			select {
			case <-sent: //nolint:errcheck // what they failed with is known: the call is over
			case <-received: //nolint:errcheck // as above
			case <-timer.C:
				return
			}
		}
	}()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	go t.guard(sent, func() error { return t.send(conn.Out) })
	go t.guard(received, func() error { return t.receive(conn.In) })

	var r reply
	answered := false
	for pending > 0 || !answered {
		var err error
		select {
		case err = <-sent:
			sent = nil
			pending--
		case err = <-received:
			received = nil
			pending--
		case r = <-replied:
			answered, replied = true, nil
			if r.err != nil {
				return nil, answeredError{r.err}
			}
			if t.src != nil && !t.sealing.Load() {
				return nil, t.early(r)
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if err != nil {
			return nil, t.broken(ctx, err, answered, replied)
		}
	}
	return r.receipt, t.check(conn, r.answer)
}

// early says that the plugin answered before the end of its input.
func (t *transfer) early(r reply) error {
	return sink.Permanent(fmt.Errorf("said it was done after reading %d of at least %d bytes: %w", r.read.GetBytes(), t.in.Load(), sink.ErrEarly))
}

// broken says why a direction failed: if the connection broke, the plugin's
// answer tells more.
func (t *transfer) broken(ctx context.Context, err error, answered bool, replied <-chan reply) error {
	if t.own.Load() != nil || errors.Is(err, stream.ErrFormat) || answered {
		return err
	}
	timer := time.NewTimer(soon)
	defer timer.Stop()
	select {
	case r := <-replied:
		if r.err != nil {
			return answeredError{r.err}
		}
		if t.src != nil && !t.sealing.Load() {
			return t.early(r)
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
	}
	return fmt.Errorf("broke the stream: %w", err)
}

// check compares what the plugin says it has read and written with what went
// and came.
func (t *transfer) check(conn *stream.Conn, a answer) error {
	if said, is := wire.TotalsFrom(a.read), conn.Out.Totals(); t.src != nil && said != is {
		return sink.Permanent(fmt.Errorf("says it has read %d bytes with CRC-32 %08x, but was sent %d with %08x", said.Bytes, said.CRC32, is.Bytes, is.CRC32))
	}
	if said, is := wire.TotalsFrom(a.written), conn.In.Totals(); t.dst != nil && said != is {
		return sink.Permanent(fmt.Errorf("says it has written %d bytes with CRC-32 %08x, but %d with %08x arrived", said.Bytes, said.CRC32, is.Bytes, is.CRC32))
	}
	if len(a.receipt) > sink.MaxReceipt {
		return sink.Permanent(fmt.Errorf("gave a receipt of %d bytes; at most %d are kept", len(a.receipt), sink.MaxReceipt))
	}
	return nil
}

// explain says what went wrong, once the call is over in the plugin too.
func (t *transfer) explain(ctx context.Context, id uint64, err error) error {
	pr := t.pr
	if own := t.own.Load(); own != nil { // whatever came of it is not the cause
		if serr := pr.settle(id, t.what); serr != nil {
			return fmt.Errorf("%w; %w", *own, pr.plugin.errorf("%w", serr))
		}
		return *own
	}
	if ctx.Err() != nil {
		return pr.cancelled(ctx, id, t.what)
	}
	var ans answeredError
	answered := false
	if errors.As(err, &ans) {
		_, answered = wire.Failed(ans.error)
		err = pr.words(ans.error)
	}
	if pr.life.Err() != nil {
		if !answered {
			err = context.Cause(pr.life)
		}
	} else if !answered {
		if serr := pr.settle(id, t.what); serr != nil {
			err = fmt.Errorf("%w; %w", err, serr)
		}
	}
	return pr.plugin.errorf("%s, after %d bytes in and %d out: %w", t.what, t.in.Load(), t.out.Load(), err)
}

// guard runs one direction and reports how it ended; a panic of the caller's
// reader or writer is its error.
func (t *transfer) guard(done chan<- error, f func() error) {
	err := errors.New("ended its goroutine")
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
		done <- err
	}()
	err = f()
}

// send carries src to the plugin.
func (t *transfer) send(w *stream.Writer) error {
	if t.src == nil {
		return nil
	}
	_, err := w.ReadFrom(source{t})
	if own := t.own.Load(); own != nil {
		w.Abort((*own).Error())
		return *own
	}
	if err != nil {
		return err
	}
	t.sealing.Store(true)
	return w.Seal()
}

// source is src, counted.
type source struct{ t *transfer }

func (s source) Read(b []byte) (int, error) {
	n, err := s.t.src.Read(b)
	s.t.in.Add(int64(n))
	s.t.pr.moved.Add(1)
	if err != nil && err != io.EOF {
		s.t.own.CompareAndSwap(nil, &err)
	}
	return n, err
}

// receive carries what the plugin writes to dst.
func (t *transfer) receive(r *stream.Reader) error {
	if t.dst == nil {
		return nil
	}
	buf := make([]byte, copySize)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			t.pr.moved.Add(1)
			if t.bounded && t.out.Load() > slack+maxExpansion*t.in.Load() {
				return fmt.Errorf("%w: wrote more than %d bytes for %d", stream.ErrFormat, t.out.Load(), t.in.Load())
			}
			if _, err := t.dst.Write(buf[:n]); err != nil {
				t.own.CompareAndSwap(nil, &err)
				return err
			}
			t.out.Add(int64(n))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
