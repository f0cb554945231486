package rdb

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// readPacked reads a file as Handler.Packed says, and puts together and unpacks what it gets. It tells how many
// objects came in parts, and in how many calls all were handed out.
func readPacked(file []byte) (objs []Object, parted, calls int, err error) {
	var part Object // what has come of one that goes on
	var nodes []packed.StreamNode
	more := false
	err = Read(iotest.HalfReader(bytes.NewReader(file)), Handler{Packed: true, Object: func(o *Object) error {
		calls++
		if len(o.Nodes) > 0 && len(o.Items) > 0 {
			return fmt.Errorf("%q has nodes and items", o.Key)
		}
		n := o.Len()
		o.Unpack()
		if o.Type != TypeString && o.Type != TypeStream && n != o.Len() {
			return fmt.Errorf("%q says that it has %d elements and has %d", o.Key, n, o.Len())
		}
		if more && string(part.Key) != string(o.Key) {
			return fmt.Errorf("%q goes on as %q", part.Key, o.Key)
		}
		if !more {
			part, nodes = Object{}, nil
		}
		if o.Stream != nil {
			for n := range o.Stream.Nodes {
				nodes = append(nodes, packed.StreamNode{Master: n.Master, Items: bytes.Clone(n.Items)})
			}
		}
		if more = o.More; more && o.Stream != nil {
			part.Key = bytes.Clone(o.Key)
			return nil
		}
		one := *o
		if o.Stream != nil {
			r := streamReader{nodes: nodes}
			s := *o.Stream
			if parts := s.Has == nil; parts {
				parted++
			}
			s.Nodes, s.NumNodes, s.Has = r.eachNode, len(nodes), r.has
			one.Stream = &s
		}
		one = clone(&one)
		items := slices.Concat(part.Items, one.Items)
		if !o.More && len(part.Items) > 0 {
			parted++
		}
		part = one
		part.Items = items
		if !o.More {
			objs = append(objs, part)
		}
		return nil
	}})
	return objs, parted, calls, err
}

// samePacked fails the test unless a file is the same however it is read.
func samePacked(t *testing.T, file []byte) (parted, calls int) {
	t.Helper()
	var want []Object
	wanted := Read(bytes.NewReader(file), Handler{Object: func(o *Object) error {
		want = append(want, clone(o))
		return nil
	}})
	got, parted, calls, err := readPacked(file)
	if (err == nil) != (wanted == nil) {
		t.Fatalf("packed: %v; unpacked: %v", err, wanted)
	}
	if err != nil {
		return parted, calls
	}
	if len(got) != len(want) {
		t.Fatalf("%d objects packed, %d unpacked", len(got), len(want))
	}
	for i := range want {
		if a, b := describe(want[i]), describe(got[i]); a != b || string(want[i].Key) != string(got[i].Key) || want[i].LFU != got[i].LFU || want[i].LRU != got[i].LRU {
			t.Fatalf("%q, object %d, is\n%.300s\nand packed %q\n%.300s", want[i].Key, i, a, got[i].Key, b)
		}
	}
	return parted, calls
}

// TestPacked: what stays packed is what is unpacked otherwise, with what comes in parts put together.
func TestPacked(t *testing.T) {
	file := writeFile(t, slices.Concat(sample(), streamSample()))
	samePacked(t, file)
	for _, data := range artifacts(t) {
		samePacked(t, data)
	}
	for _, l := range slices.Concat(seeds(), legacy()) {
		samePacked(t, seal(11, object(l.typ, "k", l.value)))
	}

	text := func(i int) string { return strings.Repeat(fmt.Sprint("item ", i, " "), i%90) }
	odd := packed.SealList(append(packed.AppendListHeader(nil), "\x8212\x03\xf1\x05\x00\x03"...), 2) // "12" as a string, 5 in 16 bits
	list := func(nodes int, node func(i int) (container byte, b []byte)) []byte {
		v := appendLen(nil, uint64(nodes)) // positive
		for i := range nodes {
			container, b := node(i)
			v = appendString(append(v, container), b)
		}
		return v
	}
	usual := func(i int) (byte, []byte) {
		var items []string
		for n := range 20 {
			items = append(items, text(20*i+n), fmt.Sprint(n*i*i*i))
		}
		return containerListpack, buildListpack(items...)
	}
	long := object(encListQuicklist2, "long", list(200, usual))
	mixed := object(encListQuicklist2, "mixed", list(300, func(i int) (byte, []byte) {
		switch {
		case i%7 == 3:
			return 1, bytes.Repeat([]byte{byte(i)}, 20*i)
		case i%50 > 40:
			return containerListpack, odd
		case i%11 == 5:
			return containerListpack, buildListpack()
		}
		return usual(i)
	}))
	old := object(encListQuicklist, "old", appendLen(nil, 100))
	for i := range 100 {
		old = appendString(old, buildZiplist(text(i), text(i+1), fmt.Sprint(i*i)))
	}
	empty := object(encListQuicklist2, "empty", list(3, func(int) (byte, []byte) { return containerListpack, buildListpack() }))
	var nodes []packed.StreamNode
	info := StreamInfo{}
	for i := range 400 {
		first := packed.StreamID{MS: uint64(1000 * (i + 1))} // positive
		pairs := byteItems("field", text(i))
		n := packed.NewStreamNode(nil, first, pairs)
		for k := range uint64(5) {
			info.Last = packed.StreamID{MS: first.MS + k, Seq: k * 300}
			n = n.Append(info.Last, pairs)
			info.Length++
		}
		nodes = append(nodes, n)
	}
	info.First, info.EntriesAdded = packed.StreamID{MS: 1000}, info.Length
	r := streamReader{nodes: nodes, info: info, groups: []readGroup{{
		StreamGroup: StreamGroup{Name: []byte("g"), Last: packed.StreamID{MS: 1000}, EntriesRead: 1},
		pending:     []StreamPending{{packed.StreamID{MS: 1000}, 1700000000000, 1}},
		consumers:   []readConsumer{{StreamConsumer: StreamConsumer{Name: []byte("c"), Seen: 1, Active: 1}, pending: []packed.StreamID{{MS: 1000}}}},
	}}}
	stream := object(encStream3, "stream", streamAs(encStream3, r.stream()))
	whole := seal(11, long, mixed, old, empty, stream, object(encString, "s", appendString(nil, []byte("v"))))
	if parted, calls := samePacked(t, whole); parted != 4 || calls < 30 {
		t.Errorf("%d objects came in parts, in %d calls", parted, calls)
	}
	for at := 20; at < len(whole); at += len(whole) / 12 { // damage, which the checksum does not show, and an end
		broken := bytes.Clone(whole[:len(whole)-8])
		broken[at] ^= 0x55
		broken = append(broken, 0, 0, 0, 0, 0, 0, 0, 0)
		samePacked(t, broken)
		samePacked(t, whole[:at])
	}
}

// TestPackedTakesNoMemory: a long list is handed out with as much memory however long it is.
func TestPackedTakesNoMemory(t *testing.T) {
	var items []string
	for i := range 400 {
		items = append(items, fmt.Sprintf("elem%012d", i))
	}
	node := appendString([]byte{containerListpack}, buildListpack(items...))
	used := func(n int) uint64 {
		file := seal(11, object(encListQuicklist2, "k", append(appendLen(nil, uint64(n)), bytes.Repeat(node, n)...))) // positive
		return allocated(func() {
			if err := Read(bytes.NewReader(file), Handler{Packed: true, Object: func(*Object) error { return nil }}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := used(50), used(1000); many > few+few/4 {
		t.Errorf("%d bytes for 50 nodes, %d for 1000", few, many)
	}
}
