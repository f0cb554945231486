package command

import (
	"slices"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// Watches knows who watches which key, and hears from [KeyEvents] what happens
// to them. What it keeps for a shard is guarded by that shard's lock: every
// method's caller holds the lock of the shard it names, except where it says
// otherwise.
type Watches struct {
	events *KeyEvents
	shards []watchedShard
}

var _ KeyListener = (*Watches)(nil)

type watchedShard struct {
	keys map[watchedKey][]*watch
	_    [56]byte
}

type watchedKey struct {
	db  int
	key string
}

// watch is one key watched by one client.
type watch struct {
	watchedKey
	owner *Watcher
	shard int
	// expired is set when the key was past its deadline already: then its
	// removal is no change.
	expired bool
}

// Watcher is what one client watches. It belongs to the client's goroutine.
type Watcher struct {
	dirty   atomic.Bool // a watched key was changed
	watches []*watch
	bytes   int   // what they take, about
	shards  []int // ascending
}

// watchBytes is what a watched key takes beside its name, about: the watch, what
// refers to it, and its place in the map.
const watchBytes = 160

// Bytes is about what is kept for w. Its own goroutine.
func (w *Watcher) Bytes() int { return w.bytes }

// NewWatches returns an empty registry for so many shards, which listens to events.
func NewWatches(shards int, events *KeyEvents) *Watches {
	ws := &Watches{events: events, shards: make([]watchedShard, shards)}
	events.Listen(ws)
	return ws
}

// Watch makes w watch a key of database db, which is d in the given shard. The
// deadline of the key is judged at now (Unix milliseconds).
func (ws *Watches) Watch(w *Watcher, shard, db int, key []byte, d *keyspace.DB, now int64) {
	s := &ws.shards[shard]
	for _, other := range s.keys[watchedKey{db, string(key)}] {
		if other.owner == w {
			return
		}
	}
	_, status := d.Get(key, now)
	e := &watch{watchedKey: watchedKey{db, string(key)}, owner: w, shard: shard, expired: status == keyspace.Expired}
	if s.keys == nil {
		s.keys = make(map[watchedKey][]*watch)
	}
	s.keys[e.watchedKey] = append(s.keys[e.watchedKey], e)
	ws.events.Want(1)
	w.watches = append(w.watches, e)
	w.bytes += watchBytes + len(key)
	if i, found := slices.BinarySearch(w.shards, shard); !found {
		w.shards = slices.Insert(w.shards, i, shard)
	}
}

// Unwatch makes w forget the keys it watches in a shard.
func (ws *Watches) Unwatch(w *Watcher, shard int) {
	s := &ws.shards[shard]
	w.watches = slices.DeleteFunc(w.watches, func(e *watch) bool {
		if e.shard != shard {
			return false
		}
		rest := slices.DeleteFunc(s.keys[e.watchedKey], func(o *watch) bool { return o == e })
		if len(rest) == 0 {
			delete(s.keys, e.watchedKey)
		} else {
			s.keys[e.watchedKey] = rest
		}
		ws.events.Want(-1)
		return true
	})
}

// KeyEvent implements KeyListener. A key that was past its deadline already
// when it was watched may be removed without that being a change.
func (ws *Watches) KeyEvent(_ Client, ev Event, shard, db int, key []byte) {
	for _, e := range ws.shards[shard].keys[watchedKey{db, string(key)}] {
		if e.expired && ev.Class == ClassExpired {
			e.expired = false
			continue
		}
		e.owner.dirty.Store(true)
	}
}

// DatabaseEvent implements KeyListener. A key that is past its deadline is as good as
// none: where one takes the place of the other, nothing has changed.
func (ws *Watches) DatabaseEvent(db int, change func(shard int, key []byte) Exchange) {
	for i := range ws.shards {
		for k, list := range ws.shards[i].keys {
			if k.db != db {
				continue
			}
			x := change(i, []byte(k.key))
			if !x.Concerns() {
				continue
			}
			for _, e := range list {
				switch {
				case e.expired && x.After == keyspace.Missing:
					e.expired = false
				case e.expired && x.After == keyspace.Expired:
				case !e.expired && x.Before == keyspace.Missing && x.After == keyspace.Expired:
					e.expired = true
				default:
					e.owner.dirty.Store(true)
				}
			}
		}
	}
}

// Shards lists, ascending, the shards that w has watched keys in.
func (w *Watcher) Shards() []int { return w.shards }

// Touched tells whether a watched key was changed or has expired since, so
// that EXEC must not run. The locks of w.Shards() are held; db finds the
// database of a watched key.
func (w *Watcher) Touched(now int64, db func(shard, n int) *keyspace.DB) bool {
	if w.dirty.Load() {
		return true
	}
	for _, e := range w.watches {
		if e.expired {
			continue
		}
		if _, status := db(e.shard, e.db).Get([]byte(e.key), now); status == keyspace.Expired {
			return true
		}
	}
	return false
}
