package keyspace

import (
	"encoding/binary"
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// oneDB returns a keyspace of one shard, locked, and its only database.
func oneDB(t *testing.T) (*Keyspace, *DB) {
	t.Helper()
	k := New(Config{Shards: 1, Databases: 1, Now: 1_700_000_000_000})
	s := k.Shard(0)
	s.Lock()
	t.Cleanup(func() {
		s.Unlock()
		k.Close()
	})
	return k, s.DB(0)
}

// TestDeepPages fills a corner of the index with keys that agree in their
// first hash bits, so that the window of a page is used up and the directory
// has to deepen, and empties it again, with a view alive half of the time.
func TestDeepPages(t *testing.T) {
	const agree = windowBits + 1
	k, d := oneDB(t)
	var keys [][]byte
	for i := uint64(0); len(keys) < pageFull+100; i++ {
		key := binary.LittleEndian.AppendUint64(nil, i)
		if k.hash(key)>>(64-agree) == 1<<(agree-1)+1 {
			keys = append(keys, key)
		}
	}
	var v *View
	for i, key := range keys {
		if i == pageFull/2 {
			v, _ = k.Shard(0).Freeze()
		}
		d.SetString(key, key, int64(i%3)*100)
	}
	p := d.st.arena.Page(arena.Ref(d.st.dir.pageAt(k.hash(keys[0]))))
	if pageDepth(p) <= agree || pageBase(p) == 0 || d.st.dir.bits == 0 {
		t.Fatalf("depth %d, base %d, directory of %d bits", pageDepth(p), pageBase(p), d.st.dir.bits)
	}
	checkStore(t, d.st)
	n := 0
	if err := v.dbs[0].each(func(blob) error { n++; return nil }, func(int) error { return nil }); err != nil || n != pageFull/2 {
		t.Fatalf("the view has %d keys, error %v", n, err)
	}
	k.Shard(0).Unlock()
	v.Release()
	v.Release()
	k.Shard(0).Lock()
	for i, key := range keys {
		if !d.Delete(key) {
			t.Fatalf("key %d is gone", i)
		}
		if i%50 == 0 {
			checkStore(t, d.st)
		}
	}
	if d.Len() != 0 || d.Expires() != 0 {
		t.Errorf("%d keys, %d with a deadline left", d.Len(), d.Expires())
	}
}

// TestManyPages grows and shrinks a database through splits of leaves.
func TestManyPages(t *testing.T) {
	const keys = 400_000
	k, d := oneDB(t)
	key := make([]byte, 8)
	for i := range uint64(keys) {
		binary.LittleEndian.PutUint64(key, i)
		d.SetString(key, key, int64(i%4*(i*2654435761%1_000_003)))
	}
	if d.st.dir.bits == 0 {
		t.Fatal("the directory has one leaf only")
	}
	checkStore(t, d.st)
	peak := k.Shard(0).used
	for i := range uint64(keys) {
		binary.LittleEndian.PutUint64(key, i)
		if e, status := d.Get(key, 0); status != Live || string(e.Bytes()) != string(key) {
			t.Fatalf("key %d: %v", i, status)
		}
		if i%101 != 0 {
			d.Delete(key)
		}
	}
	checkStore(t, d.st)
	if got := k.Shard(0).used; d.Len() != keys/101+1 || got > peak/20 {
		t.Errorf("%d keys use %d bytes, %d keys used %d", d.Len(), got, keys, peak)
	}
}

func TestSlot(t *testing.T) {
	for _, tt := range []struct {
		key  string
		slot int
	}{
		{"123456789", 0x31c3}, {"", 0}, {"foo", 12182}, {"{foo}bar", 12182}, {"a{foo}{bar}", 12182},
		{"{}foo", Slot([]byte("{}foo"))}, {"foo{", Slot([]byte("foo{"))},
	} {
		if got := Slot([]byte(tt.key)); got != tt.slot {
			t.Errorf("Slot(%q) = %d, want %d", tt.key, got, tt.slot)
		}
	}
	for n := range 40 { // however it is computed, it is the remainder of a division
		key := make([]byte, n)
		for i := range key {
			key[i] = byte(i*151+n*37) | 0x80 // no brace
		}
		var crc uint16
		for _, c := range key {
			crc ^= uint16(c) << 8
			for range 8 {
				carry := crc >> 15
				crc = crc<<1 ^ carry*0x1021
			}
		}
		if got := Slot(key); got != int(crc%numSlots) {
			t.Errorf("Slot of %d bytes = %d, want %d", n, got, crc%numSlots)
		}
	}
	if Slot([]byte("{}foo")) == Slot([]byte("foo")) || Slot([]byte("{}a")) == Slot([]byte("{}b")) {
		t.Error("an empty tag must not count")
	}
	k := New(Config{Shards: 7, Databases: 1})
	seen := map[int]bool{}
	for i := range 1000 {
		key := binary.LittleEndian.AppendUint64(nil, uint64(i)) // positive
		seen[k.ShardOf(key)] = true
	}
	if len(seen) != 7 || seen[7] {
		t.Errorf("keys go to shards %v", seen)
	}
}
