package rdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// sampleStream has two nodes, deleted entries, two groups, consumers with and without
// pending entries, and one that is pending although it was deleted.
func sampleStream() *Stream {
	pairs := byteItems
	id := func(ms, seq uint64) packed.StreamID { return packed.StreamID{MS: ms, Seq: seq} }
	n := packed.NewStreamNode(nil, id(5, 1), pairs("f", "v", "g", "1"))
	n = n.Append(id(5, 1), pairs("f", "v", "g", "1")).Append(id(5, 2), pairs("f", "w", "g", "-70000")).Append(id(6, 0), pairs("other", ""))
	e, _ := n.First()
	e, _ = n.Next(&e)
	n = n.Delete(e) // 5-2
	m := packed.NewStreamNode(nil, id(1<<40, 7), pairs("h", "x")).Append(id(1<<40, 7), pairs("h", "x")).Append(id(1<<40+1, 3), pairs("h", "y"))
	r := streamReader{
		nodes: []packed.StreamNode{n, m},
		info:  StreamInfo{Length: 4, Last: id(1<<40+1, 3), First: id(5, 1), MaxDeleted: id(5, 2), EntriesAdded: 9},
		groups: []readGroup{
			{StreamGroup: StreamGroup{Name: []byte("empty"), EntriesRead: EntriesUnknown}},
			{
				StreamGroup: StreamGroup{Name: []byte("g"), Last: id(6, 0), EntriesRead: 3},
				pending:     []StreamPending{{id(5, 1), 1700000000000, 1}, {id(5, 2), 1700000000001, 2}, {id(6, 0), 1700000000002, 1 << 40}},
				consumers: []readConsumer{
					{StreamConsumer: StreamConsumer{Name: []byte("12"), Seen: 1700000000003, Active: 1700000000003}, pending: []packed.StreamID{id(5, 1), id(6, 0)}},
					{StreamConsumer: StreamConsumer{Name: []byte("idle"), Seen: 1, Active: 1}},
					{StreamConsumer: StreamConsumer{Name: []byte("z"), Seen: 1700000000004, Active: 1700000000004}, pending: []packed.StreamID{id(5, 2)}},
				},
			},
		},
	}
	return r.stream()
}

// cloneStream is a stream that does not share memory with s, which may be nil.
func cloneStream(s *Stream) *Stream {
	if s == nil {
		return nil
	}
	payload, err := EncodeObject(nil, &Object{Type: TypeStream, Stream: s})
	if err != nil {
		panic(err)
	}
	o, err := DecodeObject(payload)
	if err != nil {
		panic(err)
	}
	return o.Stream
}

// describeStream is all of a stream, its layout included.
func describeStream(s *Stream) string {
	var b strings.Builder
	fmt.Fprintf(&b, " %+v", s.StreamInfo)
	for n := range s.Nodes {
		fmt.Fprintf(&b, "\n node %s %q", n.Master, n.Items)
	}
	for g := range s.Groups {
		fmt.Fprintf(&b, "\n group %q %s %d", g.Name, g.Last, g.EntriesRead)
		for p := range g.Pending {
			fmt.Fprintf(&b, "\n  %+v", p)
		}
		for c := range g.Consumers {
			fmt.Fprintf(&b, "\n  consumer %q %d", c.Name, c.Seen)
			for id := range c.Pending {
				fmt.Fprintf(&b, " %s", id)
			}
		}
	}
	return b.String()
}

// streamAs is the value of a stream in one of the three versions of its encoding.
func streamAs(enc byte, s *Stream) []byte {
	var b []byte
	lens := func(n ...uint64) {
		for _, v := range n {
			b = appendLen(b, v)
		}
	}
	lens(uint64(s.NumNodes))
	for n := range s.Nodes {
		b = appendString(appendString(b, n.Master.AppendKey(nil)), n.Items)
	}
	lens(s.Length, s.Last.MS, s.Last.Seq)
	if enc != encStream {
		lens(s.First.MS, s.First.Seq, s.MaxDeleted.MS, s.MaxDeleted.Seq, s.EntriesAdded)
	}
	lens(uint64(s.NumGroups))
	for g := range s.Groups {
		b = appendString(b, g.Name)
		lens(g.Last.MS, g.Last.Seq)
		if enc != encStream {
			lens(uint64(g.EntriesRead))
		}
		lens(uint64(g.NumPending))
		for p := range g.Pending {
			b = binary.LittleEndian.AppendUint64(p.ID.AppendKey(b), uint64(p.Delivered))
			lens(p.Count)
		}
		lens(uint64(g.NumConsumers))
		for c := range g.Consumers {
			b = binary.LittleEndian.AppendUint64(appendString(b, c.Name), uint64(c.Seen))
			if enc == encStream3 {
				b = binary.LittleEndian.AppendUint64(b, math.MaxUint64)
			}
			lens(uint64(c.NumPending))
			for id := range c.Pending {
				b = id.AppendKey(b)
			}
		}
	}
	return b
}

// TestStreamVersions reads the three versions, and of the first what Redis makes of
// it that is not there.
func TestStreamVersions(t *testing.T) {
	want := describeStream(sampleStream())
	for _, enc := range []byte{encStream, encStream2, encStream3} {
		o, err := DecodeObject(append([]byte{enc}, streamAs(enc, sampleStream())...))
		if err != nil {
			t.Fatal(err)
		}
		if active := timesOf(o.Stream); enc == encStream3 && !slices.Equal(active, []int64{NeverActive, NeverActive, NeverActive}) ||
			enc != encStream3 && !slices.Equal(active, timesOf(sampleStream())) {
			t.Errorf("version %d: active at %v", enc, active)
		}
		got := describeStream(o.Stream)
		if enc != encStream {
			if got != want {
				t.Errorf("version %d is\n%s\nwant\n%s", enc, got, want)
			}
			continue
		}
		// What Redis 7.0 tells of the same bytes.
		c, _ := startRedis(t, seal(9, object(encStream, "s", streamAs(encStream, sampleStream()))))
		theirs := ask(t, c)
		sameContents(t, "version 1", theirs, contents{keyOf{0, "s"}: {Key: []byte("s"), Type: TypeStream, Stream: o.Stream}})
	}
}

// TestStreamDamage alters and cuts a stream everywhere: an error or a stream that can
// be written again, but no panic, and lengths that were made up reserve nothing.
func TestStreamDamage(t *testing.T) {
	value := append([]byte{encStream2}, streamAs(encStream2, sampleStream())...)
	check := func(p []byte) {
		var o *Object
		var err error
		within(t, len(p), func() { o, err = DecodeObject(p) })
		if err == nil {
			describeStream(o.Stream)
			o.Stream.Dangling()
			if _, err := EncodeObject(nil, o); err != nil {
				t.Errorf("%x is read and cannot be written: %v", p, err)
			}
		} else if !known(err) {
			t.Errorf("%x: %v", p, err)
		}
	}
	for i := range value {
		check(value[:i])
		for _, flip := range []byte{1, 2, 0x10, 0x40, 0x80, 0xff} {
			p := bytes.Clone(value)
			p[i] ^= flip
			check(p)
		}
		// A length that claims everything, in place of what is there.
		check(append(append(bytes.Clone(value[:i]), length64(math.MaxUint64)...), value[i:]...))
		check(append(append(bytes.Clone(value[:i]), length64(1<<40)...), value[i:]...))
	}
}

// TestStreamsRefused: what no Redis writes, and no command could bring about.
func TestStreamsRefused(t *testing.T) {
	for name, change := range map[string]func(r *streamReader){
		"a wrong length":        func(r *streamReader) { r.info.Length++ },
		"a last ID set back":    func(r *streamReader) { r.info.Last, _ = r.last.Prev() },
		"nodes out of order":    func(r *streamReader) { slices.Reverse(r.nodes) },
		"a node twice":          func(r *streamReader) { r.nodes[1] = r.nodes[0] },
		"a node without end":    func(r *streamReader) { r.nodes[0].Items = r.nodes[0].Items[:20] },
		"groups out of order":   func(r *streamReader) { slices.Reverse(r.groups) },
		"a group twice":         func(r *streamReader) { r.groups[1] = r.groups[0] },
		"a consumer twice":      func(r *streamReader) { r.groups[1].consumers[1].Name = r.groups[1].consumers[0].Name },
		"pending out of order":  func(r *streamReader) { slices.Reverse(r.groups[1].pending) },
		"pending of two":        func(r *streamReader) { r.groups[1].consumers[2].pending = r.groups[1].consumers[0].pending[:1] },
		"pending of nobody":     func(r *streamReader) { r.groups[1].consumers[2].pending = nil },
		"owned and not pending": func(r *streamReader) { r.groups[1].pending = r.groups[1].pending[1:] },
	} {
		o, err := DecodeObject(append([]byte{encStream2}, streamAs(encStream2, sampleStream())...))
		if err != nil {
			t.Fatal(err)
		}
		r := streamReader{info: o.Stream.StreamInfo, nodes: slices.Collect(o.Stream.Nodes)}
		for _, n := range r.nodes {
			for e, ok := n.First(); ok; e, ok = n.Next(&e) {
				if !e.Deleted {
					r.last = e.ID
				}
			}
		}
		for g := range o.Stream.Groups {
			rg := readGroup{StreamGroup: g, pending: slices.Collect(g.Pending)}
			for c := range g.Consumers {
				rg.consumers = append(rg.consumers, readConsumer{c, slices.Collect(c.Pending)})
			}
			r.groups = append(r.groups, rg)
		}
		change(&r)
		if _, err := DecodeObject(append([]byte{encStream2}, streamAs(encStream2, r.stream())...)); !known(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// redisStreams makes streams of all kinds in a real Redis by random commands.
func redisStreams(t *testing.T, c *redis.Client, rng *rand.Rand) {
	t.Helper()
	ctx := context.Background()
	do := func(args ...any) {
		if err := c.Do(ctx, args...).Err(); err != nil && err != redis.Nil { //nolint:errorlint // go-redis's own
			t.Fatalf("%v: %v", args, err)
		}
	}
	do("CONFIG", "SET", "stream-node-max-entries", 7)
	do("XGROUP", "CREATE", "never used", "g", "0", "MKSTREAM")
	do("XADD", "emptied", "5-1", "f", "v")
	do("XDEL", "emptied", "5-1")
	do("XADD", "trimmed away", "5-1", "f", "v")
	do("XGROUP", "CREATE", "trimmed away", "g", "0")
	do("XREADGROUP", "GROUP", "g", "c", "STREAMS", "trimmed away", ">")
	do("XTRIM", "trimmed away", "MAXLEN", 0)
	do("XSETID", "trimmed away", "4-4")
	for i := range 12 {
		key, seq := fmt.Sprint("stream ", i), 0
		do("XADD", key, "1-0", "f", "v")
		for _, g := range []string{"g", "", "12", "\x00\xff"} {
			do("XGROUP", "CREATE", key, g, "0", "ENTRIESREAD", rng.IntN(5)-1)
			do("XGROUP", "CREATECONSUMER", key, g, "idle")
		}
		for range 20 + rng.IntN(80) {
			group := []string{"g", "", "12", "\x00\xff"}[rng.IntN(4)]
			switch rng.IntN(8) {
			case 0, 1, 2:
				for range 1 + rng.IntN(5) {
					seq++
					do("XADD", key, fmt.Sprintf("%d-%d", 1+seq/3, seq), "f", rng.IntN(1000), "g", strings.Repeat("x", rng.IntN(90)))
				}
			case 3:
				seq++
				do("XADD", key, fmt.Sprintf("%d-%d", 1+seq/3, seq), "other", "-5", "", "")
			case 4:
				for range 4 {
					n := rng.IntN(seq + 1)
					do("XDEL", key, fmt.Sprintf("%d-%d", 1+n/3, n))
				}
			case 5, 6:
				do("XREADGROUP", "GROUP", group, fmt.Sprint("consumer ", rng.IntN(3)), "COUNT", 1+rng.IntN(6), "STREAMS", key, ">")
			case 7:
				n := rng.IntN(seq + 1)
				do("XACK", key, group, fmt.Sprintf("%d-%d", 1+n/3, n))
				if rng.IntN(6) == 0 {
					do("XTRIM", key, "MAXLEN", rng.IntN(20))
				}
			}
		}
		if rng.IntN(3) == 0 {
			do("XGROUP", "DESTROY", key, "12")
		}
	}
}

// tellStreams is all that a real Redis tells of its streams. Without layout that is
// what commands can bring back.
func tellStreams(t *testing.T, c *redis.Client, layout bool) string {
	t.Helper()
	ctx := context.Background()
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, key := range keys {
		v, err := c.Do(ctx, "XINFO", "STREAM", key, "FULL", "COUNT", "0").Result()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%q", key)
		tell(&b, v, layout)
		b.WriteByte('\n')
	}
	return b.String()
}

// tell writes a reply, its maps in order.
func tell(b *strings.Builder, v any, layout bool) {
	switch v := v.(type) {
	case []any:
		b.WriteString("[")
		for _, e := range v {
			tell(b, e, layout)
		}
		b.WriteString("]")
	case map[any]any:
		var lines []string
		for k, e := range v {
			name := fmt.Sprint(k)
			if !layout && (strings.HasPrefix(name, "radix-tree") || name == "seen-time") {
				continue
			}
			var line strings.Builder
			fmt.Fprintf(&line, "\n  %s: ", name)
			tell(&line, e, layout)
			lines = append(lines, line.String())
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	default:
		fmt.Fprintf(b, " %q", fmt.Sprint(v))
	}
}

// TestStreamsWithRedis takes streams from a real Redis to another one: by its file and
// ours, by DUMP and RESTORE, and by the commands of a rewrite. What they say of them
// is the same.
func TestStreamsWithRedis(t *testing.T) {
	ctx := context.Background()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c, dir := startRedis(t, nil)
	redisStreams(t, c, rand.New(rand.NewPCG(seed, 1)))
	want, logical := tellStreams(t, c, true), tellStreams(t, c, false)
	if err := c.Save(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	var objs []Object
	if err := Read(bytes.NewReader(data), Handler{Object: func(o *Object) error { objs = append(objs, clone(o)); return nil }}); err != nil {
		t.Fatal(err)
	}

	ours, _ := startRedis(t, writeFile(t, objs))
	if got := tellStreams(t, ours, true); got != want {
		t.Errorf("our file gives\n%s\nwant\n%s", got, want)
	}
	restored, _ := startRedis(t, nil)
	for i := range objs {
		payload, err := EncodeObject(nil, &objs[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := restored.Restore(ctx, string(objs[i].Key), 0, string(SealDump(payload))).Err(); err != nil {
			t.Fatalf("RESTORE %q: %v", objs[i].Key, err)
		}
	}
	if got := tellStreams(t, restored, true); got != want {
		t.Errorf("RESTORE gives\n%s\nwant\n%s", got, want)
	}
	rebuilt, _ := startRedis(t, nil)
	cmds := NewCommands(func(args [][]byte) error {
		words := make([]any, len(args))
		for i, a := range args {
			words[i] = bytes.Clone(a)
		}
		return rebuilt.Do(ctx, words...).Err()
	})
	for i := range objs {
		cmds.Object(&objs[i])
	}
	if err := cmds.End(); err != nil {
		t.Fatal(err)
	}
	if got := tellStreams(t, rebuilt, false); got != logical {
		t.Errorf("commands give\n%s\nwant\n%s", got, logical)
	}
}
