// Package wal is the append-only log: one file for the whole engine, however
// many shards it has. It owns the segment format, the order of what is in it,
// the fsync policy with group commit, and replay. It does not know what a
// command means, which segments there are (that is the manifest's), or when to
// start a new one.
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
// A crash leaves bad bytes where blocks had been written but not fsynced, and
// since a disk writes in any order, perhaps good blocks behind them. That is a
// torn tail; replay reports it, RepairTail sets it aside and cuts it off. Bad
// bytes that some later block or mark swears had been fsynced are corruption,
// as are bad bytes in any segment but the last one with blocks.
//
// # Order and locks
//
// Append copies a command into its shard's buffer, under that shard's lock.
// Somebody then gathers: takes all buffers at one instant and writes them as
// one block. Under Always that is a client waiting in Commit, on behalf of all
// the others, after it has given those of the last group a moment to come back;
// otherwise it is the log's own goroutine.
//
//	shard lock (the caller's) → syncMu → queue.mu → buffer.mu, ascending
//
// A transaction over several shards goes into the queue, behind what its shards
// have in their buffers, while the caller holds their locks; a gather takes the
// queue and all buffers while it holds queue.mu and every buffer.mu. So the log
// has one order, and it agrees with the order of execution.
//
// # Failure
//
// The first failed write or fsync ends the segment: nothing is written to it
// ever again, what is pending is dropped, every Commit fails, and so does every
// later one, until Cut goes on in a fresh segment behind a fresh checkpoint.
package wal
