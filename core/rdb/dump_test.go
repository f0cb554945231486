package rdb

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

func TestDumpRoundTrip(t *testing.T) {
	for _, o := range randomObjects(rand.New(rand.NewPCG(3, 3)), 300) {
		payload, err := EncodeObject(nil, &o)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := OpenDump(SealDump(bytes.Clone(payload)))
		if err != nil || !bytes.Equal(opened, payload) {
			t.Fatal(err)
		}
		got, err := DecodeObject(opened)
		if err != nil {
			t.Fatal(err)
		}
		got.Key, got.ExpireMS, got.DB = o.Key, o.ExpireMS, o.DB
		sameContents(t, "dump", toContents([]Object{o}), toContents([]Object{*got}))
	}
}

func TestEncodeObjectRefuses(t *testing.T) {
	for _, o := range []Object{
		{Type: TypeSet},
		{Type: TypeList},
		{Type: TypeHash, Items: byteItems("f")},
		{Type: TypeZSet, Items: byteItems("m")},
		{Type: TypeZSet, Items: byteItems("m"), Scores: []float64{math.NaN()}},
		{Type: Type(77), Items: byteItems("m")},
		{Type: TypeHash, Listpack: packed.SealList(packed.AppendListHeader(nil), 0)},
		{Type: TypeSet, Listpack: buildListpack("m")},
		{Type: TypeSet, Intset: buildIntset(2)},
	} {
		if _, err := EncodeObject(nil, &o); err == nil {
			t.Errorf("%s %v: no error", o.Type, o)
		}
	}
}

func TestOpenDumpRefuses(t *testing.T) {
	payload, err := EncodeObject(nil, &Object{Type: TypeString, Str: []byte("value")})
	if err != nil {
		t.Fatal(err)
	}
	good := SealDump(payload)
	for n := range good {
		if _, err := OpenDump(good[:n]); !errors.Is(err, ErrDumpFooter) {
			t.Fatalf("cut at %d: %v", n, err)
		}
		bad := bytes.Clone(good)
		bad[n] ^= 1
		if _, err := OpenDump(bad); !errors.Is(err, ErrDumpFooter) {
			t.Fatalf("flip at %d: %v", n, err)
		}
	}
	for _, p := range [][]byte{nil, {encSet, 0}, {encString, 1, 'v', 0}, {encStream3, 0}, {opEOF}} {
		if o, err := DecodeObject(p); err == nil {
			t.Errorf("%x: %v", p, o)
		}
	}
}
