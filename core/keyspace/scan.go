package keyspace

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// A position of Scan is a page and a print: what is before the page has been
// reported, and of the page what has a smaller print. Pages are in the order of
// their prefixes, the first bits of the hashes in them.
//
//	 44                       12 11          0
//	+-----------------+-+-------+-------------+
//	| prefix of page  |1| 0 … 0 | print       |
//	+-----------------+-+-------+-------------+
//
// The last 1 ends the prefix, which has up to maxDepth bits. When the page has been
// split since, its prefix names the first part, and the others are reported whole:
// some keys come twice. When it has joined its sibling, keys with smaller prints have
// come to it which were not reported: it is begun again.
const scanBits = maxDepth + 1 + printBits

// scanPosition is the position of a page with a prefix of depth bits, that of the
// hash at, and the print low in it.
func scanPosition(at uint64, depth uint, low uint64) uint64 {
	prefix := at>>(63-maxDepth)&^(1<<(maxDepth+1-depth)-1) | 1<<(maxDepth-depth)
	return prefix<<printBits | low
}

// scanPlace undoes scanPosition. Any number is a position; 0 is the beginning.
func scanPlace(pos uint64) (at uint64, depth uint, low uint64) {
	prefix := pos >> printBits & (1<<(maxDepth+1) - 1)
	if prefix == 0 {
		return 0, 0, 0
	}
	end := uint(bits.TrailingZeros64(prefix)) // not negative
	return (prefix - 1<<end) << (63 - maxDepth), maxDepth - end, pos & (1<<printBits - 1)
}

// scanEmpty bounds the empty pages that are passed over in one call.
const scanEmpty = 64

// Scan calls fn for about count keys from cursor on and returns the cursor to
// go on with; 0 begins and ends. Every key that is present from the first call
// to the last is reported at least once. fn must not change the database.
func (d *DB) Scan(cursor uint64, count int, fn func(key []byte, e Entry)) (next uint64) {
	st := d.st
	if st.keys == 0 {
		return 0
	}
	at, depth, from := scanPlace(cursor)
	count = max(count, 1)
	empty := 0
	var slots [pageSlots]uint64
	for {
		p := st.arena.Page(arena.Ref(st.dir.pageAt(at)))
		if pageDepth(p) < depth {
			from = 0
		}
		found := slots[:0]
		for _, s := range p[firstSlot:] {
			if s != 0 && s>>printShift >= from {
				found = append(found, s)
			}
		}
		slices.Sort(found)
		for i, s := range found {
			if count <= 0 && (i == 0 || s>>printShift != found[i-1]>>printShift) {
				return scanPosition(at, pageDepth(p), s>>printShift)
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
		from, depth = 0, 0
		if len(found) == 0 {
			empty++
		}
		if count <= 0 || empty > scanEmpty {
			return scanPosition(at, maxDepth, 0)
		}
	}
}

// Walk is a way through all keys of a database in the order of their hashes: in
// steps, between which the database may change. A key that is there all the while is
// met once, and none is met twice. The zero Walk is at the beginning.
type Walk struct {
	at    uint64 // the hash that the next step begins with
	Ended bool
}

// Step goes on with w: it calls fn for the keys of the next pages until it has met
// atLeast, and at the end sets Ended. The last page, which has some hundreds of keys
// at most, is met whole. fn must not change the database.
func (d *DB) Step(w *Walk, atLeast int, fn func(key []byte, e Entry)) {
	st := d.st
	if st.keys == 0 {
		w.Ended = true
		return
	}
	met, empty := 0, 0
	for met < atLeast && empty < scanEmpty {
		p := st.arena.Page(arena.Ref(st.dir.pageAt(w.at)))
		step := prefixStep(pageDepth(p))
		// A page that has joined its sibling may begin before.
		joined := w.at&^(step-1) != w.at
		for _, s := range p[firstSlot:] {
			if s == 0 {
				continue
			}
			if b := st.blobAt(s); !joined || d.ks.hash(b.key()) >= w.at {
				fn(b.key(), Entry{st, b})
			}
		}
		if met += pageKeys(p); pageKeys(p) == 0 {
			empty++
		}
		if w.at = w.at&^(step-1) + step; w.at == 0 {
			w.Ended = true
			return
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
