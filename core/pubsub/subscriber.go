package pubsub

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// Receiver takes the messages of a subscriber.
type Receiver interface {
	// Receive takes a message, which it copies, without waiting for anything. own
	// tells that the subscriber has published it itself, and that its goroutine
	// calls; else any may.
	Receive(m *Message, own bool)
}

// Subscriber is one who may listen. Its methods are called by one goroutine,
// but for Count.
type Subscriber struct {
	hub  *Hub
	to   Receiver
	subs [kinds]map[string]*subscription
	seq  uint64 // subscriptions ever made

	bytes int // what the subscriptions take, about

	counts [kinds]atomic.Int32
}

// subscriptionBytes is what a subscription takes beside its name, about: itself,
// and its place in two maps.
const subscriptionBytes = 160

// Subscriber returns one who has subscribed to nothing.
func (h *Hub) Subscriber(to Receiver) *Subscriber { return &Subscriber{hub: h, to: to} }

// Subscribe begins a subscription, unless there is one already.
func (s *Subscriber) Subscribe(k Kind, name []byte) {
	if s.subs[k][string(name)] != nil {
		return
	}
	if s.subs[k] == nil {
		s.subs[k] = make(map[string]*subscription)
	}
	s.seq++
	n := &subscription{of: s, seq: s.seq}
	s.subs[k][string(name)] = n
	s.counts[k].Add(1)
	s.bytes += subscriptionBytes + len(name)
	s.hub.add(k, name, n)
}

// Unsubscribe ends a subscription, if there is one: nothing is received of it any
// more.
func (s *Subscriber) Unsubscribe(k Kind, name []byte) {
	n := s.subs[k][string(name)]
	if n == nil {
		return
	}
	s.hub.remove(k, name, n)
	delete(s.subs[k], string(name))
	s.counts[k].Add(-1)
	s.bytes -= subscriptionBytes + len(name)
}

// Bytes is about what is kept for the subscriptions.
func (s *Subscriber) Bytes() int { return s.bytes }

// Names are what the subscriptions of a kind are to, oldest first.
func (s *Subscriber) Names(k Kind) []string {
	names := make([]string, 0, len(s.subs[k]))
	for name := range s.subs[k] {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(s.subs[k][a].seq, s.subs[k][b].seq) })
	return names
}

// Close ends all subscriptions.
func (s *Subscriber) Close() {
	for k := range kinds {
		for name := range s.subs[k] {
			s.Unsubscribe(k, []byte(name))
		}
		s.subs[k] = nil
	}
}

// Count is how many subscriptions of a kind there are. Any goroutine.
func (s *Subscriber) Count(k Kind) int { return int(s.counts[k].Load()) }

// Shown is the number that confirmations of a kind tell: shard channels have one,
// channels and patterns share the other.
func (s *Subscriber) Shown(k Kind) int {
	if k == ShardChannel {
		return s.Count(k)
	}
	return s.Count(Channel) + s.Count(Pattern)
}

// Active tells whether there is any subscription. Any goroutine.
func (s *Subscriber) Active() bool {
	return s.Count(Channel)+s.Count(Pattern)+s.Count(ShardChannel) > 0
}
