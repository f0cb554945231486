package keyspace

import (
	"strings"
	"testing"
)

// TestRecent: a key that was found last is found as it is now, whatever became of it since, and no other is taken
// for it.
func TestRecent(t *testing.T) {
	t.Parallel()
	k := New(Config{Shards: 1, Databases: 2})
	defer k.Close()
	s, d := k.Shard(0), k.Shard(0).DB(0)
	s.Lock()
	defer s.Unlock()
	long := strings.Repeat("v", 5000)
	for _, family := range []string{"k", "key", "a key of some length"} {
		key, alike, absent := []byte(family), []byte("another "+family), []byte("absent "+family)
		for name, c := range map[string]struct {
			change func()
			want   string // "" for no such key
		}{
			"nothing":             {func() {}, "value"},
			"another":             {func() { d.SetString(alike, []byte("other"), 0) }, "value"},
			"overwritten":         {func() { d.SetString(key, []byte("VALUE"), 0) }, "VALUE"},
			"rewritten":           {func() { e, _ := d.Get(key, 0); e.Rewrite([]byte("VALUE")) }, "VALUE"},
			"longer":              {func() { d.SetString(key, []byte(long), 0) }, long},
			"appended to":         {func() { d.Append(key, []byte(long)) }, "value" + long},
			"given a deadline":    {func() { d.SetDeadline(key, 1<<50) }, "value"},
			"deleted":             {func() { d.Delete(key) }, ""},
			"deleted and anew":    {func() { d.Delete(key); d.SetString(key, []byte("new"), 0) }, "new"},
			"its block another's": {func() { d.Delete(key); d.SetString(alike, []byte("value"), 0) }, ""},
			"moved away":          {func() { d.Move(key, key, s.DB(1)) }, ""},
			"copied over":         {func() { d.SetString(alike, []byte("other"), 0); d.Copy(alike, key, d) }, "other"},
			"flushed":             {func() { d.Flush() }, ""},
			"while viewed": {func() {
				v, _ := s.Freeze()
				d.SetString(key, []byte("VALUE"), 0)
				s.Unlock()
				v.Release()
				s.Lock()
			}, "VALUE"},
			"moved to another place": {func() {
				b, pl, _ := d.st.find(k.hash(key), key)
				r := d.st.moveBlock(pl.ref(), len(b))
				pl.p[pl.i] = pl.p[pl.i]&^refMask | uint64(r)
				d.SetString(key, []byte("VALUE"), 0) // there
			}, "VALUE"},
		} {
			d.SetString(key, []byte("value"), 0)
			if e, _ := d.Get(key, 0); string(e.Bytes()) != "value" {
				t.Fatalf("%s is %q", key, e.Bytes())
			}
			c.change()
			for range 2 {
				e, status := d.Get(key, 0)
				if got := status == Live; got != (c.want != "") || got && (string(e.Key()) != family || string(e.Bytes()) != c.want) {
					t.Errorf("%s, %s: %v", family, name, status)
				}
				if _, status := d.Get(absent, 0); status != Missing {
					t.Errorf("%s, %s: a key that is not there is", family, name)
				}
			}
			d.Flush()
			s.DB(1).Flush()
		}
	}
}
