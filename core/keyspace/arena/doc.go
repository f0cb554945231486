// Package arena hands out blocks of memory that the Go garbage collector never
// looks at, named by small numbers instead of pointers. It is the only package
// of Spillway's core with unsafe code and mapped memory.
//
// It owns where blocks lie and which are free. It refuses to know what is in
// them, when they may be freed, and who may use them at the same time: an
// [Arena] is used under its owner's lock. A [Reader] taken from it may be used
// without the lock, for blocks that are not freed meanwhile.
//
// A Ref is 36 bits, so that an index has 28 bits of a word left for itself:
//
//	 35                16 15             0
//	+--------------------+----------------+
//	| chunk              | offset / 16    |      0 is no block
//	+--------------------+----------------+
//
// Blocks come from chunks of three kinds, by size:
//
//	up to 8 KiB   a chunk of 1 MiB is 16 spans of 64 KiB; a span is cut into blocks
//	              of one size class (steps of 16 bytes up to 1 KiB, then eight to a
//	              doubling) and keeps a list of its free ones. An empty span may
//	              change its class, an empty chunk goes back to the process's pool.
//	up to 512 KiB a run of 4 KiB pages of a chunk, found in a bitmap
//	above         a mapping of its own, which may be lent (see Loan), and may be that of a
//	              Buffer, as far as it lies behind some byte (see Adopt)
//
// Free blocks hold the list of free blocks; nothing else is written into them,
// and a page of a chunk takes memory only once it is first written.
//
// Built with the tag spillway_goheap, and on systems other than Linux, chunks
// are Go byte slices: slower for the garbage collector, but the race detector
// and checkptr see every access.
package arena
