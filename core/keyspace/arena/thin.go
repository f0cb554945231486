package arena

// Memory goes back to the system a chunk at a time, so a chunk with one block left
// costs as much as a full one: after most of many blocks were freed in no order,
// nearly all of the memory is still taken. The arena knows which chunks these are
// and its owner where the references to their blocks stand, so both together empty
// them: the arena names chunks that are thin and puts nothing into them any more
// (Thin); the owner moves what lies there (InThin), and a chunk is given back with
// its last block; what is left takes blocks again (Settle).

const (
	// thinWaste is how much memory without a block is nobody's concern: the last
	// span of every class and what is about to be used.
	thinWaste = 16 << 20
	// thinShare is the share of the blocks' bytes that may lie idle beside them.
	thinShare = 4
	// thinFull is how full a chunk of chunkSize bytes may be to be worth emptying.
	thinFull = chunkSize / 4 * 3
)

// Wasteful tells whether enough memory is without a block for Thin to look for
// chunks: 16 MiB, and a quarter of what the blocks take.
func (a *Arena) Wasteful() bool {
	waste := a.mapped - a.used
	return waste > thinWaste && waste > a.used/thinShare
}

// Thin looks at up to so many chunks, from where the last call has stopped, and
// chooses those that are no fuller than chunks are on average, and no more than
// three quarters: no block is put into them from then on. It stops when they hold
// atMost bytes of blocks or more, and gives back empty chunks on its way, except for
// a few. It returns how many bytes the chosen chunks hold, and whether it has seen
// every chunk.
func (a *Arena) Thin(looks int, atMost int64) (chosen int64, around bool) {
	bound := min(thinFull, int(a.used*chunkSize/max(a.mapped, 1)))
	for ; looks > 0 && chosen < atMost; looks-- {
		if a.look >= len(a.chunks) {
			a.look = 0
			return chosen, true
		}
		id := uint32(a.look) // below maxChunks
		a.look++
		c := a.chunks[id]
		if c == nil || c.kind == kindHuge || c.thin {
			continue
		}
		held := c.held()
		switch {
		case c.kind == kindSpans && c.free == 1<<spansPerChunk-1:
			if a.empty > a.keptEmpty() {
				a.empty--
				a.dropChunk(id)
			}
		case held > 0 && held <= bound:
			a.thin(id, c)
			chosen += int64(held)
		}
	}
	return chosen, false
}

// InThin tells whether a block lies in a chunk that Thin has chosen.
func (a *Arena) InThin(r Ref) bool { return a.chunks[r>>16].thin }

// Settle has up to so many of the chunks that Thin has chosen, and that are not
// empty yet, take blocks again. It tells whether none is left.
func (a *Arena) Settle(atMost int) bool {
	for ; atMost > 0 && len(a.thinned) > 0; atMost-- {
		last := len(a.thinned) - 1
		id := a.thinned[last]
		a.thinned = a.thinned[:last]
		// By now it may be given back, and its number another chunk's.
		if c := a.chunks[id]; c != nil && c.thin {
			a.thicken(id, c)
		}
	}
	return len(a.thinned) == 0
}

// held is how many bytes a chunk's blocks take.
func (c *chunk) held() (n int) {
	if c.kind == kindRuns {
		return c.runs.pages * PageSize
	}
	for i := range c.spans {
		if c.free&(1<<i) == 0 {
			n += int(c.spans[i].used) * int(classSizes[c.spans[i].class])
		}
	}
	return n
}

// thin takes a chunk out of the lists from which blocks are taken. Its entries in
// spare and in runBins are passed over by those who meet them.
func (a *Arena) thin(id uint32, c *chunk) {
	c.thin = true
	a.thinned = append(a.thinned, id)
	if c.kind == kindRuns {
		return
	}
	for i := range c.spans {
		s := &c.spans[i]
		if c.free&(1<<i) != 0 {
			continue
		}
		if s.listed {
			a.unlist(s)
		}
		if s.used == 0 { // the last of its class, which is kept elsewhere
			c.free |= 1 << i
		}
	}
}

// thicken undoes thin.
func (a *Arena) thicken(id uint32, c *chunk) {
	c.thin = false
	if c.kind == kindRuns {
		a.rebin(id, c.runs)
		return
	}
	for i := range c.spans {
		s := &c.spans[i]
		if c.free&(1<<i) == 0 && s.hasRoom() {
			a.list(id*spansPerChunk+uint32(i), s) // i < 16
		}
	}
	if c.free != 0 && !c.spare {
		c.spare = true
		a.spare = append(a.spare, id)
	}
}

// hasRoom tells whether a span has a block to give.
func (s *span) hasRoom() bool {
	return s.free != 0 || (int(s.fresh)+1)*int(classSizes[s.class]) <= spanSize
}
