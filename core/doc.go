// Package core is the Spillway engine: a Redis-compatible, sharded, in-memory
// store whose persistence is a pipeline.
//
// [Open] recovers a data directory and returns a [DB]; [DB.NewSession] runs
// commands against it. The package joins the parts below it and owns what
// belongs to none of them:
//
//	session.go     one client: key locking, MULTI/EXEC, durability before the reply
//	checkpoint.go  the checkpoint: one cut, a job per shard, one commit
//	worker.go      the goroutine per shard that encodes a frozen view into the pipeline
//	recovery.go    the way back: manifest, base, log, torn tail
//	tick.go        what happens by itself: expiry, save points, log growth, retries
//
// It refuses to know about sockets (core/server), configuration files (cmd),
// plugin processes (plugins) and concrete filesystems (fsbackends): all of them
// reach it through [Options].
//
// # One SET, from call to disk
//
//	Session.Run → shard lock → command handler → keyspace
//	                        └→ wal.Append (a copy into the shard's buffer)
//	Session.Finish → unlock → wal.Commit (write, fsync as the policy says) → reply may leave
//
// # One BGSAVE, from request to rename
//
//	rotate manifest → cut (all shards locked: log switched, views frozen) → unlock
//	worker per shard: view → encoder → stages → sinks → verify
//	publish → MANIFEST renamed → directory synced → sweep
package core
