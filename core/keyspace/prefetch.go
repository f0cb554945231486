package keyspace

import (
	"math/bits"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// AheadMax is how many keys an Ahead has room for: what their slots
// and first lines take stays in the first level of cache.
const AheadMax = 32

// prefetchKeys is from how many keys on a store is taken not to fit a cache.
const prefetchKeys = 1 << 13

// Ahead has the processor fetch what finding a few keys reads, so that their cache misses
// overlap, where a search alone waits for one after the other.
//
//	Pages   of the keys of each shard   the headers of their pages, and their slots
//	Fetch
//	Values  of the keys of each shard   the first lines of the values that the slots name
//	Fetch                               they come while the first of the keys are used
//
// A shard is locked while its keys are looked at and need not be otherwise: to take both steps
// for one shard after the other would let the misses of a shard alone overlap. It changes nothing, and
// keys that do not exist do no harm. The zero value is ready.
type Ahead struct {
	hashes [AheadMax]uint64
	places [2 * AheadMax]arena.Place
	n      int // of places
}

// Pages takes in those of keys, of which there are AheadMax at most, that have a bit in
// which. They are of d's shard, which is locked.
func (a *Ahead) Pages(d *DB, keys [][]byte, which uint64) {
	st := d.st
	if st.keys < prefetchKeys {
		return
	}
	for ; which != 0; which &= which - 1 {
		i := bits.TrailingZeros64(which)
		h := d.ks.hash(keys[i])
		a.hashes[i%AheadMax] = h
		a.page(st, h)
	}
}

// page takes in the page of a key with hash h.
func (a *Ahead) page(st *store, h uint64) {
	at := st.arena.Place(arena.Ref(st.dir.pageAt(h)))
	a.add(at, at+arena.Place(home(h<<(64-printBits))*8))
}

// Values is for keys of which Pages was called before the Fetch, with the same d, which
// may have changed since. Its shard is locked.
func (a *Ahead) Values(d *DB, which uint64) {
	st := d.st
	if st.keys < prefetchKeys {
		return
	}
	for ; which != 0; which &= which - 1 {
		h := a.hashes[bits.TrailingZeros64(which)%AheadMax]
		p := st.arena.Page(arena.Ref(st.dir.pageAt(h)))
		slot := home(h << (64 - printBits))
		for want := tag(h, pageBase(p)); p[slot] != 0; slot = nextSlot(slot) {
			if (p[slot]^want)>>tagShift == 0 {
				at := st.arena.Place(slotRef(p[slot]))
				a.add(at, at+arena.Line)
				break
			}
		}
	}
}

func (a *Ahead) add(first, second arena.Place) {
	a.places[a.n], a.places[a.n+1] = first, second
	a.n += 2
}

// Fetch fetches what was found since the last one. No lock need be held.
func (a *Ahead) Fetch() {
	arena.Fetch(a.places[:a.n])
	a.n = 0
}

// Prefetch looks ahead at any number of keys of one database. The shard's lock is held, and
// should stay so until the keys are used.
func (d *DB) Prefetch(keys [][]byte) {
	var a Ahead
	for len(keys) > 0 {
		n := min(len(keys), AheadMax)
		which := uint64(1)<<n - 1
		a.Pages(d, keys[:n], which)
		a.Fetch()
		a.Values(d, which)
		a.Fetch()
		keys = keys[n:]
	}
}
