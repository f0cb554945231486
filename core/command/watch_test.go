package command

import (
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// watching registers a watch on keys of database 0 and tells how to judge it.
func (x *tester) watching(keys ...string) (touched func() bool, w *Watcher) {
	w = new(Watcher)
	for _, k := range keys {
		n := x.ks.ShardOf([]byte(k))
		x.ks.Shard(n).Lock()
		x.watches.Watch(w, n, 0, []byte(k), x.ks.Shard(n).DB(0), x.now)
		x.ks.Shard(n).Unlock()
	}
	return func() bool {
		for _, n := range w.Shards() {
			x.ks.Shard(n).Lock()
			defer x.ks.Shard(n).Unlock()
		}
		return w.Touched(x.now, func(shard, db int) *keyspace.DB { return x.ks.Shard(shard).DB(db) })
	}, w
}

func TestWatch(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after []string
		pass          int64 // milliseconds between the two
		keys          []string
		want          bool
	}{
		{name: "nothing happens", before: []string{"SET a 1"}, keys: []string{"a"}},
		{name: "read", before: []string{"SET a 1"}, after: []string{"GET a", "TTL a", "OBJECT ENCODING a"}, keys: []string{"a"}},
		{name: "set", after: []string{"SET a 1"}, keys: []string{"a"}, want: true},
		{name: "set to the same", before: []string{"SET a 1"}, after: []string{"SET a 1"}, keys: []string{"a"}, want: true},
		{name: "another key", after: []string{"SET b 1"}, keys: []string{"a"}},
		{name: "another database", after: []string{"SELECT 1", "SET a 1"}, keys: []string{"a"}},
		{name: "one of several", after: []string{"INCR c"}, keys: []string{"a", "b", "c"}, want: true},
		{name: "deleted", before: []string{"SET a 1"}, after: []string{"DEL a"}, keys: []string{"a"}, want: true},
		{name: "missing and deleted", after: []string{"DEL a"}, keys: []string{"a"}},
		{name: "deadline set", before: []string{"SET a 1"}, after: []string{"EXPIRE a 10"}, keys: []string{"a"}, want: true},
		{name: "renamed away", before: []string{"SET a 1"}, after: []string{"RENAME a b"}, keys: []string{"a"}, want: true},
		{name: "renamed here", before: []string{"SET b 1"}, after: []string{"RENAME b a"}, keys: []string{"a"}, want: true},
		{name: "copied here", before: []string{"SET b 1"}, after: []string{"COPY b a"}, keys: []string{"a"}, want: true},
		{name: "copied from", before: []string{"SET a 1"}, after: []string{"COPY a b"}, keys: []string{"a"}},
		{name: "moved here", before: []string{"SELECT 1", "SET a 1"}, after: []string{"MOVE a 0"}, keys: []string{"a"}, want: true},
		{name: "flushed", before: []string{"SET a 1"}, after: []string{"FLUSHALL"}, keys: []string{"a"}, want: true},
		{name: "missing and flushed", before: []string{"SET b 1"}, after: []string{"FLUSHDB"}, keys: []string{"a"}},
		{name: "another database flushed", before: []string{"SET a 1", "SELECT 1", "SET a 1"}, after: []string{"FLUSHDB"}, keys: []string{"a"}},
		{name: "swapped away", before: []string{"SET a 1"}, after: []string{"SWAPDB 0 1"}, keys: []string{"a"}, want: true},
		{name: "swapped here", before: []string{"SELECT 1", "SET a 1"}, after: []string{"SWAPDB 0 1"}, keys: []string{"a"}, want: true},
		{name: "missing and swapped", before: []string{"SET b 1"}, after: []string{"SWAPDB 0 1"}, keys: []string{"a"}},
		{name: "expires", before: []string{"SET a 1 PX 10"}, pass: 10, keys: []string{"a"}, want: true},
		{name: "expires and is met", before: []string{"SET a 1 PX 10"}, pass: 10, after: []string{"GET a"}, keys: []string{"a"}, want: true},
		{name: "does not expire yet", before: []string{"SET a 1 PX 10"}, pass: 9, keys: []string{"a"}},
	} {
		x := newTester(t, 3)
		for _, line := range c.before {
			x.do(line)
		}
		touched, w := x.watching(c.keys...)
		x.now += c.pass
		for _, line := range c.after {
			x.do(line)
		}
		if got := touched(); got != c.want {
			t.Errorf("%s: touched is %v", c.name, got)
		}
		for _, n := range w.Shards() {
			x.watches.Unwatch(w, n)
		}
		if n := x.ctx.Events.interest.Load(); n != 1 {
			t.Errorf("%s: %d watched keys are left", c.name, n)
		}
	}
}

// TestWatchExpired watches a key past its deadline: its removal is no change,
// a new value is.
func TestWatchExpired(t *testing.T) {
	x := newTester(t, 3)
	x.do("SET a 1 PX 10")
	x.now += 10
	touched, _ := x.watching("a", "a")
	if touched() {
		t.Error("a key that had expired before counts as changed")
	}
	x.do("GET a")
	if touched() {
		t.Error("the removal of a key that had expired before counts as a change")
	}
	x.do("SET a 2")
	if !touched() {
		t.Error("a new value does not count as a change")
	}
}

// TestWatchExpiredDatabases empties and exchanges databases with keys past their
// deadlines: one of those is as good as none.
func TestWatchExpiredDatabases(t *testing.T) {
	expired, live := " 1 PX 10", " 1"
	for _, c := range []struct {
		name        string
		here, there string // what a is set to in databases 0 and 1; empty for no key
		do          []string
		want        bool
	}{
		{name: "flushed", here: expired, do: []string{"FLUSHDB"}},
		{name: "flushed and set", here: expired, do: []string{"FLUSHDB", "SET a 2"}, want: true},
		{name: "swapped for none", here: expired, do: []string{"SWAPDB 0 1"}},
		{name: "swapped for none and back", here: expired, do: []string{"SWAPDB 0 1", "SWAPDB 0 1"}},
		{name: "none swapped for it", there: expired, do: []string{"SWAPDB 0 1"}},
		{name: "none swapped for it, which is met", there: expired, do: []string{"SWAPDB 0 1", "GET a"}},
		{name: "swapped for another", here: expired, there: expired, do: []string{"SWAPDB 0 1"}},
		{name: "swapped for a live one", here: expired, there: live, do: []string{"SWAPDB 0 1"}, want: true},
		{name: "a live one swapped for it", here: live, there: expired, do: []string{"SWAPDB 0 1"}, want: true},
	} {
		x := newTester(t, 3)
		if c.there != "" {
			x.do("SELECT 1")
			x.do("SET a" + c.there)
			x.do("SELECT 0")
		}
		if c.here != "" {
			x.do("SET a" + c.here)
		}
		x.now += 10
		touched, _ := x.watching("a")
		for _, line := range c.do {
			x.do(line)
		}
		if got := touched(); got != c.want {
			t.Errorf("%s: touched is %v", c.name, got)
		}
	}
}
