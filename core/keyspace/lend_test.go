package keyspace

import (
	"bytes"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// TestLend: a value that is lent is read without the lock while everything that can become
// of its key does, and stays what it was. Afterwards writes are in place again.
func TestLend(t *testing.T) {
	t.Parallel()
	const size = 600 << 10
	k := New(Config{Shards: 1, Databases: 2})
	defer k.Close()
	s := k.Shard(0)
	key, other := []byte("key"), []byte("other")
	was := bytes.Repeat([]byte("v"), size)
	for name, change := range map[string]func(d *DB){
		"SET": func(d *DB) { d.SetString(key, bytes.Repeat([]byte("w"), size), 0) },
		"AdoptString": func(d *DB) {
			var b arena.Buffer
			val := b.Grow(64 + size)[64 : 64+size]
			if _, _, ok := d.AdoptString(key, val, 0, &b); !ok {
				t.Error("it is not adopted")
			}
			b.Free()
		},
		"APPEND":        func(d *DB) { d.Append(key, []byte("more")) },
		"SETRANGE":      func(d *DB) { d.SetRange(key, 7, []byte("other")) },
		"ReplaceString": func(d *DB) { d.ReplaceString(key, bytes.Repeat([]byte("w"), size)) },
		"FillString":    func(d *DB) { d.FillString(key, size, func(p []byte) { clear(p) }) },
		"EXPIRE":        func(d *DB) { d.SetDeadline(key, 1<<50) },
		"DEL":           func(d *DB) { d.Delete(key) },
		"COPY":          func(d *DB) { d.Copy(key, other, d) },
		"FLUSHDB":       func(d *DB) { d.Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			s.Lock()
			s.DB(0).SetString(key, was, 0)
			e, _ := s.DB(0).Get(key, 0)
			lent := e.Bytes()
			loan, ok := s.DB(0).Lend(key)
			s.Unlock()
			if !ok {
				t.Fatal("a value of 600 KiB is not lent")
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for range 3 {
					if !bytes.Equal(lent, was) {
						t.Error("what is lent has changed")
					}
				}
				loan.Return()
			})
			s.Lock()
			change(s.DB(0))
			change(s.DB(0))
			s.Unlock()
			for range 3 { // of memory that was given up too early
				s.Lock()
				s.DB(0).SetString(other, bytes.Repeat([]byte("o"), size), 0)
				s.DB(0).Delete(other)
				s.Unlock()
			}
			wg.Wait()

			s.Lock()
			defer s.Unlock()
			s.DB(0).SetString(key, was, 0)
			place := func() arena.Ref {
				_, pl, _ := s.DB(0).st.find(k.hash(key), key)
				return pl.ref()
			}
			at := place()
			if s.DB(0).SetString(key, was, 0); place() != at {
				t.Error("what nobody has on loan any more is not written in its place")
			}
		})
	}
	s.Lock()
	defer s.Unlock()
	s.DB(0).SetString(key, was[:1000], 0)
	for _, key := range [][]byte{key, []byte("none")} {
		if _, ok := s.DB(0).Lend(key); ok {
			t.Errorf("%s is lent", key)
		}
	}
}
