package command

import (
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// Event is what happened to a key, by the name and in the class that Redis's
// keyspace notifications give it
// (https://redis.io/docs/latest/develop/use/keyspace-notifications/).
type Event struct {
	Name  string
	Class EventClass
}

// Feeds tells whether the event may bring what a command waits for: of what happens to
// a stream that is a new entry, and the end of a group.
func (ev Event) Feeds() bool {
	return ev.Class != ClassStream || ev == eventXAdd || ev == eventXGroupDestroy
}

// EventClass is a set of classes of events, a bit for each letter that the
// parameter notify-keyspace-events has for one.
type EventClass uint16

// The classes.
const (
	ClassGeneric EventClass = 1 << iota // g: commands of no one type
	ClassString                         // $
	ClassList                           // l
	ClassSet                            // s
	ClassHash                           // h
	ClassZSet                           // z
	ClassExpired                        // x
	ClassEvicted                        // e
	ClassStream                         // t
	ClassModule                         // d
	ClassNew                            // n: a key that was not there; KeyListeners are not told
	ClassMissed                         // m: a key was read that is not there; KeyListeners are not told
	ToKeyspace                          // K: events are published on the key's channel
	ToKeyEvent                          // E: events are published on the event's channel
)

// The two events that no command is the cause of.
var (
	EventExpired = Event{"expired", ClassExpired} // the key was past its deadline
	EventEvicted = Event{"evicted", ClassEvicted} // the key had to make room
)

// eventCached says that bytes of a value have changed that do not mean anything
// else: those who watch the key are told, and nobody else is, for it has no class.
var eventCached = Event{}

// The events that change nothing, or are told beside the one that does. Only the
// Notifier is told of them.
var (
	eventNew    = Event{"new", ClassNew}
	eventMissed = Event{"keymiss", ClassMissed}
)

// The events of the handlers.
var (
	eventDel        = Event{"del", ClassGeneric}
	eventExpire     = Event{"expire", ClassGeneric}
	eventPersist    = Event{"persist", ClassGeneric}
	eventRenameFrom = Event{"rename_from", ClassGeneric}
	eventRenameTo   = Event{"rename_to", ClassGeneric}
	eventMoveFrom   = Event{"move_from", ClassGeneric}
	eventMoveTo     = Event{"move_to", ClassGeneric}
	eventCopyTo     = Event{"copy_to", ClassGeneric}
	eventRestore    = Event{"restore", ClassGeneric}

	eventSet         = Event{"set", ClassString}
	eventSetRange    = Event{"setrange", ClassString}
	eventSetBit      = Event{"setbit", ClassString}
	eventPFAdd       = Event{"pfadd", ClassString}
	eventAppend      = Event{"append", ClassString}
	eventIncrBy      = Event{"incrby", ClassString}
	eventIncrByFloat = Event{"incrbyfloat", ClassString}

	eventLPush   = Event{"lpush", ClassList}
	eventRPush   = Event{"rpush", ClassList}
	eventLPop    = Event{"lpop", ClassList}
	eventRPop    = Event{"rpop", ClassList}
	eventLInsert = Event{"linsert", ClassList}
	eventLSet    = Event{"lset", ClassList}
	eventLTrim   = Event{"ltrim", ClassList}
	eventLRem    = Event{"lrem", ClassList}

	eventSortStore = Event{"sortstore", ClassList}

	eventSAdd        = Event{"sadd", ClassSet}
	eventSRem        = Event{"srem", ClassSet}
	eventSPop        = Event{"spop", ClassSet}
	eventSInterStore = Event{"sinterstore", ClassSet}
	eventSUnionStore = Event{"sunionstore", ClassSet}
	eventSDiffStore  = Event{"sdiffstore", ClassSet}

	eventHSet         = Event{"hset", ClassHash}
	eventHIncrBy      = Event{"hincrby", ClassHash}
	eventHIncrByFloat = Event{"hincrbyfloat", ClassHash}
	eventHDel         = Event{"hdel", ClassHash}
	eventHExpire      = Event{"hexpire", ClassHash}
	eventHExpired     = Event{"hexpired", ClassHash}
	eventHPersist     = Event{"hpersist", ClassHash}

	eventZAdd             = Event{"zadd", ClassZSet}
	eventZIncr            = Event{"zincr", ClassZSet}
	eventZRem             = Event{"zrem", ClassZSet}
	eventZRemRangeByScore = Event{"zremrangebyscore", ClassZSet}
	eventZRemRangeByRank  = Event{"zremrangebyrank", ClassZSet}
	eventZRemRangeByLex   = Event{"zremrangebylex", ClassZSet}
	eventZPopMin          = Event{"zpopmin", ClassZSet}
	eventZPopMax          = Event{"zpopmax", ClassZSet}
	eventZInterStore      = Event{"zinterstore", ClassZSet}
	eventZUnionStore      = Event{"zunionstore", ClassZSet}
	eventZDiffStore       = Event{"zdiffstore", ClassZSet}
	eventZRangeStore      = Event{"zrangestore", ClassZSet}
	eventGeoSearchStore   = Event{"geosearchstore", ClassZSet}
	eventGeoRadiusStore   = Event{"georadiusstore", ClassZSet}

	eventXAdd                 = Event{"xadd", ClassStream}
	eventXDel                 = Event{"xdel", ClassStream}
	eventXTrim                = Event{"xtrim", ClassStream}
	eventXSetID               = Event{"xsetid", ClassStream}
	eventXGroupCreate         = Event{"xgroup-create", ClassStream}
	eventXGroupSetID          = Event{"xgroup-setid", ClassStream}
	eventXGroupDestroy        = Event{"xgroup-destroy", ClassStream}
	eventXGroupCreateConsumer = Event{"xgroup-createconsumer", ClassStream}
	eventXGroupDelConsumer    = Event{"xgroup-delconsumer", ClassStream}
)

// KeyListener is told what happens to keys. Its methods are called where it
// happens, in the order in which it happens, by whoever makes it happen and
// under the locks that this needs. They must be quick, must not lock a shard,
// and must not keep key.
type KeyListener interface {
	// KeyEvent tells what happened to a key of database db. The lock of its
	// shard is held. Where the event is a removal, the key is gone or is about
	// to be. by is the client whose command it was and whose goroutine calls, nil
	// for none.
	KeyEvent(by Client, ev Event, shard, db int, key []byte)
	// DatabaseEvent tells that a database is about to be emptied or exchanged
	// with another. change tells what that does to a key. The locks of all
	// shards are held.
	DatabaseEvent(db int, change func(shard int, key []byte) Exchange)
}

// Exchange is what is there of a key before its database is emptied, or exchanged with
// another, and afterwards.
type Exchange struct{ Before, After keyspace.Status }

// Concerns tells whether there is a key before or afterwards, expired or not.
func (x Exchange) Concerns() bool { return x.Before != keyspace.Missing || x.After != keyspace.Missing }

// EmptyListener is a [KeyListener] that is told when databases are emptied, be it
// one or all of them, in one call. by is the client whose command it is.
type EmptyListener interface {
	Emptied(by Client)
}

// KeyEvents is the one door through which everything passes that happens to a
// key: what handlers change and remove (see [Ctx.Changed]), and the keys that go
// because they are past their deadline or have to make room ([KeyEvents.Removed]).
// WATCH stands behind it (see [Watches]), blocked commands, keyspace notifications
// (see [Notifier]), and the tracking of what clients have cached (see [Tracker]).
//
// A nil KeyEvents has no listeners.
type KeyEvents struct {
	interest  atomic.Int64
	listeners []KeyListener
	notifier  *Notifier // one of them; nil for none
	stats     *Stats
}

// NewKeyEvents returns a door without listeners. It counts in stats, which may
// be nil, what expires and what is evicted.
func NewKeyEvents(stats *Stats) *KeyEvents { return &KeyEvents{stats: stats} }

// Listen adds a listener, before the first event.
func (k *KeyEvents) Listen(l KeyListener) { k.listeners = append(k.listeners, l) }

// Want says that a listener has n more clients that want to be told, fewer if n
// is negative. While nobody wants anything the listeners are not called, so that
// a write costs one look at a counter. Any goroutine.
func (k *KeyEvents) Want(n int64) { k.interest.Add(n) }

// wanted tells whether anybody listens.
func (k *KeyEvents) wanted() bool { return k != nil && k.interest.Load() > 0 }

// Happened tells the listeners of an event. The lock of the key's shard is held.
// by is the client whose goroutine calls, nil for none.
func (k *KeyEvents) Happened(by Client, ev Event, shard, db int, key []byte) {
	if !k.wanted() {
		return
	}
	for _, l := range k.listeners {
		l.KeyEvent(by, ev, shard, db, key)
	}
}

// asks tells whether events of a class that only the Notifier is told of are
// wanted.
func (k *KeyEvents) asks(class EventClass) bool { return k.wanted() && k.notifier.asks(class) }

// Removed is Happened for a key that no command removes: ev is EventExpired or
// EventEvicted. It is counted. Logging the removal is the caller's part.
func (k *KeyEvents) Removed(by Client, ev Event, shard, db int, key []byte) {
	if k == nil {
		return
	}
	if k.stats != nil {
		if ev.Class == ClassEvicted {
			k.stats.EvictedKeys.Add(1)
		} else {
			k.stats.ExpiredKeys.Add(1)
		}
	}
	k.Happened(by, ev, shard, db, key)
}

// FieldsRemoved tells that n fields of a hash have expired and were removed by no
// command, and counts them. gone says that the hash went with the last one. Logging the removal
// is the caller's part.
func (k *KeyEvents) FieldsRemoved(shard, db int, key []byte, n int, gone bool) {
	if k == nil || n == 0 {
		return
	}
	if k.stats != nil {
		k.stats.ExpiredSubkeys.Add(int64(n))
	}
	k.Happened(nil, eventHExpired, shard, db, key)
	if gone {
		k.Happened(nil, eventDel, shard, db, key)
	}
}

// databaseChanges tells the listeners of a database that is about to be emptied
// or exchanged, see [KeyListener].
func (k *KeyEvents) databaseChanges(db int, change func(shard int, key []byte) Exchange) {
	if !k.wanted() {
		return
	}
	for _, l := range k.listeners {
		l.DatabaseEvent(db, change)
	}
}

// emptied tells the listeners that databases are about to be emptied, whether they
// have clients that want to know or not: they may keep something of the keys.
func (k *KeyEvents) emptied(by Client) {
	if k == nil {
		return
	}
	for _, l := range k.listeners {
		if l, ok := l.(EmptyListener); ok {
			l.Emptied(by)
		}
	}
}
