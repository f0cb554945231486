// Package setstore is what the sinks over remote storage have in common: the
// layout of the sets, the order in which a set becomes visible and invisible,
// what is tried again, and how long anything may take.
//
//	checkpoints/00000042-3f9a1c2e-77b0d415/shard-0000.rdb.zst   a part
//	                                      /SET.json             written last: the set is there
//	checkpoints/segment-00000007-3f9a1c2e-0c55e1f2/…            an archived log segment
//
// That is what sink.FSSink lays out below the root "checkpoints": a directory
// copied into a bucket is a valid backup, and the other way round.
//
// A Store, which is the sink's own, moves the bytes. Small operations are
// idempotent and are tried again, with backoff and jitter, each attempt with a
// deadline of its own. Uploads are never tried again: a part is put from its
// beginning by the pipeline, or not at all. A stream that stands still for too
// long is ended. A large part is read by several requests at once, where the store
// can do that (see Ranger), each for a range of it:
//
//	|  read  |  in memory  |  on its way  |  on its way  |   not asked for yet   |
//	          \______________ at most Options.Ranges ___/
//
// It refuses to keep anything in memory that grows with the size of a part, and
// to say a part is stored before the store has confirmed its size, and its
// checksum where there is one.
package setstore
