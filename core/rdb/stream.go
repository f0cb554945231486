package rdb

import (
	"iter"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// Stream is a stream as it is written or was read. What its sequences hand out is valid
// as long as the value they belong to, or the Object that holds the Stream.
type Stream struct {
	StreamInfo
	NumNodes  int
	Nodes     iter.Seq[packed.StreamNode] // in the order of their IDs
	NumGroups int
	Groups    iter.Seq[StreamGroup] // by name
	// Has tells whether there is an entry of that ID that was not deleted. It is nil where the stream came in parts.
	Has func(id packed.StreamID) bool
}

// StreamInfo is what is known of a stream besides its entries.
type StreamInfo struct {
	Length       uint64          // entries that were not deleted
	Last         packed.StreamID // the largest ever added, or what XSETID says
	First        packed.StreamID // of the entries, 0-0 for none
	MaxDeleted   packed.StreamID // the largest that XDEL has removed
	EntriesAdded uint64          // in all its life
}

// EntriesUnknown says that it is not known how many entries a group has read.
const EntriesUnknown = -1

// NeverActive says that a consumer was never given an entry.
const NeverActive = -1

// StreamGroup is a consumer group.
type StreamGroup struct {
	Name        []byte
	Last        packed.StreamID // of the entries delivered
	EntriesRead int64           // how many it has read since the stream's first, or EntriesUnknown
	NumPending  int
	Pending     iter.Seq[StreamPending] // in the order of their IDs
	// Get returns a pending entry.
	Get          func(id packed.StreamID) StreamPending
	NumConsumers int
	Consumers    iter.Seq[StreamConsumer] // by name
}

// StreamPending is an entry that was delivered and not acknowledged.
type StreamPending struct {
	ID        packed.StreamID
	Delivered int64 // when, the last time, in Unix milliseconds
	Count     uint64
}

// StreamConsumer is a consumer of a group.
type StreamConsumer struct {
	Name       []byte
	Seen       int64 // when it last asked for entries, in Unix milliseconds
	Active     int64 // when it last was given any, as Seen, or NeverActive
	NumPending int
	Pending    iter.Seq[packed.StreamID] // those of the group that are its own, in order
}

// EntriesRead estimates how many entries of a stream come up to an ID, as Redis does
// for a group whose count is not known; EntriesUnknown where that cannot be told.
func (s *StreamInfo) EntriesRead(id packed.StreamID) int64 {
	switch last := id.Compare(s.Last); {
	case s.EntriesAdded == 0:
		return 0
	case s.Length == 0 && last <= 0, last == 0:
		return int64(s.EntriesAdded)
	case last > 0:
		return EntriesUnknown
	}
	if s.MaxDeleted.IsZero() || s.MaxDeleted.Less(s.First) {
		switch id.Compare(s.First) {
		case -1:
			return int64(s.EntriesAdded - s.Length)
		case 0:
			return int64(s.EntriesAdded - s.Length + 1)
		}
	}
	return EntriesUnknown
}

// HasTombstones tells whether an entry behind an ID, or that ID's own, was deleted.
func (s *StreamInfo) HasTombstones(from packed.StreamID) bool {
	return s.Length > 0 && !s.MaxDeleted.IsZero() && !s.MaxDeleted.Less(s.First) && !s.MaxDeleted.Less(from)
}
