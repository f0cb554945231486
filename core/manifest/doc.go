// Package manifest is the one commit point of a data directory.
//
// It owns the file MANIFEST, which names everything that counts: the base
// checkpoint, the log segments that follow it, the older checkpoints that are
// kept, and older segments that are still to be archived. What it does not name does not exist, whatever lies on the disk.
// A checkpoint is installed, and the log it makes superfluous is retired, by
// one rename of this file:
//
//	MANIFEST.tmp   written, fsynced
//	MANIFEST       Replace: the commit
//	.              SyncDir: the commit is durable
//	               only now may Sweep remove what is no longer named
//
// The format is text, to be read by people and checked by machines:
//
//	spillway-manifest v2 crc32c=9a3f01c2 len=612\n
//	{                                              ┐
//	  "generation": 7,                             │ len bytes of JSON;
//	  "base": {"id": {…}, "parts": [ … ]},         │ the CRC32C is theirs
//	  "segments": [ … ],                           │
//	  …                                            │
//	}\n                                            ┘
//
// It refuses a file with a wrong checksum, a byte too few or too many, a field
// it does not know or a number that contradicts another (CorruptError, with the
// offset), and a format newer than its own (ErrNewerFormat). Commit refuses to
// write what Load would refuse, or to replace a file that Load refuses.
package manifest
