package session

import (
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
)

// wanted counts the tickets that wait, by the type of value that they wait for.
//
// A key is ready, as in Redis, from when it was made with a type that anybody waits
// for, be it at another key. That it grows, or gets what nobody waits for, says
// nothing. It matters where several keys of a ticket become ready in one unit: the
// ticket is served from the one that was ready first.
type wanted struct{ lists, zsets, streams atomic.Int64 }

// holding is what there is at a key.
type holding struct {
	there bool
	is    keyspace.Type
}

// holding is what there is at the key of a line, whose shard is locked.
func (w *waiting) holding(l *line) holding {
	e, status := w.ks.Shard(l.shard).DB(l.db).Get([]byte(l.key), 0)
	if status == keyspace.Missing {
		return holding{}
	}
	return holding{true, e.Type()}
}

// add counts a ticket that begins to wait, or takes it back.
func (w *wanted) add(cmd *command.Command, n int64) {
	switch {
	case cmd.Categories&command.CatList != 0:
		w.lists.Add(n)
	case cmd.Categories&command.CatSortedSet != 0:
		w.zsets.Add(n)
	case cmd.Categories&command.CatStream != 0:
		w.streams.Add(n)
	}
}

// made tells whether an event has made a key with what somebody waits for. Streams
// are fed by each of their entries.
func (w *wanted) made(ev command.Event, before, now holding) bool {
	if !now.there {
		return false
	}
	replaced := before != now
	switch ev.Name {
	case "rename_to", "copy_to", "move_to", "restore":
		replaced = true
	}
	switch now.is {
	case keyspace.List:
		return replaced && w.lists.Load() > 0
	case keyspace.ZSet:
		return replaced && w.zsets.Load() > 0
	case keyspace.Stream:
		return w.streams.Load() > 0
	case keyspace.String, keyspace.Set, keyspace.Hash:
	}
	return false
}
