package keyspace

import (
	"fmt"

	"github.com/spillwaydb/spillway/core/rdb"
)

// A Loader puts objects of an RDB file into a keyspace as Load does, and faster: small
// strings and collections wait until there are some for a shard, which is then locked once, and whose
// index is read for all of them together, so that the waits for memory overlap. What
// waits is seen by nobody before Flush. A Loader is for one goroutine; several may load
// into one keyspace at a time.
type Loader struct {
	ks      *Keyspace
	parts   []loadBatch // one a shard
	scratch scratch     // in which collections are packed before a shard is locked
	long    object      // what has come of an object that comes in parts
}

const (
	// loadBatchKeys is how many keys a shard gets at a time.
	loadBatchKeys = 64
	// loadBatchBytes is from how many bytes on it gets fewer of them.
	loadBatchBytes = 32 << 10
	// loadWaits is how long a key and its value may be, together, to wait.
	loadWaits = 1 << 10
	// loadItems is how many items a collection may have to wait: one of more is longer than that nearly always.
	loadItems = 1 << 7
)

// loadBatch is what waits for a shard, in the order it came.
type loadBatch struct {
	keys []loadKey
	text []byte // keys and values, one behind the other
}

// loadKey is a key that waits: it is from keyAt in the batch's text, and its value, as a blob has it, from valAt to end.
type loadKey struct {
	hash       uint64
	deadline   int64
	lru        int64
	lfu        int
	db         int
	typ        Type
	enc        enc
	keyAt      int
	valAt, end int
}

// NewLoader returns a Loader. Flush ends what it is used for, or Abort.
func (k *Keyspace) NewLoader() *Loader {
	return &Loader{ks: k, parts: make([]loadBatch, len(k.shards))}
}

// Load loads one object, now or at the next Flush, behind those of its shard that were
// loaded before. obj is the caller's again when it returns.
func (l *Loader) Load(obj *rdb.Object) error {
	if err := l.ks.checkDB(obj.DB); err != nil {
		return fmt.Errorf("loading key %.100q: %w", obj.Key, err)
	}
	if obj.More || l.long != nil {
		return l.loadPart(obj)
	}
	n := l.ks.ShardOf(obj.Key)
	b := &l.parts[n]
	if val, e, ok := l.pack(obj); ok && len(obj.Key)+len(val) <= loadWaits {
		b.add(obj, l.ks.hash(obj.Key), e, val)
		if len(b.keys) == loadBatchKeys || len(b.text) >= loadBatchBytes {
			l.flush(n)
		}
		return nil
	}
	l.flush(n)
	s := l.ks.shards[n]
	s.Lock()
	defer s.Unlock()
	return s.dbs[obj.DB].Restore(obj.Key, obj)
}

// loadPart loads a part of a long list or stream, and puts all of it into its shard with the last.
func (l *Loader) loadPart(obj *rdb.Object) error {
	switch obj.Type {
	case List:
		c, _ := l.long.(*chunks)
		if c == nil {
			c = newChunks(l.ks.pool)
		}
		l.long = c
		packer{obj, l.ks, l.ks.limits.Load(), &l.scratch}.addChunks(c)
	case Stream:
		s, _ := l.long.(*StreamValue)
		if s == nil {
			s = newStream()
		}
		l.long = s
		s.load(obj.Stream)
	default:
		return fmt.Errorf("keyspace: loading a part of key %.100q: %w", obj.Key, rdb.UnknownType(obj.Type))
	}
	if obj.More {
		return nil
	}
	o, n := l.long, l.ks.ShardOf(obj.Key)
	l.long = nil
	l.flush(n)
	s := l.ks.shards[n]
	s.Lock()
	defer s.Unlock()
	s.dbs[obj.DB].restoreObject(obj.Key, obj, o)
	return nil
}

// pack returns the value of a string or a small collection as a blob has it.
func (l *Loader) pack(obj *rdb.Object) (val []byte, e enc, ok bool) {
	switch obj.Type {
	case String:
		return obj.Str, encRaw, true
	case List, Set, ZSet, Hash:
		if len(obj.Items) <= loadItems && max(len(obj.Listpack), len(obj.Intset)) <= loadWaits && len(obj.Nodes) == 0 && obj.Len() > 0 {
			val, e = packer{obj, l.ks, l.ks.limits.Load(), &l.scratch}.pack(obj.Type)
		}
	case Stream: // is never small
	default:
		panic(rdb.UnknownType(obj.Type))
	}
	return val, e, val != nil
}

// Flush loads what still waits.
func (l *Loader) Flush() {
	for n := range l.parts {
		l.flush(n)
	}
}

// Abort drops what still waits, and the parts of an object that has not come to its end.
func (l *Loader) Abort() {
	if l.long != nil {
		l.ks.reaper.take(l.long)
	}
	l.long, l.parts = nil, make([]loadBatch, len(l.parts))
}

func (l *Loader) flush(n int) {
	b := &l.parts[n]
	if len(b.keys) == 0 {
		return
	}
	s := l.ks.shards[n]
	s.Lock()
	defer s.Unlock()
	for rest := b.keys; len(rest) > 0; {
		some := rest[:min(len(rest), AheadMax)]
		rest = rest[len(some):]
		s.prefetchLoads(some)
		for i := range some {
			w := &some[i]
			d, key := s.dbs[w.db], b.text[w.keyAt:w.valAt]
			d.st.put(w.hash, key, w.typ, w.enc, b.text[w.valAt:w.end], w.deadline)
			d.restoreClock(key, &rdb.Object{LRU: w.lru, LFU: w.lfu})
		}
	}
	b.keys, b.text = b.keys[:0], b.text[:0]
}

// add copies a key and its value to the end of a batch.
func (b *loadBatch) add(obj *rdb.Object, hash uint64, e enc, val []byte) {
	if b.keys == nil {
		b.keys = make([]loadKey, 0, loadBatchKeys)
		b.text = make([]byte, 0, loadBatchBytes+loadWaits)
	}
	at := len(b.text)
	b.text = append(append(b.text, obj.Key...), val...)
	b.keys = append(b.keys, loadKey{
		hash: hash, deadline: obj.ExpireMS, lru: obj.LRU, lfu: obj.LFU, db: obj.DB, typ: obj.Type, enc: e,
		keyAt: at, valAt: at + len(obj.Key), end: len(b.text),
	})
}

// prefetchLoads has the processor fetch what putting a few keys, at most AheadMax, reads.
// They are hardly ever there already, so that it looks at no values.
func (s *Shard) prefetchLoads(some []loadKey) {
	var a Ahead
	for i := range some {
		if st := s.dbs[some[i].db].st; st.keys >= prefetchKeys {
			a.page(st, some[i].hash)
		}
	}
	a.Fetch()
}
