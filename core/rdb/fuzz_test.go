package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// known reports whether err is one of the two kinds bad input may give.
func known(err error) bool {
	var c *CorruptError
	var u *UnsupportedError
	return errors.As(err, &c) || errors.As(err, &u)
}

// seeds are small values of every encoding: a fuzzer gets nowhere on large ones.
func seeds() []legacyValue {
	short := []string{"ab", "300", "", "-1", "70000", "5000000000"}
	out := []legacyValue{
		{typ: encListZiplist, value: appendString(nil, buildZiplist(short...))},
		{typ: encHashZiplist, value: appendString(nil, buildZiplist(short...))},
		{typ: encHashListpack, value: appendString(nil, buildListpack(short...))},
		{typ: encSetListpack, value: appendString(nil, buildListpack(short...))},
		{typ: encListQuicklist, value: append([]byte{1}, appendString(nil, buildZiplist(short...))...)},
		{typ: encListQuicklist2, value: append([]byte{2, 1, 1, 'x', 2}, appendString(nil, buildListpack(short...))...)},
	}
	for _, l := range legacy() {
		if len(l.value) < 1000 {
			out = append(out, l)
		}
	}
	return out
}

// FuzzRead feeds arbitrary bytes, as they are and with a checksum that
// matches, so that mutations reach beyond it.
func FuzzRead(f *testing.F) {
	f.Add(writeFile(f, sample()))
	for _, l := range seeds() {
		f.Add(seal(11, object(l.typ, "k", l.value)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := Read(bytes.NewReader(data), Handler{}); err != nil && !known(err) {
			t.Fatalf("unexpected error: %v", err)
		}
		if len(data) < 9+9 {
			return
		}
		body := bytes.Clone(data[:len(data)-8])
		body = binary.LittleEndian.AppendUint64(body, CRC64(0, body))
		var objs []Object
		err := Read(bytes.NewReader(body), Handler{Object: func(o *Object) error {
			objs = append(objs, clone(o))
			return nil
		}})
		if err != nil {
			if !known(err) {
				t.Fatalf("unexpected error: %v", err)
			}
			return
		}
		var again []Object
		err = Read(bytes.NewReader(writeFile(t, objs)), Handler{Object: func(o *Object) error {
			again = append(again, clone(o))
			return nil
		}})
		if err != nil || len(again) != len(objs) {
			t.Fatalf("%d objects became %d: %v", len(objs), len(again), err)
		}
		for i := range objs {
			if a, b := describe(objs[i]), describe(again[i]); a != b {
				t.Fatalf("object %d changed:\n%s\n%s", i, a, b)
			}
		}
	})
}

// FuzzDecodeObject wants what decodes to encode to something that decodes to
// the same.
func FuzzDecodeObject(f *testing.F) {
	for _, l := range seeds() {
		f.Add(append([]byte{l.typ}, l.value...))
	}
	for _, o := range sample() {
		p, err := EncodeObject(nil, &o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := DecodeObject(data)
		if err != nil {
			if !known(err) {
				t.Fatalf("unexpected error: %v", err)
			}
			return
		}
		p, err := EncodeObject(nil, o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeObject(p)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := describe(*o), describe(*again); a != b {
			t.Fatalf("changed:\n%s\n%s", a, b)
		}
	})
}
