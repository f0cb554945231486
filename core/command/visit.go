package command

import "github.com/spillwaydb/spillway/core/keyspace"

// A command about keys that it does not name (EachShard) visits one shard after the
// other. Nobody waits for longer than a visit takes, which is a bounded piece of work,
// and nobody at another shard waits at all. So what it replies is of no one moment:
// what a transaction has changed in several shards may be seen in one of them and not
// yet in another. Inside a transaction or a script it is, since all shards are locked.

// visitStep is about how many keys are looked at in a visit: some tens of microseconds.
const visitStep = 256

// visit calls f while the shard is locked. When it is false, f was not called and the
// command has to end without a reply.
func (c *Ctx) visit(shard int, f func(s *keyspace.Shard)) bool {
	s := c.KS.Shard(shard)
	if c.Visit == nil {
		f(s)
		return true
	}
	return c.Visit(shard, func() { f(s) })
}

// walk calls fn for the keys of a shard, past their deadline or not, in as many visits
// as it takes. A key that is there all the while is met, and none twice. It is false
// as visit is.
func (c *Ctx) walk(shard int, fn func(key []byte, e keyspace.Entry)) bool {
	for w := (keyspace.Walk{}); !w.Ended; {
		if !c.visit(shard, func(s *keyspace.Shard) { s.DB(c.DB).Step(&w, visitStep, fn) }) {
			return false
		}
	}
	return true
}

// sizes calls fn with the number of keys of every shard. It is false as visit is.
func (c *Ctx) sizes(fn func(shard, keys int)) bool {
	for n := range c.KS.NumShards() {
		if !c.visit(n, func(s *keyspace.Shard) { fn(n, s.DB(c.DB).Len()) }) {
			return false
		}
	}
	return true
}
