package session

import (
	"slices"

	"github.com/spillwaydb/spillway/core/command"
)

// waiting knows which sessions wait for which key, and hears from Runtime.Events
// what happens to them. What it keeps of a shard is guarded by that shard's lock.
type waiting struct {
	events *command.KeyEvents
	shards []waitingShard
}

var _ command.KeyListener = (*waiting)(nil)

type waitingShard struct {
	keys map[waitedKey][]*Session // in the order in which they came
	_    [56]byte
}

type waitedKey struct {
	shard, db int
	key       string
}

func newWaiting(shards int, events *command.KeyEvents) *waiting {
	w := &waiting{events: events, shards: make([]waitingShard, shards)}
	events.Listen(w)
	return w
}

// add makes s wait for a key, behind the sessions that do already.
func (w *waiting) add(k waitedKey, s *Session) {
	shard := &w.shards[k.shard]
	if shard.keys == nil {
		shard.keys = make(map[waitedKey][]*Session)
	}
	shard.keys[k] = append(shard.keys[k], s)
	w.events.Want(1)
}

func (w *waiting) remove(k waitedKey, s *Session) {
	keys := w.shards[k.shard].keys
	i := slices.Index(keys[k], s)
	if i < 0 {
		return
	}
	if rest := slices.Delete(keys[k], i, i+1); len(rest) > 0 {
		keys[k] = rest
	} else {
		delete(keys, k)
	}
	w.events.Want(-1)
}

// KeyEvent implements command.KeyListener.
func (w *waiting) KeyEvent(_ command.Client, _ command.Event, shard, db int, key []byte) {
	for _, s := range w.shards[shard].keys[waitedKey{shard, db, string(key)}] {
		s.stir(stirred)
	}
}

// DatabaseEvent implements command.KeyListener. The sessions that it wakes find
// the database changed, since they cannot look before the locks are given up.
func (w *waiting) DatabaseEvent(db int, changed func(shard int, key []byte) bool) {
	for i := range w.shards {
		for k, list := range w.shards[i].keys {
			if k.db != db || !changed(i, []byte(k.key)) {
				continue
			}
			for _, s := range list {
				s.stir(stirred)
			}
		}
	}
}
