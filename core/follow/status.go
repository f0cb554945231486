package follow

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// State is what a Follower does, in the words of Redis's ROLE.
type State string

// The states of a Follower.
const (
	Connect    State = "connect"    // it waits before it makes a link again
	Connecting State = "connecting" // it makes one
	Syncing    State = "sync"       // it takes over the dataset
	Connected  State = "connected"  // it applies the stream
	Stopped    State = "stopped"    // it has given up, which is no state of Redis's
)

// Status is how a Follower is getting on.
type Status struct {
	State    State
	Offset   int64         // up to which everything is applied
	ID       string        // the replication ID
	Heard    time.Duration // since the master last said something
	Down     time.Duration // since the link is down, 0 while it is up
	Err      error         // what ended the last link, nil while there is one
	Total    int64         // bytes of the dataset, -1 where nobody knows
	Received int64         // of them
	Links    int64         // that were made, this one included
	Waiting  int64         // bytes of the stream that are applied and not durable yet
}

// status is what a Follower does, for whoever asks.
type status struct {
	clock  Clock
	offset atomic.Int64
	noted  atomic.Int64 // the last offset that the target was given
	links  atomic.Int64

	mu        sync.Mutex
	state     State
	id        string
	heardAt   time.Time
	downSince time.Time
	err       error
	told      string // what the log says of the link
	total     int64
	received  int64
	progress  bool // something was applied over the last link
}

func (s *status) init(c Clock, at keyspace.Following) {
	s.clock, s.state, s.id = c, Connect, at.ID
	s.heardAt, s.downSince = c.Now(), c.Now()
	s.offset.Store(at.Offset)
}

// Status returns how the Follower is getting on. Any goroutine.
func (f *Follower) Status() Status {
	s := &f.status
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	out := Status{State: s.state, Offset: s.offset.Load(), ID: s.id, Heard: now.Sub(s.heardAt), Err: s.err, Total: s.total, Received: s.received, Links: s.links.Load()}
	if s.state == Connected {
		noted := s.noted.Load()
		out.Waiting = max(noted-f.target.Durable(), 0)
	}
	if !s.downSince.IsZero() {
		out.Down = max(now.Sub(s.downSince), 1)
	}
	return out
}

func (s *status) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *status) set(state State) { s.change(func() { s.state = state }) }

// up notes that the master has agreed to send something.
func (s *status) up() {
	s.links.Add(1)
	s.change(func() { s.heardAt = s.clock.Now() })
}

// begin notes that a dataset comes.
func (s *status) begin(size, offset int64) {
	s.change(func() { s.state, s.total, s.received, s.err = Syncing, size, 0, nil })
	s.offset.Store(offset)
}

// stream notes that the link is up and the data are what the master's were.
func (s *status) stream(at keyspace.Following) {
	s.change(func() {
		s.state, s.id, s.downSince, s.err, s.told = Connected, at.ID, time.Time{}, nil, ""
	})
	s.offset.Store(at.Offset)
	s.noted.Store(at.Offset)
}

// down notes that the link is gone.
func (s *status) down(err error) {
	s.change(func() {
		if s.state, s.err = Connect, err; s.downSince.IsZero() {
			s.downSince = s.clock.Now()
		}
	})
}

func (s *status) stop(err error) {
	s.change(func() { s.state, s.err = Stopped, err })
}

// tell tells whether the log has not heard of err yet.
func (s *status) tell(err error) (news bool) {
	s.change(func() {
		news = err != nil && s.told != err.Error()
		if news {
			s.told = err.Error()
		}
	})
	return news
}

// came notes bytes of the dataset.
func (s *status) came(n int64) {
	s.change(func() {
		s.received += n
		s.heardAt = s.clock.Now()
	})
}

// heard notes that the master has said something.
func (s *status) heard() {
	s.change(func() { s.heardAt = s.clock.Now() })
}

// applied notes how far the data are.
func (s *status) applied(at keyspace.Following) {
	if s.offset.Swap(at.Offset) != at.Offset {
		s.change(func() { s.progress = true })
	}
}

func (s *status) takeProgress() (was bool) {
	s.change(func() { was, s.progress = s.progress, false })
	return was
}

func (s *status) loading() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == Syncing
}
