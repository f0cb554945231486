// Package apply executes again what was executed before: the log behind a
// checkpoint, the commands of a rewrite, an append-only file of Redis's. Nobody
// waits for a reply, nothing is logged and nothing expires by itself; a command
// that fails means that the commands and the keyspace do not belong together,
// and ends it.
//
// An [Applier] works on all shards at once:
//
//	caller ── Apply, Block ──┬─ batch ─→ lane of shard 0
//	                         ├─ batch ─→ lane of shard 1      one goroutine each
//	                         └─ batch ─→ lane of shard n
//	           on several shards: when their lanes are idle, by the caller itself
//
// The commands of a shard are applied in their order, those of different shards
// in any. What belongs together takes effect together: a command on several
// shards, and a transaction, are applied while all their shards are locked, so
// that whoever reads under the same locks sees all of it or nothing. Before one
// of them its shards have applied everything that came earlier.
//
// It knows the keyspace and the commands, and nothing of files, checkpoints or
// clients.
package apply
