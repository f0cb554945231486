// Package hll is Redis's HyperLogLog: a string that estimates how many different
// elements it has seen, and the operations on it. The same elements in the same
// order lead to the same bytes as in Redis 7.0, so that values can be exchanged.
//
// It owns the format and the arithmetic. It refuses to know keys, commands and
// replies: its caller has the string, and stores what it becomes.
//
//	0      4    5    8                    16
//	+------+----+----+--------------------+----------------------
//	| HYLL | E  | 0  | cached cardinality | registers
//	+------+----+----+--------------------+----------------------
//	       E: 0 dense, 1 sparse
//
// The cardinality is little endian; while the highest bit of it is set it is not
// known and has to be computed.
//
// There are 16,384 registers. An element chooses one of them by 14 bits of its
// hash, and raises it to one more than the number of zeros that the other 50 bits
// begin with, counted from the least significant one: 1 to 51.
//
// Dense, each has 6 bits, the first in the least significant bits of the first byte:
// 12,288 bytes. Sparse, they are runs of equal registers, which must add up to all
// of them:
//
//	00llllll            ZERO   l+1 registers that are 0
//	01llllll llllllll   XZERO  l+1 registers that are 0
//	1vvvvvll            VAL    l+1 registers that are v+1
//
// The estimate is Otmar Ertl's, "New cardinality estimation algorithms for
// HyperLogLog sketches", arXiv:1702.01284.
package hll
