package session

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/pubsub"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/tracking"
	"github.com/spillwaydb/spillway/core/wal"
)

// ticket is one command that waits: see [command.Ctx.Block]. It has what is needed
// to execute the command without its session, which does other things meanwhile: it
// waits for its socket. What is not said to change does not, once the ticket is in
// a line.
type ticket struct {
	client   command.Client
	wake     func() // see Runtime.New
	cmd      *command.Command
	args     [][]byte
	db       int
	mode     command.ReplyMode // that its reply is for
	deadline int64             // in Unix milliseconds, 0 for none
	nothing  func(out *resp.Writer)
	held     bool // CLIENT PAUSE holds it back; it has not been executed
	waiting  *waiting

	reach  []int    // the shards of its keys that it does not wait for, ascending
	others [][]byte // those keys
	places []place  // in the lines of the keys that it waits for; each is guarded by its shard's lock

	// mu decides what becomes of the ticket. Whoever serves it holds it for as
	// long as the command is executed, so that until then its deadline, CLIENT
	// UNBLOCK or the end of its client can still come first, and not any more
	// afterwards. No lock is taken under it.
	mu    sync.Mutex
	state atomic.Uint32 // written under mu, once

	// What serving it has come to; it is the session's from then on.
	out   resp.Writer
	began time.Time
	took  time.Duration
	owes  bool // the reply waits for a log, nil for none, up to mark
	log   *wal.Log
	mark  uint64
	wrote bool
	track *tracking.Client // what it has changed for CLIENT TRACKING, nil for nothing
}

// standIn is the ticket's client for the goroutine that serves it. What it changes is
// the client's own doing, which nobody but that client's goroutine tells it of.
type standIn struct {
	command.Client
	track *tracking.Client
}

// Subscriber implements command.Client.
func (standIn) Subscriber() *pubsub.Subscriber { return nil }

// Tracking implements command.Client.
func (s standIn) Tracking() *tracking.Client { return s.track }

// standIn makes the stand-in. mu is held.
func (t *ticket) standIn() command.Client {
	if own := t.client.Tracking(); t.track == nil && own != nil && own.Mode().On {
		t.track = own.StandIn()
	}
	return standIn{t.client, t.track}
}

// The states of a ticket: it waits, and then becomes one of the others, for good.
const (
	waits   uint32 = iota
	served         // the reply is in out
	late           // its deadline has passed, or it is as if it had
	refused        // it must reply with an error
	gone           // nobody waits for a reply
)

// place is where a ticket stands in a line.
type place struct {
	line *line
	at   *list.Element // nil when it has left
}

// settle makes the ticket that waits one that does not, and tells whether it was
// in time. Any goroutine.
func (t *ticket) settle(to uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.Load() != waits {
		return false
	}
	t.become(to)
	return true
}

// become is settle for whoever holds mu and knows that the ticket waits.
func (t *ticket) become(state uint32) {
	t.waiting.count.Add(-1)
	if !t.held {
		t.waiting.wanted.add(t.cmd, -1)
	}
	t.state.Store(state)
	t.wake()
}

func (t *ticket) overdue(now int64) bool { return t.deadline > 0 && now >= t.deadline }

// aim finds the keys that the command is about and does not wait for, such as the
// destination of BLMOVE. Its command has been executed once: they can be found.
func (t *ticket) aim(ks *keyspace.Keyspace, waitsFor [][]byte) {
	keys, _ := t.cmd.Keys(t.args)
	for _, k := range keys {
		key := t.args[k.At]
		if slices.ContainsFunc(waitsFor, func(w []byte) bool { return string(w) == string(key) }) {
			continue
		}
		t.others = append(t.others, key)
		t.reach = insertShard(t.reach, ks.ShardOf(key))
	}
}

// far tells whether the ticket is served under more locks than that of the key
// that it waits for.
func (t *ticket) far(shard int) bool {
	return len(t.reach) > 1 || len(t.reach) == 1 && t.reach[0] != shard
}

// insertShard inserts a shard into an ascending list.
func insertShard(to []int, n int) []int {
	if i, found := slices.BinarySearch(to, n); !found {
		return slices.Insert(to, i, n)
	}
	return to
}

// placeIn is where the ticket stands in a line. The lock of its shard is held.
func (t *ticket) placeIn(l *line) *place {
	for i := range t.places { // of the other places, others may change what is at them
		if t.places[i].line == l {
			return &t.places[i]
		}
	}
	return nil
}
