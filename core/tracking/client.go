package tracking

import (
	"slices"
	"strings"
	"sync/atomic"
)

// Receiver is where a client is told of invalidations.
type Receiver interface {
	// Proto is the version of the protocol that it speaks. Any goroutine.
	Proto() int
	// Subscribed tells whether it has subscribed to anything. Any goroutine.
	Subscribed() bool
	// Push takes an encoded message, which it copies, without waiting for
	// anything. own tells that the receiver's own goroutine calls; else any may.
	Push(msg []byte, own bool)
}

// Mode is how a client is tracked. Without On it is not at all.
type Mode struct {
	On        bool
	Broadcast bool     // BCAST
	OptIn     bool     // only what is read behind CLIENT CACHING yes
	OptOut    bool     // all but what is read behind CLIENT CACHING no
	NoLoop    bool     // nothing that the client itself has changed
	Redirect  int64    // the client that is told, 0 for the client itself; without On, as it was
	Prefixes  []string // of Broadcast, ascending; one that is empty is every key
}

var off = new(Mode)

// Client is a client that may be tracked. Its methods are called by its own
// goroutine, except for those that say otherwise.
type Client struct {
	table *Table
	id    int64
	to    Receiver

	mode   atomic.Pointer[Mode]
	broken atomic.Bool // the client that Mode.Redirect names was not there

	prefixBytes int // what the prefixes take, about

	caching bool      // CLIENT CACHING was given for the next command
	pending []pending // invalidations for itself, which follow on the reply
	touched [][]byte  // keys that it has changed, to be broadcast
}

// prefixBytes is what a prefix takes beside its text, about: twice a string, and its
// place in the table.
const prefixBytes = 96

// PrefixBytes is about what is kept for the client's prefixes.
func (c *Client) PrefixBytes() int { return c.prefixBytes }

// pending is a key that was invalidated, or all of them.
type pending struct {
	key []byte
	all bool
}

// Mode is how the client is tracked; it is not to be changed. Any goroutine.
func (c *Client) Mode() *Mode { return c.mode.Load() }

// Knows tells whether there is a client of this id, to which it can redirect.
func (c *Client) Knows(id int64) bool { return c.table.find(id) != nil }

// Broken tells whether an invalidation could not be sent since the client that it
// was redirected to is gone. Any goroutine.
func (c *Client) Broken() bool { return c.broken.Load() }

// Overlap finds two prefixes of which one is the beginning of the other: one that
// the client has already, or else the second of those given, and the one given.
func (c *Client) Overlap(prefixes []string) (given, other string, existing, found bool) {
	overlap := func(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
	for i, p := range prefixes {
		for _, have := range c.Mode().Prefixes {
			if overlap(p, have) {
				return p, have, true, true
			}
		}
		for _, next := range prefixes[i+1:] {
			if overlap(p, next) {
				return p, next, false, true
			}
		}
	}
	return "", "", false, false
}

// Start has the client tracked in a mode from now on. Prefixes add to those that
// it has; without any, Broadcast is for every key.
func (c *Client) Start(m Mode) {
	old := c.Mode()
	m.On = true
	if m.Broadcast && len(m.Prefixes) == 0 {
		m.Prefixes = []string{""}
	}
	added := m.Prefixes
	m.Prefixes = append(slices.Clone(old.Prefixes), added...)
	slices.Sort(m.Prefixes)
	m.Prefixes = slices.Compact(m.Prefixes)
	c.broken.Store(false)
	c.mode.Store(&m)
	c.prefixBytes = 0
	for _, p := range m.Prefixes {
		c.prefixBytes += prefixBytes + len(p)
	}
	c.table.addPrefixes(c, added)
	if !old.On {
		c.table.count(1)
	}
}

// Stop ends the tracking. What is remembered of the client goes when the keys
// change. Of what it has been told so far nothing is taken back: a transaction that
// changes a key and then ends the tracking is still followed by the invalidation,
// which goes where they went before.
func (c *Client) Stop() {
	old := c.Mode()
	if !old.On {
		return
	}
	c.mode.Store(&Mode{Redirect: old.Redirect})
	c.prefixBytes = 0
	c.table.removePrefixes(c, old.Prefixes)
	c.broken.Store(false)
	c.caching = false
	c.table.count(-1)
}

// Close ends the tracking of a client that goes.
func (c *Client) Close() {
	c.Stop()
	c.pending = nil
	c.Flush()
	c.table.clients.Delete(c.id)
}

// SetCaching notes CLIENT CACHING, which is for the next command; false that this
// command has come.
func (c *Client) SetCaching(on bool) { c.caching = on }

// Caching tells whether CLIENT CACHING has been given.
func (c *Client) Caching() bool { return c.caching }

// Remembers tells whether keys that the client reads now are to be remembered.
func (c *Client) Remembers() bool {
	m := c.Mode()
	switch {
	case !m.On || m.Broadcast, m.OptIn && !c.caching, m.OptOut && c.caching:
		return false
	}
	return true
}

// Owed tells whether something has to follow on the client's reply, even though it
// may not be tracked any more.
func (c *Client) Owed() bool { return len(c.pending) > 0 }

// StandIn returns one whose changes count as the client's, for another goroutine, which
// has it until the client has taken it in with Adopt. It may be called by any goroutine.
func (c *Client) StandIn() *Client {
	s := &Client{table: c.table, id: c.id, to: c.to}
	s.mode.Store(off)
	return s
}

// same tells whether by, which may be nil, is the client or its stand-in.
func (c *Client) same(by *Client) bool { return by != nil && c.id == by.id }

// Adopt takes in what the client is to be told of what a stand-in has changed: it follows
// on the reply that comes now. The other goroutine has called the stand-in's Flush. s may be nil.
func (c *Client) Adopt(s *Client) {
	if s != nil {
		c.pending = append(c.pending, s.pending...)
	}
}

// Replied sends what has to follow on a reply of the client.
func (c *Client) Replied() {
	for i := 0; i < len(c.pending); i++ {
		if p := c.pending[i]; p.all {
			c.table.send(c, null(c.to.Proto()), c)
		} else {
			c.table.send(c, keys(p.key), c)
		}
	}
	c.pending = nil
}

// Flush broadcasts the keys that the client has changed.
func (c *Client) Flush() {
	if len(c.touched) > 0 {
		c.table.broadcast(c, c.touched)
		c.touched = nil
	}
}
