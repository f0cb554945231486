package rdb

import (
	"encoding/binary"
	"math"
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
	if len(s) <= maxIntText {
		if v, ok := parseInt32(s); ok {
			return appendInt32(dst, v)
		}
	}
	dst = appendLen(dst, uint64(len(s)))
	return append(dst, s...)
}

// maxIntText is the length of the longest int32, "-2147483648".
const maxIntText = 11

// parseInt32 parses s if it is exactly what formatting the number gives.
func parseInt32(s []byte) (int32, bool) {
	if len(s) == 0 || len(s) > maxIntText {
		return 0, false
	}
	neg := s[0] == '-'
	if neg {
		s = s[1:]
		if len(s) == 0 {
			return 0, false
		}
	}
	if s[0] == '0' {
		return 0, !neg && len(s) == 1
	}
	var v int64
	for _, c := range s {
		c -= '0'
		if c > 9 {
			return 0, false
		}
		v = v*10 + int64(c)
	}
	if neg {
		v = -v
	}
	if v < math.MinInt32 || v > math.MaxInt32 {
		return 0, false
	}
	return int32(v), true
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
