package tracking

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/resp"
)

// Table is what is remembered. It is safe for concurrent use, as far as the locks
// that the package comment names are held.
type Table struct {
	want   func(n int64) // told that there is so much more, or less, that changes concern
	shards []shard
	max    atomic.Int64 // keys remembered, 0 for any number

	clients sync.Map // that there are, by id: *Client
	tracked atomic.Int64
	keys    atomic.Int64
	items   atomic.Int64

	mu       sync.Mutex
	prefixes map[string]map[*Client]struct{} // who is told of changes
	order    []string                        // the prefixes, ascending
	bcast    atomic.Int64                    // how many they are
}

// shard is what is remembered of the keys of a shard: the ids of the clients that
// have read them, ascending. Those of clients that are gone are left there.
type shard struct {
	readers map[string][]int64
	_       [56]byte
}

// NewTable returns an empty table for so many shards. want is told by how much the
// number of those grows, or shrinks, for whom changes have to be reported here: clients
// that are tracked, and one more as long as keys are remembered. A client that was
// tracked and is so again must not be told of what has changed in between.
func NewTable(shards int, want func(n int64)) *Table {
	return &Table{want: want, shards: make([]shard, shards), prefixes: make(map[string]map[*Client]struct{})}
}

// Client returns a client that is not tracked, and can be redirected to, until its
// Close.
func (t *Table) Client(id int64, to Receiver) *Client {
	c := &Client{table: t, id: id, to: to}
	c.mode.Store(off)
	t.clients.Store(id, c)
	return c
}

func (t *Table) find(id int64) *Client {
	c, _ := t.clients.Load(id)
	found, _ := c.(*Client)
	return found
}

func (t *Table) count(n int64) {
	t.tracked.Add(n)
	t.want(n)
}

// Stats is what INFO tells of a table.
type Stats struct{ Clients, Keys, Items, Prefixes int64 }

// Stats returns how much the table holds.
func (t *Table) Stats() Stats {
	return Stats{Clients: t.tracked.Load(), Keys: t.keys.Load(), Items: t.items.Load(), Prefixes: t.bcast.Load()}
}

// MaxKeys is how many keys are remembered, 0 for any number.
func (t *Table) MaxKeys() int64 { return t.max.Load() }

// SetMaxKeys changes it; Limit makes it so.
func (t *Table) SetMaxKeys(n int64) { t.max.Store(n) }

// Over tells whether more keys are remembered than may be.
func (t *Table) Over() bool {
	most := t.max.Load()
	return most > 0 && t.keys.Load() > most
}

// Remember notes that c has read a key of a shard. Others are forgotten where
// there are too many.
func (t *Table) Remember(c *Client, n int, key []byte) {
	s := &t.shards[n]
	ids, known := s.readers[string(key)]
	i, there := slices.BinarySearch(ids, c.id)
	if there {
		return
	}
	if s.readers == nil {
		s.readers = make(map[string][]int64)
	}
	s.readers[string(key)] = slices.Insert(ids, i, c.id)
	t.items.Add(1)
	if !known {
		if t.keys.Add(1) == 1 {
			t.want(1)
		}
		t.Limit(n, c)
	}
}

// Limit forgets keys of a shard while there are too many, as if they had changed.
// by is the client whose goroutine calls, nil for none.
func (t *Table) Limit(n int, by *Client) {
	for key := range t.shards[n].readers {
		if !t.Over() {
			return
		}
		t.forget(by, n, []byte(key), false)
	}
}

// Invalidate tells those who have read a key that it has changed. by is the
// client that has changed it, nil for none; its goroutine calls.
func (t *Table) Invalidate(by *Client, n int, key []byte) {
	if t.bcast.Load() > 0 {
		if by == nil {
			t.broadcast(nil, [][]byte{key})
		} else {
			by.touched = append(by.touched, bytes.Clone(key))
		}
	}
	t.forget(by, n, key, true)
}

// Vanished is Invalidate for a key that by has only come across: it has expired, or was
// evicted. by is told even if it does not want to hear of its own changes.
func (t *Table) Vanished(by *Client, n int, key []byte) {
	if t.bcast.Load() > 0 {
		t.broadcast(nil, [][]byte{key})
	}
	t.forget(by, n, key, false)
}

// forget tells those who have read a key, and forgets them. changed tells that by
// has changed it, which one who does not want to hear of that is not told.
func (t *Table) forget(by *Client, n int, key []byte, changed bool) {
	s := &t.shards[n]
	ids, known := s.readers[string(key)]
	if !known {
		return
	}
	delete(s.readers, string(key))
	if t.keys.Add(-1) == 0 {
		t.want(-1)
	}
	t.items.Add(-int64(len(ids)))
	for _, id := range ids {
		c := t.find(id)
		if c == nil {
			continue
		}
		own := c.same(by)
		switch m := c.Mode(); {
		case !m.On || m.Broadcast, m.NoLoop && own && changed:
		case own:
			by.pending = append(by.pending, pending{key: bytes.Clone(key)})
		default:
			t.send(c, keys(key), by)
		}
	}
}

// Flush tells every tracked client that all keys have gone, and forgets them. by
// is who has emptied a database.
func (t *Table) Flush(by *Client) {
	if t.tracked.Load() > 0 {
		for _, v := range t.clients.Range {
			c, _ := v.(*Client)
			switch {
			case !c.Mode().On:
			case c == by:
				c.pending = append(c.pending, pending{all: true})
			default:
				t.send(c, null(c.to.Proto()), by)
			}
		}
	}
	for i := range t.shards {
		t.shards[i].readers = nil
	}
	if t.keys.Swap(0) > 0 {
		t.want(-1)
	}
	t.items.Store(0)
}

// addPrefixes has c told of changes to keys with these prefixes.
func (t *Table) addPrefixes(c *Client, prefixes []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range prefixes {
		if t.prefixes[p] == nil {
			t.prefixes[p] = make(map[*Client]struct{})
		}
		t.prefixes[p][c] = struct{}{}
	}
	t.orderPrefixes()
}

// orderPrefixes follows a change of prefixes. mu is held.
func (t *Table) orderPrefixes() {
	t.order = slices.Sorted(maps.Keys(t.prefixes))
	t.bcast.Store(int64(len(t.order)))
}

func (t *Table) removePrefixes(c *Client, prefixes []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range prefixes {
		if delete(t.prefixes[p], c); len(t.prefixes[p]) == 0 {
			delete(t.prefixes, p)
		}
	}
	t.orderPrefixes()
}

// broadcast tells of keys that by has changed: one message for each prefix, with
// the keys in their order.
func (t *Table) broadcast(by *Client, changed [][]byte) {
	if len(changed) > 1 {
		slices.SortFunc(changed, bytes.Compare)
		changed = slices.CompactFunc(changed, bytes.Equal)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, prefix := range t.order {
		var match [][]byte
		for _, k := range changed {
			if strings.HasPrefix(string(k), prefix) {
				match = append(match, k)
			}
		}
		if len(match) == 0 {
			continue
		}
		msg := keys(match...)
		for c := range t.prefixes[prefix] {
			if !c.same(by) || !c.Mode().NoLoop {
				t.send(c, msg, by)
			}
		}
	}
}

// send sends an invalidation, what of it is encoded, to c or where c has it
// redirected. by is whose goroutine calls.
func (t *Table) send(c *Client, what []byte, by *Client) {
	m, to := c.Mode(), c
	if m.Redirect != 0 {
		if to = t.find(m.Redirect); to == nil {
			c.broken.Store(true)
			if c.to.Proto() >= 3 {
				w := resp.Writer{Proto: 3}
				w.Push(2)
				w.BulkString("tracking-redir-broken")
				w.Int(m.Redirect)
				c.to.Push(w.Buf, c == by)
			}
			return
		}
	}
	w := resp.Writer{Proto: to.to.Proto()}
	switch {
	case w.Proto >= 3:
		w.Push(2)
		w.BulkString("invalidate")
	case m.Redirect != 0 && to.to.Subscribed():
		w.Push(3)
		w.BulkString("message")
		w.BulkString("__redis__:invalidate")
	default:
		return // RESP2 has no way to say it
	}
	w.Raw(what)
	to.to.Push(w.Buf, to == by)
}

// keys encodes the keys of an invalidation.
func keys(keys ...[]byte) []byte {
	var w resp.Writer
	w.Array(len(keys))
	for _, k := range keys {
		w.Bulk(k)
	}
	return w.Buf
}

// null is what says that all keys have gone.
func null(proto int) []byte {
	w := resp.Writer{Proto: proto}
	w.Null()
	return w.Buf
}
