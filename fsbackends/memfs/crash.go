package memfs

import (
	"math/rand/v2"
	"slices"
)

// The two seeds of CrashClone that are not random.
const (
	LoseAll int64 = 0 // every byte and name that was not synced is lost
	KeepAll int64 = 1 // all that could still reach the disk did; what a failed fsync dropped could not
)

// CrashClone returns an independent filesystem as it may look after a power cut
// now. What was synced is there; of the rest the seed decides: LoseAll, KeepAll,
// or for any other seed a choice per file and per name (see the package
// comment). The same state and seed give the same clone.
//
// Everything in the clone is durable and unlocked, the quota stays, and FailSync
// does not. The original is not touched and may go on being used. For a process
// that dies while the machine lives on see KillClone.
func (fs *FS) CrashClone(seed int64) *FS {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	c := &crash{
		seed: seed,
		rng:  rand.New(rand.NewPCG(uint64(seed), 0x5b1117a7)),
		dirs: map[*inode]map[string]*inode{},
		made: map[*inode]*inode{},
	}
	c.chooseEdits(fs.pending)
	out := &FS{locks: map[string]bool{}, quota: fs.quota}
	out.root = c.clone(fs.root)
	for _, n := range c.made {
		out.used += n.live.size
	}
	return out
}

// crash is one run of CrashClone.
type crash struct {
	seed int64
	rng  *rand.Rand
	dirs map[*inode]map[string]*inode // entries of directories that survive, where not as durable
	made map[*inode]*inode            // old → new, so an inode with two names stays one
}

// entries returns what will be in the old directory d.
func (c *crash) entries(d *inode) map[string]*inode {
	m := c.dirs[d]
	if m == nil {
		m = make(map[string]*inode, len(d.durable))
		for name, n := range d.durable {
			m[name] = n
		}
		c.dirs[d] = m
	}
	return m
}

// chooseEdits decides which pending edits survive and applies them.
func (c *crash) chooseEdits(pending []*op) {
	type entry struct {
		dir  *inode
		name string
	}
	lost := map[entry]bool{}
	keep := c.keeper(len(pending), func(i int) int { return i })
	for i, o := range pending {
		kept := keep(i)
		for _, e := range o.edits {
			kept = kept && !lost[entry{e.dir, e.name}]
		}
		for _, e := range o.edits {
			if kept {
				setEntry(c.entries(e.dir), e)
			} else {
				lost[entry{e.dir, e.name}] = true
			}
		}
	}
}

// keeper returns which of n unsynced things, in order, survive: none, all, a
// prefix, all but one, or any. Things that share a group share their fate.
func (c *crash) keeper(n int, group func(i int) int) func(i int) bool {
	switch c.seed {
	case LoseAll:
		return func(int) bool { return false }
	case KeepAll:
		return func(int) bool { return true }
	}
	switch c.rng.IntN(6) {
	case 0:
		return func(int) bool { return false }
	case 1:
		return func(int) bool { return true }
	case 2:
		cut := c.rng.IntN(n + 1)
		return func(i int) bool { return i < cut }
	case 3:
		if n == 0 {
			break
		}
		hole := group(c.rng.IntN(n))
		return func(i int) bool { return group(i) != hole }
	case 4:
		fate := map[int]bool{}
		return func(i int) bool {
			g := group(i)
			if _, ok := fate[g]; !ok {
				fate[g] = c.rng.IntN(2) == 0
			}
			return fate[g]
		}
	}
	return func(int) bool { return c.rng.IntN(2) == 0 }
}

// clone copies the tree under old, files crashed.
func (c *crash) clone(old *inode) *inode {
	if n := c.made[old]; n != nil {
		n.links++
		return n
	}
	n := &inode{mode: old.mode, mtime: old.mtime, uid: old.uid, gid: old.gid, links: 1}
	c.made[old] = n
	if !old.isDir() {
		n.dirty = map[int]uint32{}
		n.synced = c.content(old)
		n.live = n.synced.share()
		return n
	}
	n.entries, n.durable = map[string]*inode{}, map[string]*inode{}
	entries := c.entries(old)
	for _, name := range sortedNames(entries) {
		child := c.clone(entries[name])
		n.entries[name], n.durable[name] = child, child
	}
	return n
}

// content decides what is left of a file: which dirty blocks, on top of which
// base, cut off where.
func (c *crash) content(old *inode) content {
	if !old.isDirty() {
		return old.overlay(old.synced.size, nil, old.synced.size)
	}
	dirty := old.dirtyBlocks()
	keep := c.keeper(len(dirty), func(i int) int { return dirty[i] / blocksPerSector4K })
	var kept []int
	for i, b := range dirty {
		if keep(i) {
			kept = append(kept, b)
		}
	}
	size, base, grown := c.size(old, kept)
	out := old.overlay(base, kept, size)
	if c.seed != LoseAll && c.seed != KeepAll && !old.rewritten {
		c.earlier(old, kept, grown, &out)
	}
	return out
}

// blocksPerSector4K is how many blocks a disk with sectors of 4 KiB writes at
// once.
const blocksPerSector4K = 4096 / blockSize

// size decides how large a file is and up to where the synced bytes are its
// base. The size reaches a disk at any of the moments since the last sync, or
// never, and with a block that it was too small for (grown, or -1); a truncation
// that gets there turns what is behind it into zeros.
func (c *crash) size(old *inode, kept []int) (size, base int64, grown int) {
	size, base, grown = old.synced.size, old.synced.size, -1
	history := append(slices.Clone(old.sizes), old.live.size)
	last := len(history) - 1
	switch c.seed {
	case LoseAll:
		return size, base, grown
	case KeepAll:
		return old.live.size, base, grown
	}
	if c.rng.IntN(2) == 0 {
		last = c.rng.IntN(len(history)+1) - 1
	}
	if last >= 0 {
		size = history[last]
		base = min(base, size)
	}
	if last > 0 && c.rng.IntN(2) == 0 {
		base = min(base, history[c.rng.IntN(last)])
	}
	if len(kept) > 0 && c.rng.IntN(2) == 0 {
		b := kept[c.rng.IntN(len(kept))]
		if end := min(old.live.size, int64(b+1)*blockSize); end > size {
			size, grown = end, b
		}
	}
	return size, base, grown
}

// earlier gives blocks that were appended to in steps the look they had after
// one of them: bytes up to there, zeros behind. The block that the size grew
// with is the latest one.
func (c *crash) earlier(old *inode, kept []int, grown int, out *content) {
	ends := map[int][]int{} // block → where in it an append ended
	for _, size := range old.sizes {
		if in := int(size % blockSize); in != 0 {
			ends[int(size/blockSize)] = append(ends[int(size/blockSize)], in)
		}
	}
	for _, b := range kept {
		page := b / blocksPerPage
		if len(ends[b]) == 0 || b == grown || page >= len(out.pages) || c.rng.IntN(2) == 0 {
			continue
		}
		at := b % blocksPerPage * blockSize
		clear(out.pages[page][at+ends[b][c.rng.IntN(len(ends[b]))] : at+blockSize])
	}
}
