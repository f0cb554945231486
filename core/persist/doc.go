// Package persist keeps a keyspace: on the disk of the engine, and on sinks
// beside it. It owns the checkpoints, the log in service, the archive, and the
// reasons why writes are refused; of the engine it knows its [Env].
//
//	save point, request ──▶ job ────────▶ ledger ◀──────── archive ◀── tick
//	                         │              │                 │
//	                  views through      MANIFEST,      sealed segments
//	                  the pipeline       numbers        to every target
//
//	persist.go    Env, Persister: the face             job.go      a checkpoint, top to bottom
//	start.go      what a start and its end call        encode.go   a shard's view as bytes
//	requests.go   who wants a job, or wants it ended   commit.go   the next manifest, and what it retires
//	triggers.go   what starts a job by itself          attempts.go what failed, and when it is tried again
//	ledger.go     the manifest in force, rotation      log.go      the log in service, on and off
//	health.go     why writes are refused               targets.go  best-effort sinks that are behind
//	archive.go    what the archive is and how it stands
//	archiver.go   sealing, and what is owed            shipper.go  segments to one target
//	lineage.go    whose sets a sink holds              survey.go   every target, before a start
//	guard.go      a target, before each job            stats.go    facts for INFO
//
// Nothing here replies to a client, expires a key or reads the data back: the
// engine does, and asks for the manifest and the parts that it needs.
package persist
