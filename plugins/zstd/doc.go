// Package zstd is the official compression stage: it writes one standard
// Zstandard frame (RFC 8878, with content checksum), so that
//
//	zstd -d < shard-0000.rdb.zst > dump.rdb
//
// undoes it without this program. It keeps no receipt, and reads frames that
// any other program wrote, as long as their window is not larger than 8 MiB.
//
// It refuses levels that Zstandard does not have, and bytes after the last
// frame that are not another one.
package zstd
