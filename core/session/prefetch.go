package session

import "github.com/spillwaydb/spillway/core/command"

// prefetchMin is from how many commands on a batch is worth looking ahead in.
const prefetchMin = 4

// ahead is what Prefetch has found out about the commands that come.
type ahead struct {
	cmds   [][][]byte // nil: nothing
	base   int64      // Session.commands before the first of them
	shards []int      // of the first argument of each, if that is a key: see placed
	keys   [][]byte   // scratch: those of one shard
}

// A shard in ahead.shards is complemented once its keys have been touched.
const noShard = int(^uint(0) >> 1)

// placed is the shard that an entry of ahead.shards stands for.
func placed(shard int) int {
	if shard < 0 {
		return ^shard
	}
	return shard
}

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
	a.shards = a.shards[:0]
	cmd := s.named
	for _, args := range cmds {
		if cmd == nil || !cmd.Named(args[0]) { // they are often alike
			cmd = command.Lookup(args[0])
		}
		shard := noShard
		if cmd != nil && cmd.First == 1 && len(args) > 1 {
			shard = s.rt.Keyspace.ShardOf(args[1])
		}
		a.shards = append(a.shards, shard)
	}
	a.cmds, a.base = cmds, s.commands
	for i, shard := range a.shards {
		if shard < 0 || shard == noShard {
			continue
		}
		a.keys = a.keys[:0]
		for j := i; j < len(cmds); j++ {
			if a.shards[j] == shard {
				a.keys = append(a.keys, cmds[j][1])
				a.shards[j] = ^shard
			}
		}
		if !s.hold(shard) {
			return
		}
		s.rt.Keyspace.Shard(shard).DB(s.DB()).Prefetch(a.keys)
	}
	s.clock.stale = true
}

// shardOf is the shard of an argument of the command that runs. Prefetch knows it
// already where it was told of these very arguments.
func (s *Session) shardOf(args [][]byte, n int) int {
	a := &s.ahead
	if i := s.commands - a.base - 1; n == 1 && uint64(i) < uint64(len(a.cmds)) && &a.cmds[i][0] == &args[0] {
		return placed(a.shards[i])
	}
	return s.rt.Keyspace.ShardOf(args[n])
}
