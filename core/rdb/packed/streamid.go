package packed

import (
	"cmp"
	"encoding/binary"
	"math"
	"strconv"
)

// StreamID is the ID of an entry of a stream: the time at which it was added, in
// Unix milliseconds, and its number among those of that time.
type StreamID struct{ MS, Seq uint64 }

// MaxStreamID is the largest ID there is; the smallest is the zero value.
var MaxStreamID = StreamID{math.MaxUint64, math.MaxUint64}

// StreamIDSize is the length of what AppendKey appends.
const StreamIDSize = 16

// Compare orders IDs: -1 when a is before b, 0 when they are equal, else 1.
func (a StreamID) Compare(b StreamID) int {
	if c := cmp.Compare(a.MS, b.MS); c != 0 {
		return c
	}
	return cmp.Compare(a.Seq, b.Seq)
}

// Less tells whether a is before b.
func (a StreamID) Less(b StreamID) bool { return a.MS < b.MS || a.MS == b.MS && a.Seq < b.Seq }

// IsZero tells whether it is 0-0, which no entry has.
func (a StreamID) IsZero() bool { return a == StreamID{} }

// Next returns the ID behind a, and false when a is the largest.
func (a StreamID) Next() (StreamID, bool) {
	if a.Seq < math.MaxUint64 {
		return StreamID{a.MS, a.Seq + 1}, true
	}
	return StreamID{a.MS + 1, 0}, a.MS < math.MaxUint64
}

// Prev returns the ID before a, and false when a is 0-0.
func (a StreamID) Prev() (StreamID, bool) {
	if a.Seq > 0 {
		return StreamID{a.MS, a.Seq - 1}, true
	}
	return StreamID{a.MS - 1, math.MaxUint64}, a.MS > 0
}

// Append appends the ID as commands and replies have it, "milliseconds-number".
func (a StreamID) Append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, a.MS, 10)
	return strconv.AppendUint(append(dst, '-'), a.Seq, 10)
}

// String is the text that Append appends.
func (a StreamID) String() string { return string(a.Append(nil)) }

// AppendKey appends the ID as files have it: 16 bytes in big endian, which sort as
// the IDs do.
func (a StreamID) AppendKey(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, a.MS), a.Seq)
}

// StreamIDOf reads what AppendKey appended.
func StreamIDOf(key []byte) StreamID {
	return StreamID{binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])}
}
