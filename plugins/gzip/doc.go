// Package gzip is the official gzip stage, for parts that anything can read: it
// writes a standard gzip file, so that
//
//	gzip -d < shard-0000.rdb.gz > dump.rdb
//
// undoes it without this program. It keeps no receipt. zstd is smaller and
// faster where there is a choice.
//
// It refuses to decode what gzip -d would complain about: bytes after the end.
package gzip
