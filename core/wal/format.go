package wal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strconv"

	"github.com/spillwaydb/spillway/core/resp"
)

const (
	magic         = "#SPILLWAY-LOG 1 id="
	maxHeader     = len(magic) + 16 + len(" ts=\r\n") + 20
	maxAnnotation = 200 // bytes of an annotation line
	headRoom      = 128 // enough for the line before a block
	selectRoom    = 64  // and for the SELECT before its first command
	blockRoom     = headRoom + selectRoom
)

var (
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
	multiCommand = resp.AppendCommand(nil, []byte("MULTI"))
	execCommand  = resp.AppendCommand(nil, []byte("EXEC"))
)

// annotation is a parsed #B or #S line.
type annotation struct {
	mark    bool
	seq     uint64
	ts      int64
	dur     uint64 // of a mark: its seq
	len     int64
	crc     uint32
	summed  []byte // the part of the line that crc covers; aliases the line
	lineLen int
}

// segmentSum starts a CRC with the segment's id.
func segmentSum(id uint64) uint32 {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], id)
	return crc32.Update(0, castagnoli, b[:])
}

// formatID is an id as the header shows it.
func formatID(id uint64) string { return string(appendHex(nil, id, 16)) }

func segmentHeader(id uint64, ts int64) []byte {
	dst := []byte(magic)
	dst = appendHex(dst, id, 16)
	dst = append(dst, " ts="...)
	dst = strconv.AppendInt(dst, ts, 10)
	return append(dst, '\r', '\n')
}

// parseHeader reads the first line of a segment, its \r\n included.
func parseHeader(line []byte) (id uint64, ts int64, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(magic))
	if !ok || len(rest) < 16+len(" ts=0\r\n") || string(rest[16:20]) != " ts=" {
		return 0, 0, false
	}
	id, err := strconv.ParseUint(string(rest[:16]), 16, 64)
	if err != nil || !bytes.HasSuffix(rest, []byte("\r\n")) {
		return 0, 0, false
	}
	ts, err = strconv.ParseInt(string(rest[20:len(rest)-2]), 10, 64)
	return id, ts, err == nil
}

// appendBlockLine appends the line before a block whose bytes are payload.
func appendBlockLine(dst []byte, idSum uint32, seq uint64, ts int64, dur uint64, payload []byte) []byte {
	at := len(dst)
	dst = append(dst, "#B seq="...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, " ts="...)
	dst = strconv.AppendInt(dst, ts, 10)
	dst = append(dst, " dur="...)
	dst = strconv.AppendUint(dst, dur, 10)
	dst = append(dst, " len="...)
	dst = strconv.AppendInt(dst, int64(len(payload)), 10)
	sum := crc32.Update(idSum, castagnoli, dst[at:])
	return appendSum(dst, crc32.Update(sum, castagnoli, payload))
}

// appendMark appends the line that says that blocks up to seq are durable.
func appendMark(dst []byte, idSum uint32, seq uint64) []byte {
	at := len(dst)
	dst = append(dst, "#S seq="...)
	dst = strconv.AppendUint(dst, seq, 10)
	return appendSum(dst, crc32.Update(idSum, castagnoli, dst[at:]))
}

func appendSum(dst []byte, sum uint32) []byte {
	dst = append(dst, " crc="...)
	dst = appendHex(dst, uint64(sum), 8)
	return append(dst, '\r', '\n')
}

func appendHex(dst []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, "0123456789abcdef"[v>>(4*i)&15])
	}
	return dst
}

// parseAnnotation reads a #B or #S line, its \r\n included. It checks the form
// only; valid checks the sum.
func parseAnnotation(line []byte) (a annotation, ok bool) {
	if len(line) > maxAnnotation || !bytes.HasSuffix(line, []byte("\r\n")) {
		return a, false
	}
	i := bytes.LastIndex(line, []byte(" crc="))
	if i < 0 || len(line) != i+len(" crc=")+8+2 {
		return a, false
	}
	sum, err := strconv.ParseUint(string(line[i+5:i+13]), 16, 32)
	if err != nil {
		return a, false
	}
	a.crc, a.summed, a.lineLen = uint32(sum), line[:i], len(line)
	rest := a.summed
	if rest, ok = bytes.CutPrefix(rest, []byte("#S seq=")); ok {
		a.mark = true
		a.seq, rest, ok = cutUint(rest, "")
		a.dur = a.seq
		return a, ok && len(rest) == 0
	}
	if rest, ok = bytes.CutPrefix(rest, []byte("#B seq=")); !ok {
		return a, false
	}
	var ts, n uint64
	if a.seq, rest, ok = cutUint(rest, " ts="); !ok {
		return a, false
	}
	if ts, rest, ok = cutUint(rest, " dur="); !ok {
		return a, false
	}
	if a.dur, rest, ok = cutUint(rest, " len="); !ok {
		return a, false
	}
	if n, rest, ok = cutUint(rest, ""); !ok || len(rest) != 0 || n >= 1<<62 {
		return a, false
	}
	a.ts, a.len = int64(ts), int64(n)
	return a, true
}

// cutUint reads a decimal and what has to follow it.
func cutUint(b []byte, then string) (v uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		if i >= 19 {
			return 0, nil, false
		}
		v = v*10 + uint64(b[i]-'0')
	}
	rest, ok = bytes.CutPrefix(b[i:], []byte(then))
	return v, rest, ok && i > 0
}

// valid checks the line and the block's bytes against the sum.
func (a *annotation) valid(idSum uint32, payload []byte) bool {
	sum := crc32.Update(idSum, castagnoli, a.summed)
	return crc32.Update(sum, castagnoli, payload) == a.crc
}

// validAt is valid for a block's bytes that are in f at an offset.
func (a *annotation) validAt(f io.ReaderAt, at int64, idSum uint32) (bool, error) {
	sum := crc32.Update(idSum, castagnoli, a.summed)
	buf := make([]byte, 64<<10)
	for left := a.len; left > 0; {
		b := buf[:min(left, int64(len(buf)))]
		if n, err := f.ReadAt(b, at); n < len(b) {
			return false, err
		}
		sum = crc32.Update(sum, castagnoli, b)
		at += int64(len(b))
		left -= int64(len(b))
	}
	return sum == a.crc, nil
}

func appendSelect(dst []byte, db int) []byte {
	var digits [20]byte
	n := strconv.AppendInt(digits[:0], int64(db), 10)
	dst = append(dst, "*2\r\n$6\r\nSELECT\r\n$"...)
	dst = strconv.AppendInt(dst, int64(len(n)), 10)
	dst = append(dst, '\r', '\n')
	dst = append(dst, n...)
	return append(dst, '\r', '\n')
}
