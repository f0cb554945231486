// Package lz4 is the official LZ4 stage, for a sink that is faster than zstd:
// it writes a standard LZ4 frame with checksums, so that
//
//	lz4 -d < shard-0000.rdb.lz4 > dump.rdb
//
// undoes it without this program. It keeps no receipt. Memory is a block of the
// frame for each part that is being written or read.
//
// It refuses what follows the frame: a stored part is one frame.
package lz4
