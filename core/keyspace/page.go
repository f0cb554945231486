package keyspace

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// A page is 4 KiB of the index: a header and an open-addressing table of slots
// with linear probing. A slot is zero when free, else
//
//	 63      52 51         37  36  35                 0
//	+----------+-------------+---+--------------------+
//	| print 12 | window 15   | T | arena reference    |     T: the blob has a deadline
//	+----------+-------------+---+--------------------+
//
// The print is the low bits of the key's hash, and gives the slot its home: the
// home grows with the print. The window is hash bits from the page's base on,
// so that pages split 15 times without looking at a key.
type page = arena.Page

const (
	pageSlots  = 508
	firstSlot  = 4 // words of header before the slots
	pageFull   = pageSlots * 9 / 10
	pageMerge  = pageSlots / 8 // at this many keys a page looks for a sibling to join
	mergedFull = pageSlots / 2 // and they join when they have no more than this together

	printBits  = 12
	windowBits = 15
	ttlBit     = 1 << arena.RefBits
	refMask    = ttlBit - 1
	tagShift   = arena.RefBits + 1
	printShift = tagShift + windowBits

	// maxDepth is how many hash bits may select a page: cursors have so many.
	maxDepth = 32
)

// Words of the header.
const (
	wordEpoch  = 0 // epoch 0–31, depth 32–39, base 40–47
	wordCounts = 1 // keys 0–31, keys with a deadline 32–63
	wordMinTTL = 2 // no deadline in the page is before this
)

func pageEpoch(p *page) uint32 { return uint32(p[wordEpoch]) } // the low half
func pageDepth(p *page) uint   { return uint(p[wordEpoch] >> 32 & 0xff) }
func pageBase(p *page) uint    { return uint(p[wordEpoch] >> 40 & 0xff) }
func pageKeys(p *page) int     { return int(uint32(p[wordCounts])) } // the low half
func pageTTLs(p *page) int     { return int(p[wordCounts] >> 32) }   // the high half

func pageMinTTL(p *page) int64 { return int64(p[wordMinTTL]) } // the bits of a signed number

func initPage(p *page, epoch uint32, depth, base uint) {
	*p = page{}
	p[wordEpoch] = uint64(epoch) | uint64(depth)<<32 | uint64(base)<<40
	p[wordMinTTL] = math.MaxInt64
}

// noteDeadline makes the page's bound cover a deadline, 0 for none.
func noteDeadline(p *page, deadline int64) {
	if deadline != 0 && deadline < pageMinTTL(p) {
		p[wordMinTTL] = uint64(deadline) // its bits
	}
}

// tag is the upper part of the slot of a key with hash h in a page with the
// given base, in place.
func tag(h uint64, base uint) uint64 {
	return h<<(64-printBits) | h<<(base&63)>>(64-windowBits)<<tagShift
}

// home is where the slot of a tag would be if nothing were in its way.
func home(tag uint64) int {
	return firstSlot + int(tag>>printShift*pageSlots>>printBits) // less than pageSlots
}

func slotRef(s uint64) arena.Ref { return arena.Ref(s & refMask) }

func nextSlot(i int) int {
	if i++; i == firstSlot+pageSlots {
		return firstSlot
	}
	return i
}

// addSlot puts a slot into a page that has room.
func addSlot(p *page, s uint64) {
	i := home(s)
	for p[i] != 0 {
		i = nextSlot(i)
	}
	p[i] = s
	p[wordCounts] += 1 + (s & ttlBit >> arena.RefBits << 32)
}

// removeSlot frees slot i and closes the gap: slots behind it that had to make
// way move up.
func removeSlot(p *page, i int) {
	p[wordCounts] -= 1 + (p[i] & ttlBit >> arena.RefBits << 32)
	for j := nextSlot(i); p[j] != 0; j = nextSlot(j) {
		// The slot at j may move to i unless its home lies cyclically in (i, j].
		h := home(p[j])
		if i < j && i < h && h <= j || i > j && (i < h || h <= j) {
			continue
		}
		p[i] = p[j]
		i = j
	}
	p[i] = 0
}

// setSlot replaces slot i by another of the same tag.
func setSlot(p *page, i int, s uint64) {
	p[wordCounts] -= p[i] & ttlBit >> arena.RefBits << 32
	p[wordCounts] += s & ttlBit >> arena.RefBits << 32
	p[i] = s
}
