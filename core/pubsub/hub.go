package pubsub

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// buckets is how many locks the names of channels are spread over.
const buckets = 64

// Hub is where messages are published. It is safe for concurrent use.
type Hub struct {
	match   func(pattern, name []byte) bool
	seed    maphash.Seed
	buckets [buckets]bucket

	// names counts those that have subscriptions.
	names [kinds]atomic.Int64

	mu       sync.RWMutex // patterns; it is taken after a bucket's
	patterns map[string]*topic
}

// bucket holds the channels and shard channels whose names fall into it.
type bucket struct {
	mu     sync.Mutex
	topics [kinds]map[string]*topic // none for patterns
	_      [24]byte
}

// topic is a channel or a pattern, and the subscriptions to it, at least one.
type topic struct {
	name string
	subs []*subscription
}

// subscription is one subscriber's to one topic.
type subscription struct {
	of  *Subscriber
	at  int    // among topic.subs
	seq uint64 // that the subscriber counts
}

// NewHub returns a hub to which nobody has subscribed. match tells whether a name
// matches a pattern.
func NewHub(match func(pattern, name []byte) bool) *Hub {
	h := &Hub{match: match, seed: maphash.MakeSeed(), patterns: make(map[string]*topic)}
	for i := range h.buckets {
		for k := range h.buckets[i].topics {
			h.buckets[i].topics[k] = make(map[string]*topic)
		}
	}
	return h
}

func (h *Hub) bucketOf(name []byte) *bucket {
	return &h.buckets[maphash.Bytes(h.seed, name)%buckets]
}

// Publish hands a message to all who have subscribed to a channel, and where it is
// no shard channel to all who have subscribed to a pattern that it matches, and
// returns how many they are: one who has several such subscriptions gets it for
// each. by is who publishes, nil for nobody who could have subscribed; its
// goroutine calls.
func (h *Hub) Publish(by *Subscriber, k Kind, channel, payload []byte) (receivers int) {
	b := h.bucketOf(channel)
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.topics[k][string(channel)]; t != nil {
		receivers = t.hand(&Message{Kind: k, Channel: channel, Payload: payload}, by)
	}
	if k != Channel || h.names[Pattern].Load() == 0 {
		return receivers
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, t := range h.patterns {
		if h.match([]byte(t.name), channel) {
			receivers += t.hand(&Message{Kind: Pattern, Pattern: t.name, Channel: channel, Payload: payload}, by)
		}
	}
	return receivers
}

// hand hands a message to the topic's subscribers. The lock of the topic is held.
func (t *topic) hand(m *Message, by *Subscriber) int {
	for _, s := range t.subs {
		s.of.to.Receive(m, s.of == by)
	}
	return len(t.subs)
}

// Quiet tells that nobody has subscribed to any channel or pattern: whatever is
// published now, but to a shard channel, reaches nobody.
func (h *Hub) Quiet() bool { return h.names[Channel].Load() == 0 && h.names[Pattern].Load() == 0 }

// Topics is how many different names of a kind have subscriptions.
func (h *Hub) Topics(k Kind) int { return int(h.names[k].Load()) }

// Subscribers is how many have subscribed to a channel, those of patterns not
// counted.
func (h *Hub) Subscribers(k Kind, channel []byte) int {
	b := h.bucketOf(channel)
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.topics[k][string(channel)]; t != nil {
		return len(t.subs)
	}
	return 0
}

// Channels lists the channels that have subscribers, those that match a pattern
// unless it is nil, in no order.
func (h *Hub) Channels(k Kind, pattern []byte) []string {
	var out []string
	for i := range h.buckets {
		b := &h.buckets[i]
		b.mu.Lock()
		for name := range b.topics[k] {
			if pattern == nil || h.match(pattern, []byte(name)) {
				out = append(out, name)
			}
		}
		b.mu.Unlock()
	}
	return out
}

// Each calls fn for every subscription, under the lock that it is under: fn must be
// quick, and must not subscribe or publish.
func (h *Hub) Each(fn func(k Kind, name string, to Receiver)) {
	each := func(k Kind, topics map[string]*topic) {
		for name, t := range topics {
			for _, s := range t.subs {
				fn(k, name, s.of.to)
			}
		}
	}
	for i := range h.buckets {
		b := &h.buckets[i]
		b.mu.Lock()
		each(Channel, b.topics[Channel])
		each(ShardChannel, b.topics[ShardChannel])
		b.mu.Unlock()
	}
	h.mu.RLock()
	each(Pattern, h.patterns)
	h.mu.RUnlock()
}

// lock locks what the topics of a kind and name are in, and returns that.
func (h *Hub) lock(k Kind, name []byte) (topics map[string]*topic, unlock func()) {
	if k == Pattern {
		h.mu.Lock()
		return h.patterns, h.mu.Unlock
	}
	b := h.bucketOf(name)
	b.mu.Lock()
	return b.topics[k], b.mu.Unlock
}

// add adds a subscription.
func (h *Hub) add(k Kind, name []byte, s *subscription) {
	topics, unlock := h.lock(k, name)
	defer unlock()
	t := topics[string(name)]
	if t == nil {
		t = &topic{name: string(name)}
		topics[t.name] = t
		h.names[k].Add(1)
	}
	s.at = len(t.subs)
	t.subs = append(t.subs, s)
}

// remove removes a subscription.
func (h *Hub) remove(k Kind, name []byte, s *subscription) {
	topics, unlock := h.lock(k, name)
	defer unlock()
	t := topics[string(name)]
	last := len(t.subs) - 1
	t.subs[s.at] = t.subs[last]
	t.subs[s.at].at = s.at
	t.subs[last] = nil
	t.subs = t.subs[:last]
	if last == 0 {
		delete(topics, t.name)
		h.names[k].Add(-1)
	}
}
