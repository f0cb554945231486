package keyspace

import "github.com/spillwaydb/spillway/core/keyspace/arena"

// prefetchMax is how many keys Prefetch looks at in one go: what their slots
// and first lines take stays in the first level of cache.
const prefetchMax = 32

// prefetchKeys is from how many keys on a store is taken not to fit a cache.
const prefetchKeys = 1 << 13

// Prefetch brings what finding these keys reads into the processor's cache: the
// index slots of all of them, then the headers of all their values, so that the
// cache misses of one pass overlap where a search alone waits for one after the
// other. It changes nothing, and keys that do not exist do no harm. The shard's
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
	var pages [prefetchMax]*page
	var seen uint64 // what is loaded must be used, or it is not loaded
	for i, key := range keys {
		h := d.ks.hash(key)
		p := st.arena.Page(arena.Ref(st.dir.pageAt(h)))
		hashes[i], pages[i] = h, p
		seen += p[home(h<<(64-printBits))] + p[wordEpoch]
	}
	for i, h := range hashes[:len(keys)] {
		p := pages[i]
		slot := home(h << (64 - printBits))
		for want := tag(h, pageBase(p)); p[slot] != 0; slot = nextSlot(slot) {
			if (p[slot]^want)>>tagShift == 0 {
				seen += uint64(st.arena.Header(slotRef(p[slot]))[offFlags])
				break
			}
		}
	}
	st.shard.prefetched += seen
}
