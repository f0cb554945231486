// Package persist keeps a keyspace: on the disk of the engine, and on sinks
// beside it. It owns the checkpoints, the log in service, the archive, and the
// reasons why writes are refused; of the engine it knows its [Env].
//
//	save point, request ──▶ job ────────▶ ledger ◀──────── archiver ◀── tick
//	                         │              │                 │
//	                  views through      MANIFEST,      queue ──▶ a shipper
//	                  the pipeline       numbers             per target
//
//	persist.go    Env, Persister: the face             job.go      a checkpoint, top to bottom
//	start.go      what a start and its end call        encode.go   a shard's view as bytes
//	requests.go   who wants a job, or wants it ended   commit.go   the next manifest, and what it retires
//	triggers.go   what starts a job by itself          attempts.go what failed, and when it is tried again
//	ledger.go     the manifest in force, numbers       log.go      the log in service, on and off
//	health.go     why writes are refused               seal.go     the log goes on in another segment
//	archive.go    what the archive is and how it stands
//	archiver.go   when to seal, and what is owed       queue.go    sealed segments, and who has them
//	shipper.go    segments to one target               targets.go  best-effort sinks that are behind
//	lineage.go    whose sets a sink holds              survey.go   every target, before a start
//	guard.go      a target, before each job            stats.go    facts for INFO
//	events.go     what the owner is told               background.go what the end waits for
//	route.go      what a checkpoint goes through       usage.go    who uses what may be replaced
//	spool.go      one file of everything, for a client or an export
//	replace.go    other stages and targets, while the engine runs
//
// Nothing here replies to a client, expires a key or reads the data back: the
// engine does, and asks for the manifest and the parts that it needs.
//
// # Locks
//
// The Persister joins the parts; none of them points back to it. Where two locks
// are held at once, the one that stands higher is taken first.
//
//	lock             guards                                       held across
//	Persister.views  the shards' views                            I/O, a barrier
//	Persister.turn   the rotation of the log up to its cut        I/O, a barrier
//	ledger.writing   the manifest read, changed, committed        I/O
//	Env.Barrier      every shard, under the gate                  no I/O
//	guard.asking     what one target was last asked               I/O on the target
//	guard.mu         the strangers that were reported             -
//	shipper.mu       whether and when one target is sent to       the locks below
//	archiver.mu      when to seal, and to take off what is owed   the locks below
//	queue.mu         the sealed segments                          -
//	Persister.mu     the job in flight, and how earlier ended     the locks below
//	ledger.mu        the manifest in force, the numbers drawn     the lock below
//	ancestry.mu      who this directory is on a sink              -
//	background.mu    whether goroutines may begin                 -
//	usage.mu         who uses a route, or the archive             -
//	spools.mu        snapshots for clients, and who reads them    background.mu
//	notifier.mu      what is still to be told                     -
//
// A checkpoint and a seal of the archive take turn; whatever commits a manifest
// takes writing. Why writes are refused (health), and which log is in service, are
// single pointers, read without a lock.
package persist
