package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// oneOfEach is a value of every type, which fails for a type that has none here.
func oneOfEach(t *testing.T) []Object {
	t.Helper()
	samples := map[Type]Object{
		TypeString: {Str: []byte("v")},
		TypeList:   {Items: byteItems("a", "1", "a")},
		TypeSet:    {Items: byteItems("a", "b")},
		TypeZSet:   {Items: byteItems("m", "n"), Scores: []float64{math.Inf(-1), 1.5}},
		TypeHash:   {Items: byteItems("f", "v", "g", "w")},
		TypeStream: {Stream: sampleStream()},
	}
	var out []Object
	for _, typ := range Types() {
		o, ok := samples[typ]
		if !ok {
			t.Fatalf("%s is declared and has no sample here", typ)
		}
		o.Type, o.Key, o.ExpireMS, o.LRU, o.LFU = typ, []byte(typ.String()), 4102444800000, -1, -1
		out = append(out, o)
	}
	return out
}

// TestEveryType writes a value of every type in every way, and expects it back.
func TestEveryType(t *testing.T) {
	objs := oneOfEach(t)
	var file bytes.Buffer
	w := NewWriter(&file)
	w.Header(nil)
	for i := range objs {
		w.Object(&objs[i])
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	sameContents(t, "Writer.Object", toContents(objs), mustRead(t, file.Bytes()))

	for i := range objs {
		o := &objs[i]
		payload, err := EncodeObject(nil, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeObject(payload)
		if err != nil {
			t.Fatal(err)
		}
		got.Key, got.ExpireMS = o.Key, o.ExpireMS
		sameContents(t, "EncodeObject", toContents([]Object{*o}), toContents([]Object{*got}))

		var verbs []string
		c := NewCommands(func(args [][]byte) error {
			if string(args[1]) != string(o.Key) && string(args[0]) != "XGROUP" {
				t.Errorf("%q is not about %s", args, o.Key)
			}
			verbs = append(verbs, string(args[0]))
			return nil
		})
		if c.Object(o); c.End() != nil || len(verbs) != 2 && o.Type != TypeStream || verbs[len(verbs)-1] != "PEXPIREAT" {
			t.Fatalf("%s is built by %q: %v", o.Type, verbs, c.End())
		}
		if typ, ok := BuiltBy(verbs[0]); !ok || typ != o.Type {
			t.Errorf("%s builds a %s, not a %s", verbs[0], typ, o.Type)
		}
	}
}

// TestUndeclaredType: what is no type is refused by all that writes values, by its
// name and with the key.
func TestUndeclaredType(t *testing.T) {
	for _, typ := range []Type{Type(len(Types())), 255} {
		o := Object{Type: typ, Key: []byte("the key"), Items: byteItems("a", "b"), Scores: []float64{1, 2}, Listpack: buildListpack("a"), Intset: buildIntset(2, 1)}
		w := NewWriter(new(bytes.Buffer))
		w.Header(nil)
		w.Object(&o)
		_, dump := EncodeObject(nil, &o)
		c := NewCommands(func([][]byte) error { return nil })
		c.Object(&o)
		begun, begunC := NewWriter(new(bytes.Buffer)), NewCommands(func([][]byte) error { return nil })
		begun.Header(nil)
		begun.Begin(typ, o.Key, 1)
		begunC.Begin(typ, o.Key, 1)
		for what, err := range map[string]error{
			"Writer.Object": w.End(), "EncodeObject": dump, "Commands.Object": c.End(), "Writer.Begin": begun.End(), "Commands.Begin": begunC.End(),
		} {
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("type(%d)", typ)) || !strings.Contains(err.Error(), "the key") {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

// TestCommands has them in groups of 64, with scores that read back the same.
func TestCommands(t *testing.T) {
	var got []string
	c := NewCommands(func(args [][]byte) error {
		got = append(got, fmt.Sprintf("%s %d", bytes.Join(args[:min(4, len(args))], []byte(" ")), len(args)))
		return nil
	})
	c.SelectDB(3)
	for _, n := range []int{1, 64, 65, 128} {
		c.Begin(TypeHash, []byte("h"), n)
		for i := range n {
			if done, want := c.Element([]byte("f"), []byte("v"), 0), i%64 == 63 || i == n-1; done != want {
				t.Errorf("element %d of %d: done is %t", i, n, done)
			}
		}
	}
	c.Object(&Object{Type: TypeZSet, Key: []byte("z"), Items: byteItems("m"), Scores: []float64{math.Inf(1)}, ExpireMS: 5})
	c.Object(&Object{Type: TypeZSet, Key: []byte("z"), Items: byteItems("m"), Scores: []float64{0.1}})
	want := []string{
		"SELECT 3 2", "HSET h f v 4", "HSET h f v 130", "HSET h f v 130", "HSET h f v 4", "HSET h f v 130", "HSET h f v 130",
		"ZADD z inf m 4", "PEXPIREAT z 5 3", "ZADD z 0.1 m 4",
	}
	if err := c.End(); err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%v\n%s", err, strings.Join(got, "\n"))
	}
}

func TestCommandsMisuse(t *testing.T) {
	key := []byte("k")
	for name, calls := range map[string]func(c *Commands){
		"element without begin": func(c *Commands) { c.Element(key, nil, 0) },
		"too many elements":     func(c *Commands) { c.Begin(TypeSet, key, 1); c.Element(key, nil, 0); c.Element(key, nil, 0) },
		"too few elements":      func(c *Commands) { c.Begin(TypeSet, key, 2); c.Element(key, nil, 0) },
		"too few, then others":  func(c *Commands) { c.Begin(TypeSet, key, 2); c.String(key, key) },
		"empty collection":      func(c *Commands) { c.Begin(TypeSet, key, 0) },
		"an empty object":       func(c *Commands) { c.Object(&Object{Type: TypeHash, Key: key}) },
		"half a pair":           func(c *Commands) { c.Object(&Object{Type: TypeHash, Key: key, Items: byteItems("f")}) },
	} {
		c := NewCommands(func([][]byte) error { return nil })
		if calls(c); !errors.Is(c.End(), ErrMisuse) {
			t.Errorf("%s: %v, want ErrMisuse", name, c.End())
		}
	}
	full, calls := errors.New("full"), 0
	c := NewCommands(func([][]byte) error { calls++; return full })
	c.String(key, key)
	c.Object(&Object{Type: TypeList, Key: key, Items: make([][]byte, 1000)})
	if err := c.End(); !errors.Is(err, full) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
