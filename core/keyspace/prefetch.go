package keyspace

import "github.com/spillwaydb/spillway/core/keyspace/arena"

// prefetchMax is how many keys Prefetch looks at in one go: what their slots
// and first lines take stays in the first level of cache.
const prefetchMax = 32

// prefetchKeys is from how many keys on a store is taken not to fit a cache.
const prefetchKeys = 1 << 13

// Prefetch has the processor fetch what finding these keys reads: the pages' headers and
// slots of all of them, then the first lines of all their values, so that the
// cache misses of each pass overlap, where a search alone waits for one after the
// other. Those of the second are not waited for: they come while the first of the keys are
// used. It changes nothing, and keys that do not exist do no harm. The shard's
// lock is held, and should stay so until the keys are used.
func (d *DB) Prefetch(keys [][]byte) {
	st := d.st
	if st.keys < prefetchKeys {
		return
	}
	for len(keys) > 0 {
		n := min(len(keys), prefetchMax)
		d.prefetch(keys[:n])
		keys = keys[n:]
	}
}

func (d *DB) prefetch(keys [][]byte) {
	st := d.st
	var hashes [prefetchMax]uint64
	var pages [prefetchMax]arena.Ref
	var places [2 * prefetchMax]arena.Place
	for i, key := range keys {
		h := d.ks.hash(key)
		hashes[i], pages[i] = h, arena.Ref(st.dir.pageAt(h))
		places[2*i], places[2*i+1] = st.slotPlaces(pages[i], h)
	}
	arena.Fetch(places[:2*len(keys)])
	values := places[:0]
	for i, h := range hashes[:len(keys)] {
		p := st.arena.Page(pages[i])
		slot := home(h << (64 - printBits))
		for want := tag(h, pageBase(p)); p[slot] != 0; slot = nextSlot(slot) {
			if (p[slot]^want)>>tagShift == 0 {
				at := st.arena.Place(slotRef(p[slot]))
				values = append(values, at, at+arena.Line)
				break
			}
		}
	}
	arena.Fetch(values)
}

// slotPlaces is what finding the key with hash h reads of its page: the header, and the home
// of its slot.
func (st *store) slotPlaces(page arena.Ref, h uint64) (header, slot arena.Place) {
	at := st.arena.Place(page)
	return at, at + arena.Place(home(h<<(64-printBits))*8)
}
