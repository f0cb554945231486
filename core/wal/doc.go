// Package wal is the append-only log: one order of what the whole engine
// executed, however many shards it has, and the file that keeps it. It owns the
// order, the segment format, the fsync policy with group commit, and replay. It
// does not know what a command means, which segments there are (that is the
// manifest's), or when to start a new one.
//
// # A segment
//
// A segment is RESP commands, which redis-server 7 loads as it is, between
// annotation lines, which begin with # and which Redis skips:
//
//	#SPILLWAY-LOG 1 id=9f86d081884c7d65 ts=1700000000000\r\n
//	#B seq=1 ts=1700000000001 dur=0 len=62 crc=1c291ca3\r\n    block 1, 62 bytes follow
//	*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n
//	*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n ...
//	#B seq=2 ts=1700000000004 dur=1 len=71 crc=5a3e0f77\r\n    block 2
//	*1\r\n$5\r\nMULTI\r\n ... *1\r\n$4\r\nEXEC\r\n
//	#S seq=2 crc=77073096\r\n                                  mark
//
// seq numbers blocks without gaps, across segments too. ts is wall-clock time
// in milliseconds. crc is CRC-32C over the segment's id, the line up to it and
// the bytes that follow; the id is random, so that no client can store a value
// that passes for a block. dur, and the seq of a mark, say: when this was
// written, every block up to that one had been fsynced; a dur of 0 says that no
// block of this segment had.
//
// A block is everything that was appended up to one instant (one gather), so a
// log cut at any block boundary is a state the engine was in: whole
// transactions, and no effect without its cause on another shard. Every block
// begins with a SELECT if its database differs from the one before it.
//
// # The end of a segment
//
// A crash leaves bad bytes where blocks had been written but not fsynced, and,
// since a disk writes in any order, perhaps good blocks behind them. That is a
// torn tail: replay reports it, RepairTail sets it aside and cuts it off. Bad
// bytes are corruption if a later block or mark says that they had been fsynced,
// or if they are in any segment but the last one with blocks.
//
// # The order and its takers
//
//	Append ─→ a buffer a shard ─┐            ┌─→ logFile   the segment file, of a Log
//	AppendTx ─→ queue ──────────┴─ gather ─→ ┼─→ Backlog   the newest blocks, in memory
//	                               = a block └─→ any Taker a replica, a quorum …
//
// An Order is the one order of what was executed. Append copies a command into
// its shard's buffer, under that shard's lock. A gather takes all buffers at one
// instant, and what it takes is the next block, which goes to every taker. A
// transaction over several shards goes into the queue, behind what its shards
// have in their buffers, while the caller holds their locks; a gather takes the
// queue first. So the log has one order, and it agrees with the order of
// execution.
//
// An order needs no file, and a file may join it and leave it while others stay.
// A taker joins, and a file ends, while the caller holds every shard's lock: what
// was appended before is not the taker's, what is appended later is. With no
// taker at all no command is copied and no block is made. An append then adds one
// to a counter of its shard, and the next taker's first block has a number that
// is higher by the sum of the counters: two states of the data never have the
// same number, so that a copy of the data as of block n, with block n+1 and
// what follows, is the data.
//
// A commit waits for the Awaited takers, the file under Always or a quorum, until
// the last of them has what it is about. The other takers do not slow commits
// down: a Backlog only copies, and the rest have a queue, and a goroutine that
// empties it.
//
// # Generations and marks
//
// Commit has to know when what a client has appended is safe. Offsets would do if
// an append knew its own; but an append is in its shard's buffer, and where that
// lands in the log is known only when a gather has put the buffers together. So
// time is counted in gathers. The open generation (gen) is the one that appends
// go to now; a gather closes it, and opens the next. A Mark is a generation: the
// client's append is in a block of that generation or an earlier one. Taking a
// mark costs two loads and no lock. The price is that a mark may name more than
// was meant, and a commit then wait for a block that it need not wait for.
//
//	gen      the open generation: nothing of it is handed out
//	written  a taker has got everything up to this generation
//	synced   and has everything up to this one safely
//	safe     every taker that matters has: marks up to here cost one load
//	overdue  a segment file should have everything up to this one safely, under
//	         EverySec; while it has not, commits wait for it
//	lost     generations of which a taker has not got everything: commits for
//	         marks within it fail, also when the taker is whole again
//	until    a file that has left owes nobody anything behind this generation
//
//	safe ≤ synced ≤ written < gen, for every taker that has not failed
//
// A failure and a Cut that ends one each close the open generation without a
// gather, since a mark from before must not be taken for one from after.
//
// # Group commit
//
// One caller leads, the others follow (see group). Under Always a client that
// waits in Commit leads, on behalf of all that wait: it gathers, writes one block
// and fsyncs once, and no other goroutine has to be woken for it. Under EverySec
// and No nobody waits, and the order's own goroutine gathers, at most every
// millisecond: a gather for each commit would be a write(2) for each. When it has
// had nothing to do for 20 milliseconds it sleeps, and the next commit wakes it.
//
// Left to itself, group commit serves half of the clients with each fsync: those
// whose replies have just left come back while the next fsync runs, and wait for
// the one after it. 50 clients without a pipeline had 25 writes in each fsync of a
// millisecond. So the leader waits, for no longer than the last fsync took, until
// as many as were there lately are there again, which makes it 49. Where they do
// not come it does so ever more seldom.
//
// A read under Always waits until what it saw is durable. One mark for all shards
// would have it wait for every write of anybody; so each shard has a mark of its
// own (ShardMark).
//
// # Locks
//
//	lock           guards                                     may be held while taking
//	shard lock     the shard's order; untaken, last           all below
//	leadership     builder, seq, segment, active              all below; it is held across I/O
//	logFile.syncMu the file while it is fsynced or replaced   all below; it is held across I/O
//	queue.mu       items, takers, cuts, the list of members   buffer.mu, delivery.mu
//	buffer.mu      a shard's run; all of them: taken, dirty   delivery.mu; several in ascending order
//	cutMu, group.mu, delivery.mu, Backlog.mu                  none
//
// A caller that waits for the leadership or for syncMu holds no shard lock: no
// command ever waits for the disk while it keeps others from executing.
//
// # Failure
//
// A failed write or fsync of the file is final for its segment: nothing is written
// to that ever again, and no fsync of it is tried again, for one that succeeds
// after one that failed says nothing about the pages that the first one dropped.
// Every Commit fails for what was not safe by then, and so does every later one,
// until Cut goes on in a fresh segment behind a fresh checkpoint. The number of a
// block is left out there, since nobody knows what of the old segment survives:
// the two must never be taken for one log. What was lost stays lost: only the
// checkpoint makes it safe.
//
// Any other taker on which commits depend fails by the same rules, and stays so
// until it leaves. The others go on: a failure of the file drops what is pending
// only where nobody else takes it.
package wal
