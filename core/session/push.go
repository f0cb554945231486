package session

import (
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/pubsub"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/tracking"
)

// Mailbox takes what is pushed to a client. The client of a server implements it
// (see Runtime.New); nothing is pushed to one that does not.
type Mailbox interface {
	// Deliver puts a whole message behind what is there. It copies msg and does
	// not wait for the client. Any goroutine.
	Deliver(msg []byte) bool
	// HoldBack keeps what is delivered from now on behind the replies of the batch
	// that is running, and moves what is held back already to out.
	HoldBack(out *resp.Writer)
	// Classify says what sort of client it is from now on.
	Classify(t command.ClientType)
}

// pushed is what is pushed to a session, and why.
type pushed struct {
	box        Mailbox // nil for an embedded client
	sub        *pubsub.Subscriber
	track      *tracking.Client
	subscribed bool        // sub is active
	monitors   atomic.Bool // MONITOR

	silent bool        // the running command gets no reply
	told   resp.Writer // what the client is told all the same
}

var (
	_ pubsub.Receiver   = (*Session)(nil)
	_ tracking.Receiver = (*Session)(nil)
)

// initPush makes the session one who may be pushed to.
func (s *Session) initPush() {
	s.box, _ = s.client.(Mailbox)
	s.sub = s.rt.Hub.Subscriber(s)
	s.track = s.rt.Tracking.Client(s.id, s)
}

// Subscriber implements command.Client.
func (s *Session) Subscriber() *pubsub.Subscriber {
	if s.box == nil {
		return nil
	}
	return s.sub
}

// Tracking implements command.Client.
func (s *Session) Tracking() *tracking.Client { return s.track }

// Subscribed implements tracking.Receiver.
func (s *Session) Subscribed() bool { return s.sub.Active() }

// Pushes implements command.Client.
func (s *Session) Pushes() *resp.Writer {
	w := s.ctx.Out
	if s.silent {
		w = &s.told
		w.Proto = s.Proto()
	}
	s.box.HoldBack(w)
	return w
}

// repliesFirst keeps what others push behind the reply of the command that begins:
// what tells a client of a change must not come before what the client has read
// ahead of it.
func (s *Session) repliesFirst() {
	if s.box != nil && (s.subscribed || s.monitors.Load() || s.track.Mode().On) {
		s.Pushes()
		if s.track.Mode().On && s.rt.Tracking.Over() {
			s.limitTracking()
		}
	}
}

// limitTracking forgets what is remembered for CLIENT TRACKING beyond a limit that was
// lowered, before the command that begins. It gives up every lock the session holds.
func (s *Session) limitTracking() {
	s.release()
	s.enter()
	defer s.release()
	for i := range s.rt.Keyspace.NumShards() {
		if shard := s.rt.Keyspace.Shard(i); shard.LockUnlessBusy() {
			s.rt.Tracking.Limit(i, s.track)
			shard.Unlock()
		}
	}
	s.track.Replied()
}

// tellOwn pushes what the client is told of keys that were evicted for its command,
// ahead of the reply, as Redis does. The session holds no lock of a shard.
func (s *Session) tellOwn() {
	if s.box != nil && s.track.Mode().On {
		s.track.Replied()
		s.replyStart = s.ctx.Out.Len()
	}
}

// Receive implements pubsub.Receiver.
func (s *Session) Receive(m *pubsub.Message, own bool) { s.Push(m.Wire(s.Proto()), own) }

// Push implements tracking.Receiver. What the session's own command causes stands
// among its replies, where Redis has it.
func (s *Session) Push(msg []byte, own bool) {
	switch {
	case s.box == nil:
	case own:
		s.Pushes().Raw(msg)
	default:
		s.box.Deliver(msg)
	}
}

// classify takes in that subscriptions have begun or ended.
func (s *Session) classify() {
	if s.box == nil || s.subscribed == s.sub.Active() {
		return
	}
	s.subscribed = !s.subscribed
	if s.subscribed {
		s.box.Classify(command.ClientPubSub)
	} else {
		s.box.Classify(command.ClientNormal)
	}
}

// remember notes what a command has read, for a client that caches it. The locks
// of the keys' shards are held.
func (s *Session) remember(cmd *command.Command, args [][]byte) {
	keys, err := cmd.AppendKeys(nil, args)
	if err != nil {
		return
	}
	for _, k := range keys {
		s.rt.Tracking.Remember(s.track, s.rt.Keyspace.ShardOf(args[k.At]), args[k.At])
	}
}

// replied sends what follows on the reply of a command.
func (s *Session) replied(out *resp.Writer) {
	s.track.Replied()
	if s.track.Caching() && !s.tx.open && !command.OfClient(s.cmd.Load()) {
		s.track.SetCaching(false)
	}
	if len(s.told.Buf) > 0 {
		out.Raw(s.told.Buf)
		s.told.Buf = nil
	}
}

// StopListening ends all subscriptions for good, because the client is about to be closed:
// it is no receiver of what is published from now on. Any goroutine that holds no lock.
func (s *Session) StopListening() { s.sub.Leave() }

// endPush ends everything that is pushed to the client.
func (s *Session) endPush() {
	if s.sub == nil {
		return // a new session
	}
	s.sub.Close()
	s.classify()
	s.track.Stop()
	s.rt.monitors.remove(s)
}
