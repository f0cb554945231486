package memfs_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// model is a disk under a page cache, written down as the events that may happen
// at any time: a name operation reaches the disk once what came before it on the
// same names has, a block of a file reaches it as it is at that moment, and so
// does a size. It keeps every disk that these events can lead to. It knows
// nothing of how memfs decides.
type model struct {
	root  *mnode
	queue []*mop // name operations that are not durable, oldest first
}

// mnode is a directory or a file.
type mnode struct {
	isDir   bool
	live    map[string]*mnode
	durable map[string]*mnode

	data  string         // live content, one letter for 256 bytes
	dirty map[int]bool   // blocks that writeback has to write; -1 for the size, which goes along
	disks map[mdisk]bool // what the disk may hold
}

// mdisk is one file on the disk: blocks of two letters, and how many letters of
// them the size lets one see.
type mdisk struct {
	data string
	size int
}

type mop struct{ edits []medit }

type medit struct {
	dir  *mnode
	name string
	to   *mnode
}

func newModelDir() *mnode {
	return &mnode{isDir: true, live: map[string]*mnode{}, durable: map[string]*mnode{}}
}

func newModel() *model { return &model{root: newModelDir()} }

func (m *model) find(p string) (dir *mnode, name string) {
	dir = m.root
	if d, _ := path.Split(p); d != "" {
		dir = m.root.live[path.Clean(d)]
	}
	return dir, path.Base(p)
}

func (m *model) node(p string) *mnode {
	if p == "." {
		return m.root
	}
	dir, name := m.find(p)
	return dir.live[name]
}

func (m *model) edit(edits ...medit) {
	for _, e := range edits {
		set(e.dir.live, e)
	}
	m.queue = append(m.queue, &mop{edits})
}

func set(entries map[string]*mnode, e medit) {
	if e.to == nil {
		delete(entries, e.name)
		return
	}
	entries[e.name] = e.to
}

// do is one step that memfs has taken without an error.
func (m *model) do(f []string) {
	switch f[0] {
	case "mkdir":
		dir, name := m.find(f[1])
		m.edit(medit{dir, name, newModelDir()})
	case "create":
		dir, name := m.find(f[1])
		m.edit(medit{dir, name, &mnode{dirty: map[int]bool{}, disks: map[mdisk]bool{{}: true}}})
	case "write":
		n := m.node(f[1])
		text := double(f[2])
		n.change(text + n.data[min(len(text), len(n.data)):])
	case "append":
		n := m.node(f[1])
		n.change(n.data + double(f[2]))
	case "half":
		n := m.node(f[1])
		n.change(n.data + f[2])
	case "truncate":
		m.node(f[1]).change("")
	case "sync":
		m.node(f[1]).sync()
	case "dropped": // a sync failed
		clear(m.node(f[1]).dirty)
	case "rename":
		from, a := m.find(f[1])
		to, b := m.find(f[2])
		if from.live[a] == to.live[b] {
			return
		}
		m.edit(medit{from, a, nil}, medit{to, b, from.live[a]})
	case "remove":
		dir, name := m.find(f[1])
		m.edit(medit{dir, name, nil})
	case "removeall":
		m.removeAll(m.find(f[1]))
	case "syncdir":
		m.syncDir(m.node(f[1]))
	}
}

func (m *model) removeAll(dir *mnode, name string) {
	if dir == nil || dir.live[name] == nil {
		return
	}
	n := dir.live[name]
	for _, child := range slices.Sorted(maps.Keys(n.live)) {
		m.removeAll(n, child)
	}
	m.edit(medit{dir, name, nil})
}

func double(s string) string {
	var b strings.Builder
	for _, c := range s {
		b.WriteRune(c)
		b.WriteRune(c)
	}
	return b.String()
}

func pad(s string) string { return s + strings.Repeat(".", len(s)%2) }

// change makes data the live content. From then on what is dirty may reach the
// disk at any time.
func (n *mnode) change(data string) {
	before, after := pad(n.data), pad(data)
	for at := 0; at < len(after); at += 2 {
		if at >= len(before) || before[at:at+2] != after[at:at+2] {
			n.dirty[at] = true
		}
	}
	maps.DeleteFunc(n.dirty, func(at int, _ bool) bool { return at >= len(data) })
	if len(n.dirty) > 0 || len(data) != len(n.data) {
		n.dirty[-1] = true
	}
	n.data = data
	n.flush()
}

// flush adds the disks that are reached when dirty blocks and the size are
// written now.
func (n *mnode) flush() {
	queue := slices.Collect(maps.Keys(n.disks))
	add := func(d mdisk) {
		if !n.disks[d] {
			n.disks[d] = true
			queue = append(queue, d)
		}
	}
	for len(queue) > 0 {
		d := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for at := range n.dirty {
			add(n.write(d, at))
			if at >= 0 { // and as much of the size as it needs
				w := n.write(d, at)
				add(mdisk{w.data, max(w.size, min(at+2, len(n.data)))})
			}
		}
	}
}

// write returns d after one block, or the size, has been written.
func (n *mnode) write(d mdisk, at int) mdisk {
	if at < 0 {
		return mdisk{strings.TrimRight(d.data[:min(len(d.data), len(n.data))], "."), len(n.data)}
	}
	data := pad(d.data)
	data += strings.Repeat(".", max(at+2-len(data), 0))
	return mdisk{strings.TrimRight(data[:at]+pad(n.data)[at:at+2]+data[at+2:], "."), d.size}
}

// sync writes everything that is dirty, whatever is on the disk by now.
func (n *mnode) sync() {
	after := map[mdisk]bool{}
	for d := range n.disks {
		for at := range n.dirty {
			if at >= 0 {
				d = n.write(d, at)
			}
		}
		if n.dirty[-1] {
			d = n.write(d, -1)
		}
		after[d] = true
	}
	n.disks = after
	clear(n.dirty)
}

// syncDir makes the edits in d durable, in order.
func (m *model) syncDir(d *mnode) {
	whole := map[*mop]bool{}
	for i := len(m.queue) - 1; i >= 0; i-- {
		o := m.queue[i]
		inside := 0
		for _, e := range o.edits {
			if e.dir == d {
				inside++
			}
		}
		moved := len(o.edits) == 2 && o.edits[1].to.isDir && inside == 1
		for _, later := range m.queue[i+1:] {
			moved = moved || whole[later] && share(o, later)
		}
		whole[o] = moved
	}
	var left []*mop
	for _, o := range m.queue {
		var rest []medit
		for _, e := range o.edits {
			if e.dir == d || whole[o] {
				set(e.dir.durable, e)
			} else {
				rest = append(rest, e)
			}
		}
		if len(rest) > 0 {
			left = append(left, &mop{rest})
		}
	}
	m.queue = left
}

func share(a, b *mop) bool {
	for _, x := range a.edits {
		for _, y := range b.edits {
			if x.dir == y.dir && x.name == y.name {
				return true
			}
		}
	}
	return false
}

// states returns every tree that a crash may leave, as show prints it. limit
// bounds their number; false means there are more.
func (m *model) states(limit int) (map[string]bool, bool) {
	out, seen := map[string]bool{}, map[string]bool{}
	var visit func(left []*mop) bool
	visit = func(left []*mop) bool {
		key := fmt.Sprint(left) // pointers
		if seen[key] {
			return true
		}
		seen[key] = true
		for _, t := range trees(m.root) {
			if out[t] = true; len(out) > limit {
				return false
			}
		}
		for i, o := range left {
			if slices.ContainsFunc(left[:i], func(earlier *mop) bool { return share(earlier, o) }) {
				continue
			}
			undo := make([]medit, len(o.edits))
			for j, e := range o.edits {
				undo[j] = medit{e.dir, e.name, e.dir.durable[e.name]}
				set(e.dir.durable, e)
			}
			if !visit(slices.Concat(left[:i], left[i+1:])) {
				return false
			}
			for _, e := range undo {
				set(e.dir.durable, e)
			}
		}
		return true
	}
	ok := visit(m.queue)
	if out[""] {
		delete(out, "")
		out["(empty)"] = true
	}
	return out, ok
}

// trees returns every look of the durable tree: each file as one of its disks,
// under all of its names.
func trees(root *mnode) []string {
	var files []*mnode
	var find func(dir *mnode)
	find = func(dir *mnode) {
		for _, n := range dir.durable {
			if n.isDir {
				find(n)
			} else if !slices.Contains(files, n) {
				files = append(files, n)
			}
		}
	}
	find(root)
	var out []string
	look := map[*mnode]string{}
	var choose func(left []*mnode)
	choose = func(left []*mnode) {
		if len(left) == 0 {
			out = append(out, print(root, "", look))
			return
		}
		for d := range left[0].disks {
			data := d.data[:min(d.size, len(d.data))]
			look[left[0]] = letters(data + strings.Repeat(".", d.size-len(data)))
			choose(left[1:])
		}
	}
	choose(files)
	return out
}

// print writes a directory as show does.
func print(dir *mnode, prefix string, look map[*mnode]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(dir.durable)) {
		n := dir.durable[name]
		if !n.isDir {
			out = append(out, prefix+name+"="+look[n])
			continue
		}
		out = append(out, prefix+name+"/")
		if below := print(n, prefix+name+"/", look); below != "" {
			out = append(out, below)
		}
	}
	return strings.Join(out, " ")
}

// letters writes content for people: one letter for a block of 512 bytes, two in
// brackets where its halves differ, one in brackets for half a block.
func letters(halves string) string {
	var b strings.Builder
	for len(halves) > 1 {
		if halves[0] == halves[1] {
			b.WriteByte(halves[0])
		} else {
			b.WriteString("[" + halves[:2] + "]")
		}
		halves = halves[2:]
	}
	if halves != "" {
		b.WriteString("[" + halves + "]")
	}
	return b.String()
}
