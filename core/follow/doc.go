// Package follow is a replica's side of Redis's replication: it takes over the dataset
// of a running Redis or Valkey, and then what that executes.
//
//	PSYNC ? -1 ──▶ FULLRESYNC id offset, an RDB ──▶ Target.Apply, many times, FollowSyncing
//	                                                Target.Apply, once, FollowStream
//	PSYNC id n ──▶ CONTINUE ─┐
//	                         ▼
//	          commands, from the offset on ──▶ Target.Apply(commands, offset behind them)
//	          REPLCONF ACK offset ◀── each second, and when it is asked for; of Redis 7.2
//	                                  and newer with FACK, which WAITAOF counts
//
// What makes it safe to be killed at any time is that Apply takes commands and the
// offset behind them as one unit: the [Target] has both or neither. A connection begins
// with what the target says it has, and so does a process that is started again. A
// dataset that broke off is begun anew, since FollowSyncing has no place to go on from.
//
// A [Link] is the connection, and can be used without the rest by whoever only
// wants the dataset. A [Follower] keeps one up until it is stopped, or until
// something comes that the target cannot hold: that is a [StopError], after which nothing
// is tried again. It knows no engine: the target is an interface.
package follow
