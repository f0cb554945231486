// Package core is the Spillway engine: a Redis-compatible, sharded, in-memory
// store whose persistence is a pipeline.
//
// [OpenDir] opens a directory and [Open] anything that [Options] describe; both
// recover what is there and return a [DB]. [DB.Session] runs commands against it.
//
// The package joins the rooms below it and owns what belongs to none of them:
//
//	session/    executing a client's commands          sessions.go  what a session knows of the engine
//	persist/    checkpoints, the log, the archive      persist.go   what persistence knows of the engine
//	apply/      applying again what was executed       recovery.go  the way back: manifest, base, log, torn tail
//	command/    what commands mean                     admin.go     the engine as administrative commands see it
//
//	options.go, params.go, settings.go   what is configured, and what CONFIG SET may change
//	tick.go                              what happens by itself: expiry, and persistence's tick
//	shutdown.go                          writes held back, a last save, the end
//	readonly.go, import.go, export.go    looking only; what comes from Redis and goes to it
//	info.go, loading.go, reclaim.go      INFO, how far a load is, memory given back
//
// Core refuses to know about sockets (core/server), configuration files (cmd) and
// plugin processes (plugins), which reach it through [Options]. Of the concrete
// filesystems it knows osfs, for OpenDir.
package core
