package keyspace

import (
	"fmt"
	"testing"
)

// TestPrefetch looks ahead among keys that exist and keys that do not, in a
// store large enough for it to act, while a view is being read.
func TestPrefetch(t *testing.T) {
	k := New(Config{Shards: 1})
	defer k.Close()
	s := k.Shard(0)
	s.Lock()
	d := s.DB(0)
	d.Prefetch([][]byte{[]byte("nothing"), nil}) // before the first key
	for i := range 2 * prefetchKeys {
		d.SetString(fmt.Appendf(nil, "key:%d", i), fmt.Appendf(nil, "value:%d", i), 0)
	}
	v, err := s.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	s.Unlock()
	read := make(chan error)
	go func() { read <- v.dbs[0].each(func(blob) error { return nil }, func(int) error { return nil }) }()
	s.Lock()
	used := s.used
	var keys [][]byte
	for i := range 3*AheadMax + 7 {
		keys = append(keys, fmt.Appendf(nil, "key:%d", 31*i), fmt.Appendf(nil, "none:%d", i))
	}
	d.Prefetch(keys)
	d.Prefetch(nil)
	if s.used != used || d.Len() != 2*prefetchKeys {
		t.Errorf("Prefetch changed the store: %d bytes and %d keys, were %d and %d", s.used, d.Len(), used, 2*prefetchKeys)
	}
	for i := range 2 * prefetchKeys {
		if e, st := d.Get(fmt.Appendf(nil, "key:%d", i), 1); st != Live || string(e.Bytes()) != fmt.Sprintf("value:%d", i) {
			t.Fatalf("key:%d is %q", i, e.Bytes())
		}
	}
	s.Unlock()
	if err := <-read; err != nil {
		t.Error(err)
	}
	v.Release()
}

// BenchmarkLookup compares finding keys one by one with looking ahead.
func BenchmarkLookup(b *testing.B) {
	const keys = 1 << 20
	k := New(Config{Shards: 1})
	defer k.Close()
	s := k.Shard(0)
	s.Lock()
	defer s.Unlock()
	d := s.DB(0)
	names := make([][]byte, keys)
	for i := range names {
		names[i] = fmt.Appendf(nil, "key:%012d", i*7919%keys)
		d.SetString(names[i], make([]byte, 64), 0)
	}
	for _, ahead := range []bool{false, true} {
		b.Run(fmt.Sprintf("ahead=%v", ahead), func(b *testing.B) {
			for i := range b.N {
				at := i / 32 * 7919 % (keys / 32) * 32
				if ahead && i%32 == 0 {
					d.Prefetch(names[at : at+32])
				}
				if _, st := d.Get(names[at+i%32], 1); st != Live {
					b.Fatal("a key is gone")
				}
			}
		})
	}
}
