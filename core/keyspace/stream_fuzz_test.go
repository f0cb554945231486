package keyspace

import (
	"bytes"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// streamPayload is what DUMP makes of a stream with what a stream can have: nodes, deleted
// entries, groups, consumers, entries that are pending and are no more.
func streamPayload(f *testing.F) []byte {
	k := New(Config{Shards: 1, Databases: 1})
	defer k.Close()
	l := DefaultLimits()
	l.StreamNodeEntries = 2
	k.SetLimits(l)
	s := k.Shard(0)
	s.Lock()
	defer s.Unlock()
	d, key := s.DB(0), []byte("k")
	for i := range uint64(5) {
		d.AddEntry(key, StreamID{MS: 5 + i, Seq: i}, [][]byte{[]byte("f"), []byte("-700"), []byte("g"), []byte("v")})
	}
	d.EditStream(key, func(s *StreamValue) {
		s.CreateGroup([]byte("g"), StreamID{MS: 6, Seq: 1}, 2)
		s.CreateGroup([]byte("other"), StreamID{}, rdb.EntriesUnknown)
		s.EditGroup([]byte("g"), func(g *StreamGroup) {
			g.CreateConsumer([]byte("a"), 7)
			g.CreateConsumer([]byte("b"), 8)
			g.Claim(StreamPending{StreamID{MS: 5}, []byte("a"), 7, 1})
			g.Claim(StreamPending{StreamID{MS: 6, Seq: 1}, []byte("a"), 8, 3})
		})
		s.Delete(StreamID{MS: 6, Seq: 1})
	})
	p, err := rdb.EncodeObject(nil, &rdb.Object{Type: rdb.TypeStream, Stream: d.Stream(key).value()})
	if err != nil {
		f.Fatal(err)
	}
	return p
}

// FuzzRestoreStream takes any bytes for the payload of a RESTORE of a stream. What decodes is
// stored as what it says, is written and loaded back the same, can be changed in every way, with
// the memory that it takes accounted for, and leaves nothing behind.
func FuzzRestoreStream(f *testing.F) {
	p := streamPayload(f)
	f.Add(p)
	for i := range p { // a fuzzer is slow to find the places
		flipped := bytes.Clone(p)
		flipped[i] ^= 1
		f.Add(flipped)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		obj, err := rdb.DecodeObject(payload)
		if err != nil || obj.Type != rdb.TypeStream {
			return
		}
		want := streamText(obj.Stream)
		k := New(Config{Shards: 1, Databases: 1})
		obj.Key = []byte("k")
		if err := k.Load(obj); err != nil {
			t.Fatal(err)
		}
		s := k.Shard(0)
		s.Lock()
		d := s.DB(0)
		if got := streamText(d.Stream(obj.Key).value()); got != want {
			t.Fatalf("%s\nwant\n%s", got, want)
		}
		reloaded(t, s, want)
		d.EditStream(obj.Key, func(v *StreamValue) { wear(v) })
		if last := d.Stream(obj.Key).Info().Last; last.Less(packed.MaxStreamID) {
			next, _ := last.Next()
			d.AddEntry(obj.Key, next, [][]byte{[]byte("f"), []byte("v")})
		}
		(&streams{t: t}).account(d.Stream(obj.Key))
		reloaded(t, s, streamText(d.Stream(obj.Key).value()))
		d.EditStream(obj.Key, func(v *StreamValue) { v.Trim(StreamTrim{}) })
		(&streams{t: t}).account(d.Stream(obj.Key))
		d.Delete(obj.Key)
		s.Unlock()
		checkDrained(t, k)
	})
}

// reloaded writes the shard, which is locked before and afterwards, and wants its stream k to be read back as this.
func reloaded(t *testing.T, s *Shard, want string) {
	t.Helper()
	v, err := s.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	s.Unlock() // which the release of a view needs
	defer s.Lock()
	defer v.Release()
	file, err := snapshot(v)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	if err := rdb.Read(bytes.NewReader(file), rdb.Handler{Object: func(o *rdb.Object) error { got = streamText(o.Stream); return nil }}); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("it is read back as\n%s\nwant\n%s", got, want)
	}
}

// wear deletes every second entry and does to each group what its commands do.
func wear(v *StreamValue) {
	var ids []StreamID
	v.Each(StreamID{}, packed.MaxStreamID, false, func(it *StreamItem) bool {
		ids = append(ids, it.ID)
		return true
	})
	for i := 0; i < len(ids); i += 2 {
		v.Delete(ids[i])
	}
	var names [][]byte
	v.EachGroup(func(g *StreamGroup) bool {
		names = append(names, bytes.Clone(g.Name()))
		return true
	})
	for i, name := range names {
		if i%3 == 2 {
			v.DestroyGroup(name)
			continue
		}
		v.EditGroup(name, func(g *StreamGroup) {
			g.CreateConsumer([]byte("new"), 9)
			for j, id := range ids {
				g.Claim(StreamPending{id, []byte("new"), 9, 1})
				if j%2 == 0 {
					g.Ack(id)
				}
			}
			g.DeleteConsumer([]byte("a"))
		})
	}
}
