package rdb

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func readBytes(data []byte) error {
	_, err := readAll(data)
	return err
}

func TestTruncationIsAlwaysFound(t *testing.T) {
	legacyData, _ := legacyFile(true)
	for _, data := range [][]byte{writeFile(t, sample()), legacyData} {
		step := max(1, len(data)/3000)
		for n := 0; n < len(data); n += step {
			err := readBytes(data[:n])
			var c *CorruptError
			if !errors.As(err, &c) || !errors.Is(err, io.ErrUnexpectedEOF) || c.Offset > int64(n) {
				t.Fatalf("cut at %d of %d: %v", n, len(data), err)
			}
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	data := writeFile(t, sample())
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			if err := readBytes(data); err == nil {
				t.Fatalf("byte %d bit %d: no error", i, bit)
			}
			data[i] ^= 1 << bit
		}
	}
}

func TestTrailingBytes(t *testing.T) {
	data := append(writeFile(t, sample()), 0)
	var c *CorruptError
	if err := readBytes(data); !errors.As(err, &c) || !strings.Contains(err.Error(), "more bytes") {
		t.Fatal(err)
	}
}

func TestShortReads(t *testing.T) {
	data, want := legacyFile(true)
	for name, r := range map[string]io.Reader{
		"one byte": iotest.OneByteReader(bytes.NewReader(data)),
		"half":     iotest.HalfReader(bytes.NewReader(data)),
		"data+EOF": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		got := contents{}
		err := Read(r, Handler{Object: func(o *Object) error {
			got[keyOf{o.DB, string(o.Key)}] = normal(*o)
			return nil
		}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sameContents(t, name, want, got)
	}
}

func TestReadErrorsKeepTheirCause(t *testing.T) {
	data := writeFile(t, sample())
	bad := errors.New("bad sector")
	for _, n := range []int{0, 5, 100, len(data) - 4, len(data)} {
		r := io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(bad))
		if err := Read(r, Handler{}); !errors.Is(err, bad) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	stuck := readerFunc(func([]byte) (int, error) { return 0, nil })
	if err := Read(stuck, Handler{}); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
	stop := errors.New("stop")
	err := Read(bytes.NewReader(data), Handler{Object: func(*Object) error { return stop }})
	if !errors.Is(err, stop) || !strings.Contains(err.Error(), `"string"`) {
		t.Error(err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestUnsupported(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want UnsupportedError
	}{
		"module":   {seal(10, object(encModule2, "m", nil)), UnsupportedError{"module value", 7, "m", 9}},
		"function": {seal(10, []byte{opFunction2, 3, 'a', 'b', 'c'}), UnsupportedError{"function library", 245, "", 9}},
		"aux":      {seal(10, []byte{opModuleAux, 0}), UnsupportedError{"module data", 247, "", 9}},
		"version":  {seal(14), UnsupportedError{"format version", 14, "", 5}},
		"stream":   {seal(13, object(encStream4, "s", nil)), UnsupportedError{"stream with idempotent producers", 26, "s", 9}},
		"metadata": {seal(13, []byte{opKeyMeta, 1, 0, 0, 0, 0}), UnsupportedError{"metadata of a key", 243, "", 9}},
	} {
		var u *UnsupportedError
		if err := readBytes(c.data); !errors.As(err, &u) || *u != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCorruptValues(t *testing.T) {
	str := func(p []byte) []byte { return appendString(nil, p) }
	edit := func(p []byte, at int, b byte) []byte {
		p = bytes.Clone(p)
		p[at] = b
		return p
	}
	zl, lp := buildZiplist("ab", "300", "x"), buildListpack("ab", "300", "x")
	for name, c := range map[string]struct {
		typ   byte
		value []byte
	}{
		"unknown type":          {99, nil},
		"type between":          {8, nil},
		"length byte":           {encString, []byte{0x82}},
		"string encoding":       {encString, []byte{0xC4}},
		"encoding as count":     {encSet, []byte{0xC0, 1}},
		"lzf ratio":             {encString, lzfString([]byte{0, 'x'}, 1000)},
		"lzf short":             {encString, lzfString([]byte{0, 'x'}, 2)},
		"lzf long":              {encString, lzfString([]byte{1, 'x', 'y'}, 1)},
		"lzf before begin":      {encString, lzfString([]byte{0, 'x', 0x20, 9}, 4)},
		"lzf cut literal":       {encString, lzfString([]byte{5, 'x'}, 6)},
		"lzf cut distance":      {encString, lzfString([]byte{0, 'x', 0x20}, 4)},
		"lzf cut length":        {encString, lzfString([]byte{0, 'x', 0xE0}, 12)},
		"lzf nested length":     {encString, []byte{0xC3, 0xC3, 1, 1}},
		"text score":            {encZSet, []byte("\x01\x01m\x03abc")},
		"text NaN":              {encZSet, []byte("\x01\x01m\xfd")},
		"binary NaN":            {encZSet2, []byte("\x01\x01m\x00\x00\x00\x00\x00\x00\xf8\x7f")},
		"packed NaN":            {encZSetListpack, str(buildListpack("m", "nan"))},
		"packed score":          {encZSetListpack, str(buildListpack("m", "x"))},
		"odd zset":              {encZSetZiplist, str(buildZiplist("m"))},
		"odd hash":              {encHashListpack, str(buildListpack("m"))},
		"quicklist container":   {encListQuicklist2, append([]byte{1, 3}, str(lp)...)},
		"ziplist empty blob":    {encListZiplist, []byte{0}},
		"ziplist size":          {encListZiplist, str(edit(zl, 0, 99))},
		"ziplist end":           {encListZiplist, str(edit(zl, len(zl)-1, 0))},
		"ziplist count":         {encListZiplist, str(edit(zl, 8, 9))},
		"ziplist prevlen":       {encListZiplist, str(edit(zl, 14, 9))},
		"ziplist long prevlen":  {encListZiplist, str(edit(zl, 14, 254))},
		"ziplist encoding":      {encListZiplist, str(edit(zl, 11, 0x90))},
		"ziplist entry length":  {encListZiplist, str(edit(zl, 11, 60))},
		"listpack empty blob":   {encHashListpack, []byte{0}},
		"listpack size":         {encSetListpack, str(edit(lp, 0, 99))},
		"listpack end":          {encSetListpack, str(edit(lp, len(lp)-1, 0))},
		"listpack count":        {encSetListpack, str(edit(lp, 4, 9))},
		"listpack backlen":      {encSetListpack, str(edit(lp, 9, 9))},
		"listpack encoding":     {encSetListpack, str(edit(lp, 6, 0xF5))},
		"listpack entry length": {encSetListpack, str(edit(lp, 6, 0xBF))},
		"intset short":          {encSetIntset, str([]byte{2, 0, 0, 0})},
		"intset width":          {encSetIntset, str(buildIntset(3, 1))},
		"intset count":          {encSetIntset, str(buildIntset(2, 1, 2)[:10])},
		"intset order":          {encSetIntset, str(buildIntset(2, 2, 1))},
		"intset twice":          {encSetIntset, str(buildIntset(2, 1, 1))},
		"zipmap end":            {encHashZipmap, str([]byte{0, 0})},
		"zipmap no value":       {encHashZipmap, str([]byte{1, 1, 'f', 0xFF})},
		"zipmap no free":        {encHashZipmap, str([]byte{1, 1, 'f', 1, 0xFF})},
		"zipmap count":          {encHashZipmap, str([]byte{2, 1, 'f', 1, 0, 'v', 0xFF})},
		"zipmap length":         {encHashZipmap, str([]byte{1, 9, 'f', 1, 0, 'v', 0xFF})},
		"zipmap free":           {encHashZipmap, str([]byte{1, 1, 'f', 1, 9, 'v', 0xFF})},
		"zipmap big length":     {encHashZipmap, str([]byte{1, 254, 1, 0xFF})},
	} {
		var u *CorruptError
		if err := readBytes(seal(11, object(c.typ, "k", c.value))); !errors.As(err, &u) {
			t.Errorf("Read, %s: %v", name, err)
		}
		if o, err := DecodeObject(append([]byte{c.typ}, c.value...)); !errors.As(err, &u) || o != nil {
			t.Errorf("DecodeObject, %s: %v", name, err)
		}
	}
}

// A forged length must not reserve more than a step of memory.
func TestForgedLengthsReserveLittle(t *testing.T) {
	huge := []byte{0x81, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff}
	most := []byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for _, n := range [][]byte{huge, most, {0x80, 0xff, 0xff, 0xff, 0xff}} {
		for _, typ := range []byte{encString, encList, encSet, encZSet, encZSet2, encHash, encListQuicklist, encListQuicklist2, encHashListpack, encSetIntset} {
			for _, value := range [][]byte{n, append(append([]byte{0xC3}, n...), n...), append([]byte{0xC3, 1}, n...)} {
				data := seal(10, object(typ, "k", value), make([]byte, 64))
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err1 := readBytes(data)
				_, err2 := DecodeObject(append([]byte{typ}, value...))
				runtime.ReadMemStats(&after)
				if got := after.TotalAlloc - before.TotalAlloc; err1 == nil || err2 == nil || got > 4<<20 {
					t.Fatalf("type %d length %x: %d bytes allocated, %v, %v", typ, value, got, err1, err2)
				}
			}
		}
	}
}
