package rdb

import (
	"encoding/binary"
	"math"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// appendLen appends a length in the shortest form.
func appendLen(dst []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return append(dst, byte(n))
	case n < 1<<14:
		return append(dst, 0x40|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0x80), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0x81), n)
}

// appendString appends s as a string, as an integer where that is shorter
// and reads back as the same bytes.
func appendString(dst, s []byte) []byte {
	if v, ok := parseInt32(s); ok {
		return appendInt32(dst, v)
	}
	dst = appendLen(dst, uint64(len(s)))
	return append(dst, s...)
}

// maxIntText is the length of the longest int32, "-2147483648".
const maxIntText = 11

// parseInt32 parses s if it is exactly what formatting the number gives.
func parseInt32(s []byte) (int32, bool) {
	if len(s) > maxIntText {
		return 0, false
	}
	v, ok := packed.ParseInt(s)
	return int32(v), ok && v >= math.MinInt32 && v <= math.MaxInt32
}

// appendInt32 appends v in the smallest integer encoding.
func appendInt32(dst []byte, v int32) []byte {
	switch {
	case v >= math.MinInt8 && v <= math.MaxInt8:
		return append(dst, 0xC0, byte(v))
	case v >= math.MinInt16 && v <= math.MaxInt16:
		return append(dst, 0xC1, byte(v), byte(v>>8))
	}
	return append(dst, 0xC2, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
}

// appendScore appends the binary form of a score.
func appendScore(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}
