package keyspace

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// request is a SET as a client sends it, in a buffer, and its key and value there.
func request(key string, val []byte) (b *arena.Buffer, k, v []byte) {
	head := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n", len(key), key, len(val))
	b = new(arena.Buffer)
	in := b.Grow(len(head) + len(val) + 2)
	at := copy(in, head)
	copy(in[at:], val)
	copy(in[at+len(val):], "\r\n")
	from := bytes.Index(in[:at], []byte("\r\n"+key+"\r\n")) + 2
	return b, in[from : from+len(key)], in[at : at+len(val)]
}

// TestAdoptString: a value that stays where it was received is what SetString would have made
// of it, whatever the key was before, to a view as well, and takes no more memory for longer.
func TestAdoptString(t *testing.T) {
	t.Parallel()
	const size = 600<<10 + 7
	val, old := bytes.Repeat([]byte("new"), size/3), bytes.Repeat([]byte("old"), size/3)
	for _, before := range []string{"none", "short", "long", "dated", "hash", "large hash"} {
		for _, deadline := range []int64{0, 1 << 50} {
			for _, viewed := range []bool{false, true} {
				name := fmt.Sprintf("%s, deadline %d, viewed %v", before, deadline, viewed)
				k := New(Config{Shards: 1, Databases: 1})
				s := k.Shard(0)
				s.Lock()
				d := s.DB(0)
				d.SetString([]byte("other"), []byte("value"), 0) // the index is there
				used := s.used
				key := []byte("a key")
				switch before {
				case "short":
					d.SetString(key, []byte("old"), 0)
				case "long":
					d.SetString(key, old, 0)
				case "dated":
					d.SetString(key, old, 1<<49)
				case "hash", "large hash":
					fields := 3
					if before == "large hash" {
						fields = 3000
					}
					h := d.Hash(key)
					for i := range fields {
						h.Set([]byte(fmt.Sprint("field", i)), []byte("value"))
					}
				}
				was, _ := d.Get(key, 0)
				wasLong := before == "long" || before == "dated"
				var v *View
				if viewed {
					v, _ = s.Freeze()
				}
				b, rk, rv := request("a key", val)
				gotKey, gotVal, ok := d.AdoptString(rk, rv, deadline, b)
				if !ok || string(gotKey) != "a key" || !bytes.Equal(gotVal, val) || &gotVal[0] != &rv[0] {
					t.Fatalf("%s: it is not adopted, or not what was sent", name)
				}
				if viewed && wasLong && !bytes.Equal(was.Bytes(), old) {
					t.Errorf("%s: what a view sees was written", name)
				}
				b.Free()
				check := func(what string, want []byte) {
					t.Helper()
					e, status := d.Get(key, 0)
					if status == Missing || e.Type() != String || e.Deadline() != deadline || !bytes.Equal(e.Bytes(), want) {
						t.Fatalf("%s: after %s: %d bytes, deadline %d", name, what, len(e.Bytes()), e.Deadline())
					}
				}
				check("SET", val)
				d.Append(key, []byte("more"))
				check("APPEND", append(bytes.Clone(val), "more"...))
				d.SetString(key, val, deadline)
				check("a copied SET", val)
				if keys, expires := d.Len(), d.Expires(); keys != 2 || expires != int(min(deadline, 1)) {
					t.Errorf("%s: %d keys, %d with a deadline", name, keys, expires)
				}
				d.Delete(key)
				s.Unlock()
				if v != nil {
					v.Release()
				}
				s.Lock()
				if s.used != used {
					t.Errorf("%s: %d bytes are used, %d before", name, s.used, used)
				}
				s.Unlock()
				k.Close()
			}
		}
	}
}
