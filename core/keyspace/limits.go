package keyspace

import "github.com/spillwaydb/spillway/core/rdb/packed"

// Limits say how large a collection may become before it is unpacked onto the
// heap, and a HyperLogLog before it is dense, which is for good. They are Redis's parameters of the names given.
type Limits struct {
	HashEntries   int // hash-max-listpack-entries: fields
	HashValue     int // hash-max-listpack-value: bytes of a field or a value
	ZSetEntries   int // zset-max-listpack-entries: members
	ZSetValue     int // zset-max-listpack-value: bytes of a member
	IntsetEntries int // set-max-intset-entries: members, while all are integers
	SetEntries    int // set-max-listpack-entries: members, otherwise
	SetValue      int // set-max-listpack-value: bytes of a member
	// ListSize is list-max-listpack-size: how many items, or from -1 to -5 how
	// many bytes: 4, 8, 16, 32 or 64 KiB.
	ListSize int
	// HLLSparse is hll-sparse-max-bytes: how long a HyperLogLog may be before it is
	// dense.
	HLLSparse int
	// StreamNodeBytes and StreamNodeEntries bound a run of a stream's entries, 0 for
	// as many as go into a listpack: stream-node-max-bytes, stream-node-max-entries.
	StreamNodeBytes, StreamNodeEntries int
}

// DefaultLimits are Redis 7's.
func DefaultLimits() Limits {
	return Limits{
		HashEntries: 512, HashValue: 64, ZSetEntries: 128, ZSetValue: 64,
		IntsetEntries: 512, SetEntries: 128, SetValue: 64, ListSize: -2, HLLSparse: 3000,
		StreamNodeBytes: 4096, StreamNodeEntries: 100,
	}
}

// SetLimits changes the limits. It may be called at any time; collections that
// exist are judged by the new ones when they are written next.
func (k *Keyspace) SetLimits(l Limits) { k.limits.Store(&l) }

// Limits returns the limits in force.
func (k *Keyspace) Limits() Limits { return *k.limits.Load() }

// safeList is how long a listpack of a list may be when items are counted, as
// Redis's SIZE_SAFETY_LIMIT.
const safeList = 8 << 10

// list is how large a packed list, or a chunk of a large one, may become.
func (l *Limits) list() chunkLimit {
	if l.ListSize >= 0 {
		return chunkLimit{safeList, max(l.ListSize, 1)}
	}
	return chunkLimit{4 << 10 << (min(-l.ListSize, 5) - 1), maxItems}
}

// stream is how large a run of a stream's entries may become by more than one.
func (l *Limits) stream() chunkLimit {
	m := chunkLimit{l.StreamNodeBytes, l.StreamNodeEntries}
	if m.bytes <= 0 || m.bytes > packed.MaxListpack {
		m.bytes = packed.MaxListpack
	}
	if m.items <= 0 {
		m.items = maxItems
	}
	return m
}

const maxItems = 1 << 30
