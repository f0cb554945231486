package setstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cenkalti/backoff/v5"

	"github.com/spillwaydb/spillway/core/sink"
)

// ranges reads a large file by several requests at once, each for a range of it, and
// hands it out in order. It fetches ahead by one range at first, and by more, up to the
// sink's Ranges, as often as its reader has to wait: one that reads slowly, because of a
// rate for instance, has little fetched ahead. A range that breaks off is gone on with
// from there, while the others stay. It is for one goroutine.
type ranges struct {
	sink   *Sink
	store  Ranger
	name   string
	size   int64
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // fetching

	next   int64    // where the first range that nobody fetches begins
	queue  []*piece // being fetched, or fetched and not read, in order
	ahead  int      // how many of them there may be
	unread []byte   // of the piece at the front, which is in whole
	free   [][]byte // memory of those that were read
	err    error
}

// piece is one range. Its goroutine has it until done is closed.
type piece struct {
	off  int64
	buf  []byte
	done chan struct{}
	err  error
}

// openRanges opens a part that is large enough for that by ranges. nil means that it is
// to be read in one stream: the receipt does not say that it is large, or the first range
// cannot be had, of which Open may make more, or a better error.
func (s *Sink) openRanges(ctx context.Context, name string, receipt sink.Receipt) io.ReadCloser {
	store, can := s.store.(Ranger)
	var put Object
	if !can || s.opts.Ranges < 2 || s.opts.RangeSize < 1 || json.Unmarshal(receipt, &put) != nil || put.Bytes <= s.opts.RangeSize {
		return nil
	}
	r := &ranges{sink: s, store: store, name: name, ahead: 2}
	r.ctx, r.cancel = context.WithCancel(ctx)
	first, err := r.open(0, s.opts.RangeSize)
	if err != nil {
		r.cancel()
		if !errors.Is(err, errors.ErrUnsupported) {
			s.opts.Logger.Debug("a range cannot be read; the part is read in one stream", "sink", s.opts.Name, "path", name, "error", err)
		}
		return nil
	}
	r.fetch(first)
	return r
}

// open opens a range. The first one says how large the file is.
func (r *ranges) open(off, n int64) (io.ReadCloser, error) {
	return r.sink.openBy(r.ctx, r.name, func(ctx context.Context) (io.ReadCloser, error) {
		rc, size, err := r.store.OpenRange(ctx, r.name, off, n)
		if err != nil {
			return nil, err
		}
		if r.size == 0 {
			r.size = size
		}
		if size != r.size {
			return nil, errors.Join(fmt.Errorf("%w: it had %d bytes, and now %d", sink.ErrCorrupt, r.size, size), rc.Close())
		}
		return rc, nil
	})
}

// fetch begins to fetch the next range, which may be open already.
func (r *ranges) fetch(opened io.ReadCloser) {
	n := min(r.sink.opts.RangeSize, r.size-r.next)
	p := &piece{off: r.next, done: make(chan struct{})}
	if last := len(r.free) - 1; last >= 0 {
		p.buf, r.free = r.free[last][:n], r.free[:last]
	} else {
		p.buf = make([]byte, n)
	}
	r.next += n
	r.queue = append(r.queue, p)
	r.wg.Go(func() {
		defer close(p.done)
		p.err = r.fill(p, opened)
	})
}

// fill fetches a piece, and goes on where it broke off.
func (r *ranges) fill(p *piece, rc io.ReadCloser) error {
	have := 0
	_, err := again(r.ctx, r.sink, "read", r.name, func() (struct{}, error) {
		if rc == nil {
			var err error
			if rc, err = r.open(p.off+int64(have), int64(len(p.buf)-have)); err != nil {
				return struct{}{}, backoff.Permanent(err) // it was tried often enough
			}
		}
		n, err := io.ReadFull(rc, p.buf[have:])
		have += n
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = sink.Transient(fmt.Errorf("%d bytes of a range are missing: %w", len(p.buf)-have, io.ErrUnexpectedEOF))
		}
		cerr := rc.Close()
		if rc = nil; have == len(p.buf) {
			err = nil
		} else if err == nil {
			err = cerr
		}
		return struct{}{}, verdict(r.ctx, r.ctx, err)
	})
	return err
}

// Read implements io.Reader.
func (r *ranges) Read(b []byte) (int, error) {
	for len(r.unread) == 0 {
		if r.err == nil {
			r.err = r.turn()
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(b, r.unread)
	r.unread = r.unread[n:]
	return n, nil
}

// turn goes on with the next piece, and waits until it is there.
func (r *ranges) turn() error {
	if r.unread != nil { // the front was read
		r.free = append(r.free, r.queue[0].buf)
		r.queue, r.unread = r.queue[1:], nil
	}
	r.fetchAhead()
	if len(r.queue) == 0 {
		return io.EOF
	}
	p := r.queue[0]
	select {
	case <-p.done:
	default:
		if p.off > 0 { // the first is waited for by everybody
			r.ahead = min(r.ahead+1, r.sink.opts.Ranges)
			r.fetchAhead()
		}
		<-p.done
	}
	if p.err != nil {
		return p.err
	}
	r.unread = p.buf
	return nil
}

func (r *ranges) fetchAhead() {
	for len(r.queue) < r.ahead && r.next < r.size {
		r.fetch(nil)
	}
}

// Close implements io.Closer.
func (r *ranges) Close() error {
	r.cancel()
	r.wg.Wait()
	if r.err == nil {
		r.err = errClosed
	}
	r.queue, r.unread, r.free = nil, nil, nil
	return nil
}

var errClosed = errors.New("the part was closed")
