package core

import (
	"context"
	"errors"
	"sync"

	"github.com/spillwaydb/spillway/core/pubsub"
)

// Message is what was published to a channel.
type Message struct {
	Channel string
	Pattern string // that the channel matches, "" for one that was subscribed to by name
	Payload []byte
}

// ErrSlowSubscriber is what a subscription ends with whose messages were not taken.
var ErrSlowSubscriber = errors.New("subscription closed: too much was published that was not received")

// ErrSubscriptionClosed is what a subscription ends with that was closed.
var ErrSubscriptionClosed = errors.New("subscription closed")

// maxWaiting is how many bytes of messages may wait in a subscription: the hard
// limit that Redis has for the clients of pub/sub.
const maxWaiting = 32 << 20

// Subscription receives what is published, by clients and by PUBLISH of a Session.
// Its methods may be called by any goroutine.
type Subscription struct {
	sub *pubsub.Subscriber
	mu  sync.Mutex // of Close

	queue subscriptionQueue
}

// Subscribe returns a subscription to channels. It receives from now on, and until
// its Close, which the caller owes.
func (db *DB) Subscribe(channels ...string) *Subscription {
	return db.subscribe(pubsub.Channel, channels)
}

// PSubscribe is Subscribe for every channel that matches one of some patterns, as
// KEYS has them.
func (db *DB) PSubscribe(patterns ...string) *Subscription {
	return db.subscribe(pubsub.Pattern, patterns)
}

func (db *DB) subscribe(k pubsub.Kind, names []string) *Subscription {
	s := new(Subscription)
	s.queue.ready = make(chan struct{}, 1)
	s.queue.closing = db.closing
	s.sub = db.hub.Subscriber(&s.queue)
	for _, name := range names {
		s.sub.Subscribe(k, []byte(name))
	}
	return s
}

// Publish sends a message to a channel and returns how many have received it.
func (db *DB) Publish(channel string, payload []byte) int {
	return db.hub.Publish(nil, pubsub.Channel, []byte(channel), payload)
}

// Receive returns the next message, in the order in which they were published. The
// error is that of ctx, ErrSubscriptionClosed, or ErrSlowSubscriber: a subscription
// whose messages are not taken is closed when 32 MiB of them wait.
func (s *Subscription) Receive(ctx context.Context) (Message, error) {
	for {
		m, ok, err := s.queue.next()
		if ok || err != nil {
			if err != nil {
				s.Close() // it is of no more use
			}
			return m, err
		}
		select {
		case <-s.queue.ready:
		case <-s.queue.closing:
			return Message{}, ErrSubscriptionClosed
		case <-ctx.Done():
			return Message{}, context.Cause(ctx)
		}
	}
}

// Close ends the subscription, and Receive with it.
func (s *Subscription) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sub.Close()
	s.queue.end(ErrSubscriptionClosed)
}

// subscriptionQueue is the messages that wait.
type subscriptionQueue struct {
	ready   chan struct{} // something has changed
	closing <-chan struct{}

	mu    sync.Mutex
	list  []Message
	bytes int
	err   error // why nothing enters any more
}

var _ pubsub.Receiver = (*subscriptionQueue)(nil)

// Receive implements pubsub.Receiver.
func (q *subscriptionQueue) Receive(m *pubsub.Message, _ bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return
	}
	if q.bytes += cost(m.Channel, m.Payload); q.bytes > maxWaiting {
		q.list, q.bytes, q.err = nil, 0, ErrSlowSubscriber
	} else {
		q.list = append(q.list, Message{Channel: string(m.Channel), Pattern: m.Pattern, Payload: append([]byte(nil), m.Payload...)})
	}
	q.wake()
}

// cost is about what a message takes.
func cost(channel, payload []byte) int { return len(channel) + len(payload) + 64 }

func (q *subscriptionQueue) next() (m Message, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.list) == 0 {
		if q.err != nil {
			q.wake() // for others that wait
		}
		return Message{}, false, q.err
	}
	m = q.list[0]
	q.list[0] = Message{}
	if q.list = q.list[1:]; len(q.list) > 0 {
		q.wake()
	}
	q.bytes -= cost([]byte(m.Channel), m.Payload)
	return m, true, nil
}

func (q *subscriptionQueue) end(why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = why
	}
	q.list, q.bytes = nil, 0
	q.wake()
}

// wake has Receive look again. mu is held.
func (q *subscriptionQueue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// TrackedClients is how many clients are told when keys change (CLIENT TRACKING).
func (db *DB) TrackedClients() int64 { return db.tracking.Stats().Clients }
