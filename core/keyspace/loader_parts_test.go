package keyspace

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb"
)

// TestLoaderParts: what comes in parts is there as a whole, in the place of what the key held, and not before its last part.
func TestLoaderParts(t *testing.T) {
	t.Parallel()
	from, d := oneDB(t)
	for i := range 20_000 {
		item := fmt.Appendf(nil, "%s%d", strings.Repeat("x", i%40), i)
		d.List([]byte("list")).PushBack(item)
		d.AddEntry([]byte("stream"), StreamID{MS: uint64(i + 1)}, [][]byte{[]byte("f"), item}) // positive
	}
	d.List([]byte("huge")).PushBack(bytes.Repeat([]byte("y"), 100_000))
	for i := range 3000 {
		d.List([]byte("huge")).PushBack(fmt.Append(nil, "after ", i))
	}
	d.EditStream([]byte("stream"), func(s *StreamValue) {
		s.CreateGroup([]byte("g"), StreamID{MS: 7}, 7)
		for i := range uint64(3) {
			s.Delete(StreamID{MS: 1 + i})
		}
	})
	d.SetDeadline([]byte("list"), 1_800_000_000_000)
	s := from.Shard(0)
	v, err := s.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	s.Unlock()
	file, err := snapshot(v)
	v.Release()
	s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	want := contents(d)
	stream := streamText(d.Stream([]byte("stream")).value())

	to := New(Config{Shards: 1, Databases: 1, Now: 1_700_000_000_000})
	t.Cleanup(to.Close)
	l, parts := to.NewLoader(), 0
	for _, key := range []string{"list", "stream"} {
		if err := l.Load(&rdb.Object{Key: []byte(key), Type: String, Str: []byte("before"), LRU: -1, LFU: -1}); err != nil {
			t.Fatal(err)
		}
	}
	err = rdb.Read(bytes.NewReader(file), rdb.Handler{Packed: true, Object: func(o *rdb.Object) error {
		if o.More {
			parts++
			if err := to.Load(o); err == nil {
				t.Errorf("a part of %q was loaded as if it were all", o.Key)
			}
		}
		return l.Load(o)
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.Flush()
	s = to.Shard(0)
	s.Lock()
	defer s.Unlock()
	again := s.DB(0)
	if got := streamText(again.Stream([]byte("stream")).value()); got != stream {
		t.Errorf("%.300s, want %.300s", got, stream)
	}
	again.Delete([]byte("stream"))
	checkCollections(t, again)
	if got := contents(again); parts < 20 || got["list"] != want["list"] || got["huge"] != want["huge"] {
		t.Errorf("in %d parts: %.200s, want %.200s", parts, got["list"], want["list"])
	}
	if e, _ := again.Get([]byte("list"), 0); e.Deadline() != 1_800_000_000_000 {
		t.Errorf("the list has the deadline %d", e.Deadline())
	}
	for _, typ := range []Type{List, Stream} { // a part, and then the end
		l := to.NewLoader()
		o := &rdb.Object{Key: []byte("aborted"), Type: typ, More: true, Items: [][]byte{[]byte("a")}, LRU: -1, LFU: -1}
		if typ == Stream {
			o.Stream = d.Stream([]byte("stream")).value()
		}
		err := l.Load(o)
		if l.Abort(); err != nil || l.long != nil {
			t.Errorf("a part of a %s: %v", typ, err)
		}
	}
	if _, status := again.Get([]byte("aborted"), 0); status == Live {
		t.Error("what was aborted is there")
	}
	if a, b := d.List([]byte("list")), again.List([]byte("list")); b.chunks(b.find()).n > a.chunks(a.find()).n*5/4 {
		t.Errorf("%d chunks became %d", a.chunks(a.find()).n, b.chunks(b.find()).n)
	}
}
