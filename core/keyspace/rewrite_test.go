package keyspace

import (
	"bytes"
	"testing"
)

// TestRewrite: a value is written over where nobody else has it, and left alone everywhere else.
func TestRewrite(t *testing.T) {
	t.Parallel()
	k := New(Config{Shards: 1, Databases: 1})
	defer k.Close()
	s, d := k.Shard(0), k.Shard(0).DB(0)
	s.Lock()
	defer s.Unlock()
	key := []byte("key")
	long := bytes.Repeat([]byte("v"), 300<<10)
	for _, c := range []struct {
		name string
		make func()
		val  []byte
		want bool
	}{
		{"same length", func() { d.SetString(key, []byte("12"), 0) }, []byte("13"), true},
		{"with a deadline", func() { d.SetString(key, []byte("12"), 1<<50) }, []byte("13"), true},
		{"longer", func() { d.SetString(key, []byte("12"), 0) }, []byte("133"), false},
		{"shorter", func() { d.SetString(key, []byte("12"), 0) }, []byte("1"), false},
		{"appended to", func() { d.SetString(key, []byte("1"), 0); d.Append(key, []byte("2")) }, []byte("13"), false},
		{"long", func() { d.SetString(key, long, 0) }, bytes.ToUpper(long), false},
	} {
		c.make()
		e, _ := d.Get(key, 0)
		was, due := string(e.Bytes()), e.Deadline()
		if got := e.Rewrite(c.val); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if c.want {
			was = string(c.val)
		}
		if e, _ = d.Get(key, 0); string(e.Bytes()) != was || e.Deadline() != due {
			t.Errorf("%s: %.20q, due %d; want %.20q, %d", c.name, e.Bytes(), e.Deadline(), was, due)
		}
		d.Delete(key)
	}
	d.Set(key).Add([]byte("a"))
	e, _ := d.Get(key, 0)
	if e.Rewrite(make([]byte, len(e.Bytes()))) {
		t.Error("a set is written over as a string")
	}
	d.SetString(key, []byte("12"), 0)
	v, _ := s.Freeze()
	if e, _ = d.Get(key, 0); e.Rewrite([]byte("13")) {
		t.Error("what a view sees is written over")
	}
	s.Unlock()
	v.Release()
	s.Lock()
	if e, _ = d.Get(key, 0); !e.Rewrite([]byte("13")) {
		t.Error("what a view has seen is not written over behind it")
	}
}
