package rdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"testing"
)

// This file builds the encodings that the Writer never writes, from the
// format's description, so that tests can feed them to Read and to a real
// redis-server and compare what the two understand.

func isInt(s string) (int64, bool) {
	v, err := strconv.ParseInt(s, 10, 64)
	return v, err == nil && strconv.FormatInt(v, 10) == s
}

func le(v int64, n int) []byte {
	return binary.LittleEndian.AppendUint64(nil, uint64(v))[:n]
}

func buildZiplist(items ...string) []byte {
	out := make([]byte, 10)
	prev, tail := 0, 10
	for _, s := range items {
		tail = len(out)
		if prev < 254 {
			out = append(out, byte(prev))
		} else {
			out = append(append(out, 254), le(int64(prev), 4)...)
		}
		if v, ok := isInt(s); ok {
			switch {
			case v >= 0 && v <= 12:
				out = append(out, 0xF1+byte(v))
			case v >= -128 && v <= 127:
				out = append(append(out, 0xFE), le(v, 1)...)
			case v >= math.MinInt16 && v <= math.MaxInt16:
				out = append(append(out, 0xC0), le(v, 2)...)
			case v >= -1<<23 && v < 1<<23:
				out = append(append(out, 0xF0), le(v, 3)...)
			case v >= math.MinInt32 && v <= math.MaxInt32:
				out = append(append(out, 0xD0), le(v, 4)...)
			default:
				out = append(append(out, 0xE0), le(v, 8)...)
			}
		} else {
			switch n := len(s); {
			case n < 64:
				out = append(out, byte(n))
			case n < 16384:
				out = append(out, 0x40|byte(n>>8), byte(n))
			default:
				out = binary.BigEndian.AppendUint32(append(out, 0x80), uint32(n))
			}
			out = append(out, s...)
		}
		prev = len(out) - tail
	}
	out = append(out, 0xFF)
	binary.LittleEndian.PutUint32(out, uint32(len(out)))
	binary.LittleEndian.PutUint32(out[4:], uint32(tail))
	binary.LittleEndian.PutUint16(out[8:], uint16(len(items)))
	return out
}

func buildListpack(items ...string) []byte {
	out := make([]byte, 6)
	for _, s := range items {
		begin := len(out)
		if v, ok := isInt(s); ok {
			switch {
			case v >= 0 && v <= 127:
				out = append(out, byte(v))
			case v >= -4096 && v <= 4095:
				u := uint16(v) & 0x1fff
				out = append(out, 0xC0|byte(u>>8), byte(u))
			case v >= math.MinInt16 && v <= math.MaxInt16:
				out = append(append(out, 0xF1), le(v, 2)...)
			case v >= -1<<23 && v < 1<<23:
				out = append(append(out, 0xF2), le(v, 3)...)
			case v >= math.MinInt32 && v <= math.MaxInt32:
				out = append(append(out, 0xF3), le(v, 4)...)
			default:
				out = append(append(out, 0xF4), le(v, 8)...)
			}
		} else {
			switch n := len(s); {
			case n < 64:
				out = append(out, 0x80|byte(n))
			case n < 4096:
				out = append(out, 0xE0|byte(n>>8), byte(n))
			default:
				out = append(append(out, 0xF0), le(int64(n), 4)...)
			}
			out = append(out, s...)
		}
		switch n := len(out) - begin; {
		case n < 128:
			out = append(out, byte(n))
		case n < 16383:
			out = append(out, byte(n>>7), byte(n)|0x80)
		default:
			out = append(out, byte(n>>14), byte(n>>7)|0x80, byte(n)|0x80)
		}
	}
	out = append(out, 0xFF)
	binary.LittleEndian.PutUint32(out, uint32(len(out)))
	binary.LittleEndian.PutUint16(out[4:], uint16(len(items)))
	return out
}

func buildIntset(width int, ints ...int64) []byte {
	out := append(le(int64(width), 4), le(int64(len(ints)), 4)...)
	for _, v := range ints {
		out = append(out, le(v, width)...)
	}
	return out
}

func buildZipmap(free int, items ...string) []byte {
	out := []byte{byte(len(items) / 2)}
	for i, s := range items {
		if len(s) < 254 {
			out = append(out, byte(len(s)))
		} else {
			out = append(append(out, 254), le(int64(len(s)), 4)...)
		}
		if i%2 == 1 {
			out = append(out, byte(free))
		}
		out = append(out, s...)
		if i%2 == 1 {
			out = append(out, make([]byte, free)...)
		}
	}
	return append(out, 0xFF)
}

// lzfLiteral compresses nothing: it wraps p in literal runs.
func lzfLiteral(p []byte) []byte {
	var out []byte
	for len(p) > 0 {
		n := min(32, len(p))
		out = append(append(out, byte(n-1)), p[:n]...)
		p = p[n:]
	}
	return out
}

func lzfString(packed []byte, n int) []byte {
	out := appendLen([]byte{0xC3}, uint64(len(packed)))
	return append(appendLen(out, uint64(n)), packed...)
}

type legacyValue struct {
	name  string
	typ   byte
	value []byte // after the key
	want  Object
	newer bool // written by Redis 7.2 only
}

func byteItems(s ...string) (out [][]byte) {
	for _, x := range s {
		out = append(out, []byte(x))
	}
	return out
}

// hard has an item for every entry encoding of ziplists and listpacks.
func hard() []string {
	long := func(n int) string { return string(bytes.Repeat([]byte("q"), n)) }
	return []string{"", "a", "-", "007", long(63), long(64), long(126), long(250), long(254), long(300), long(4095), long(4096), long(5000), long(16383), long(20000),
		"0", "1", "12", "13", "-1", "127", "128", "-128", "-129", "4095", "4096", "-4096", "-4097", "32767", "-32768", "32768", "8388607", "-8388608", "8388608",
		"2147483647", "-2147483648", "2147483648", "9223372036854775807", "-9223372036854775808", "9223372036854775808"}
}

func legacy() []legacyValue {
	str := func(p []byte) []byte { return appendString(nil, p) }
	h := hard()
	pairs := append([]string(nil), h[:len(h)/2*2]...)
	mixed := []string{"a", "1.5", "b", "-3", "c", "inf", "d", "-inf", "e", "17179869184", "f", "1e300"}
	members, scores := byteItems("a", "b", "c", "d", "e", "f"), []float64{1.5, -3, math.Inf(1), math.Inf(-1), 17179869184, 1e300}
	old := []byte{6}
	for i, s := range []string{"\x031.5", "\x02-3", "\xfe", "\xff", "\x0b17179869184", "\x051e300"} {
		old = append(append(old, str(members[i])...), s...)
	}
	quick := append([]byte{2}, str(buildZiplist(h...))...)
	quick = append(quick, str(buildZiplist("x"))...)
	quick2 := append([]byte{3, 2}, str(buildListpack(h...))...)
	quick2 = append(append(quick2, 1), str([]byte("plain"))...)
	quick2 = append(append(quick2, 2), str(buildListpack("y"))...)
	run := bytes.Repeat([]byte("x"), 400)
	return []legacyValue{
		{"lzf-literal", encString, lzfString(lzfLiteral(run), 400), Object{Type: TypeString, Str: run}, false},
		{"lzf-run", encString, lzfString([]byte{0, 'x', 0xE0, 255, 0, 0xE0, 126, 0}, 400), Object{Type: TypeString, Str: run[:1+264+135]}, false},
		{"len64", encString, append([]byte{0x81, 0, 0, 0, 0, 0, 0, 0, 3}, "abc"...), Object{Type: TypeString, Str: []byte("abc")}, false},
		{"zset-text", encZSet, old, Object{Type: TypeZSet, Items: members, Scores: scores}, false},
		{"list-ziplist", encListZiplist, str(buildZiplist(h...)), Object{Type: TypeList, Items: byteItems(h...)}, false},
		{"list-ziplist-lzf", encListZiplist, lzfString(lzfLiteral(buildZiplist(h...)), len(buildZiplist(h...))), Object{Type: TypeList, Items: byteItems(h...)}, false},
		{"quicklist", encListQuicklist, quick, Object{Type: TypeList, Items: byteItems(append(h, "x")...)}, false},
		{"quicklist2", encListQuicklist2, quick2, Object{Type: TypeList, Items: byteItems(append(h, "plain", "y")...)}, false},
		{"intset16", encSetIntset, str(buildIntset(2, -32768, -1, 0, 5, 32767)), Object{Type: TypeSet, Items: byteItems("-32768", "-1", "0", "5", "32767")}, false},
		{"intset32", encSetIntset, str(buildIntset(4, -70000, 1)), Object{Type: TypeSet, Items: byteItems("-70000", "1")}, false},
		{"intset64", encSetIntset, str(buildIntset(8, math.MinInt64, 1, math.MaxInt64)), Object{Type: TypeSet, Items: byteItems("-9223372036854775808", "1", "9223372036854775807")}, false},
		{"set-listpack", encSetListpack, str(buildListpack(h...)), Object{Type: TypeSet, Items: byteItems(h...)}, true},
		{"hash-zipmap", encHashZipmap, str(buildZipmap(0, "f", "v", "", string(run), string(run), "")), Object{Type: TypeHash, Items: byteItems("f", "v", "", string(run), string(run), "")}, false},
		{"hash-zipmap-free", encHashZipmap, str(buildZipmap(3, "f", "v", "g", "w")), Object{Type: TypeHash, Items: byteItems("f", "v", "g", "w")}, false},
		{"hash-ziplist", encHashZiplist, str(buildZiplist(pairs...)), Object{Type: TypeHash, Items: byteItems(pairs...)}, false},
		{"hash-listpack", encHashListpack, str(buildListpack(pairs...)), Object{Type: TypeHash, Items: byteItems(pairs...)}, false},
		{"zset-ziplist", encZSetZiplist, str(buildZiplist(mixed...)), Object{Type: TypeZSet, Items: members, Scores: scores}, false},
		{"zset-listpack", encZSetListpack, str(buildListpack(mixed...)), Object{Type: TypeZSet, Items: members, Scores: scores}, false},
	}
}

// seal ends a hand-made file.
func seal(version int, body ...[]byte) []byte {
	out := fmt.Appendf(nil, "REDIS%04d", version)
	for _, b := range body {
		out = append(out, b...)
	}
	out = append(out, opEOF)
	if version < 5 {
		return out
	}
	return binary.LittleEndian.AppendUint64(out, CRC64(0, out))
}

func object(typ byte, key string, value []byte) []byte {
	return append(appendString([]byte{typ}, []byte(key)), value...)
}

// legacyFile holds all of them, and what they mean.
func legacyFile(newer bool) ([]byte, contents) {
	body := [][]byte{{opSelectDB, 0}}
	var objs []Object
	version := 10
	if newer {
		version = 11
	}
	for _, l := range legacy() {
		if l.newer && !newer {
			continue
		}
		o := l.want
		o.Key = []byte(l.name)
		objs = append(objs, o)
		body = append(body, object(l.typ, l.name, l.value))
	}
	seconds := Object{Key: []byte("seconds"), Type: TypeString, Str: []byte("v"), ExpireMS: 2000000000000}
	body = append(body, append([]byte{opExpire}, le(2000000000, 4)...), object(encString, "seconds", []byte("\x01v")))
	idle := Object{Key: []byte("idle"), Type: TypeString, Str: []byte("v")}
	body = append(body, []byte{opIdle, 0x41, 0x00}, []byte{opFreq, 9}, object(encString, "idle", []byte("\x01v")))
	return seal(version, body...), toContents(append(objs, seconds, idle))
}

func TestLegacyEncodings(t *testing.T) {
	data, want := legacyFile(true)
	sameContents(t, "one file", want, mustRead(t, data))
	for _, l := range legacy() {
		o, err := DecodeObject(append([]byte{l.typ}, l.value...))
		if err != nil {
			t.Errorf("%s: %v", l.name, err)
			continue
		}
		sameContents(t, l.name, toContents([]Object{l.want}), toContents([]Object{*o}))
	}
}

func TestIdleAndFrequency(t *testing.T) {
	data, _ := legacyFile(true)
	found := false
	err := Read(bytes.NewReader(data), Handler{Object: func(o *Object) error {
		switch string(o.Key) {
		case "idle":
			found = true
			if o.LRU != 256 || o.LFU != 9 {
				t.Errorf("idle %d, frequency %d; want 256 and 9", o.LRU, o.LFU)
			}
		default:
			if o.LRU != -1 || o.LFU != -1 {
				t.Errorf("%s: idle %d, frequency %d; want -1", o.Key, o.LRU, o.LFU)
			}
		}
		return nil
	}})
	if err != nil || !found {
		t.Fatal(err, found)
	}
}

func TestOldVersionHasNoChecksum(t *testing.T) {
	data := seal(3, object(encString, "k", []byte("\x01v")))
	if c := mustRead(t, data); len(c) != 1 {
		t.Fatalf("%d keys", len(c))
	}
}

func TestChecksumDisabled(t *testing.T) {
	data := seal(9, object(encString, "k", []byte("\x01v")))
	copy(data[len(data)-8:], make([]byte, 8))
	if c := mustRead(t, data); len(c) != 1 {
		t.Fatalf("%d keys", len(c))
	}
}

func TestEmptyCollectionsAreSkipped(t *testing.T) {
	data := seal(10, object(encSet, "s", []byte{0}), object(encHashZiplist, "h", appendString(nil, buildZiplist())), object(encString, "k", []byte("\x01v")))
	if c := mustRead(t, data); len(c) != 1 {
		t.Fatalf("%d keys", len(c))
	}
}
