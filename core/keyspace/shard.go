package keyspace

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/spillwaydb/spillway/internal/turn"
)

// ErrFrozen is returned by Freeze while an earlier view of the shard is alive.
var ErrFrozen = errors.New("keyspace: a view of this shard is alive; release it first")

// Shard is a lock and the data under it: its share of every database. Who
// locks several does so in ascending order, between EnterSeveral and LeaveSeveral.
type Shard struct {
	mu    sync.Mutex
	lease *Lease // the script that the shard belongs to, see exclusive.go
	ks    *Keyspace
	dbs   []*DB

	epoch  uint32 // of what is written now
	frozen uint32 // epoch of the live view: what is not younger must not be written; 0 without one
	view   *View
	dead   []*store // flushed while a view lives
	now    int64    // latest time a command came with
	used   int64
	heap   int64 // of used: on the Go heap
	scratch

	inserted func(db int, key []byte) // see OnInsert

	published   int64 // what usedOutside holds
	usedOutside atomic.Int64
}

// Lock locks the shard.
func (s *Shard) Lock() {
	s.mu.Lock()
	if s.lease != nil {
		s.outwait(true)
	}
}

// Unlock unlocks the shard. Entries and slices got under the lock are invalid
// from then on.
func (s *Shard) Unlock() {
	if n := s.used + s.heap*s.ks.heapRoom.Load()>>roomShift; n != s.published {
		s.published = n
		s.usedOutside.Store(n)
	}
	s.mu.Unlock()
}

// DB returns the shard's part of database n. The lock is held.
func (s *Shard) DB(n int) *DB { return s.dbs[n] }

// SwapDB exchanges two databases. The lock is held.
func (s *Shard) SwapDB(a, b int) { s.dbs[a], s.dbs[b] = s.dbs[b], s.dbs[a] }

// OnInsert has f called for every key that is put into the shard and was not
// there, nil for nobody. It is under the lock of the shard, which is held now too.
func (s *Shard) OnInsert(f func(db int, key []byte)) { s.inserted = f }

// tellInserted calls what OnInsert was given.
func (s *Shard) tellInserted(st *store, key []byte) {
	for n, d := range s.dbs {
		if d.st == st {
			s.inserted(n, key)
		}
	}
}

// UsedBytes returns how many bytes keys, values and their index take, without
// what is only kept for a live view, but with the room of SetHeapRoom. It needs no lock and may lag behind who
// holds it.
func (s *Shard) UsedBytes() int64 { return s.usedOutside.Load() }

// Freeze returns a view of the shard as it is now, in constant time. The lock
// is held. While the view lives, writers copy what it can see before they
// change it. It returns ErrFrozen when a view lives already.
func (s *Shard) Freeze() (*View, error) {
	if s.view != nil {
		return nil, ErrFrozen
	}
	v := &View{shard: s}
	for n, d := range s.dbs {
		st := d.st
		if st.keys == 0 {
			continue
		}
		v.dbs = append(v.dbs, dbView{
			db: n, keys: st.keys, expires: st.expires, dated: st.dated,
			dir: st.dir, mem: st.arena.Reader, objects: st.objects,
		})
		v.keys += int64(st.keys)
	}
	if s == s.ks.shards[0] {
		v.libraries, v.following = s.ks.Libraries(), s.ks.Following()
	}
	s.view, s.frozen = v, s.epoch
	s.epoch++
	return v, nil
}

// drainStep is how many blocks are freed per lock hold: some tens of microseconds.
// After so many of them as yieldSteps others have the processor.
const (
	drainStep  = 512
	yieldSteps = 32
)

// thaw ends the life of a view: what only it could see is freed.
func (s *Shard) thaw(v *View) {
	s.Lock()
	if s.view != v {
		s.Unlock()
		return
	}
	s.view, s.frozen = nil, 0
	dead := s.dead
	s.dead = nil
	stores := make([]*store, len(s.dbs))
	for i, d := range s.dbs {
		stores[i] = d.st
		d.st.undrained()
	}
	s.Unlock()
	for _, st := range dead {
		st.close()
	}
	for _, st := range stores {
		for step, more := 1, true; more; step++ {
			s.Lock()
			more = st.drain(drainStep)
			s.Unlock()
			if step%yieldSteps == 0 {
				turn.Yield()
			}
		}
	}
}
