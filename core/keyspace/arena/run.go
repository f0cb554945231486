package arena

import "math/bits"

// runs is a chunk of pages handed out in runs.
type runs struct {
	used    [pagesPerChunk / 64]uint64
	lengths [pagesPerChunk]uint8 // of the run that begins here
	pages   int                  // handed out
	queued  uint16               // the bins this chunk has an entry in
	longest int                  // free run
}

// allocRun finds pages free pages in a row. Chunks wait in bins by the power
// of two of their longest free run. An entry may be out of date, and is
// dropped when it is met then.
func (a *Arena) allocRun(pages int) Ref {
	a.used += int64(pages) * PageSize
	// Any chunk of the bins above has room; of the bin below, some have.
	for bin := bits.Len(uint(pages)) - 1; bin < len(a.runBins); bin++ { // positive
		for i, tries := len(a.runBins[bin])-1, 0; i >= 0 && tries < 8; i, tries = i-1, tries+1 {
			id := a.runBins[bin][i]
			c := a.chunks[id]
			if c == nil || c.kind != kindRuns || c.thin || c.runs.bin() != bin {
				last := len(a.runBins[bin]) - 1
				a.runBins[bin][i] = a.runBins[bin][last]
				a.runBins[bin] = a.runBins[bin][:last]
				if c != nil && c.kind == kindRuns {
					c.runs.queued &^= 1 << bin
				}
				continue
			}
			if c.runs.longest >= pages {
				return a.cutRun(id, c.runs, pages)
			}
		}
	}
	id, c := a.addChunk(mapChunk(a.small))
	c.kind, c.runs = kindRuns, &runs{longest: pagesPerChunk}
	return a.cutRun(id, c.runs, pages)
}

func (a *Arena) cutRun(id uint32, r *runs, pages int) Ref {
	first := r.find(pages)
	r.mark(first, pages)
	r.lengths[first] = uint8(pages) // at most maxRun
	r.pages += pages
	a.rebin(id, r)
	return ref(id, first*PageSize)
}

func (a *Arena) freeRun(id uint32, c *chunk, first int) {
	r := c.runs
	pages := int(r.lengths[first])
	a.used -= int64(pages) * PageSize
	r.mark(first, pages)
	r.lengths[first] = 0
	r.pages -= pages
	if r.pages == 0 {
		a.dropChunk(id)
		return
	}
	if !c.thin {
		a.rebin(id, r)
	}
}

// rebin puts the chunk where its longest free run belongs.
func (a *Arena) rebin(id uint32, r *runs) {
	_, r.longest = r.scan(pagesPerChunk + 1)
	if b := r.bin(); b >= 0 && r.queued&(1<<b) == 0 {
		r.queued |= 1 << b
		a.runBins[b] = append(a.runBins[b], id)
	}
}

// bin is where a chunk waits: -1 when it is full.
func (r *runs) bin() int { return bits.Len(uint(r.longest)) - 1 } // positive

// mark turns free pages into used ones and back.
func (r *runs) mark(first, pages int) {
	for p := first; p < first+pages; p++ {
		r.used[p/64] ^= 1 << (p % 64)
	}
}

// find returns where the first free run of so many pages begins.
func (r *runs) find(pages int) int {
	first, _ := r.scan(pages)
	return first
}

// scan stops at the first free run of at least enough pages, and returns where
// it begins and how long the longest was.
func (r *runs) scan(enough int) (first, longest int) {
	for p := 0; p < pagesPerChunk; {
		if skip := bits.TrailingZeros64(^r.used[p/64] >> (p % 64)); skip > 0 {
			p += min(skip, 64-p%64)
			continue
		}
		start := p
		for p < pagesPerChunk {
			n := min(bits.TrailingZeros64(r.used[p/64]>>(p%64)), 64-p%64)
			if n == 0 {
				break
			}
			p += n
		}
		longest = max(longest, p-start)
		if longest >= enough {
			return start, longest
		}
	}
	return -1, longest
}
