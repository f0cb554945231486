// Package backup brings data back from sinks.
//
// A backup source is any [sink.Sink]. It owns the answer to "what can be had
// back": a [Catalog] of checkpoints and archived log segments, the [Point] that
// a moment comes down to (a checkpoint, the segments that follow it, where that
// ends and why), and the windows in between. It owns what is done with a point:
// [Restore] makes a data directory of it, [Verify] decodes every byte of it,
// [WriteRDB] and [WriteAOF] make one file of it that Redis loads. [DataDir] is a
// data directory as a source, so that all of this works on one as well.
//
//	source:   checkpoint 42 ──▶ segment 7 ──▶ segment 8 ──▶ segment 9   (lineage a)
//	                            └ Meta: log_id, prev_log_id, times, sequences
//	--at T:   checkpoint 42, segments 7 and 8, and of 9 the blocks up to T
//
// # A restore
//
//	RESTORE.json                the mark: no engine starts here, and only the
//	                            same restore goes on here
//	checkpoints/00000042-…/…    the parts, several at a time, as they are stored
//	log/00000010.aof …          the segments, decoded, the last one cut, numbered above
//	                            all of the source
//	checkpoints/00000042-…/SET.json
//	log/00000013.aof            a fresh segment
//	MANIFEST                    the one commit
//	RESTORE.json                goes
//
// Everything is durable before the manifest names it. A restore that failed, or
// was killed, at any step goes on where it was when it is called again: what is
// there already and has the right digest is not fetched again.
//
// It refuses a directory that holds anything it did not put there, a byte that
// is not the one that was written, and to guess: a chain of segments ends at the
// first one that does not say that it follows the one before.
//
// It starts no engine and knows no command. Only tools import it.
package backup
