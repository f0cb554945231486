// Package core is the Spillway engine: a Redis-compatible, sharded, in-memory
// store whose persistence is a pipeline.
//
// [Open] recovers a data directory and returns a [DB]; [DB.Session] runs
// commands against it. The package joins the parts below it and owns what
// belongs to none of them:
//
//	checkpoint.go  the checkpoint: one cut, a job per shard, one commit
//	worker.go      the goroutine per shard that encodes a frozen view into the pipeline
//	recovery.go    the way back: manifest, base, log, torn tail
//	tick.go        what happens by itself: expiry, save points, log growth, retries
//
// What executes a client's commands is core/session, to which [DB] tells what it
// needs (sessions.go). Core refuses to know about sockets (core/server),
// configuration files (cmd), plugin processes (plugins) and concrete filesystems
// (fsbackends): all of them reach it through [Options].
//
// # One BGSAVE, from request to rename
//
//	rotate manifest → cut (all shards locked: log switched, views frozen) → unlock
//	worker per shard: view → encoder → stages → sinks → verify
//	publish → MANIFEST renamed → directory synced → sweep
package core
