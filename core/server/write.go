package server

import (
	"errors"
	"os"
	"time"
)

// writeChunks writes what is in q, and gives back what was written.
func (b *mailbox) writeChunks(q *chunks) bool {
	for p := q.front(); len(p) > 0; p = q.front() {
		if !b.write(p) {
			return false
		}
		q.left(len(p))
	}
	return true
}

// write writes p, as long as the client takes something before the idle timeout
// and is not over the soft limit for too long.
func (b *mailbox) write(p []byte) bool {
	var since time.Time // the last progress, as far as a timeout matters
	for len(p) > 0 {
		b.arm(&since)
		m, err := b.writeOnce(p, b.conn.nc.Write)
		p = p[m:]
		if m > 0 {
			since = time.Time{}
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		// For too long, or woken because a limit has changed.
		now := b.conn.now()
		if t := b.conn.idleTimeout(); t > 0 && !since.IsZero() && now.Sub(since) >= t {
			b.conn.srv.log.Debug("client closed: it does not read its replies", "client", b.conn.ID(), "addr", b.conn.addr(), "timeout", t)
			return false
		}
		b.mu.Lock()
		soft, gone := b.soft, b.gone
		b.mu.Unlock()
		if pending := b.pending.Load(); !gone && b.limit().exceeded(pending, soft, now) {
			return b.tooMuch(pending)
		}
	}
	return true
}

// writeOnce writes as much of p as write does before its deadline, and counts it.
func (b *mailbox) writeOnce(p []byte, write func([]byte) (int, error)) (n int, err error) {
	if len(p) > 0 {
		n, err = write(p)
		b.conn.srv.writes.Add(1)
	}
	b.pending.Add(-int64(n))
	b.conn.srv.bytesOut.Add(int64(n))
	return n, err
}

// arm sets until when the next write may block. Where nothing limits it, which
// is the common case, it costs three loads.
func (b *mailbox) arm(since *time.Time) {
	if b.conn.idleTimeout() == 0 && b.limit().soft <= 0 && b.deadline.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var by time.Time
	if t := b.conn.idleTimeout(); t > 0 {
		if since.IsZero() {
			*since = b.conn.now()
		}
		by = since.Add(t)
	}
	if limit := b.limit(); limit.soft <= 0 || b.pending.Load() <= limit.soft {
		b.soft = time.Time{}
	} else {
		if b.soft.IsZero() {
			b.soft = b.conn.now()
		}
		if end := b.soft.Add(limit.softFor); by.IsZero() || end.Before(by) {
			by = end
		}
	}
	b.setDeadline(by)
}

// setDeadline makes writes fail from by on, and those that are blocked too; zero
// is never. mu is held.
func (b *mailbox) setDeadline(by time.Time) {
	var n int64
	if !by.IsZero() {
		n = by.UnixNano()
	}
	if n != b.deadline.Load() {
		b.deadline.Store(n)
		_ = b.conn.nc.SetWriteDeadline(by)
	}
}

// wake makes a write that is blocked look at the timeout and the limits again.
// Any goroutine.
func (b *mailbox) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.setDeadline(time.Unix(1, 0))
}
