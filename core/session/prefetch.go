package session

import (
	"bytes"
	"math/bits"
	"slices"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
)

// prefetchMin is from how many commands on a batch is worth looking ahead in.
const prefetchMin = 4

// ahead is what Prefetch has found out about the commands that come.
type ahead struct {
	cmds [][][]byte // nil: nothing
	base int64      // Session.commands before the first of them
	at   int        // which of them runs, -1 if that is none of them; see Session.lookup

	named  []*command.Command // what each is, nil for what there is not
	shards []int              // of the first argument of each, noShard if that is no key
	keys   [][]byte           // these arguments, nil for those that are none; scratch
	seeks  []keyspace.Seek    // in the collection at one key; scratch
	groups []shardGroup       // of the keys that are looked at now; scratch
	looked keyspace.Ahead
}

const noShard = -1

// Prefetch is told the commands of a batch, at most a few dozen, before they
// are Run one after the other, unchanged: it brings what they will look up into the
// processor's cache, for all of them at once: of each the first argument, where
// that is a key, as with nearly every command.
func (s *Session) Prefetch(cmds [][][]byte) {
	a := &s.ahead
	a.cmds = nil
	if len(cmds) < prefetchMin {
		return
	}
	a.cmds, a.base = cmds, s.commands
	a.named = slices.Grow(a.named[:0], len(cmds))[:len(cmds)]
	a.shards = slices.Grow(a.shards[:0], len(cmds))[:len(cmds)]
	a.keys = slices.Grow(a.keys[:0], len(cmds))[:len(cmds)]
	cmd := s.named
	only, several, seeks := noShard, false, false
	for i, args := range cmds {
		if cmd == nil || !cmd.Named(args[0]) { // they are often alike
			cmd = command.Lookup(args[0])
		}
		a.named[i], a.shards[i], a.keys[i] = cmd, noShard, nil
		if cmd != nil && cmd.First == 1 && len(args) > 1 {
			shard := s.rt.Keyspace.ShardOf(args[1])
			a.shards[i], a.keys[i] = shard, args[1]
			several = several || only != noShard && only != shard
			only = shard
			seeks = seeks || cmd.Seeks()
		}
	}
	for from := 0; several && from < len(cmds); from += keyspace.AheadMax {
		to := min(from+keyspace.AheadMax, len(cmds))
		s.lookAhead(a.shards[from:to], a.keys[from:to])
	}
	if !several && only != noShard && s.hold(only) {
		s.rt.Keyspace.Shard(only).DB(s.DB()).Prefetch(a.keys)
	}
	if seeks {
		s.lookForElements()
	}
	s.clock.stale = true
}

// lookAhead looks ahead at keys of these shards, some of them noShard.
func (s *Session) lookAhead(shards []int, keys [][]byte) {
	a := &s.ahead
	a.groups = group(a.groups[:0], shards)
	s.visitAhead(func(d *keyspace.DB, which uint64) { a.looked.Pages(d, keys, which) })
	a.looked.Fetch()
	s.visitAhead(a.looked.Values)
	a.looked.Fetch()
}

// shardGroup is which of a few keys are of one shard, a bit for each.
type shardGroup struct {
	shard int
	which uint64
}

// group appends the keys of these shards, some of them noShard, by their shards.
func group(dst []shardGroup, shards []int) []shardGroup {
	for rest := uint64(1)<<len(shards) - 1; rest != 0; {
		first := bits.TrailingZeros64(rest)
		g := shardGroup{shard: shards[first]}
		for i, shard := range shards[first:] {
			if shard == g.shard {
				g.which |= 1 << (i + first)
			}
		}
		rest &^= g.which
		if g.shard != noShard {
			dst = append(dst, g)
		}
	}
	return dst
}

// visitAhead calls f for each group of keys with the lock of its shard. A shard that somebody else has
// is left out from then on, since to wait for it now would hold up all others.
func (s *Session) visitAhead(f func(d *keyspace.DB, which uint64)) {
	for i := range s.ahead.groups {
		g := &s.ahead.groups[i]
		if g.which == 0 || !s.tryHold(g.shard) {
			g.which = 0
			continue
		}
		f(s.rt.Keyspace.Shard(g.shard).DB(s.DB()), g.which)
	}
}

// lookForElements looks ahead at the elements of collections that several commands in a row are about, and
// no others: for one or two it takes longer than it saves.
func (s *Session) lookForElements() {
	a := &s.ahead
	for from := 0; from < len(a.keys); {
		to := from + 1
		for to < len(a.keys) && a.shards[from] == a.shards[to] && bytes.Equal(a.keys[from], a.keys[to]) {
			to++
		}
		if to-from >= prefetchMin && a.shards[from] != noShard && s.tryHold(a.shards[from]) {
			a.seeks = a.seeks[:0]
			for i := from; i < to; i++ {
				a.seeks = append(a.seeks, a.named[i].Seek(a.cmds[i]))
			}
			s.rt.Keyspace.Shard(a.shards[from]).DB(s.DB()).PrefetchElements(a.keys[from], a.seeks)
			clear(a.seeks) // they keep arguments
		}
		from = to
	}
}

// lookup is the command that args name, nil if there is none: it begins now. What Prefetch has found out
// about it is at ahead.at from here on, where it was told of these very arguments.
func (s *Session) lookup(args [][]byte) *command.Command {
	a, cmd := &s.ahead, s.named
	if i := int(s.commands - a.base - 1); uint(i) < uint(len(a.cmds)) && &a.cmds[i][0] == &args[0] {
		a.at, cmd = i, a.named[i]
	} else {
		a.at = -1
		if cmd == nil || !cmd.Named(args[0]) { // those of a client are often alike
			cmd = command.Lookup(args[0])
		}
	}
	if cmd != nil {
		s.named = cmd
	}
	return cmd
}

// shardOf is the shard of an argument of the command that runs.
func (s *Session) shardOf(args [][]byte, n int) int {
	if a := &s.ahead; n == 1 && a.at >= 0 {
		return a.shards[a.at]
	}
	return s.rt.Keyspace.ShardOf(args[n])
}
