package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
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
	for _, enc := range []byte{encStream, encStream2, encStream3} {
		out = append(out, legacyValue{typ: enc, value: streamAs(enc, sampleStream())})
	}
	for _, l := range legacy() {
		if len(l.value) < 1000 {
			out = append(out, l)
		}
	}
	return out
}

// artifacts are whole files of real programs: our own first release and Redis.
func artifacts(t testing.TB) [][]byte {
	names, err := filepath.Glob("testdata/*.rdb")
	if err != nil || len(names) < 2 {
		t.Fatal(names, err)
	}
	var out [][]byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, data)
	}
	return out
}

// within fails the test when f allocates more than reading size bytes may: what
// a buffer and a step of growth take, and for each byte of input what the
// densest encoding makes of it (LZF: 88 bytes; a packed element of two bytes:
// a slice of 24 and its text).
func within(t *testing.T, size int, f func()) {
	t.Helper()
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	before := s[0].Value.Uint64()
	f()
	metrics.Read(s)
	if got, most := s[0].Value.Uint64()-before, uint64(4<<20+4000*size); got > most {
		t.Fatalf("%d bytes of input made %d be allocated; at most %d may", size, got, most)
	}
}

// FuzzRead feeds arbitrary bytes, as they are and with a checksum that
// matches, so that mutations reach beyond it.
func FuzzRead(f *testing.F) {
	f.Add(writeFile(f, slices.Concat(sample(), streamSample())))
	f.Add(writeFile(f, []Object{{Type: TypeStream, Key: []byte("s"), Stream: withTimes(sampleStream(), 1700000000001, NeverActive, 1700000000004)}}))
	for _, data := range artifacts(f) {
		f.Add(data)
	}
	for _, l := range seeds() {
		f.Add(seal(11, object(l.typ, "k", l.value)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		within(t, len(data), func() {
			if err := Read(bytes.NewReader(data), Handler{}); err != nil && !known(err) {
				t.Fatalf("unexpected error: %v", err)
			}
		})
		if len(data) < 9+9 {
			return
		}
		body := bytes.Clone(data[:len(data)-8])
		body = binary.LittleEndian.AppendUint64(body, CRC64(0, body))
		within(t, len(body), func() { _ = Read(bytes.NewReader(body), Handler{}) })
		within(t, len(body), func() {
			_ = Read(bytes.NewReader(body), Handler{Packed: true, Object: func(*Object) error { return nil }})
		})
		samePacked(t, body)
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
			if objs[i].Type == TypeStream && !slices.Equal(timesOf(objs[i].Stream), timesOf(again[i].Stream)) {
				t.Fatalf("object %d has consumers active at %v, and then at %v", i, timesOf(objs[i].Stream), timesOf(again[i].Stream))
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
	for _, o := range slices.Concat(sample(), streamSample()) {
		p, err := EncodeObject(nil, &o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	f.Add(append([]byte{encHashDated}, datedValue(4000, false, 1001, "a", "1", 0, "b", "2")...))
	f.Add(append(append([]byte{encHashListEx}, appendMS(nil, 5000)...), appendString(nil, triples("a", "1", 5000, "b", "2", 0))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		within(t, len(data), func() { _, _ = DecodeObject(data) })
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

// FuzzRestore feeds the payload of RESTORE, as it is and with a footer that
// matches: what opens has the bytes that were sealed.
func FuzzRestore(f *testing.F) {
	for _, o := range slices.Concat(sample(), streamSample()) {
		p, err := EncodeObject(nil, &o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(SealDump(p))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		payload, err := OpenDump(data)
		if err == nil && !bytes.Equal(payload, data[:len(data)-footerSize]) {
			t.Fatalf("opened %x as %x", data, payload)
		}
		if err != nil && !errors.Is(err, ErrDumpFooter) {
			t.Fatalf("unexpected error: %v", err)
		}
		payload, err = OpenDump(SealDump(bytes.Clone(data)))
		if err != nil || !bytes.Equal(payload, data) {
			t.Fatalf("sealed %x, opened %x: %v", data, payload, err)
		}
	})
}
