package keyspace

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// A position of Scan is a point in the order of hashes: the first maxDepth
// bits select the page; inside a page, keys are ordered by their print. Pages
// that split or join do not change that order, so keys present throughout are
// reported, some of them twice.
//
//	 43             12 11          0
//	+-----------------+-------------+
//	| prefix of hash  | print       |
//	+-----------------+-------------+
const scanBits = maxDepth + printBits

// Scan calls fn for about count keys from cursor on and returns the cursor to
// go on with; 0 begins and ends. Every key that is present from the first call
// to the last is reported at least once. fn must not change the database.
func (d *DB) Scan(cursor uint64, count int, fn func(key []byte, e Entry)) (next uint64) {
	st := d.st
	if st.keys == 0 {
		return 0
	}
	at := cursor >> printBits << (64 - maxDepth)
	from := cursor & (1<<printBits - 1)
	count = max(count, 1)
	empty := 0
	var slots [pageSlots]uint64
	for {
		p := st.arena.Page(arena.Ref(st.dir.pageAt(at)))
		found := slots[:0]
		for _, s := range p[firstSlot:] {
			if s != 0 && s>>printShift >= from {
				found = append(found, s)
			}
		}
		slices.Sort(found)
		for i, s := range found {
			if count <= 0 && (i == 0 || s>>printShift != found[i-1]>>printShift) {
				return at>>(64-maxDepth)<<printBits | s>>printShift
			}
			b := st.blobAt(s)
			fn(b.key(), Entry{st, b})
			count--
		}
		step := prefixStep(pageDepth(p))
		at = at&^(step-1) + step
		if at == 0 {
			return 0
		}
		from = 0
		if len(found) == 0 {
			empty++
		}
		if count <= 0 || empty > 64 {
			return at >> (64 - maxDepth) << printBits
		}
	}
}

// PackCursor makes one cursor for the whole keyspace out of a shard and the
// position that its Scan returned. A position of 0 means that the shard is
// done: the cursor is then the beginning of the next shard's, or 0 after the
// last.
func (k *Keyspace) PackCursor(shard int, pos uint64) uint64 {
	if pos == 0 {
		if shard++; shard >= len(k.shards) {
			return 0
		}
	}
	return pos*uint64(len(k.shards)) + uint64(shard) // not negative
}

// UnpackCursor tells where a cursor of PackCursor goes on. Any number is a
// valid cursor.
func (k *Keyspace) UnpackCursor(cursor uint64) (shard int, pos uint64) {
	n := uint64(len(k.shards))
	return int(cursor % n), cursor / n & (1<<scanBits - 1) // less than the number of shards
}

// Random returns a key chosen at random, nearly uniformly, or false when there
// are none. The key may be past its deadline.
func (d *DB) Random(rng *rand.Rand) (key []byte, ok bool) {
	if d.st.keys == 0 {
		return nil, false
	}
	for range 64 {
		p := d.st.arena.Page(arena.Ref(d.st.dir.pageAt(rng.Uint64())))
		if pageKeys(p) == 0 {
			continue
		}
		for range 16 {
			if s := p[firstSlot+rng.IntN(pageSlots)]; s != 0 {
				return d.st.blobAt(s).key(), true
			}
		}
	}
	d.st.sample(1, false, rng, math.MaxInt, func(k []byte, _ Entry) { key = k })
	return key, true
}

// samplePages bounds the pages that Sample looks at.
const samplePages = 256

// Sample calls fn for up to n keys from a random place on, only for keys with
// a deadline when volatile is set. It may report fewer, or none, where such
// keys are sparse. fn must not change the database.
func (d *DB) Sample(n int, volatile bool, rng *rand.Rand, fn func(key []byte, e Entry)) {
	d.st.sample(n, volatile, rng, samplePages, fn)
}

func (st *store) sample(n int, volatile bool, rng *rand.Rand, pages int, fn func(key []byte, e Entry)) {
	if st.keys == 0 || volatile && st.expires == 0 {
		return
	}
	at, covered := rng.Uint64(), uint64(0)
	for ; n > 0 && pages > 0; pages-- {
		p := st.arena.Page(arena.Ref(st.dir.pageAt(at)))
		if pageKeys(p) > 0 && (!volatile || pageTTLs(p) > 0) {
			first := rng.IntN(pageSlots)
			for i := 0; i < pageSlots && n > 0; i++ {
				s := p[firstSlot+(first+i)%pageSlots]
				if s == 0 || volatile && s&ttlBit == 0 {
					continue
				}
				b := st.blobAt(s)
				fn(b.key(), Entry{st, b})
				n--
			}
		}
		step := prefixStep(pageDepth(p))
		at += step
		// The steps of all pages add up to 2^64: once around.
		if covered += step; covered == 0 {
			return
		}
	}
}
