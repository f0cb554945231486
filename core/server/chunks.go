package server

import (
	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/core/resp"
)

// chunks is a queue of bytes that leave from where they lie: they were copied in once, or
// are on loan. Its memory is not the Go heap's: what was sent is given back chunk by
// chunk, and what is large is never moved to a larger place.
type chunks struct {
	list []piece
	head int // bytes of the first piece that have left
	n    int // bytes in the queue

	// held is told how much memory was taken, or given back if negative. What is on loan
	// counts in full: it may be nobody else's by now. False
	// means that there must not be more of it. It may be nil.
	held func(delta int) bool
}

// piece is bytes that lie in a row. What is behind them, up to mem's capacity, is room for
// more.
type piece struct {
	mem   []byte
	cost  int         // what held was told
	chunk arena.Chunk // that mem begins with, if any
	loan  resp.Loan   // that mem is on, or nil
}

// fewBehind is how much room what comes behind a loan gets at first: mostly it is the
// end of a reply and the beginning of the next one, which are not worth a chunk.
const fewBehind = 512

var _ resp.Spill = (*chunks)(nil)

// Append implements resp.Spill.
func (q *chunks) Append(b []byte) bool {
	for len(b) > 0 {
		last := len(q.list) - 1
		if last < 0 || len(q.list[last].mem) == cap(q.list[last].mem) {
			few := last >= 0 && q.list[last].loan != nil && len(b) <= fewBehind
			if !q.extend(few) {
				return false
			}
			last++
		}
		p := &q.list[last]
		at := len(p.mem)
		m := copy(p.mem[at:cap(p.mem)], b)
		p.mem = p.mem[:at+m]
		b = b[m:]
		q.n += m
	}
	return true
}

// extend puts an empty piece behind the others.
func (q *chunks) extend(few bool) bool {
	cost := arena.ChunkSize
	if few {
		cost = fewBehind
	}
	if !q.hold(cost) {
		return false
	}
	p := piece{cost: cost}
	if few {
		p.mem = make([]byte, 0, fewBehind)
	} else {
		p.chunk = arena.TakeChunk()
		p.mem = p.chunk.Bytes()[:0]
	}
	q.list = append(q.list, p)
	return true
}

// hold is held, which has counted nothing where it refuses.
func (q *chunks) hold(delta int) bool {
	if q.held == nil || q.held(delta) {
		return true
	}
	q.held(-delta)
	return false
}

// Lend implements resp.Spill.
func (q *chunks) Lend(head, b []byte, loan resp.Loan) bool {
	few := len(q.list) == 0 && len(head) <= fewBehind
	if few && !q.extend(true) || !q.Append(head) || !q.hold(len(b)) {
		loan.Return()
		return false
	}
	q.list = append(q.list, piece{mem: b[:len(b):len(b)], cost: len(b), loan: loan})
	q.n += len(b)
	return true
}

// Truncate implements resp.Spill.
func (q *chunks) Truncate(n int) {
	q.n = n
	keep, left := 0, q.head+n
	if n == 0 {
		left, q.head = 0, 0
	}
	for ; left > 0; keep++ {
		p := &q.list[keep]
		if left < len(p.mem) {
			p.mem = p.mem[:left]
			if p.loan != nil { // it has no room
				p.mem = p.mem[:left:left]
			}
		}
		left -= len(p.mem)
	}
	for _, p := range q.list[keep:] {
		q.give(p)
	}
	clear(q.list[keep:])
	q.list = q.list[:keep]
	if keep == 0 {
		q.list = nil
	}
}

// front is what leaves next: as much as lies in a row.
func (q *chunks) front() []byte {
	if q.n == 0 {
		return nil
	}
	return q.list[0].mem[q.head:]
}

// left drops m bytes of front.
func (q *chunks) left(m int) {
	q.head += m
	q.n -= m
	if q.head == len(q.list[0].mem) {
		q.give(q.list[0])
		q.list[0] = piece{}
		q.list = q.list[1:]
		q.head = 0
	}
}

// move appends everything in o, which is empty afterwards.
func (q *chunks) move(o *chunks) bool {
	if q.n == 0 {
		q.list, q.head, q.n = o.list, o.head, o.n
		o.list, o.head, o.n = nil, 0, 0
		return true
	}
	for o.n > 0 {
		b := o.front()
		if p := o.list[0]; p.loan != nil { // the memory that it counts for remains counted
			p.mem = b
			q.list = append(q.list, p)
			q.n += len(b)
			o.n -= len(b)
			o.head = 0
			o.list[0] = piece{}
			o.list = o.list[1:]
			continue
		}
		if !q.Append(b) {
			return false
		}
		o.left(len(b))
	}
	return true
}

func (q *chunks) give(p piece) {
	switch {
	case p.loan != nil:
		p.loan.Return()
	case p.chunk.Bytes() != nil:
		arena.GiveChunk(p.chunk)
	}
	if q.held != nil {
		q.held(-p.cost)
	}
}
