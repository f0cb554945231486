package memfs

import "maps"

// KillClone returns an independent filesystem as the next process finds it when
// this one is killed and the machine lives on: what is live is there, and what
// was not synced is still not synced, so a later CrashClone of the clone may
// lose it. Open handles and locks are gone, the quota stays and FailSync does
// not. The original is not touched and may go on being used.
func (fs *FS) KillClone() *FS {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	k := kill{}
	out := &FS{locks: map[string]bool{}, quota: fs.quota}
	out.root = k.clone(fs.root)
	for _, o := range fs.pending {
		edits := make([]edit, len(o.edits))
		for i, e := range o.edits {
			edits[i] = edit{k.clone(e.dir), e.name, k.clone(e.to)}
		}
		out.pending = append(out.pending, &op{edits})
	}
	for _, n := range k {
		if n.links > 0 {
			out.used += n.live.size
		}
	}
	return out
}

// kill maps the inodes of the original to those of a KillClone.
type kill map[*inode]*inode

// clone copies the inode and what can be reached from it; nil stays nil.
func (k kill) clone(old *inode) *inode {
	if old == nil {
		return nil
	}
	if n := k[old]; n != nil {
		return n
	}
	n := &inode{}
	*n = *old
	k[old] = n
	n.opens = 0
	if old.isDir() {
		n.entries, n.durable = k.cloneEntries(old.entries), k.cloneEntries(old.durable)
		return n
	}
	n.live, n.synced = old.live.share(), old.synced.share()
	for i := range old.dirty { // both would write these in place
		n.live.pages[i] = append([]byte(nil), n.live.pages[i]...)
	}
	n.dirty, n.dropped = maps.Clone(old.dirty), maps.Clone(old.dropped)
	n.sizes = append([]int64(nil), old.sizes...)
	return n
}

func (k kill) cloneEntries(old map[string]*inode) map[string]*inode {
	m := make(map[string]*inode, len(old))
	for name, n := range old {
		m[name] = k.clone(n)
	}
	return m
}

// Evict does what memory pressure does: pages that are clean leave memory and
// the next read takes them from the disk. It matters after a failed fsync,
// which leaves clean pages that no disk has: readers stop seeing them.
func (fs *FS) Evict() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	seen := map[*inode]bool{}
	var walk func(n *inode)
	walk = func(n *inode) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, child := range n.entries {
			walk(child)
		}
		n.evict()
	}
	walk(fs.root)
}

// evict drops the clean pages in which live and durable differ. The size of a
// file in use stays; what is not on the disk reads as zeros.
func (n *inode) evict() {
	for i := range n.dropped {
		if n.dirty[i] == 0 && i < len(n.live.pages) {
			n.live.pages[i] = n.synced.page(i)
			delete(n.dropped, i)
		}
	}
	n.live.clearTail()
}
