package session

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
)

// waiting knows which commands wait for which key, and hears from Runtime.Events
// what happens to those. What it keeps of a shard is guarded by that shard's lock.
// See serve.go for what is done with it.
type waiting struct {
	ks     *keyspace.Keyspace
	events *command.KeyEvents
	odd    *conditions // linesReady for each line that is, reachFar for each place of a ticket that is served under more than one lock
	shards []waitingShard

	marks atomic.Int64 // lines that became ready, ever: their order

	alarms alarms

	count   atomic.Int64 // tickets that wait
	wanted  wanted
	mu      sync.Mutex
	blocked map[int64]*Session // by the clients' numbers
}

var _ command.KeyListener = (*waiting)(nil)

type waitingShard struct {
	lines map[waitedKey]*line
	far   map[string][]*ticket // for a key of any database, those that are served under more than one lock
	ready []*line              // to which something has happened, in that order
	_     [40]byte
}

type waitedKey struct {
	db  int
	key string
}

// line is the tickets that wait for a key, in the order in which they came.
type line struct {
	waitedKey
	shard   int
	tickets list.List
	holds   holding // what was at the key when something last happened to it
	ready   bool
	mark    int64 // when it became so
	useful  bool  // and the key was made then, with something that a command waits for
}

func newWaiting(ks *keyspace.Keyspace, events *command.KeyEvents, odd *conditions) *waiting {
	w := &waiting{ks: ks, events: events, odd: odd, shards: make([]waitingShard, ks.NumShards()), blocked: make(map[int64]*Session)}
	events.Listen(w)
	return w
}

// enter makes a session known that is blocked from now on.
func (w *waiting) enter(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blocked[s.id] = s
}

func (w *waiting) exit(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.blocked, s.id)
}

// client is a session that is blocked, nil for none.
func (w *waiting) client(id int64) *Session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.blocked[id]
}

// letGo has the commands go on that CLIENT PAUSE holds back.
func (w *waiting) letGo() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.blocked {
		if t := s.ticket.Load(); t != nil && t.held {
			t.settle(late)
		}
	}
}

// add makes a ticket wait for a key, behind those that do already. The key is named
// again without effect.
func (w *waiting) add(t *ticket, shard int, key []byte) {
	if slices.ContainsFunc(t.places, func(p place) bool { return p.line.key == string(key) }) {
		return
	}
	s := &w.shards[shard]
	k := waitedKey{t.db, string(key)}
	l := s.lines[k]
	if l == nil {
		if s.lines == nil {
			s.lines, s.far = make(map[waitedKey]*line), make(map[string][]*ticket)
		}
		l = &line{waitedKey: k, shard: shard}
		l.holds = w.holding(l)
		s.lines[k] = l
	}
	t.places = append(t.places, place{l, l.tickets.PushBack(t)})
	if t.far(shard) {
		s.far[k.key] = append(s.far[k.key], t)
		w.odd.add(reachFar, 1)
	}
	w.events.Want(1)
}

// remove takes a ticket out of a line, if it is still there.
func (w *waiting) remove(t *ticket, p *place) {
	if p.at == nil {
		return
	}
	l := p.line
	s := &w.shards[l.shard]
	l.tickets.Remove(p.at)
	p.at = nil
	if l.tickets.Len() == 0 && s.lines[l.waitedKey] == l {
		delete(s.lines, l.waitedKey)
	}
	if t.far(l.shard) {
		w.odd.add(reachFar, -1)
		rest := slices.DeleteFunc(s.far[l.key], func(o *ticket) bool { return o == t })
		if len(rest) > 0 {
			s.far[l.key] = rest
		} else {
			delete(s.far, l.key)
		}
	}
	w.events.Want(-1)
}

// KeyEvent implements command.KeyListener.
func (w *waiting) KeyEvent(_ command.Client, ev command.Event, shard, db int, key []byte) {
	l := w.shards[shard].lines[waitedKey{db, string(key)}]
	if l == nil {
		return
	}
	before := l.holds
	l.holds = w.holding(l)
	if ev.Feeds() {
		w.ready(l, w.wanted.made(ev, before, l.holds))
	}
}

// DatabaseEvent implements command.KeyListener.
func (w *waiting) DatabaseEvent(db int, change func(shard int, key []byte) command.Exchange) {
	for i := range w.shards {
		for k, l := range w.shards[i].lines {
			if k.db == db && change(i, []byte(k.key)).Concerns() {
				l.holds = w.holding(l)
				w.ready(l, true)
			}
		}
	}
}

// ready marks a line to which something has happened. useful says that its key was
// made with what a command waits for: keys are served in the order in which that
// first happened to them.
func (w *waiting) ready(l *line, useful bool) {
	s := &w.shards[l.shard]
	switch {
	case !l.ready:
		l.ready = true
		w.odd.add(linesReady, 1)
	case l.useful || !useful:
		return
	default:
		s.ready = slices.DeleteFunc(s.ready, func(o *line) bool { return o == l })
	}
	l.mark, l.useful = w.marks.Add(1), useful
	s.ready = append(s.ready, l)
}

// ring marks the lines of the tickets whose time has come to be tried again. The locks
// of all shards are held.
func (w *waiting) ring(now int64) {
	for _, t := range w.alarms.take(now) {
		for _, p := range t.places {
			if p.at != nil {
				w.ready(p.line, true)
			}
		}
	}
}

// next takes the line out that became ready first, of those of the shards; nil for
// none. Their locks are held.
func (w *waiting) next(shards []int) *line {
	var first *line
	for _, n := range shards {
		if r := w.shards[n].ready; len(r) > 0 && (first == nil || r[0].mark < first.mark) {
			first = r[0]
		}
	}
	if first != nil {
		s := &w.shards[first.shard]
		s.ready = slices.Delete(s.ready, 0, 1)
		first.ready = false
		w.odd.add(linesReady, -1)
	}
	return first
}
