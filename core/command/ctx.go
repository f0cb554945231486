package command

import (
	"math/rand/v2"
	"slices"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/core/pubsub"
	"github.com/spillwaydb/spillway/core/resp"
)

// Ctx is one client's execution of commands: what a handler reads and where it
// leaves its reply and its effects. It is reused from command to command and
// belongs to one goroutine.
type Ctx struct {
	// Args are the command and its arguments. They are valid during the call only.
	Args [][]byte
	// Out takes the reply.
	Out *resp.Writer
	// DB is the logical database.
	DB int
	// Now is the time of the command in Unix milliseconds; 0 while replaying,
	// when nothing expires but by a logged DEL.
	Now int64
	KS  *keyspace.Keyspace
	// Shard is the shard of every key of the command, -1 when its keys live
	// on several or that is not known.
	Shard int
	// Stats may be nil.
	Stats  *Stats
	Rand   *rand.Rand
	Engine Engine
	Client Client
	// Cluster says that the engine is the only node of a cluster.
	Cluster bool
	// Replaying is set while the log is applied.
	Replaying bool
	// NoTouch is set while the client's reads do not count as accesses.
	NoTouch bool
	// Request is where the arguments lie, if that is a buffer whose memory may become that
	// of a value which is stored; Args is made to name that. It is nil otherwise.
	Request *arena.Buffer
	// Events is told what happens to keys; it may be nil.
	Events *KeyEvents
	// Hub is where messages are published.
	Hub *pubsub.Hub
	// Visit locks a shard for as long as the function takes: a command with EachShard, or
	// one that is called by CallDetached, has no other lock. It is false, and the function
	// was not called, when a busy script has the shard; the command ends then and has not
	// replied. nil says that all shards are locked.
	Visit func(shard int, f func()) bool

	// Detaches says that whoever calls the handler gives up its locks and calls it again
	// when that is asked for, see Detached.
	Detaches bool
	// MayBlock says that the command may wait for a key, see Block.
	MayBlock bool
	// InScript says that a script calls the command.
	InScript bool
	// Served is the key for which a command that waits is called again, see Block.
	// It is nil when it is called for the first time.
	Served []byte
	// Other stands for the client where that is one of another goroutine, which waited
	// for the command: it is whom events are told of as his own. It is nil otherwise.
	Other Client
	// Frozen says that keys past their deadline are only hidden from whoever reads
	// (CLIENT PAUSE).
	Frozen bool

	// Migration is what has been done of a MIGRATE before its shards were locked, nil
	// for nothing.
	Migration *Migration

	detached *keyspace.DB // copies of the command's keys, nil for none, see detach
	made     *keyspace.DB // what was made of such copies, nil for nothing, see detachToStore
	madeOf   *keyspace.DB // the copies that it was made of
	madeLog  logged       // what is to be logged with it
	gaveUp   bool         // nothing can be made of them, see giveUpMade
	block    block
	tellNew  bool  // keys that were not there are an event
	toldNew  bool  // there was one
	telling  []int // the shards that tell of them
	dirty    int64
	explicit bool // LogAs or LogNothing was called: Args are not logged
	logged
	lent    bool     // AppendEffects gave bytes away
	scratch []byte   // for handlers: values under construction
	parts   [][]byte // for handlers: arguments to be logged, none between commands

	// For handlers of streams, which leave nothing in them: what is looked at of each
	// stream, IDs to be logged, and entries to reply with.
	looked  []lookedAt
	ids     []keyspace.StreamID
	entries []keyspace.StreamItem

	hits, misses int64 // not yet in Stats, see Account
}

// logged is commands to be logged, before Args where those are.
type logged struct {
	effects []effect
	ends    []int  // ends of the effects' arguments in bytes
	bytes   []byte // the arguments, one after the other
	long    []byte // one of them that is not among these, nil for none, see logValue
	longAt  int    // which of ends it is
}

// effect is a command to be logged: its database, and where its arguments end
// in logged.ends.
type effect struct{ db, end int }

// Reset prepares c for the next command, all of whose keys live on shard, or
// on several when that is -1. Effects that AppendEffects returned stay valid.
func (c *Ctx) Reset(args [][]byte, out *resp.Writer, db, shard int, now int64) {
	c.Args, c.Out, c.DB, c.Shard, c.Now = args, out, db, shard, now
	c.dirty, c.explicit = 0, false
	c.block.waits, c.block.keys = false, nil
	if len(c.effects) > 0 {
		c.Logged()
		if c.lent || cap(c.bytes) > 1<<20 {
			c.bytes, c.lent = nil, false
		}
	}
	if cap(c.scratch) > 1<<20 {
		c.scratch = nil
	}
}

// db is the database that key belongs to, in its shard.
func (c *Ctx) db(key []byte) *keyspace.DB { return c.dbOf(c.DB, key) }

func (c *Ctx) dbOf(n int, key []byte) *keyspace.DB {
	if c.detached != nil {
		return c.detached
	}
	shard := c.Shard // as shardOf has it, which is not inlined
	if shard < 0 {
		shard = c.KS.ShardOf(key)
	}
	if c.tellNew {
		c.tellOf(shard)
	}
	return c.KS.Shard(shard).DB(n)
}

// tellOf has a shard tell of keys that were not there, until tellEnd.
func (c *Ctx) tellOf(shard int) {
	if !slices.Contains(c.telling, shard) {
		c.telling = append(c.telling, shard)
		c.KS.Shard(shard).OnInsert(c.inserted)
	}
}

// tellEnd ends what tellNew asks of the shards. They are locked.
func (c *Ctx) tellEnd() {
	for _, n := range c.telling {
		c.KS.Shard(n).OnInsert(nil)
	}
	c.tellNew, c.toldNew, c.telling = false, false, c.telling[:0]
}

// renewed tells of a key that has replaced another of its name, where that is as
// good as a new one.
func (c *Ctx) renewed(db int, key []byte) {
	if c.tellNew && !c.toldNew {
		c.inserted(db, key)
	}
}

// inserted tells of a key that was not there. Its shard is locked.
func (c *Ctx) inserted(db int, key []byte) {
	c.toldNew = true
	c.Events.notifier.KeyEvent(c.origin(), eventNew, -1, db, key)
}

// shardOf is the shard of a key of the command.
func (c *Ctx) shardOf(key []byte) int {
	if c.Shard >= 0 {
		return c.Shard
	}
	return c.KS.ShardOf(key)
}

// find gets a live key of d, which is database n of the key's shard. A key
// past its deadline is removed, and the removal logged.
func (c *Ctx) find(d *keyspace.DB, n int, key []byte) (keyspace.Entry, bool) {
	e, status := d.Get(key, c.Now)
	if status == keyspace.Live {
		return e, true
	}
	if status == keyspace.Expired {
		c.expire(d, n, key)
	}
	return keyspace.Entry{}, false
}

// expire removes a key past its deadline.
func (c *Ctx) expire(d *keyspace.DB, n int, key []byte) {
	c.appendEffect(n, verbDel, key)
	d.Delete(key)
	c.Events.Removed(c.origin(), EventExpired, c.shardOf(key), n, key)
}

// lookup finds a live key for reading: it counts a hit or a miss and advances
// the key's access clock.
func (c *Ctx) lookup(key []byte) (keyspace.Entry, bool) { return c.look(key, true, true) }

// peek is lookup without advancing the access clock (TTL, TYPE, OBJECT…).
func (c *Ctx) peek(key []byte) (keyspace.Entry, bool) { return c.look(key, true, false) }

// inspect is peek for what is asked about a key by operators: that it is not
// there is no event.
func (c *Ctx) inspect(key []byte) (keyspace.Entry, bool) { return c.look(key, false, false) }

// look finds a live key for reading. That it is not there is told if tell says so, and the access clock of
// one that is there is advanced if touch does.
func (c *Ctx) look(key []byte, tell, touch bool) (keyspace.Entry, bool) {
	d := c.db(key)
	e, status := d.Get(key, c.Now)
	live := status == keyspace.Live
	switch {
	case !live:
		c.missed(d, key, status, tell)
	case c.detached == nil && c.made == nil: // or it was counted when it was looked up there
		c.hits++
	}
	if live && touch && !c.Replaying && !c.NoTouch {
		e.Touch(c.Now)
	}
	return e, live
}

// see finds a live key for reading, of which nothing is counted.
func (c *Ctx) see(key []byte) (keyspace.Entry, bool) {
	d := c.db(key)
	e, status := d.Get(key, c.Now)
	if status == keyspace.Expired && !c.Frozen {
		c.expire(d, c.DB, key)
	}
	return e, status == keyspace.Live
}

// missed takes in that look has not found a live key in d.
func (c *Ctx) missed(d *keyspace.DB, key []byte, status keyspace.Status, tell bool) {
	if status == keyspace.Expired && !c.Frozen {
		c.expire(d, c.DB, key)
	}
	if c.detached != nil || c.made != nil {
		return
	}
	c.misses++
	if tell && c.Events.asks(ClassMissed) {
		c.Events.notifier.KeyEvent(c.origin(), eventMissed, -1, c.DB, key)
	}
}

// Account adds the hits and misses of the commands run so far to Stats. The
// session calls it once a batch: counters that every command of every client
// writes would be one cache line that all processors fight for.
func (c *Ctx) Account() {
	if c.Stats != nil {
		if c.hits != 0 {
			c.Stats.Hits.Add(c.hits)
		}
		if c.misses != 0 {
			c.Stats.Misses.Add(c.misses)
		}
	}
	c.hits, c.misses = 0, 0
}

// lookupWrite finds a live key that is about to be changed.
func (c *Ctx) lookupWrite(key []byte) (keyspace.Entry, bool) {
	return c.find(c.db(key), c.DB, key)
}

// Changed tells that the value or the deadline of a key was changed: it is
// counted, logged, and told to those who listen (see [KeyEvents]). A handler
// calls it once for each key and event, after the change.
func (c *Ctx) Changed(key []byte, ev Event) { c.ChangedIn(c.DB, key, ev, 1) }

// ChangedN is Changed for n changes to one key, as Redis counts them for save
// points: an element of a collection is one. With n = 0 another call stands for
// this change too: that of another key (RENAME, LMOVE), or of the same one with
// another event (SET with a deadline).
func (c *Ctx) ChangedN(key []byte, ev Event, n int) { c.ChangedIn(c.DB, key, ev, n) }

// origin is the client that causes what happens.
func (c *Ctx) origin() Client {
	if c.Other != nil {
		return c.Other
	}
	return c.Client
}

// Counted counts and logs n changes of which Redis tells nobody: what consumers of a
// stream do with entries.
func (c *Ctx) Counted(n int) { c.dirty += int64(n) }

// ChangedIn is ChangedN for a key of another database.
func (c *Ctx) ChangedIn(db int, key []byte, ev Event, n int) {
	c.dirty += int64(n)
	if c.Events.wanted() {
		c.Events.Happened(c.origin(), ev, c.shardOf(key), db, key)
	}
}

// Shrunk is ChangedN for n elements taken out of a collection. With the last one
// its key goes, which is an event of its own.
func (c *Ctx) Shrunk(key []byte, ev Event, n int) {
	c.ChangedN(key, ev, n)
	if c.Events.wanted() && c.status(c.shardOf(key), c.DB, key) == keyspace.Missing {
		c.ChangedN(key, eventDel, 0)
	}
}

// LogAs makes the log take this command in place of the client's. Several
// calls log several commands, in order. The bytes are copied.
func (c *Ctx) LogAs(args ...[]byte) {
	c.explicit = true
	c.appendEffect(c.DB, args...)
}

// longLogged is from what length on logValue copies nothing: what is shorter is copied in less
// time than what comes with a command takes.
const longLogged = 16 << 10

// logValue is LogAs of a SET of a value that the client has sent: a long one is logged from
// where it is, as it is where the client's command itself is logged. To copy it took
// twice as long as to store it.
func (c *Ctx) logValue(key, val []byte, options ...[]byte) {
	c.explicit = true
	c.appendWords(verbSet, key)
	if len(val) < longLogged || c.long != nil {
		c.appendWords(val)
	} else {
		c.long, c.longAt = val, len(c.ends)
		c.ends = append(c.ends, len(c.bytes))
	}
	c.appendEffect(c.DB, options...)
}

// LogAsIn is LogAs for a command in another database.
func (c *Ctx) LogAsIn(db int, args ...[]byte) {
	c.explicit = true
	c.appendEffect(db, args...)
}

// LogNothing keeps the client's command out of the log although it counted
// changes.
func (c *Ctx) LogNothing() { c.explicit = true }

func (c *Ctx) appendEffect(db int, args ...[]byte) {
	c.appendWords(args...)
	c.effects = append(c.effects, effect{db, len(c.ends)})
}

// appendWords appends words to the command that appendEffect ends.
func (c *Ctx) appendWords(args ...[]byte) {
	for _, a := range args {
		c.bytes = append(c.bytes, a...)
		c.ends = append(c.ends, len(c.bytes))
	}
}

// appendID is appendWords of an ID.
func (c *Ctx) appendID(id keyspace.StreamID) {
	c.bytes = id.Append(c.bytes)
	c.ends = append(c.ends, len(c.bytes))
}

// appendNumber is appendWords of a number.
func (c *Ctx) appendNumber(n int64) {
	c.bytes = appendInt(c.bytes, n)
	c.ends = append(c.ends, len(c.bytes))
}

// Dirty is how many changes the command made, as save points count them.
func (c *Ctx) Dirty() int64 { return c.dirty }

// HasEffects tells whether the command left anything to log.
func (c *Ctx) HasEffects() bool { return len(c.effects) > 0 || c.dirty > 0 && !c.explicit }

// Writes tells whether the command itself changed something: the removal of
// expired keys, which it may have met on its way, is not its doing.
func (c *Ctx) Writes() bool { return c.dirty > 0 || c.explicit }

// Logged says that what there was to log is in the log, before the end of the
// command.
func (c *Ctx) Logged() {
	c.effects, c.ends, c.bytes, c.long = c.effects[:0], c.ends[:0], c.bytes[:0], nil
}

// Verbatim tells whether what is to be logged is just the client's command.
func (c *Ctx) Verbatim() bool { return len(c.effects) == 0 && c.dirty > 0 && !c.explicit }

// NumEffects is how many commands are to be logged.
func (c *Ctx) NumEffects() int {
	n := len(c.effects)
	if c.dirty > 0 && !c.explicit {
		n++
	}
	return n
}

// Effect returns the i-th command to be logged, its arguments appended to dst.
// They are valid until Reset.
func (c *Ctx) Effect(i int, dst [][]byte) (db int, args [][]byte) {
	if i >= len(c.effects) {
		return c.DB, append(dst, c.Args...)
	}
	first := 0
	if i > 0 {
		first = c.effects[i-1].end
	}
	start := 0
	if first > 0 {
		start = c.ends[first-1]
	}
	for j, end := range c.ends[first:c.effects[i].end] {
		if c.long != nil && first+j == c.longAt {
			dst = append(dst, c.long)
			continue
		}
		dst = append(dst, c.bytes[start:end:end])
		start = end
	}
	return c.effects[i].db, dst
}

// Effect is one command to be logged. AppendEffects works with any type of its
// shape, such as the log's own.
type Effect = struct {
	DB   int
	Args [][]byte
}

// AppendEffects appends what c's command leaves to be logged: removals of
// expired keys, then what LogAs was given or else the command itself. The
// bytes stay valid after Reset, except the client's own arguments.
func AppendEffects[E ~struct {
	DB   int
	Args [][]byte
}](c *Ctx, dst []E) []E {
	for i := range c.NumEffects() {
		db, args := c.Effect(i, nil)
		dst = append(dst, E{DB: db, Args: args})
		c.lent = c.lent || i < len(c.effects)
	}
	return dst
}
