package keyspace

import (
	"bytes"
	"math"
	"math/bits"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// SetDeadline makes a key expire at ms, in Unix milliseconds, or never when it
// is 0. It returns false when the key does not exist.
func (d *DB) SetDeadline(key []byte, ms int64) bool {
	ms = normal(ms)
	st, h := d.st, d.ks.hash(key)
	b, pl, ok := st.find(h, key)
	if !ok {
		return false
	}
	old := b.deadline()
	if old == ms {
		return true
	}
	due := sooner(ms, st.fieldDeadlineOf(b))
	st.sumDeadline(old, ms)
	if old != 0 && ms != 0 && !st.visible(b.epoch()) {
		b.setHeader(st.shard.epoch, b.keyLen(), len(b.payload()), b[offFlags], ms)
		st.mark(h, pl, due)
		return true
	}
	r := st.newBlob(b.key(), b.typ(), b.enc(), b.payload(), len(b.payload()), 0, ms, b.clock())
	st.replace(h, pl, b, r, due)
	return true
}

// AvgTTL returns how many milliseconds are left to the keys with a deadline on
// average, 0 when that is past or there are none.
func (d *DB) AvgTTL(now int64) int64 {
	if d.st.expires == 0 {
		return 0
	}
	avg, _ := bits.Div64(d.st.ttlHi, d.st.ttlLo, uint64(d.st.expires)) // positive
	return max(int64(avg)-now, 0)                                      // an average of int64s
}

// pagesPerCycle bounds the pages one call of ExpireCycle looks at.
const pagesPerCycle = 256

// ExpireCycle removes keys whose deadline has passed and calls gone with each before
// it is removed; gone must not change the database. Of a hash with fields that have
// expired it calls fields, which removes some of them, atMost, and returns how many;
// it may change that key and no other. Keys and fields together are no more than
// atMost. It goes on where the last call stopped and returns true when it stopped
// before it was once around.
func (d *DB) ExpireCycle(now int64, atMost int, gone func(key []byte), fields func(key []byte, atMost int) int) (more bool) {
	st := d.st
	if st.expires+st.dated == 0 {
		st.expireAt = 0
		return false
	}
	removed := 0
	for range pagesPerCycle {
		at := st.expireAt
		p := st.arena.Page(arena.Ref(st.dir.pageAt(at)))
		if pageTTLs(p) > 0 && pageMinTTL(p) <= now {
			hashes, done := st.expirePage(at, now, atMost-removed, &removed, gone)
			for _, key := range hashes {
				if removed < atMost {
					removed += fields(key, atMost-removed)
				}
			}
			if !done || len(hashes) > 0 && removed >= atMost {
				return true
			}
			p = st.arena.Page(arena.Ref(st.dir.pageAt(at)))
			if pageKeys(p) <= pageMerge {
				st.mergePage(at)
				p = st.arena.Page(arena.Ref(st.dir.pageAt(at)))
			}
		}
		// A merged page may begin before at.
		step := prefixStep(pageDepth(p))
		st.expireAt = at&^(step-1) + step
		if st.expireAt == 0 {
			return false
		}
	}
	return true
}

// expirePage removes what has expired in the page at h, tightens the page's bound and
// returns the hashes of which fields have expired. done is false when it stopped at
// atMost.
func (st *store) expirePage(h uint64, now int64, atMost int, removed *int, gone func(key []byte)) (hashes [][]byte, done bool) {
	p := st.arena.Page(arena.Ref(st.dir.pageAt(h)))
	next := int64(math.MaxInt64)
	for i := firstSlot; i < len(p); {
		if p[i]&ttlBit == 0 {
			i++
			continue
		}
		b := st.blobAt(p[i])
		deadline := b.deadline()
		if deadline == 0 || deadline > now {
			deadline = sooner(deadline, st.fieldDeadlineOf(b))
			if deadline <= now {
				hashes = append(hashes, bytes.Clone(b.key()))
			}
			next = min(next, deadline)
			i++
			continue
		}
		if atMost <= 0 {
			return hashes, false
		}
		atMost--
		*removed++
		gone(b.key())
		// Another slot may have moved to i.
		st.removeAt(h, place{p, i}, b, false)
		p = st.arena.Page(arena.Ref(st.dir.pageAt(h)))
	}
	if next != pageMinTTL(p) {
		st.writablePage(h)[wordMinTTL] = uint64(next) // its bits
	}
	return hashes, true
}
