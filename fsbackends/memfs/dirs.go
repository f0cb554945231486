package memfs

import (
	"slices"
	"syscall"
	"time"

	"github.com/spillwaydb/spillway/core/vfs"
)

// edit sets one name of one directory to an inode, or to nothing.
type edit struct {
	dir  *inode
	name string
	to   *inode
}

// op is what one call did to directories and no SyncDir has covered yet: one
// edit, or the two of a rename.
type op struct{ edits []edit }

// apply does the edits to the live state and remembers them as one pending op.
func (fs *FS) apply(edits ...edit) {
	now := time.Now()
	for _, e := range edits { // first, so that a rename never counts as a removal
		if e.to != nil {
			e.to.links++
		}
	}
	for _, e := range edits {
		if old := e.dir.entries[e.name]; old != nil {
			old.links--
			fs.release(old)
		}
		if e.to != nil {
			e.dir.entries[e.name] = e.to
		} else {
			delete(e.dir.entries, e.name)
		}
		e.dir.mtime = now
	}
	fs.pending = append(fs.pending, &op{edits})
}

// release gives the bytes of an inode back once no name and no handle is left.
func (fs *FS) release(n *inode) {
	if n.links == 0 && n.opens == 0 {
		fs.used -= n.live.size
	}
}

// SyncDir implements vfs.FS: the pending edits of dir become durable. The other
// half of a rename between two directories stays pending.
func (fs *FS) SyncDir(dir string) error {
	p, err := vfs.Clean(dir)
	if err != nil {
		return pathError("syncdir", dir, err)
	}
	if err := fs.checkSync(dir); err != nil {
		return pathError("syncdir", dir, err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	d, err := fs.walk(p)
	if err == nil && !d.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return pathError("syncdir", dir, err)
	}
	fs.syncDir(d)
	return nil
}

func (fs *FS) syncDir(d *inode) {
	whole := fs.moves(d)
	gone := map[*inode]bool{} // directories that are now removed for good
	fs.settle(func(o *op, e edit) bool {
		if e.dir != d && !whole[o] {
			return false
		}
		if old := e.dir.durable[e.name]; old != nil && old.isDir() && old.links == 0 {
			gone[old] = true
		}
		setEntry(e.dir.durable, e)
		return true
	})
	if len(gone) > 0 {
		fs.settle(func(_ *op, e edit) bool { return gone[e.dir] })
	}
}

// moves returns the pending ops that a sync of d makes durable although not all
// of their edits are in d: directories that move into d or out of it, since no
// filesystem leaves a directory with two parents, and what happened before to
// the names these moves touch.
func (fs *FS) moves(d *inode) map[*op]bool {
	type entry struct {
		dir  *inode
		name string
	}
	whole, names := map[*op]bool{}, map[entry]bool{}
	for _, o := range slices.Backward(fs.pending) {
		for _, e := range o.edits {
			whole[o] = whole[o] || names[entry{e.dir, e.name}]
		}
		if len(o.edits) == 2 && o.edits[1].to.isDir() && (o.edits[0].dir == d) != (o.edits[1].dir == d) {
			whole[o] = true
		}
		if !whole[o] {
			delete(whole, o)
			continue
		}
		for _, e := range o.edits {
			names[entry{e.dir, e.name}] = true
		}
	}
	return whole
}

// settle takes the edits for which done returns true off the pending list.
func (fs *FS) settle(done func(*op, edit) bool) {
	fs.pending = slices.DeleteFunc(fs.pending, func(o *op) bool {
		o.edits = slices.DeleteFunc(o.edits, func(e edit) bool { return done(o, e) })
		return len(o.edits) == 0
	})
}

func setEntry(m map[string]*inode, e edit) {
	if e.to != nil {
		m[e.name] = e.to
	} else {
		delete(m, e.name)
	}
}
