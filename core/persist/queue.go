package persist

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/core/manifest"
)

// queue is the sealed segments that the manifest names, oldest first, and which
// targets of the archive have each. It is for any goroutine.
type queue struct {
	targets int // how many are to have each segment

	mu   sync.Mutex // held for no other lock and no I/O
	all  []*entry
	last uint64 // the newest that every target has got
}

// entry is a sealed segment. What is above has does not change.
type entry struct {
	seg   manifest.Segment
	at    time.Time // when it was sealed; zero: by an earlier process
	since time.Time // its first data, roughly
	bytes int64

	// Guarded by queue.mu.
	has  map[*shipper]bool // the targets that have it
	lost bool              // it is damaged, gone, or given up: no target will get it
}

// add queues a segment unless it is queued already.
func (q *queue) add(e *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i, queued := slices.BinarySearchFunc(q.all, e.seg.ID, func(e *entry, id uint64) int { return cmp.Compare(e.seg.ID, id) })
	if !queued {
		e.has = make(map[*shipper]bool)
		q.all = slices.Insert(q.all, i, e)
	}
}

// keep drops every segment that the manifest does not name any more, and returns
// those of them that some target still lacked: they are given up.
func (q *queue) keep(named map[uint64]bool) (givenUp []*entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all = slices.DeleteFunc(q.all, func(e *entry) bool {
		if named[e.seg.ID] {
			return false
		}
		if q.waits(e) {
			e.lost = true
			givenUp = append(givenUp, e)
		}
		return true
	})
	return givenUp
}

// waits tells whether some target is still to get the segment. The caller holds mu.
func (q *queue) waits(e *entry) bool { return !e.lost && len(e.has) < q.targets }

// fate is what has become of a segment.
type fate int

const (
	unqueued fate = iota // or dropped
	waiting              // some target lacks it
	archived             // every target has it
	lost                 // no target will get it
)

// fate tells what has become of the segment of this ID.
func (q *queue) fate(id uint64) fate {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.all, func(e *entry) bool { return e.seg.ID == id })
	switch {
	case i < 0:
		return unqueued
	case q.all[i].lost:
		return lost
	case q.waits(q.all[i]):
		return waiting
	}
	return archived
}

// next is the oldest segment that the target lacks, nil if it has all.
func (q *queue) next(s *shipper) *entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.all {
		if !e.lost && !e.has[s] {
			return e
		}
	}
	return nil
}

// first is the number of the oldest segment; ok is false when there is none.
func (q *queue) first() (id uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.all) == 0 {
		return 0, false
	}
	return q.all[0].seg.ID, true
}

// delivered notes that the target has the segment.
func (q *queue) delivered(e *entry, s *shipper) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.has[s] = true
	if !q.waits(e) {
		q.last = max(q.last, e.seg.ID)
	}
}

// lose notes that no target will get the segment.
func (q *queue) lose(e *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.lost = true
}

// isLost tells whether the segment was given up meanwhile.
func (q *queue) isLost(e *entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return e.lost
}

// backlog is what waits in a queue.
type backlog struct {
	segments int
	bytes    int64
	since    time.Time // the first data in it; zero: there is none
	last     uint64    // the newest segment that every target has got
	lost     uint64    // the newest that is lost
}

func (b *backlog) add(e *entry) {
	b.segments++
	b.bytes += e.bytes
	if b.since.IsZero() || e.since.Before(b.since) {
		b.since = e.since
	}
}

// backlog is what some target lacks.
func (q *queue) backlog() backlog {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := backlog{last: q.last}
	for _, e := range q.all {
		if e.lost {
			b.lost = max(b.lost, e.seg.ID)
		} else if q.waits(e) {
			b.add(e)
		}
	}
	return b
}

// lacking is what this target lacks.
func (q *queue) lacking(s *shipper) (b backlog) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.all {
		if !e.lost && !e.has[s] {
			b.add(e)
		}
	}
	return b
}
