package host

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
	"github.com/spillwaydb/spillway/plugins/stream"
)

// Open implements sink.Sink. It returns when the plugin has found the part.
func (s *sinkClient) Open(ctx context.Context, p sink.Part, receipt sink.Receipt) (io.ReadCloser, error) {
	pr, in, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	o := &opened{t: &transfer{pr: pr, what: "open " + p.Name}, caller: ctx, id: pr.calls.Add(1), replied: make(chan reply, 1)}
	l, err := pr.listen(o.id, o.t.what)
	if err != nil {
		return nil, err
	}
	o.ctx, o.cancel = context.WithCancelCause(ctx)
	unhook := context.AfterFunc(pr.life, func() { o.cancel(context.Cause(pr.life)) })
	actx, stopAccept := context.WithCancelCause(o.ctx)
	defer stopAccept(nil)
	go func() {
		r, err := pr.sinks.Open(o.ctx, &pluginpb.OpenRequest{
			Call: &pluginpb.Call{Id: o.id, Instance: in.id}, Part: wire.Part(p), Receipt: receipt,
			Stream: &pluginpb.Stream{Socket: l.Socket(), Token: l.Token()},
		})
		o.replied <- reply{answer{written: r.GetWritten()}, err}
		afterAnswer(err, func() { stopAccept(errAnswered) })
	}()
	o.conn, err = l.Accept(actx)
	if err != nil {
		if errors.Is(err, errAnswered) {
			err = o.t.unconnected(<-o.replied)
		}
		o.cancel(err)
		unhook()
		return nil, o.t.explain(ctx, o.id, err)
	}
	breaks := context.AfterFunc(o.ctx, func() { _ = o.conn.Close() })
	o.release = func() { unhook(); breaks(); o.cancel(nil); _ = o.conn.Close() }
	return o, nil
}

// opened is a part that is being read. Its end is io.EOF only if the plugin
// says that this was all.
type opened struct {
	t       *transfer
	conn    *stream.Conn
	id      uint64
	caller  context.Context
	ctx     context.Context
	cancel  context.CancelCauseFunc
	release func()
	replied chan reply

	once sync.Once
	end  error // set by the goroutine that reads
	over bool  // the plugin has answered
}

// Read implements io.Reader.
func (o *opened) Read(b []byte) (int, error) {
	if o.end != nil {
		return 0, o.end
	}
	n, err := o.conn.In.Read(b)
	o.t.out.Add(int64(n))
	o.t.pr.moved.Add(1)
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		err = o.answer()
	} else {
		err = o.t.broken(o.ctx, err, false, o.replied)
	}
	o.end = io.EOF
	if err != nil {
		o.cancel(err)
		o.end = o.t.explain(o.caller, o.id, err)
	} else {
		o.t.pr.plugin.worked()
	}
	o.over = true
	return n, o.end
}

// answer waits for the plugin's word that all was sent.
func (o *opened) answer() error {
	select {
	case r := <-o.replied:
		if r.err != nil {
			return answeredError{r.err}
		}
		o.t.dst = io.Discard // there is a direction to be checked
		return o.t.check(o.conn, r.answer)
	case <-o.ctx.Done():
		return context.Cause(o.ctx)
	}
}

// Close implements io.Closer. The plugin has given up the part when it
// returns.
func (o *opened) Close() error {
	var err error
	o.once.Do(func() {
		o.cancel(errClosedReader)
		o.release()
		if !o.over {
			err = o.t.pr.settle(o.id, o.t.what)
		}
	})
	return err
}

// errClosedReader ends a call whose bytes nobody wants any more.
var errClosedReader = errors.New("the reader was closed")
