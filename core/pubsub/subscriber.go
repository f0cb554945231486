package pubsub

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// Receiver takes the messages of a subscriber.
type Receiver interface {
	// Receive takes a message, which it copies, without waiting for anything. own
	// tells that the subscriber has published it itself, and that its goroutine
	// calls; else any may.
	Receive(m *Message, own bool)
}

// Subscriber is one who may listen. It is safe for concurrent use; that it listens is
// the business of one goroutine, and that it does no more (Leave) may be another's.
type Subscriber struct {
	hub *Hub
	to  Receiver

	mu   sync.Mutex // taken before the hub's
	subs [kinds]map[string]*subscription
	seq  uint64 // subscriptions ever made
	left bool

	bytes  atomic.Int64 // what the subscriptions take, about
	counts [kinds]atomic.Int32
}

// subscriptionBytes is what a subscription takes beside its name, about: itself,
// and its place in two maps.
const subscriptionBytes = 160

// Subscriber returns one who has subscribed to nothing.
func (h *Hub) Subscriber(to Receiver) *Subscriber { return &Subscriber{hub: h, to: to} }

// Subscribe begins a subscription, unless there is one already, or the subscriber has
// left.
func (s *Subscriber) Subscribe(k Kind, name []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left || s.subs[k][string(name)] != nil {
		return
	}
	if s.subs[k] == nil {
		s.subs[k] = make(map[string]*subscription)
	}
	s.seq++
	n := &subscription{of: s, seq: s.seq}
	s.subs[k][string(name)] = n
	s.counts[k].Add(1)
	s.bytes.Add(int64(subscriptionBytes + len(name)))
	s.hub.add(k, name, n)
}

// Unsubscribe ends a subscription, if there is one: nothing is received of it any
// more.
func (s *Subscriber) Unsubscribe(k Kind, name []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsubscribe(k, name)
}

// unsubscribe is Unsubscribe. mu is held.
func (s *Subscriber) unsubscribe(k Kind, name []byte) {
	n := s.subs[k][string(name)]
	if n == nil {
		return
	}
	s.hub.remove(k, name, n)
	delete(s.subs[k], string(name))
	s.counts[k].Add(-1)
	s.bytes.Add(-int64(subscriptionBytes + len(name)))
}

// Bytes is about what is kept for the subscriptions.
func (s *Subscriber) Bytes() int { return int(s.bytes.Load()) }

// Names are what the subscriptions of a kind are to, oldest first.
func (s *Subscriber) Names(k Kind) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.subs[k]))
	for name := range s.subs[k] {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(s.subs[k][a].seq, s.subs[k][b].seq) })
	return names
}

// Close ends all subscriptions.
func (s *Subscriber) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close()
}

// Leave is Close, and no subscription begins any more. Whoever closes a client calls it,
// which may be long before the goroutine that serves the client takes that in: until
// then Publish would count one who receives nothing.
func (s *Subscriber) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
	s.close()
}

// close is Close. mu is held.
func (s *Subscriber) close() {
	for k := range kinds {
		for name := range s.subs[k] {
			s.unsubscribe(k, []byte(name))
		}
		s.subs[k] = nil
	}
}

// Count is how many subscriptions of a kind there are.
func (s *Subscriber) Count(k Kind) int { return int(s.counts[k].Load()) }

// Shown is the number that confirmations of a kind tell: shard channels have one,
// channels and patterns share the other.
func (s *Subscriber) Shown(k Kind) int {
	if k == ShardChannel {
		return s.Count(k)
	}
	return s.Count(Channel) + s.Count(Pattern)
}

// Active tells whether there is any subscription.
func (s *Subscriber) Active() bool {
	return s.Count(Channel)+s.Count(Pattern)+s.Count(ShardChannel) > 0
}
