package memfs

import (
	"math/bits"
	"math/rand/v2"
)

// The two seeds of CrashClone that are not random.
const (
	LoseAll int64 = 0 // every byte and name that was not synced is lost
	KeepAll int64 = 1 // nothing is lost: the process died, the machine did not
)

// CrashClone returns an independent filesystem as it may look after a power cut
// now. What was synced is there; of the rest the seed decides: LoseAll, KeepAll,
// or for any other seed a choice per file and per name (see the package
// comment). The same state and seed give the same clone.
//
// Everything in the clone is durable and unlocked, the quota stays, and FailSync
// does not. The original is not touched and may go on being used.
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
	keep := c.keeper(len(pending))
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
// prefix, or any.
func (c *crash) keeper(n int) func(i int) bool {
	switch c.seed {
	case LoseAll:
		return func(int) bool { return false }
	case KeepAll:
		return func(int) bool { return true }
	}
	switch c.rng.IntN(4) {
	case 0:
		return func(int) bool { return false }
	case 1:
		return func(int) bool { return true }
	case 2:
		cut := c.rng.IntN(n + 1)
		return func(i int) bool { return i < cut }
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
		n.live = content{size: n.synced.size, pages: append([][]byte(nil), n.synced.pages...)}
		n.low = n.live.size
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

// content decides what is left of a file.
func (c *crash) content(old *inode) content {
	if !old.isDirty() {
		return old.overlay(nil, old.synced.size)
	}
	blocks := 0
	for _, mask := range old.dirty {
		blocks += bits.OnesCount32(mask)
	}
	choose, i := c.keeper(blocks), 0
	keptEnd := int64(0)
	kept := map[[2]int]bool{}
	old.overlay(func(page, block int) bool { // visits the blocks in order
		if choose(i) {
			kept[[2]int{page, block}] = true
			keptEnd = int64(page)*pageSize + int64(block+1)*blockSize
		}
		i++
		return false
	}, old.live.size)
	return old.overlay(func(page, block int) bool { return kept[[2]int{page, block}] }, c.size(old, keptEnd))
}

// size decides the size of a file of which the kept dirty blocks end at keptEnd:
// the old or the new one, what a truncation in between left, or just enough for
// what was kept. The size and the blocks reach a disk in any order, so lost
// blocks may read as zeros.
func (c *crash) size(old *inode, keptEnd int64) int64 {
	before, after := old.synced.size, old.live.size
	switch c.seed {
	case LoseAll:
		return before
	case KeepAll:
		return after
	}
	sizes := []int64{before, after, after, min(after, max(before, keptEnd))}
	if old.low < min(before, after) {
		sizes = append(sizes, old.low)
	}
	return sizes[c.rng.IntN(len(sizes))]
}
