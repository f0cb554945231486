package memfs

import (
	"maps"
	"math/bits"
	"os"
	"slices"
	"syscall"
	"time"
)

const (
	blockSize     = 512 // a write is torn at multiples of this
	pageSize      = 16 << 10
	blocksPerPage = pageSize / blockSize // one uint32 of dirty bits
	maxFileSize   = 64 << 30
	maxSizes      = 64 // how many of its sizes a file remembers between two syncs
)

// zeroPage stands for a hole when it is read.
var zeroPage [pageSize]byte

// inode is one file or directory. FS.mu guards every field.
type inode struct {
	mode  os.FileMode
	mtime time.Time
	uid   int
	gid   int
	links int // live names
	opens int // open handles

	// A directory.
	entries map[string]*inode // live
	durable map[string]*inode // after a crash that loses all pending edits

	// A file. A page that has a dirty bit belongs to live alone and is
	// written in place; any other page may be shared with durable or with
	// a clone and is copied before it is written. nil is a page of zeros.
	// Bytes past the size are zero.
	live      content
	synced    content
	dirty     map[int]uint32 // page → blocks that changed since the last sync
	dropped   map[int]bool   // pages in which live and durable differ although clean
	sizeDirty bool
	sizes     []int64 // sizes it was given since the last sync, oldest first, thinned out
	rewritten bool    // something that was not synced yet has been overwritten or cut off
}

// content is one state of a file's bytes.
type content struct {
	pages [][]byte
	size  int64
}

func newDir(perm os.FileMode, now time.Time) *inode {
	return &inode{
		mode: os.ModeDir | perm.Perm(), mtime: now,
		entries: map[string]*inode{}, durable: map[string]*inode{},
	}
}

func newFile(perm os.FileMode, now time.Time) *inode {
	return &inode{mode: perm.Perm(), mtime: now, dirty: map[int]uint32{}}
}

func (n *inode) isDir() bool { return n.mode.IsDir() }

// page returns page i, or nil for a hole or past the end.
func (c *content) page(i int) []byte {
	if i < len(c.pages) {
		return c.pages[i]
	}
	return nil
}

// readAt copies bytes from off on and returns how many there were.
func (c *content) readAt(b []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	b = b[:min(int64(len(b)), c.size-off)]
	n := 0
	for n < len(b) {
		i, in := int((off+int64(n))/pageSize), int((off+int64(n))%pageSize)
		src := c.page(i)
		if src == nil {
			src = zeroPage[:]
		}
		n += copy(b[n:], src[in:])
	}
	return n
}

// share returns the content in a list of pages of its own.
func (c *content) share() content {
	return content{size: c.size, pages: append([][]byte(nil), c.pages...)}
}

// touch makes the blocks of page i that bytes [from, to) fall in dirty, and the
// page writable in place.
func (n *inode) touch(i, from, to int) []byte {
	for len(n.live.pages) <= i {
		n.live.pages = append(n.live.pages, nil)
	}
	if n.dirty[i] == 0 {
		p := make([]byte, pageSize)
		copy(p, n.live.pages[i])
		n.live.pages[i] = p
	}
	first, last := from/blockSize, (to-1)/blockSize
	n.dirty[i] |= uint32((uint64(1)<<(last+1) - 1) &^ (uint64(1)<<first - 1))
	return n.live.pages[i]
}

// writeAt writes b at off, growing the file.
func (n *inode) writeAt(b []byte, off int64) {
	if off > n.live.size {
		n.resize(off)
	}
	n.rewritten = n.rewritten || off < n.live.size && n.isDirty()
	for done := 0; done < len(b); {
		at := off + int64(done)
		i, in := int(at/pageSize), int(at%pageSize)
		m := min(pageSize-in, len(b)-done)
		copy(n.touch(i, in, in+m)[in:], b[done:done+m])
		done += m
	}
	if end := off + int64(len(b)); end > n.live.size {
		n.setSize(end)
	}
}

// setSize changes the live size and remembers it.
func (n *inode) setSize(size int64) {
	if len(n.sizes) == maxSizes { // the smaller one of each two will do
		for i := range maxSizes / 2 {
			n.sizes[i] = min(n.sizes[2*i], n.sizes[2*i+1])
		}
		n.sizes = n.sizes[:maxSizes/2]
	}
	n.sizes = append(n.sizes, size)
	n.live.size, n.sizeDirty = size, true
}

// resize cuts the file to size, or extends it with zeros.
func (n *inode) resize(size int64) {
	old := n.live.size
	if size == old {
		return
	}
	n.rewritten = n.rewritten || size < old && n.isDirty()
	n.setSize(size)
	if size < old {
		keep := int((size + pageSize - 1) / pageSize)
		if in := int(size % pageSize); in != 0 && keep <= len(n.live.pages) {
			clear(n.touch(keep-1, in, pageSize)[in:])
		}
		if keep < len(n.live.pages) {
			clear(n.live.pages[keep:])
			n.live.pages = n.live.pages[:keep]
		}
		maps.DeleteFunc(n.dirty, func(i int, _ uint32) bool { return i >= keep })
		return
	}
	// The new range reads as zeros, whatever durable holds there.
	for at := old; at < size; {
		i, in := int(at/pageSize), int(at%pageSize)
		m := int(min(int64(pageSize-in), size-at))
		if in != 0 || i < len(n.synced.pages) {
			n.touch(i, in, in+m)
		}
		at += int64(m)
	}
}

// sync makes the content durable: the blocks that changed since the last sync,
// and the size.
func (n *inode) sync() {
	if !n.isDirty() {
		return
	}
	s := &n.synced
	count := int((n.live.size + pageSize - 1) / pageSize)
	for len(s.pages) < count {
		s.pages = append(s.pages, nil)
	}
	clear(s.pages[count:])
	s.pages, s.size = s.pages[:count], n.live.size
	for i, mask := range n.dirty {
		if i >= count {
			continue
		}
		if n.dropped[i] {
			s.pages[i] = mergePage(s.pages[i], n.live.page(i), mask)
		} else {
			s.pages[i] = n.live.page(i) // shared from here on
		}
	}
	s.clearTail()
	n.clean()
}

// drop forgets what is dirty, as a kernel does after a failed writeback: the
// pages count as clean, readers see them, and no later sync writes them.
func (n *inode) drop() {
	for i := range n.dirty {
		if n.dropped == nil {
			n.dropped = map[int]bool{}
		}
		n.dropped[i] = true
	}
	n.clean()
}

// clean empties the record of what is not synced.
func (n *inode) clean() {
	clear(n.dirty)
	n.sizeDirty, n.sizes, n.rewritten = false, n.sizes[:0], false
}

// isDirty tells whether a crash could lose something of the content.
func (n *inode) isDirty() bool { return n.sizeDirty || len(n.dirty) > 0 }

// dirtyBlocks returns the numbers of the dirty blocks in order.
func (n *inode) dirtyBlocks() []int {
	var out []int
	for _, i := range slices.Sorted(maps.Keys(n.dirty)) {
		for m := n.dirty[i]; m != 0; m &= m - 1 {
			out = append(out, i*blocksPerPage+bits.TrailingZeros32(m))
		}
	}
	return out
}

// overlay returns the durable content up to base, zeros behind it, with the
// given dirty blocks taken from live, all of it cut or extended to size. The
// result shares only pages that nobody writes in place.
func (n *inode) overlay(base int64, blocks []int, size int64) content {
	out := content{size: base, pages: make([][]byte, (base+pageSize-1)/pageSize)}
	copy(out.pages, n.synced.pages)
	out.clearTail()
	masks := map[int]uint32{}
	for _, b := range blocks {
		masks[b/blocksPerPage] |= 1 << (b % blocksPerPage)
	}
	out.size = size
	pages := int((size + pageSize - 1) / pageSize)
	out.pages = append(out.pages[:min(pages, len(out.pages))], make([][]byte, max(pages-len(out.pages), 0))...)
	for i, mask := range masks {
		if i < pages {
			out.pages[i] = mergePage(out.pages[i], n.live.page(i), mask)
		}
	}
	out.clearTail()
	return out
}

// mergePage returns a new page: old with the blocks of mask taken from src.
func mergePage(old, src []byte, mask uint32) []byte {
	p := make([]byte, pageSize)
	copy(p, old)
	if src == nil {
		src = zeroPage[:]
	}
	for m := mask; m != 0; m &= m - 1 {
		at := bits.TrailingZeros32(m) * blockSize
		copy(p[at:at+blockSize], src[at:])
	}
	return p
}

// clearTail makes the bytes past the size zero, replacing the last page when
// that is needed.
func (c *content) clearTail() {
	last, in := int(c.size/pageSize), int(c.size%pageSize)
	if in == 0 || last >= len(c.pages) {
		return
	}
	if p := c.pages[last]; p != nil && !allZero(p[in:]) {
		q := make([]byte, pageSize)
		copy(q, p[:in])
		c.pages[last] = q
	}
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// checkSize refuses offsets no file may have.
func checkSize(size int64) error {
	if size < 0 {
		return syscall.EINVAL
	}
	if size > maxFileSize {
		return syscall.EFBIG
	}
	return nil
}
