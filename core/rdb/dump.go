package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrDumpFooter reports a DUMP payload with a checksum that does not match or
// a version newer than this package reads.
var ErrDumpFooter = errors.New("rdb: DUMP payload version or checksum are wrong")

// footerSize is a uint16le version and a uint64le checksum.
const footerSize = 2 + 8

// EncodeObject appends the type byte and the value of o, without its key and
// deadline: the payload of DUMP before SealDump ends it. A Listpack or Intset
// of o is written as it is where version 10 of the format can: the Items may
// then be missing. It fails on an object that no reader would take: an empty
// collection, a field without a value, scores that do not match the members, a
// score that is not a number.
func EncodeObject(dst []byte, o *Object) ([]byte, error) {
	if o.Type == TypeString {
		return appendString(append(dst, encString), o.Str), nil
	}
	if o.Type == TypeStream && o.Stream != nil {
		a := appender{append(dst, encStream2)}
		if err := writeStream(&a, o.Stream); err != nil {
			return dst, fmt.Errorf("rdb: encode stream %.100q: %w", o.Key, err)
		}
		return a.dst, nil
	}
	if code, blob := o.whole(); blob != nil {
		dst = append(dst, code)
		switch code {
		case encListQuicklist2:
			dst = append(dst, 1, containerListpack) // one node
		case encHashListEx:
			dst = appendMS(dst, firstOf(blob))
		}
		return appendString(dst, blob), nil
	}
	if err := o.check(); err != nil {
		return dst, fmt.Errorf("rdb: encode %s %.100q: %w", o.Type, o.Key, err)
	}
	t := o.Type.traits()
	first := o.firstExpire()
	if o.Expires != nil {
		t.code = encHashDated
		dst = appendMS(append(dst, t.code), first)
	} else {
		dst = append(dst, t.code)
	}
	dst = appendLen(dst, uint64(o.Len()))
	for i, item := range o.Items {
		if o.Expires != nil && i%2 == 0 {
			dst = appendLen(dst, relativeTo(first, o.Expires[i/2]))
		}
		dst = appendString(dst, item)
		if t.scored {
			dst = appendScore(dst, o.Scores[i])
		}
	}
	return dst, nil
}

// DecodeObject decodes one type byte and value as EncodeObject, or any Redis
// up to 8.4, writes them. The whole payload must be used, and a collection
// must not be empty. The Object may alias payload.
func DecodeObject(payload []byte) (*Object, error) { return decodeObject(payload, false) }

func decodeObject(payload []byte, valkey bool) (*Object, error) {
	d := &decoder{source: newMemorySource(payload), valkey: valkey}
	d.next()
	enc, err := d.byte()
	if err != nil {
		return nil, err
	}
	if name := unsupportedType(enc); name != "" {
		return nil, &UnsupportedError{Name: name, Code: int(enc)}
	}
	if err := d.value(enc); err != nil {
		return nil, err
	}
	if d.pos != d.end {
		return nil, d.corrupt("%d more bytes after the value", d.end-d.pos)
	}
	if d.obj.empty() {
		return nil, d.corrupt("an empty %s", d.obj.Type)
	}
	return &d.obj, nil
}

// EncodeFunctions returns function libraries as the payload of FUNCTION DUMP before
// SealDump ends it.
func EncodeFunctions(codes [][]byte) []byte {
	var dst []byte
	for _, code := range codes {
		dst = appendString(append(dst, opFunction2), code)
	}
	return dst
}

// DecodeFunctions decodes what EncodeFunctions, or Redis, has encoded. The whole
// payload must be used. What it returns may alias payload.
func DecodeFunctions(payload []byte) (codes [][]byte, err error) {
	d := &decoder{source: newMemorySource(payload)}
	for d.pos < d.end {
		at := d.offset()
		op, err := d.byte()
		if err != nil {
			return nil, err
		}
		if op != opFunction2 {
			return nil, &CorruptError{Offset: at, Reason: fmt.Sprintf("type byte %d where a function library belongs", op)}
		}
		code, err := d.str()
		if err != nil {
			return nil, err
		}
		codes = append(codes, code)
	}
	return codes, nil
}

// SealDump appends the version and the checksum that make payload, what
// EncodeObject gave for an empty dst, the reply of DUMP, or that of FUNCTION DUMP.
func SealDump(payload []byte) []byte {
	version := uint16(writeVersion)
	if len(payload) > 0 && (payload[0] == encHashDated || payload[0] == encHashListEx) {
		version = datedVersion
	}
	payload = binary.LittleEndian.AppendUint16(payload, version)
	return binary.LittleEndian.AppendUint64(payload, CRC64(0, payload))
}

// OpenDump checks what SealDump appended and returns the payload before it,
// or ErrDumpFooter.
func OpenDump(data []byte) ([]byte, error) {
	n := len(data) - footerSize
	if n < 0 || !readable(dumpVersion(data)) ||
		binary.LittleEndian.Uint64(data[n+2:]) != CRC64(0, data[:n+2]) {
		return nil, ErrDumpFooter
	}
	return data[:n], nil
}

// ResealDump returns a copy of what SealDump once appended to, with the checksum that
// belongs to it now.
func ResealDump(data []byte) []byte {
	out := append([]byte(nil), data...)
	if n := len(out) - 8; n >= 0 {
		binary.LittleEndian.PutUint64(out[n:], CRC64(0, out[:n]))
	}
	return out
}

// dumpVersion is the version in the footer of data, which is long enough.
func dumpVersion(data []byte) int {
	return int(binary.LittleEndian.Uint16(data[len(data)-footerSize:]))
}

// DecodeDump is OpenDump and DecodeObject in one, for the payload of DUMP of any
// server whose version of the format is read.
func DecodeDump(data []byte) (*Object, error) {
	payload, err := OpenDump(data)
	if err != nil {
		return nil, err
	}
	return decodeObject(payload, dumpVersion(data) >= valkeyVersion)
}
