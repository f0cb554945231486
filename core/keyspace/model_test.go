package keyspace

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/internal/testutil"
)

var (
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests") // any
	steps = flag.Int("steps", someSteps(), "steps of the random tests")
)

// modelObject stands for a large collection: a list of numbers, copied on write.
type modelObject struct {
	onHeapOnly
	vals []uint32
}

func (o *modelObject) clone() object { return &modelObject{vals: slices.Clip(o.vals)} }
func (o *modelObject) onHeap() int64 { return o.memory() }
func (o *modelObject) memory() int64 { return int64(cap(o.vals)) * 4 }
func (o *modelObject) size() int     { return len(o.vals) }

// modelValue is what a key should hold.
type modelValue struct {
	t        Type
	enc      enc
	value    string // the payload, or an object's numbers
	deadline int64
}

type modelDB map[string]modelValue

// model is a Keyspace and what it should hold.
type model struct {
	t         *testing.T
	k         *Keyspace
	dbs       []modelDB // over all shards
	rng       *rand.Rand
	now       int64
	wg        sync.WaitGroup
	keys      int // size of the key space
	moved     int // by Compact
	rewritten int // by Rewrite
	mu        sync.Mutex
	bad       string // what a view's reader found
}

func objectValue(o object) string {
	var b []byte
	for _, v := range o.(*modelObject).vals {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return string(b)
}

// read returns a blob as the model would have it.
func read(b blob, o func(id uint32) object) modelValue {
	v := modelValue{t: b.typ(), enc: b.enc(), deadline: b.deadline()}
	if v.enc == encObject {
		v.value = objectValue(o(objectID(b.payload())))
	} else {
		v.value = string(b.payload())
	}
	return v
}

func (m *model) key() []byte { return fmt.Appendf(nil, "key:%d", m.rng.IntN(m.keys)) }

func (m *model) bytes() []byte {
	n := m.rng.IntN(60)
	switch m.rng.IntN(200) {
	case 0:
		n = m.rng.IntN(40_000)
	case 1, 2, 3, 4, 5:
		n = m.rng.IntN(3000)
	}
	return bytes.Repeat([]byte{byte(m.rng.Uint32())}, n)
}

func (m *model) deadline() int64 {
	if m.rng.IntN(3) > 0 {
		return 0
	}
	return m.now + 1 + int64(m.rng.IntN(100_000))
}

// on runs fn under the lock of the key's shard.
func (m *model) on(key []byte, n int, fn func(d *DB)) {
	s := m.k.Shard(m.k.ShardOf(key))
	s.Lock()
	defer s.Unlock()
	fn(s.DB(n))
}

// both runs fn under the locks of two keys' shards.
func (m *model) both(a, b []byte, na, nb int, fn func(da, db *DB)) {
	i, j := m.k.ShardOf(a), m.k.ShardOf(b)
	m.k.Shard(min(i, j)).Lock()
	if i != j {
		m.k.Shard(max(i, j)).Lock()
	}
	fn(m.k.Shard(i).DB(na), m.k.Shard(j).DB(nb))
	if i != j {
		m.k.Shard(max(i, j)).Unlock()
	}
	m.k.Shard(min(i, j)).Unlock()
}

func (m *model) step() {
	m.now += int64(m.rng.IntN(20))
	n := m.rng.IntN(len(m.dbs))
	key := m.key()
	want := m.dbs[n]
	old, exists := want[string(key)]
	switch op := m.rng.IntN(100); {
	case op < 6:
		if !exists || old.t != String {
			return
		}
		v := m.bytes()
		v = append(v, old.value[min(len(v), len(old.value)):]...)[:len(old.value)] // of the same length
		m.on(key, n, func(d *DB) {
			if e, status := d.Get(key, 0); status != Missing && e.Rewrite(v) {
				m.rewritten++
				old.value = string(v)
			}
		})
		want[string(key)] = old
	case op < 30:
		v, ms := m.bytes(), m.deadline()
		m.on(key, n, func(d *DB) { d.SetString(key, v, ms) })
		want[string(key)] = modelValue{String, encRaw, string(v), ms}
	case op < 40:
		m.on(key, n, func(d *DB) {
			if d.Delete(key) != exists {
				m.t.Fatalf("Delete(%s) is wrong", key)
			}
		})
		delete(want, string(key))
	case op < 46:
		if exists && old.t != String {
			return
		}
		v := m.bytes()
		m.on(key, n, func(d *DB) {
			if got := d.Append(key, v); got != len(old.value)+len(v) {
				m.t.Fatalf("Append gives %d", got)
			}
		})
		e := encGrown
		if !exists {
			e = encRaw
		}
		want[string(key)] = modelValue{String, e, old.value + string(v), old.deadline}
	case op < 50:
		if exists && old.t != String {
			return
		}
		v, off := m.bytes(), m.rng.IntN(100)
		m.on(key, n, func(d *DB) { d.SetRange(key, off, v) })
		buf := append([]byte(old.value), make([]byte, max(off+len(v)-len(old.value), 0))...)
		copy(buf[off:], v)
		want[string(key)] = modelValue{String, encGrown, string(buf), old.deadline}
	case op < 58:
		ms := m.deadline()
		m.on(key, n, func(d *DB) {
			if d.SetDeadline(key, ms) != exists {
				m.t.Fatalf("SetDeadline(%s) is wrong", key)
			}
		})
		if exists {
			old.deadline = ms
			want[string(key)] = old
		}
	case op < 63:
		v := m.bytes()
		m.on(key, n, func(d *DB) { d.storePayload(key, Hash, encPacked, v) })
		want[string(key)] = modelValue{Hash, encPacked, string(v), old.deadline}
	case op < 67:
		if old.enc != encPacked {
			return
		}
		off := m.rng.IntN(len(old.value) + 1)
		cut := m.rng.IntN(len(old.value) - off + 1)
		v := m.bytes()
		next := old.value[:off] + string(v) + old.value[off+cut:]
		m.on(key, n, func(d *DB) {
			if p := d.splice(key, off, cut, v); string(p) != next {
				m.t.Fatalf("splice made %.80q, want %.80q", p, next)
			}
		})
		old.value = next
		want[string(key)] = old
	case op < 70:
		o := &modelObject{vals: []uint32{m.rng.Uint32()}}
		m.on(key, n, func(d *DB) { d.newObject(key, ZSet, o) })
		want[string(key)] = modelValue{ZSet, encObject, objectValue(o), old.deadline}
	case op < 78:
		if old.enc != encObject {
			return
		}
		m.on(key, n, func(d *DB) {
			o := d.writableObject(key).(*modelObject)
			before := o.memory()
			o.vals = append(o.vals, m.rng.Uint32())
			if len(o.vals) > 2 {
				o.vals[m.rng.IntN(2)] = m.rng.Uint32()
				o.vals = slices.Clone(o.vals) // clone shares what is there
			}
			d.account(o.memory()-before, o.memory()-before)
			old.value = objectValue(o)
		})
		want[string(key)] = old
	case op < 86:
		m.move(key, n, exists, old)
	case op < 90:
		m.on(key, n, func(d *DB) {
			_, before := d.Get(key, m.now)
			if (before == Missing) == exists {
				m.t.Fatalf("Get(%s) gives %d", key, before)
			}
			d.Touch(key, m.now)
		})
	case op < 92:
		m.expire(n)
	case op == 92 && m.rng.IntN(400) == 0:
		for i := range m.k.NumShards() {
			m.k.Shard(i).Lock()
			m.k.Shard(i).DB(n).Flush()
			m.k.Shard(i).Unlock()
		}
		clear(want)
	case op == 93 && m.rng.IntN(20) == 0:
		o := m.rng.IntN(len(m.dbs))
		for i := range m.k.NumShards() {
			m.k.Shard(i).Lock()
			m.k.Shard(i).SwapDB(n, o)
			m.k.Shard(i).Unlock()
		}
		m.dbs[n], m.dbs[o] = m.dbs[o], m.dbs[n]
	case op == 94 && m.rng.IntN(10) == 0:
		m.freeze()
	case op == 95 && m.rng.IntN(4) == 0:
		m.compact(n)
	}
}

func (m *model) move(key []byte, n int, exists bool, old modelValue) {
	dst, to, cp := m.key(), m.rng.IntN(len(m.dbs)), m.rng.IntN(2) == 0
	if old.enc == encObject && cp {
		cp = false // modelObject shares what copies would write
	}
	m.both(key, dst, n, to, func(a, b *DB) {
		op := a.Move
		if cp {
			op = a.Copy
		}
		if op(key, dst, b) != exists {
			m.t.Fatalf("Move or Copy(%s) is wrong", key)
		}
	})
	if exists {
		if !cp {
			delete(m.dbs[n], string(key))
		}
		m.dbs[to][string(dst)] = old
	}
}

func (m *model) expire(n int) {
	s := m.k.Shard(m.rng.IntN(m.k.NumShards()))
	s.Lock()
	defer s.Unlock()
	d := s.DB(n)
	for d.ExpireCycle(m.now, 1+m.rng.IntN(50), func(key []byte) {
		v, ok := m.dbs[n][string(key)]
		if !ok || v.deadline == 0 || v.deadline > m.now {
			m.t.Fatalf("ExpireCycle removes %s: %v %v at %d", key, ok, v.deadline, m.now)
		}
		delete(m.dbs[n], string(key))
	}, nil) {
	}
	// Once more, as the first round may have begun in the middle.
	for d.ExpireCycle(m.now, 50, func(key []byte) { delete(m.dbs[n], string(key)) }, nil) {
	}
	for key, v := range m.dbs[n] {
		if v.deadline != 0 && v.deadline <= m.now && m.k.Shard(m.k.ShardOf([]byte(key))) == s {
			m.t.Fatalf("ExpireCycle leaves %s: %d at %d", key, v.deadline, m.now)
		}
	}
}

// freeze takes a view of one shard, and reads it while the model goes on.
func (m *model) freeze() {
	i := m.rng.IntN(m.k.NumShards())
	s := m.k.Shard(i)
	s.Lock()
	v, err := s.Freeze()
	s.Unlock()
	if err != nil {
		return // one lives
	}
	want := make([]modelDB, len(m.dbs))
	for n, db := range m.dbs {
		want[n] = maps.Clone(db)
		maps.DeleteFunc(want[n], func(key string, _ modelValue) bool { return m.k.ShardOf([]byte(key)) != i })
	}
	pause := time.Duration(m.rng.IntN(300)) * time.Microsecond
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		defer v.Release()
		for range 3 {
			for n := range v.dbs {
				d := &v.dbs[n]
				left := maps.Clone(want[d.db])
				err := d.each(func(b blob) error {
					got := read(b, func(id uint32) object { return d.objects[id].o })
					if w, ok := left[string(b.key())]; !ok || got != w {
						return fmt.Errorf("db %d key %s: %.80v, want %v %.80v", d.db, b.key(), got, ok, w)
					}
					delete(left, string(b.key()))
					return nil
				}, func(int) error { time.Sleep(pause); return nil })
				if err == nil && (len(left) > 0 || d.keys != len(want[d.db])) {
					err = fmt.Errorf("db %d lacks %d of %d keys", d.db, len(left), len(want[d.db]))
				}
				if err != nil {
					m.mu.Lock()
					m.bad = err.Error()
					m.mu.Unlock()
					return
				}
			}
		}
	}()
}

// check compares the keyspace with the model and looks into its structure.
// compact has every shard begin a round, as it would with more memory to gain, and
// often leaves it in the middle.
func (m *model) compact(n int) {
	for i := range m.k.NumShards() {
		s := m.k.Shard(i)
		s.Lock()
		d := s.DB(n)
		if c := &d.st.compaction; d.st.arena != nil && c.phase == compactIdle {
			*c = compaction{phase: compactChoose, left: int64(m.rng.IntN(1 << 20)), mapped: d.st.arena.Mapped()}
		}
		for range m.rng.IntN(300) {
			if moved, more := d.Compact(1 + m.rng.IntN(20)); !more {
				break
			} else if m.moved += moved; s.view != nil {
				m.t.Fatalf("%d keys were moved beside a view", moved)
			}
		}
		s.Unlock()
	}
}

func (m *model) check() {
	m.t.Helper()
	m.mu.Lock()
	bad := m.bad
	m.mu.Unlock()
	if bad != "" {
		m.t.Fatalf("a view changed: %s", bad)
	}
	for n, want := range m.dbs {
		left := maps.Clone(want)
		for i := range m.k.NumShards() {
			s := m.k.Shard(i)
			s.Lock()
			checkStore(m.t, s.DB(n).st)
			eachKey(s.DB(n).st, func(b blob) {
				got := read(b, func(id uint32) object { return s.DB(n).st.objects[id].o })
				if w, ok := left[string(b.key())]; !ok || got != w {
					m.t.Fatalf("db %d key %s: %.80v, want %v %.80v", n, b.key(), got, ok, w)
				}
				delete(left, string(b.key()))
			})
			s.Unlock()
		}
		if len(left) > 0 {
			m.t.Fatalf("db %d lacks %d of %d keys", n, len(left), len(want))
		}
	}
}

func eachKey(st *store, fn func(b blob)) {
	if st.dir.root == nil {
		return
	}
	for at := uint64(0); ; {
		p := st.arena.Page(arena.Ref(st.dir.pageAt(at)))
		for _, s := range p[firstSlot:] {
			if s != 0 {
				fn(st.blobAt(s))
			}
		}
		if at += prefixStep(pageDepth(p)); at == 0 {
			return
		}
	}
}

// checkStore recomputes everything that a store keeps count of.
func checkStore(t *testing.T, st *store) {
	t.Helper()
	if st.dir.root == nil {
		return
	}
	var keys, expires int
	var used int64
	var ttl uint64
	for at := uint64(0); ; {
		r := arena.Ref(st.dir.pageAt(at))
		p := st.arena.Page(r)
		used += int64(st.arena.BlockSize(r))
		var n, e int
		for i, s := range p[firstSlot:] {
			if s == 0 {
				continue
			}
			n++
			b := st.blobAt(s)
			used += int64(st.arena.BlockSize(slotRef(s)))
			if b.enc() == encObject {
				used += st.objects[objectID(b.payload())].o.memory()
			}
			h := st.shard.ks.hash(b.key())
			if arena.Ref(st.dir.pageAt(h)) != r || tag(h, pageBase(p))>>tagShift != s>>tagShift {
				t.Fatalf("key %s is in the wrong page or has the wrong tag", b.key())
			}
			if b.hasDeadline() != (s&ttlBit != 0) {
				t.Fatalf("key %s: deadline %d, slot %x", b.key(), b.deadline(), s)
			}
			if _, pl, ok := st.find(h, b.key()); !ok || pl.i != firstSlot+i {
				t.Fatalf("key %s is not found where it is", b.key())
			}
			if b.hasDeadline() {
				e++
				ttl += uint64(b.deadline()) // positive
				if b.deadline() < pageMinTTL(p) {
					t.Fatalf("key %s: deadline %d, the page says %d", b.key(), b.deadline(), pageMinTTL(p))
				}
			}
		}
		if n != pageKeys(p) || e != pageTTLs(p) {
			t.Fatalf("page says %d keys, %d with a deadline; there are %d and %d", pageKeys(p), pageTTLs(p), n, e)
		}
		keys += n
		expires += e
		if at += prefixStep(pageDepth(p)); at == 0 {
			break
		}
	}
	if keys != st.keys || expires != st.expires || ttl != st.ttlLo || used != st.used {
		t.Fatalf("keys %d %d, expires %d %d, deadlines %d %d, used %d %d", keys, st.keys, expires, st.expires, ttl, st.ttlLo, used, st.used)
	}
	if st.shard.frozen == 0 && len(st.retired.chunks) > 0 {
		t.Fatalf("no view lives and something is retired")
	}
}

// someSteps is a third under the race detector.
func someSteps() int {
	if testutil.Race {
		return 20_000
	}
	return 60_000
}

// TestModel makes random changes while views are taken, read and released.
func TestModel(t *testing.T) {
	for _, tt := range []struct{ shards, dbs, keys int }{{1, 1, 3000}, {1, 3, 20_000}, {3, 2, 600}, {2, 2, 15}} {
		t.Run(fmt.Sprintf("%d_shards_%d_keys", tt.shards, tt.keys), func(t *testing.T) {
			t.Logf("replay with -run TestModel -seed %d -steps %d", *seed, *steps)
			k := New(Config{Shards: tt.shards, Databases: tt.dbs})
			m := &model{t: t, k: k, keys: tt.keys, now: 1_700_000_000_000, rng: rand.New(rand.NewPCG(*seed, uint64(tt.keys)))} // positive
			for range tt.dbs {
				m.dbs = append(m.dbs, modelDB{})
			}
			for i := range *steps {
				m.step()
				if i%(*steps/20+1) == 0 {
					m.check()
				}
			}
			m.wg.Wait()
			m.check()
			t.Logf("%d keys were moved", m.moved)
			if m.moved == 0 && tt.keys > 100 && *steps >= 10_000 {
				t.Error("no key was ever moved: the test does not try it")
			}
			if m.rewritten == 0 && *steps >= 10_000 {
				t.Error("no value was ever written over: the test does not try it")
			}
			m.drained()
		})
	}
}

// drained deletes every key and expects only the index left.
func (m *model) drained() {
	for n, db := range m.dbs {
		for key := range db {
			m.on([]byte(key), n, func(d *DB) { d.Delete([]byte(key)) })
		}
		clear(db)
	}
	m.check()
	checkDrained(m.t, m.k)
}

// checkDrained expects that nothing but the index is left of a keyspace whose
// keys were all deleted, and closes it.
func checkDrained(t *testing.T, k *Keyspace) {
	t.Helper()
	for i := range k.NumShards() {
		s := k.Shard(i)
		s.Lock()
		var used int64
		for _, d := range s.dbs {
			if st := d.st; st.arena != nil {
				used += st.used
				if st.arena.Used() != st.used {
					t.Errorf("shard %d: %d bytes in use, %d accounted for", i, st.arena.Used(), st.used)
				}
				if st.used > 64*arena.PageSize {
					t.Errorf("shard %d: %d bytes used by an empty database", i, st.used)
				}
				if len(st.freeObjects) != len(st.objects) {
					t.Errorf("shard %d: %d of %d objects are free", i, len(st.freeObjects), len(st.objects))
				}
			}
		}
		s.Unlock()
		if used != s.UsedBytes() {
			t.Errorf("shard %d: UsedBytes is %d, want %d", i, s.UsedBytes(), used)
		}
	}
	k.Close()
	for i := range k.NumShards() {
		if got := k.Shard(i).UsedBytes(); got != 0 {
			t.Errorf("shard %d: %d bytes after Close", i, got)
		}
		k.Shard(i).spares.empty()
	}
	for range 1_000_000 { // what others free meanwhile
		if k.pool.Used() == 0 {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d bytes of the pool after Close", k.pool.Used())
}
