// Package keyspace holds the data: shards, keys, values, deadlines, and views
// of a shard as it was at one moment.
//
// It owns where a key lives, how it is stored, when it may be overwritten, and
// how a frozen view is written out as an RDB file or as commands. It refuses to
// know commands, clients, replies and files. It has no clock: times are
// arguments. It never decides by itself that a key is to go: Get says that a
// deadline has passed, ExpireCycle removes in front of the caller's eyes, so
// that every removal can be logged.
//
//	Keyspace ── Shard: a lock ── DB n ── store
//	                                      ├─ directory: two levels, hash prefix → page   (Go heap, few)
//	                                      ├─ pages: 4 KiB, slots → blobs                 (arena)
//	                                      ├─ blobs: header, key, value                   (arena)
//	                                      └─ objects: large collections, as trees        (Go heap;
//	                                                  elements of all but streams             pool)
//
// The garbage collector sees neither pages nor blobs, nor the elements of large hashes,
// sets, sorted sets and lists, which lie in runs of some dozens each in a pool that all shards share
// (sheaf.go, chunks.go): its work does not depend on the number of keys, and next to nothing on that of elements. A blob is
//
//	 0       4        8          12     13        16          (16 or 24)
//	+-------+--------+----------+------+---------+----------+-----+---------+
//	| epoch | length | length   | type | access  | deadline | key | value   |
//	|       | of key | of value | enc  | clock   | (if any) |     |         |
//	+-------+--------+----------+------+---------+----------+-----+---------+
//
// in little-endian numbers. page.go draws a page, scan.go a cursor. A small
// collection's value is a listpack or an intset, which rdb/packed draws; of a
// large one it is the number of an object.
//
// # Freezing
//
// Every shard counts epochs. Pages, blobs, leaves of the directory and objects
// carry the epoch they were written in. Freeze hands the root of the directory
// and the headers of two tables to a View and begins the next epoch: that is
// all it does. From then on whatever is not younger than the view is copied
// before it is changed, and the old version is put on a list in place of being
// freed. Release frees the list, a bounded number of blocks per lock hold. So
// the view reads memory that nobody writes, without a lock, and without a view
// everything is changed in place. The one exception is a blob's access clock,
// which the view does not read.
//
// A reply does the same with one large value, without a view: see DB.Lend.
package keyspace
