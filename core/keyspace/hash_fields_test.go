package keyspace

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/core/rdb"
)

// datedField is what a field of the model is.
type datedField struct {
	val      string
	deadline int64
}

// datedModel drives hashes with deadlines in one shard of two databases, beside maps
// that know what is in them.
type datedModel struct {
	t    *testing.T
	rng  *rand.Rand
	k    *Keyspace
	dbs  [2]map[string]map[string]datedField
	keys [2]map[string]int64 // deadlines of keys
	now  int64
	encs map[string]bool
}

// TestFieldDeadlines compares hashes whose fields have deadlines with maps: their fields,
// how many have a deadline, what a page knows of it, what expires, what a view
// writes, and what is left of the memory.
func TestFieldDeadlines(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	m := &datedModel{t: t, rng: rand.New(rand.NewPCG(seed, 1)), now: testNow, encs: map[string]bool{}}
	m.k = New(Config{Shards: 1, Databases: 2})
	t.Cleanup(m.k.Close)
	for i := range m.dbs {
		m.dbs[i], m.keys[i] = map[string]map[string]datedField{}, map[string]int64{}
	}
	for range 4000 {
		m.step()
	}
	// A hash of each kind there is, whatever was drawn.
	for n, name := range map[int]string{3: "listpackex", 60: "hashtable"} {
		m.k.SetLimits(Limits{HashEntries: 30, HashValue: 64})
		key := []byte(name)
		m.on(func() {
			h := m.k.Shard(0).DB(0).Hash(key)
			m.dbs[0][name] = map[string]datedField{}
			for i := range n {
				f := fmt.Sprint(i)
				h.Set([]byte(f), []byte("v"))
				h.SetDeadline([]byte(f), m.now+int64(i))
				m.dbs[0][name][f] = datedField{"v", m.now + int64(i)}
			}
			if e, _ := m.k.Shard(0).DB(0).Get(key, 0); e.Encoding() != name {
				t.Errorf("a hash of %d fields is a %s", n, e.Encoding())
			}
		})
	}
	m.compare()
	m.now += 1 << 40
	m.cycle()
	for i := range m.dbs {
		for key := range m.dbs[i] {
			m.on(func() { m.k.Shard(0).DB(i).Delete([]byte(key)) })
			delete(m.dbs[i], key)
			delete(m.keys[i], key)
		}
	}
	m.compare()
	for i := range m.dbs {
		m.on(func() { // what is left is an empty page
			if used := m.k.Shard(0).DB(i).st.used; used > int64(arena.PageSize) {
				t.Errorf("%d bytes are used by no keys", used)
			}
		})
	}
}

func (m *datedModel) on(fn func()) {
	s := m.k.Shard(0)
	s.Lock()
	defer s.Unlock()
	fn()
}

func (m *datedModel) deadline() int64 { return m.now + 1 + m.rng.Int64N(200) }

func (m *datedModel) step() {
	n, key := m.rng.IntN(2), fmt.Sprintf("k%d", m.rng.IntN(6))
	d, fields := m.k.Shard(0).DB(n), m.dbs[n][key]
	if fields == nil {
		fields = map[string]datedField{}
	}
	field := fmt.Sprintf("f%d", m.rng.IntN(25))
	old, there := fields[field]
	h := d.Hash([]byte(key))
	m.on(func() {
		switch op := m.rng.IntN(40); {
		case op < 12:
			val := string(make([]byte, m.rng.IntN(12))) + fmt.Sprint(m.rng.IntN(1000))
			set, deadline := h.Set, int64(0)
			if m.rng.IntN(2) == 0 {
				set, deadline = h.SetKeeping, old.deadline
			}
			if created := set([]byte(field), []byte(val)); created == there {
				m.t.Fatalf("setting %s of %s says %v", field, key, created)
			}
			fields[field] = datedField{val, deadline}
		case op < 22:
			ms := m.deadline()
			if m.rng.IntN(4) == 0 {
				ms = 0
			}
			if h.SetDeadline([]byte(field), ms) != there {
				m.t.Fatalf("SetDeadline of %s of %s", field, key)
			}
			if there {
				fields[field] = datedField{old.val, ms}
			}
		case op < 28:
			if h.Del([]byte(field)) != there {
				m.t.Fatalf("Del of %s of %s", field, key)
			}
			delete(fields, field)
		case op < 30 && len(fields) > 0:
			m.keys[n][key] = m.deadline()
			d.SetDeadline([]byte(key), m.keys[n][key])
		case op < 31:
			d.Delete([]byte(key))
			fields = nil
		case op < 32:
			d.SetString([]byte(key), []byte("s"), 0)
			d.Delete([]byte(key))
			fields = nil
		case op < 35 && len(fields) > 0:
			m.move(n, key, fields)
		case op < 37:
			m.k.SetLimits(Limits{HashEntries: m.rng.IntN(30), HashValue: 8 + m.rng.IntN(10)})
		}
		m.dbs[n][key] = fields
		if e, status := d.Get([]byte(key), 0); status == Live {
			m.encs[e.Encoding()] = true
		}
	})
	if len(fields) == 0 {
		delete(m.dbs[n], key)
		delete(m.keys[n], key)
	}
	switch m.rng.IntN(30) {
	case 0:
		m.now += m.rng.Int64N(150)
		m.cycle()
	case 1:
		m.view()
	}
	m.compare()
}

// move moves or copies a hash. The lock is held.
func (m *datedModel) move(n int, key string, fields map[string]datedField) {
	to, dst := m.rng.IntN(2), fmt.Sprintf("k%d", m.rng.IntN(6))
	if to == n && dst == key {
		return
	}
	a, b := m.k.Shard(0).DB(n), m.k.Shard(0).DB(to)
	op := a.Move
	if m.rng.IntN(2) == 0 {
		op = a.Copy
	}
	if !op([]byte(key), []byte(dst), b) {
		m.t.Fatalf("%s cannot be moved", key)
	}
	m.dbs[to][dst] = maps.Clone(fields)
	delete(m.keys[to], dst)
	if ms := m.keys[n][key]; ms != 0 {
		m.keys[to][dst] = ms
	}
	if _, status := a.Get([]byte(key), 0); status == Missing {
		clear(fields)
	}
}

// cycle expires what is due, in small steps.
func (m *datedModel) cycle() {
	for n := range m.dbs {
		m.on(func() {
			d, rounds := m.k.Shard(0).DB(n), 0
			for more := true; more || rounds < 2; {
				atMost, removed := 1+m.rng.IntN(3), 0
				more = d.ExpireCycle(m.now, atMost, func(key []byte) {
					removed++
					if ms := m.keys[n][string(key)]; ms == 0 || ms > m.now {
						m.t.Fatalf("%s expires at %d: it is %d", key, ms, m.now)
					}
					delete(m.dbs[n], string(key))
					delete(m.keys[n], string(key))
				}, func(key []byte, atMost int) (gone int) {
					h := d.Hash(key)
					for ; gone < atMost; gone++ {
						f, ok := h.Due(m.now)
						if !ok {
							break
						}
						if ms := m.dbs[n][string(key)][string(f)].deadline; ms == 0 || ms > m.now {
							m.t.Fatalf("%s of %s expires at %d: it is %d", f, key, ms, m.now)
						}
						delete(m.dbs[n][string(key)], string(f))
						h.Del(f)
					}
					if h.Len() == 0 {
						delete(m.dbs[n], string(key))
						delete(m.keys[n], string(key))
					}
					removed += gone
					return gone
				})
				if removed > atMost {
					m.t.Fatalf("%d removed, of %d at most", removed, atMost)
				}
				if !more {
					rounds++
				}
			}
		})
		for key, fields := range m.dbs[n] {
			for f, v := range fields {
				if v.deadline != 0 && v.deadline <= m.now {
					m.t.Fatalf("%s of %s is still there at %d, its deadline is %d", f, key, m.now, v.deadline)
				}
			}
		}
	}
}

// view writes a view as a file and as commands, while the hashes change, and reads the file.
func (m *datedModel) view() {
	var v *View
	m.on(func() {
		var err error
		if v, err = m.k.Shard(0).Freeze(); err != nil {
			m.t.Fatal(err)
		}
	})
	defer v.Release()
	want := [2]map[string]map[string]datedField{}
	dated := false
	for i := range m.dbs {
		want[i] = map[string]map[string]datedField{}
		for key, fields := range m.dbs[i] {
			want[i][key] = maps.Clone(fields)
			dated = dated || len(deadlines(fields)) > 0
		}
	}
	if v.Dated() != dated {
		m.t.Fatalf("the view says %v of deadlines", v.Dated())
	}
	for n := range m.dbs { // what the view can see is changed meanwhile
		for key, fields := range m.dbs[n] {
			for f := range fields {
				m.on(func() { m.k.Shard(0).DB(n).Hash([]byte(key)).SetDeadline([]byte(f), m.now+99) })
				fields[f] = datedField{fields[f].val, m.now + 99}
				break
			}
		}
	}
	var file bytes.Buffer
	w := rdb.NewWriter(&file)
	if dated {
		w.DatedHeader(nil)
	} else {
		w.Header(nil)
	}
	if _, err := v.Encode(w, nil); err != nil {
		m.t.Fatal(err)
	}
	if err := w.End(); err != nil {
		m.t.Fatal(err)
	}
	other := New(Config{Shards: 1, Databases: 2})
	defer other.Close()
	other.SetLimits(Limits{HashEntries: m.rng.IntN(30), HashValue: 20})
	if err := rdb.Read(&file, rdb.Handler{Object: func(o *rdb.Object) error { return other.Load(o) }}); err != nil {
		m.t.Fatal(err)
	}
	check(m.t, "a loaded file", other, want)
	m.commands(v, want)
}

// commands compares the commands that build a view with what is in it.
func (m *datedModel) commands(v *View, want [2]map[string]map[string]datedField) {
	got, db := [2]map[string]map[string]datedField{{}, {}}, 0
	_, err := v.EncodeCommands(func(args [][]byte) error {
		switch verb := string(args[0]); verb {
		case "SELECT":
			db = int(args[1][0] - '0')
		case "HSET":
			key := string(args[1])
			if got[db][key] == nil {
				got[db][key] = map[string]datedField{}
			}
			for i := 2; i < len(args); i += 2 {
				got[db][key][string(args[i])] = datedField{val: string(args[i+1])}
			}
		case "HPEXPIREAT":
			var ms int64
			if _, err := fmt.Sscan(string(args[2]), &ms); err != nil || string(args[3]) != "FIELDS" || string(args[4]) != "1" {
				return fmt.Errorf("%q: %w", args, err)
			}
			f := got[db][string(args[1])][string(args[5])]
			got[db][string(args[1])][string(args[5])] = datedField{f.val, ms}
		}
		return nil
	}, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	for i := range want {
		if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) {
			m.t.Fatalf("commands build\n%v\nwant\n%v", got[i], want[i])
		}
	}
}

func deadlines(fields map[string]datedField) (all []int64) {
	for _, f := range fields {
		if f.deadline != 0 {
			all = append(all, f.deadline)
		}
	}
	slices.Sort(all)
	return all
}

func (m *datedModel) compare() { check(m.t, "the model", m.k, m.dbs) }

// check compares the hashes of a keyspace with what they should be, and what it keeps
// count of.
func check(t *testing.T, what string, k *Keyspace, want [2]map[string]map[string]datedField) {
	t.Helper()
	s := k.Shard(0)
	s.Lock()
	defer s.Unlock()
	for n := range want {
		d, dated := s.DB(n), 0
		if d.Len() != len(want[n]) {
			t.Fatalf("%s: %d keys in database %d, want %d", what, d.Len(), n, len(want[n]))
		}
		for key, fields := range want[n] {
			h := d.Hash([]byte(key))
			got := map[string]datedField{}
			last := int64(0)
			h.EachField(func(f, v []byte, deadline int64) bool {
				got[string(f)] = datedField{string(v), deadline}
				return true
			})
			if !maps.Equal(got, fields) || h.Len() != len(fields) {
				t.Fatalf("%s: %s has %d fields,\n%v\nwant\n%v", what, key, h.Len(), got, fields)
			}
			for f, want := range fields {
				if v, deadline, ok := h.Field([]byte(f)); !ok || string(v) != want.val || deadline != want.deadline {
					t.Fatalf("%s: %s of %s is %q, %d, %v, want %v", what, f, key, v, deadline, ok, want)
				}
			}
			all := deadlines(fields)
			if len(all) > 0 {
				dated++
				last = all[0]
			}
			if h.NextDeadline() != last || h.Deadlines() != len(all) {
				t.Fatalf("%s: %s has %d deadlines, the first %d, want %v", what, key, h.Deadlines(), h.NextDeadline(), all)
			}
		}
		if d.Dated() != dated {
			t.Fatalf("%s: %d hashes with deadlines in database %d, want %d", what, d.Dated(), n, dated)
		}
		checkSlots(t, what, d.st)
	}
}

// checkSlots compares what the slots of the pages say of deadlines with the blobs.
func checkSlots(t *testing.T, what string, st *store) {
	t.Helper()
	if st.dir.root == nil {
		return
	}
	for at := uint64(0); ; {
		p := st.arena.Page(arena.Ref(st.dir.pageAt(at)))
		ttls := 0
		for _, s := range p[firstSlot:] {
			if s == 0 {
				continue
			}
			b := st.blobAt(s)
			due := sooner(b.deadline(), st.fieldDeadlineOf(b))
			if (s&ttlBit != 0) != (due != 0) || due != 0 && due < pageMinTTL(p) {
				t.Fatalf("%s: the slot of %s says %v, its page %d: it is due at %d", what, b.key(), s&ttlBit != 0, pageMinTTL(p), due)
			}
			if due != 0 {
				ttls++
			}
		}
		if pageTTLs(p) != ttls {
			t.Fatalf("%s: a page counts %d deadlines, it has %d", what, pageTTLs(p), ttls)
		}
		if at += prefixStep(pageDepth(p)); at == 0 {
			return
		}
	}
}
