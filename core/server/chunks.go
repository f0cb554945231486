package server

import (
	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/core/resp"
)

// chunks is a queue of bytes that are copied in once and leave from where they
// lie. Its memory is not the Go heap's: what was sent is given back chunk by
// chunk, and what is large is never moved to a larger place.
type chunks struct {
	list []arena.Chunk
	head int // bytes of the first chunk that have left
	n    int // bytes in the queue

	// held is told how much memory was taken, or given back if negative. False
	// means that there must not be more of it. It may be nil.
	held func(delta int) bool
}

var _ resp.Spill = (*chunks)(nil)

// Append implements resp.Spill.
func (q *chunks) Append(b []byte) bool {
	for len(b) > 0 {
		at := q.head + q.n
		if at == len(q.list)*arena.ChunkSize {
			if q.held != nil && !q.held(arena.ChunkSize) {
				q.held(-arena.ChunkSize)
				return false
			}
			q.list = append(q.list, arena.TakeChunk())
		}
		m := copy(q.list[at/arena.ChunkSize].Bytes()[at%arena.ChunkSize:], b)
		b = b[m:]
		q.n += m
	}
	return true
}

// Truncate implements resp.Spill.
func (q *chunks) Truncate(n int) {
	q.n = n
	keep := (q.head + n + arena.ChunkSize - 1) / arena.ChunkSize
	if n == 0 {
		keep, q.head = 0, 0
	}
	for _, c := range q.list[keep:] {
		q.give(c)
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
	return q.list[0].Bytes()[q.head:min(q.head+q.n, arena.ChunkSize)]
}

// left drops m bytes of front.
func (q *chunks) left(m int) {
	q.head += m
	q.n -= m
	if q.head == arena.ChunkSize || q.n == 0 {
		q.give(q.list[0])
		q.list[0] = arena.Chunk{}
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
		if !q.Append(b) {
			return false
		}
		o.left(len(b))
	}
	return true
}

func (q *chunks) give(c arena.Chunk) {
	arena.GiveChunk(c)
	if q.held != nil {
		q.held(-arena.ChunkSize)
	}
}
