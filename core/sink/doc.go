// Package sink is the seam the project is about: parts of a checkpoint flow
// from an encoder through stages into sinks.
//
//	encoder ──▶ stage "zstd" ──▶ stage "age" ──▶ SHA-256 ──┬──▶ local sink ──▶ verify
//	(caller's goroutine)                                   ├──▶ required target
//	                                                       └──▶ best-effort target
//
// Each stage and each sink runs in a goroutine of its own; every arrow is a
// bounded pipe.
//
// It owns the Stage and Sink interfaces, the Pipeline that joins them, the
// record of what was written (Set, SetPart) and FSSink, the sink over any
// core/vfs filesystem.
//
// # What a pipeline holds to
//
//   - Returning nil after reading the input to io.EOF is the only success. A
//     member that returns early, panics, ends its goroutine or fails is an
//     error that names it, and no member downstream of it meets an io.EOF.
//   - The first failure is the result. It ends every other member at once; a
//     member that ignores that is left behind after a grace period, reported
//     as stuck, and given no further work until it has returned.
//   - The local sink and the required targets fail the part. A best-effort
//     target fails only itself, and may hold up the rest for no longer than the
//     pipeline's patience; Retry feeds it later from the local part.
//   - Nothing is visible before Publish, which tells the required targets
//     first, then the local sink, then the rest.
//   - What was written is read again, against its size and CRC-32C, before it counts; what
//     is read later is checked against size and digest, stored and raw, before it counts.
//   - A set is read through the stages it was written with, found by name,
//     whatever the pipeline's stages are today.
//
// # What it refuses
//
// It knows nothing of keys, RDB or the log, keeps no manifest and does not
// commit: the caller's commit comes after Publish, its Abort before anything
// else is tried. It does not trust what it reads back: names cannot leave their
// directory, documents are bounded and carry checksums, and no stage can make a
// part decode to more than was recorded.
//
// # SET.json
//
// A published set is described by a document next to its parts:
//
//	{
//	  "format": "spillway-set",
//	  "version": 1,
//	  "crc32c": "8 hex digits over the compact form of set",
//	  "set": {
//	    "id": {"generation": 42, "kind": "snapshot"},
//	    "created_at": "2026-01-02T03:04:05Z",
//	    "stages": [{"name": "zstd", "version": "1"}],
//	    "parts": [{
//	      "part": {"kind": "snapshot", "generation": 42, "shard": 0, "shards": 1, "name": "shard-0000.rdb.zst"},
//	      "bytes": …, "raw_bytes": …, "sha256": "…", "raw_sha256": "…",
//	      "stages": […], "stage_receipts": […], "sink_receipt": …, "keys": …
//	    }]
//	  }
//	}
package sink
