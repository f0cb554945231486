package keyspace

import (
	"fmt"
	"testing"
)

// TestHeapRoom: the room that the Go heap is given for large collections counts as used, for
// what is on it alone, and no longer than it is there.
func TestHeapRoom(t *testing.T) {
	k := New(Config{Shards: 1, Databases: 2})
	s := k.Shard(0)
	change := func(fn func(a, b *DB)) (used, heap int64) {
		s.Lock()
		fn(s.DB(0), s.DB(1))
		s.Unlock()
		return s.used, s.UsedBytes() - s.used
	}
	fill := func(a, _ *DB) {
		a.SetString([]byte("string"), make([]byte, 100_000), 0)
		for i := range 10_000 {
			a.AddEntry([]byte("stream"), StreamID{MS: uint64(i + 1)}, [][]byte{[]byte("field"), fmt.Appendf(nil, "member:%d", i)})
		}
	}
	if _, room := change(fill); room != 0 {
		t.Fatalf("a room of %d bytes without one", room)
	}
	k.SetHeapRoom(50)
	used, room := change(func(_, _ *DB) {})
	if want := (used - 100_000) / 2; room < want*9/10 || room > want*11/10 {
		t.Fatalf("a room of %d bytes for %d in all, want about %d", room, used, want)
	}
	for _, step := range []struct {
		name string
		fn   func(a, b *DB)
	}{
		{"moved", func(a, b *DB) { a.Move([]byte("stream"), []byte("stream"), b) }},
		{"copied and flushed", func(a, b *DB) { b.Copy([]byte("stream"), []byte("other"), a); b.Flush() }},
		{"renamed", func(a, _ *DB) { a.Move([]byte("other"), []byte("again"), a) }},
	} {
		if _, now := change(step.fn); now != room {
			t.Errorf("%s: a room of %d bytes, it was %d", step.name, now, room)
		}
	}
	if _, room := change(func(a, _ *DB) { a.Delete([]byte("again")) }); room != 0 {
		t.Errorf("a room of %d bytes for nothing", room)
	}
}
