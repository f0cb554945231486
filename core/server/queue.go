package server

import "github.com/spillwaydb/spillway/core/resp"

// fewBytes is up to how much a queue keeps in memory of its own size.
const fewBytes = 64 << 10

// queue is messages that wait: a few bytes of them lie in one slice, more in
// chunks.
type queue struct {
	many    chunks
	few     []byte // empty unless many is
	awaited bool   // a reply is in it for which the connection waits
}

func (q *queue) size() int { return q.many.n + len(q.few) }

// append copies p behind what is there. False means that there must not be more.
func (q *queue) append(p []byte) bool {
	if q.many.n > 0 || len(q.few)+len(p) > fewBytes {
		return q.pack() && q.many.Append(p)
	}
	had := cap(q.few)
	q.few = append(q.few, p...)
	return q.many.held(cap(q.few) - had)
}

// add takes everything that is in c, and copies p behind it.
func (q *queue) add(c *chunks, p []byte) bool {
	if c.n == 0 {
		return q.append(p)
	}
	return q.pack() && q.many.move(c) && q.many.Append(p)
}

// to moves everything behind the replies in out.
func (q *queue) to(out *resp.Writer) {
	for p := q.many.front(); len(p) > 0; p = q.many.front() {
		out.Raw(p)
		q.many.left(len(p))
	}
	out.Raw(q.few)
	q.few = q.few[:0]
}

// pack moves the few bytes into chunks.
func (q *queue) pack() bool {
	ok := q.many.Append(q.few)
	q.many.held(-cap(q.few))
	q.few = nil
	return ok
}

// free drops what is there and gives its memory back.
func (q *queue) free() {
	q.many.Truncate(0)
	q.many.held(-cap(q.few))
	q.few = nil
}
