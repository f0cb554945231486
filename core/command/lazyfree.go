package command

import "github.com/spillwaydb/spillway/core/keyspace"

// What is removed is given back aside, by whatever command. INFO's lazyfreed_objects counts
// what Redis gives back in a thread of its own with its defaults: every key that FLUSHALL
// and FLUSHDB with ASYNC remove, and those of UNLINK whose value is laborious to free.

// lazyFrom is from beyond how many allocations on a value is laborious.
const lazyFrom = 64

// countUnlinked counts the value of a key that UNLINK removes.
func (c *Ctx) countUnlinked(e keyspace.Entry) {
	if c.Stats != nil && !c.Replaying && allocations(e) > lazyFrom {
		c.Stats.LazyFreed.Add(1)
	}
}

// countFlushed counts the keys of a database that FLUSHALL or FLUSHDB empties. All shards
// are locked.
func (c *Ctx) countFlushed(n int) {
	if c.Stats == nil || c.Replaying || len(c.Args) < 2 || !is(c.Args[1], "async") {
		return
	}
	for i := range c.KS.NumShards() {
		c.Stats.LazyFreed.Add(int64(c.KS.Shard(i).DB(n).Len()))
	}
}

// allocations is about how many Redis has for the value of a key.
func allocations(e keyspace.Entry) int {
	switch e.Encoding() {
	case "quicklist", "hashtable", "skiplist":
		return e.Parts()
	case "stream":
		s := e.Stream()
		n := s.RadixNodes()
		s.EachGroup(func(g *keyspace.StreamGroup) bool {
			n += s.NumGroups() * (1 + g.NumPending())
			return false // Redis takes the others to be like the first
		})
		return n
	}
	return 1
}
