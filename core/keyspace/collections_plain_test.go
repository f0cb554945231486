package keyspace

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// plain is a collection as a program without this package would keep it.
type plain struct {
	t      Type
	list   []string
	hash   map[string]string
	scores map[string]float64 // of a sorted set; of a set, all zero
}

func newPlain(t Type) *plain {
	return &plain{t: t, hash: map[string]string{}, scores: map[string]float64{}}
}

func (p *plain) size() int { return len(p.list) + len(p.hash) + len(p.scores) }

func (p *plain) clone() *plain {
	return &plain{p.t, slices.Clone(p.list), maps.Clone(p.hash), maps.Clone(p.scores)}
}

// ranked are the members by score.
func (p *plain) ranked() []string {
	return slices.SortedFunc(maps.Keys(p.scores), func(a, b string) int {
		if p.scores[a] != p.scores[b] {
			if p.scores[a] < p.scores[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
}

// String is the same for collections that are the same.
func (p *plain) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", p.t, p.list)
	for _, f := range slices.Sorted(maps.Keys(p.hash)) {
		fmt.Fprintf(&b, " %q=%q", f, p.hash[f])
	}
	for _, m := range p.ranked() {
		fmt.Fprintf(&b, " %q:%v", m, p.scores[m])
	}
	return b.String()
}

// take adds what eachElement delivers.
func (p *plain) take(a, b []byte, score float64) bool {
	switch p.t {
	case List:
		p.list = append(p.list, string(a))
	case Hash:
		p.hash[string(a)] = string(b)
	default:
		p.scores[string(a)] = score
	}
	return true
}

// fromView reads one key of a view; a sorted set must come in order.
func fromView(d *dbView, b blob) (*plain, error) {
	p := newPlain(b.typ())
	n, last, order := 0, math.Inf(-1), true
	var num texts
	d.eachElement(b, &num, func(a, v []byte, score float64) bool {
		order = order && (b.typ() != ZSet || score >= last)
		last = score
		n++
		return p.take(a, v, score)
	})
	if n != p.size() || !order {
		return nil, fmt.Errorf("%s %s: %d elements, %d of them different, in order: %v", b.typ(), b.key(), n, p.size(), order)
	}
	return p, nil
}

// readView reads a view, slowly, several times.
func readView(v *View, want []map[string]string, pause time.Duration) error {
	for range 3 {
		for n := range v.dbs {
			d := &v.dbs[n]
			left := maps.Clone(want[d.db])
			err := d.each(func(b blob) error {
				p, err := fromView(d, b)
				if err != nil {
					return err
				}
				if w := left[string(b.key())]; p.String() != w {
					return fmt.Errorf("db %d key %s in a view: %.1000s, want %.1000s", d.db, b.key(), p, w)
				}
				delete(left, string(b.key()))
				time.Sleep(pause)
				return nil
			}, func(int) error { return nil })
			if err == nil && len(left) > 0 {
				err = fmt.Errorf("db %d: a view lacks %d keys", d.db, len(left))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// reload writes the view as a file and loads that elsewhere.
func reload(v *View, want []map[string]string, limits Limits) error {
	out, err := snapshot(v)
	if err != nil {
		return err
	}
	k := New(Config{Shards: 5, Databases: len(want)})
	defer k.Close()
	k.SetLimits(limits)
	if err := rdb.Read(bytes.NewReader(out), rdb.Handler{Object: k.Load}); err != nil {
		return err
	}
	for n := range want {
		left := maps.Clone(want[n])
		for i := range k.NumShards() {
			s := k.Shard(i)
			s.Lock()
			for key, p := range contents(s.DB(n)) {
				if left[key] != p {
					err = errors.Join(err, fmt.Errorf("db %d key %s reloaded: %.1000s, want %.1000s", n, key, p, left[key]))
				}
				delete(left, key)
			}
			s.Unlock()
		}
		if len(left) > 0 {
			err = errors.Join(err, fmt.Errorf("db %d lacks %d keys after a reload", n, len(left)))
		}
	}
	return err
}

// rebuild carries out the commands that build the view.
func rebuild(v *View, want []map[string]string) error {
	got := make([]map[string]*plain, len(want))
	db := 0
	_, err := v.EncodeCommands(func(args [][]byte) (err error) {
		verb := string(args[0])
		var key string
		if verb == "SELECT" {
			db, err = strconv.Atoi(string(args[1]))
			got[db] = map[string]*plain{}
			return err
		}
		key = string(args[1])
		p := got[db][key]
		if p == nil {
			p = newPlain(map[string]Type{"RPUSH": List, "SADD": Set, "ZADD": ZSet, "HSET": Hash}[verb])
			got[db][key] = p
		}
		for args = args[2:]; len(args) > 0 && err == nil; args = args[1:] {
			switch p.t {
			case Hash:
				p.take(args[0], args[1], 0)
				args = args[1:]
			case ZSet:
				var score float64
				score, err = strconv.ParseFloat(string(args[0]), 64)
				p.take(args[1], nil, score)
				args = args[1:]
			default:
				p.take(args[0], nil, 0)
			}
		}
		return err
	}, nil)
	for n := range want {
		for key, w := range want[n] {
			if p := got[n][key]; p == nil || p.String() != w {
				err = errors.Join(err, fmt.Errorf("db %d key %s rebuilt: %.1000s, want %.1000s", n, key, p, w))
			}
		}
		if len(got[n]) != len(want[n]) {
			err = errors.Join(err, fmt.Errorf("db %d has %d keys rebuilt, want %d", n, len(got[n]), len(want[n])))
		}
	}
	return err
}

// contents reads a whole database through the handles.
func contents(d *DB) map[string]string {
	all := map[string]string{}
	if d.st.dir.root == nil {
		return all
	}
	eachKey(d.st, func(b blob) {
		p := newPlain(b.typ())
		switch key := b.key(); b.typ() {
		case List:
			d.List(key).Each(0, false, func(v []byte) bool { return p.take(v, nil, 0) })
		case Set:
			for cursor, more := uint64(0), true; more; more = cursor != 0 {
				cursor = d.Set(key).Scan(cursor, 3, func(v []byte) { p.take(v, nil, 0) })
			}
		case Hash:
			for cursor, more := uint64(0), true; more; more = cursor != 0 {
				cursor = d.Hash(key).Scan(cursor, 3, func(f, v []byte, _ int64) { p.take(f, v, 0) })
			}
		case ZSet:
			for cursor, more := uint64(0), true; more; more = cursor != 0 {
				cursor = d.ZSet(key).Scan(cursor, 3, func(v []byte, score float64) { p.take(v, nil, score) })
			}
		}
		all[string(b.key())] = p.String()
	})
	return all
}

// checkCollections looks into every collection: what is packed is a valid
// listpack or intset, and what is not accounts for the memory it holds.
func checkCollections(t *testing.T, d *DB) {
	t.Helper()
	if d.st.dir.root == nil {
		return
	}
	eachKey(d.st, func(b blob) {
		switch b.enc() {
		case encPacked:
			n, canonical, err := packed.CheckListpack(b.payload())
			if err != nil || !canonical || n == 0 {
				t.Fatalf("key %s: %d entries, canonical %v, error %v", b.key(), n, canonical, err)
			}
		case encIntset:
			if err := packed.CheckIntset(b.payload()); err != nil || b.ints().Len() == 0 {
				t.Fatalf("key %s: %v", b.key(), err)
			}
		case encObject:
			if c, ok := d.object(b).(*chunks); ok {
				checkChunks(t, c)
				return
			}
			c := d.object(b).(*collection)
			checkSheaves(t, &c.items)
			if c.ranked || c.dated {
				checkSheaves(t, &c.ranks)
			}
			checkRanks(t, c)
		}
	})
}

// checkSheaves looks into sheaves: they are in order, of the size they should have, and
// say truly what they hold and take.
func checkSheaves(t *testing.T, v *sheaves) {
	t.Helper()
	n, bytesOf, sheaves := 0, int64(0), 0
	var last element
	lastOrder := uint64(0)
	v.tree.each(0, false, func(s *sheaf) bool {
		count := s.count()
		if count == 0 || count > 1 && len(s.Data) > sheafSize {
			t.Fatalf("a sheaf of %d elements has %d bytes", count, len(s.Data))
		}
		if _, first, _ := v.tree.seek(n); first != n {
			t.Fatalf("the sheaf at %d begins at %d", n, first)
		}
		for i := range count {
			e, order := readElement(s.at(i, count)), s.order(i)
			if n+i > 0 && (order < lastOrder || order == lastOrder && bytes.Compare(e.key, last.key) <= 0) {
				t.Fatalf("element %d is %x %q, after %x %q", n+i, order, e.key, lastOrder, last.key)
			}
			last, lastOrder = e, order
		}
		n += count
		bytesOf += s.cost()
		sheaves++
		return true
	})
	checkSheafTree(t, &v.tree)
	checkGone(t, v)
	n -= v.gone.front + v.gone.back
	if n != v.size() || bytesOf != v.bytes || sheaves != v.count {
		t.Fatalf("%d elements in %d sheaves take %d bytes; it says %d, %d, %d", n, sheaves, bytesOf, v.size(), v.count, v.bytes)
	}
}

// checkGone looks into what is gone of sheaves: it is as far as said on the side of what is left.
func checkGone(t *testing.T, v *sheaves) {
	t.Helper()
	order := func(at int) uint64 {
		s, first, _ := v.tree.seek(at)
		return s.order(at - first)
	}
	g, n := v.gone, v.tree.size()
	if g.front > 0 && order(g.front-1) > g.highest || g.back > 0 && order(n-g.back) < g.lowest || v.size() <= 0 && n > 0 {
		t.Fatalf("of %d elements these are gone: %+v", n, g)
	}
}

// checkRanks compares the second order of a collection with the first.
func checkRanks(t *testing.T, c *collection) {
	t.Helper()
	n := 0
	c.eachItem(func(e *element) bool {
		if c.inRanks(e) {
			n++
			if p := c.ranks.find(scoreOrder(e.score), e.key); !p.found {
				t.Fatalf("%q with %v is not in the second order", e.key, e.score)
			}
		}
		return true
	})
	if n != c.ranks.size() {
		t.Fatalf("%d elements in the second order of %d", c.ranks.size(), n)
	}
}

func checkChunks(t *testing.T, c *chunks) {
	t.Helper()
	items, n, sum := 0, 0, int64(0)
	c.tree.each(0, false, func(e *chunk) bool {
		count, canonical, err := packed.CheckListpack(e.items())
		if err != nil || !canonical || count == 0 {
			t.Fatalf("a chunk of %d items, canonical %v, error %v", count, canonical, err)
		}
		if _, first := c.tree.seek(items); first != items {
			t.Fatalf("the chunk at %d begins at %d", items, first)
		}
		items += count
		n++
		sum += e.cost()
		return true
	})
	if items != c.size() || n != c.n || sum != c.bytes {
		t.Fatalf("%d items in %d chunks of %d bytes; it says %d, %d, %d", items, n, sum, c.size(), c.n, c.bytes)
	}
}
