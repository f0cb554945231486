// Package rdb reads and writes the Redis RDB format.
//
// It owns the bytes of the format and nothing else: no files, no clock, no
// keyspace. A [Writer] turns calls into a version 10 file (what Redis 7.0
// writes; version 12 where fields of a hash have deadlines), [Read] turns a file of version
// 1 to 13 (up to Redis 8.4), or of Valkey's version 80, into
// [Object] values, and [EncodeObject], [DecodeObject], [SealDump] and
// [OpenDump] do the same for the single value that DUMP and RESTORE carry.
// [Commands] turns the calls of a Writer into the commands that build the same.
//
// The types of values are declared here (types.go). Elsewhere a switch on a type
// names every one of them or refuses the others, which TestTypeLaw in core insists
// on: a type that is new is never written as another.
//
// A file is:
//
//	"REDIS" "0010"                       magic, version in four digits
//	FA key value                         aux fields, any number
//	F5 source                            a function library, any number
//	FE db                                the objects that follow live in db
//	FB keys expires                      size hints for that db
//	[FC ms:int64le] [F8 idle] [F9 freq]  about the next object, optional
//	type key value                       one object
//	FF crc64:uint64le                    end; CRC-64/Jones of all before it
//
// A length is 6, 14, 32 or 64 bits behind a two-bit tag; a string is a length
// and bytes, or (tag 11) an int8, int16 or int32 in little endian, or an LZF
// block:
//
//	00llllll                  01llllll llllllll
//	10000000 uint32be         10000001 uint64be
//	11000000 int8             11000001 int16le      11000010 int32le
//	11000011 clen ulen lzf[clen]
//
// The Writer emits one plain encoding per type, and for small collections the
// packed ones that Redis 7.0 keeps them in (package packed has their bytes);
// the reader of either converts to what its own settings ask for:
//
//	string  0  string
//	list    1  n item*n                     18  n (container listpack)*n
//	set     2  n member*n                   11  intset
//	hash    4  n (field value)*n            16  listpack
//	        24, 25: with deadlines, which hash_dated.go draws
//	zset    5  n (member score:float64le)*n 17  listpack
//	stream  19 nodes, IDs and groups, which stream_write.go draws
//
// Read also takes the encodings it never writes: ziplist, zipmap, set-listpack,
// quicklist, the two other versions of streams, textual scores and LZF strings. It hands packed values out in
// elements, and as they are for who can keep them so; for who keeps nothing else it leaves the elements away
// (Handler.Packed), and hands a long list or stream out piece by piece, in the memory of two buffers.
//
// It refuses modules with an [UnsupportedError], or walks over them
// where a Handler asks for that, functions too where a Handler has no place for
// them, and anything malformed with a [CorruptError]: bad lengths, a wrong checksum, a
// truncated file, bytes after the end. Hostile input never panics, and never
// reserves more memory than a fixed multiple of the bytes really present.
package rdb
