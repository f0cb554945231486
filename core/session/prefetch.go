package session

// prefetchMin is from how many commands on a batch is worth looking ahead in.
const prefetchMin = 4

// Prefetch is told the commands of a batch, at most a few dozen, before they
// are Run one after the other: it brings what they will look up into the
// processor's cache, for all of them at once. What is looked up is taken to be
// the first argument, as with nearly every command; a wrong guess costs a
// little time and nothing else.
func (s *Session) Prefetch(cmds [][][]byte) {
	if len(cmds) < prefetchMin {
		return
	}
	s.aheadShards = s.aheadShards[:0]
	for _, args := range cmds {
		shard := -1
		if len(args) > 1 {
			shard = s.rt.Keyspace.ShardOf(args[1])
		}
		s.aheadShards = append(s.aheadShards, shard)
	}
	for i, shard := range s.aheadShards {
		if shard < 0 {
			continue
		}
		s.ahead = s.ahead[:0]
		for j := i; j < len(cmds); j++ {
			if s.aheadShards[j] == shard {
				s.ahead = append(s.ahead, cmds[j][1])
				s.aheadShards[j] = -1
			}
		}
		if !s.hold(shard) {
			return
		}
		s.rt.Keyspace.Shard(shard).DB(s.DB()).Prefetch(s.ahead)
	}
	s.clock.stale = true
}
