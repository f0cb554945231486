package arena

import (
	"math/bits"
)

// span is 64 KiB cut into blocks of one class. Its number is the chunk's times
// spansPerChunk plus its place in it; 0 is none, as no chunk is 0.
type span struct {
	free       uint16 // first free block, as its offset / granule + 1; 0: none
	fresh      uint16 // blocks from this one on were never handed out
	used       uint16 // blocks handed out
	class      uint8
	listed     bool   // is in the list of its class: has a block to give
	next, prev uint32 // in that list
}

func (a *Arena) span(n uint32) *span {
	return &a.chunks[n/spansPerChunk].spans[n%spansPerChunk]
}

func (a *Arena) allocSmall(class int) Ref {
	n := a.partial[class]
	if n == 0 {
		n = a.takeSpan(class)
	}
	s := a.span(n)
	size := int(classSizes[class])
	first := int(n%spansPerChunk) * spanSize
	var r Ref
	if s.free != 0 {
		r = ref(n/spansPerChunk, first+int(s.free-1)*granule)
		s.free = *(*uint16)(a.at(r))
	} else {
		r = ref(n/spansPerChunk, first+int(s.fresh)*size)
		s.fresh++
	}
	s.used++
	if !s.hasRoom() {
		a.unlist(s)
	}
	a.used += int64(size)
	return r
}

func (a *Arena) freeSmall(n uint32, c *chunk, r Ref) {
	n = n*spansPerChunk + uint32(r>>12&(spansPerChunk-1)) // 4 bits
	s := &c.spans[n%spansPerChunk]
	*(*uint16)(a.at(r)) = s.free
	s.free = uint16(r&0xfff) + 1 // 12 bits
	s.used--
	a.used -= int64(classSizes[s.class])
	if c.thin {
		if s.used == 0 {
			c.free |= 1 << (n % spansPerChunk)
			if c.free == 1<<spansPerChunk-1 {
				a.dropChunk(n / spansPerChunk)
			}
		}
		return
	}
	if !s.listed {
		a.list(n, s)
	}
	// The last span of a class stays, so that a value set and deleted over and
	// over does not take and give back a span each time.
	if s.used == 0 && (s.next != 0 || s.prev != 0) {
		a.unlist(s)
		a.giveSpan(n, c)
	}
}

func (a *Arena) list(n uint32, s *span) {
	s.listed = true
	s.prev, s.next = 0, a.partial[s.class]
	if s.next != 0 {
		a.span(s.next).prev = n
	}
	a.partial[s.class] = n
}

func (a *Arena) unlist(s *span) {
	s.listed = false
	if s.prev != 0 {
		a.span(s.prev).next = s.next
	} else {
		a.partial[s.class] = s.next
	}
	if s.next != 0 {
		a.span(s.next).prev = s.prev
	}
	s.next, s.prev = 0, 0
}

// takeSpan makes a free span one of the class and returns its number.
func (a *Arena) takeSpan(class int) uint32 {
	for len(a.spare) > 0 {
		id := a.spare[len(a.spare)-1]
		c := a.chunks[id]
		if c != nil && c.kind == kindSpans && c.free != 0 && !c.thin {
			return a.cut(id, c, class)
		}
		a.spare = a.spare[:len(a.spare)-1]
		if c != nil {
			c.spare = false
		}
	}
	id, c := a.addChunk(mapChunk(a.small))
	c.spans = new([spansPerChunk]span)
	c.free = 1<<spansPerChunk - 1
	c.spare = true
	a.spare = append(a.spare, id)
	a.empty++
	return a.cut(id, c, class)
}

func (a *Arena) cut(id uint32, c *chunk, class int) uint32 {
	if c.free == 1<<spansPerChunk-1 {
		a.empty--
	}
	i := bits.TrailingZeros16(c.free)
	c.free &^= 1 << i
	c.spans[i] = span{class: uint8(class)} // fewer than 256
	n := id*spansPerChunk + uint32(i)      // i < 16
	a.list(n, &c.spans[i])
	return n
}

// giveSpan takes back an empty span, and gives back its chunk when that is
// empty too and the arena keeps enough of those.
func (a *Arena) giveSpan(n uint32, c *chunk) {
	id := n / spansPerChunk
	c.free |= 1 << (n % spansPerChunk)
	if c.free == 1<<spansPerChunk-1 {
		if a.empty > a.keptEmpty() {
			// Its entry in spare may name another chunk by then: takeSpan looks.
			a.dropChunk(id)
			return
		}
		a.empty++
	}
	if a.small {
		first := int(n%spansPerChunk) * spanSize
		discard(c.mem.bytes()[first : first+spanSize])
	}
	if !c.spare {
		c.spare = true
		a.spare = append(a.spare, id)
	}
}

// keptEmpty is how many empty chunks stay for what comes next: a sixteenth.
func (a *Arena) keptEmpty() int { return (len(a.chunks) - len(a.unused)) / 16 }
