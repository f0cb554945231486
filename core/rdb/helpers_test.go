package rdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// keyOf identifies an object across databases.
type keyOf struct {
	db  int
	key string
}

// contents is a file as a test compares it: order of sets does not matter.
type contents map[keyOf]Object

func clone(o *Object) Object {
	c := *o
	c.Stream = cloneStream(o.Stream)
	c.Key, c.Str = bytes.Clone(o.Key), bytes.Clone(o.Str)
	c.Items, c.Scores, c.Expires = nil, slices.Clone(o.Scores), slices.Clone(o.Expires)
	for _, it := range o.Items {
		c.Items = append(c.Items, append([]byte{}, it...))
	}
	return c
}

// normal gives equal objects one shape.
func normal(o Object) Object {
	o = clone(&o)
	o.LRU, o.LFU = 0, 0
	if o.Type == TypeString {
		o.Str = append([]byte{}, o.Str...)
	}
	if len(o.Scores) == 0 {
		o.Scores = nil
	}
	group := 1
	switch o.Type {
	case TypeString, TypeList, TypeStream:
		return o
	case TypeHash:
		group = 2
		if o.Expires != nil { // the deadline is one more item
			var items [][]byte
			for i, at := range o.Expires {
				items = append(items, o.Items[2*i], o.Items[2*i+1], fmt.Append(nil, at))
			}
			o.Items, o.Expires, group = items, nil, 3
		}
	}
	n := len(o.Items) / group
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool {
		return bytes.Compare(o.Items[order[a]*group], o.Items[order[b]*group]) < 0
	})
	var items [][]byte
	var scores []float64
	for _, i := range order {
		items = append(items, o.Items[i*group:(i+1)*group]...)
		if o.Scores != nil {
			scores = append(scores, o.Scores[i])
		}
	}
	o.Items, o.Scores = items, scores
	return o
}

func toContents(objs []Object) contents {
	c := contents{}
	for _, o := range objs {
		c[keyOf{o.DB, string(o.Key)}] = normal(o)
	}
	return c
}

func readAll(data []byte) (contents, error) {
	c := contents{}
	err := Read(bytes.NewReader(data), Handler{Object: func(o *Object) error {
		k := keyOf{o.DB, string(o.Key)}
		if _, twice := c[k]; twice {
			return fmt.Errorf("delivered twice")
		}
		c[k] = normal(*o)
		return nil
	}})
	return c, err
}

func mustRead(t *testing.T, data []byte) contents {
	t.Helper()
	c, err := readAll(data)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return c
}

func sameContents(t *testing.T, what string, want, got contents) {
	t.Helper()
	text := func(c contents) map[string]string {
		m := map[string]string{}
		for k, o := range c {
			m[fmt.Sprintf("db%d %q", k.db, k.key)] = describe(o)
		}
		return m
	}
	a, b := text(want), text(got)
	if maps.Equal(a, b) { // cmp is slow on megabytes
		return
	}
	if d := cmp.Diff(a, b); d != "" {
		if len(d) > 4000 {
			d = d[:4000] + "…"
		}
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

func describe(o Object) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s expire=%d ", o.Type, o.ExpireMS)
	if o.Type == TypeString {
		fmt.Fprintf(&b, "%q", o.Str)
	}
	if o.Stream != nil {
		b.WriteString(describeStream(o.Stream))
	}
	for i, it := range o.Items {
		fmt.Fprintf(&b, " %q", it)
		if o.Type == TypeZSet {
			fmt.Fprintf(&b, "=%v", o.Scores[i])
		}
	}
	return b.String()
}

// writeObject drives a Writer with one object.
func writeObject(w *Writer, o *Object) {
	if o.ExpireMS != 0 {
		w.Expire(o.ExpireMS)
	}
	switch o.Type {
	case TypeString:
		w.String(o.Key, o.Str)
		return
	case TypeStream:
		w.Stream(o.Key, o.Stream)
		return
	}
	w.Begin(o.Type, o.Key, o.Len())
	for i, it := range o.Items {
		w.Item(it)
		if o.Type == TypeZSet {
			w.Score(o.Scores[i])
		}
	}
}

func writeFile(t testing.TB, objs []Object) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf)
	w.Header([][2]string{{"redis-ver", "7.0.15"}, {"redis-bits", "64"}, {"ctime", "1700000000"}})
	for i := 0; i < len(objs); {
		db, j, expires := objs[i].DB, i, 0
		for ; j < len(objs) && objs[j].DB == db; j++ {
			if objs[j].ExpireMS != 0 {
				expires++
			}
		}
		w.SelectDB(db)
		w.ResizeDB(j-i, expires)
		for ; i < j; i++ {
			writeObject(w, &objs[i])
		}
	}
	if err := w.End(); err != nil {
		t.Fatalf("End: %v", err)
	}
	if w.Size() != int64(buf.Len()) {
		t.Fatalf("Size says %d, the file has %d bytes", w.Size(), buf.Len())
	}
	return buf.Bytes()
}

// randomItem returns short text, binary, a number at an encoding's edge, a
// compressible string, or now and then something larger than every buffer.
func randomItem(r *rand.Rand) []byte {
	switch r.IntN(12) {
	case 0:
		return []byte{}
	case 1, 2, 3:
		edges := []int64{0, -1, 12, 13, 127, 128, -128, -129, 4095, 4096, -4097, 32767, 32768, -32768, -32769, 1<<23 - 1, 1 << 23, -1 << 23,
			math.MaxInt32, math.MaxInt32 + 1, math.MinInt32, math.MinInt32 - 1, math.MaxInt64, math.MinInt64}
		return strconv.AppendInt(nil, edges[r.IntN(len(edges))], 10)
	case 4:
		odd := []string{"-", "-0", "00", "+1", "01", " 1", "1 ", "0x1", "9223372036854775808", "99999999999", "1e3", "\x00", "\r\n"}
		return []byte(odd[r.IntN(len(odd))])
	case 5:
		return bytes.Repeat([]byte{byte('a' + r.IntN(3))}, r.IntN(600))
	case 6:
		if r.IntN(4) != 0 {
			return randomBytes(r, r.IntN(130))
		}
		sizes := []int{63, 64, 65, 126, 127, 128, 253, 254, 255, 4095, 4096, 16383, 16384}
		return randomBytes(r, sizes[r.IntN(len(sizes))])
	case 7:
		if r.IntN(50) == 0 {
			return randomBytes(r, 60_000+r.IntN(20_000))
		}
		fallthrough
	default:
		return randomBytes(r, r.IntN(24))
	}
}

func randomBytes(r *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := 0; i < n; i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], r.Uint64())
		copy(p[i:], word[:])
	}
	return p
}

func randomScore(r *rand.Rand) float64 {
	switch r.IntN(5) {
	case 0:
		return []float64{0, math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53}[r.IntN(6)]
	case 1:
		return float64(r.IntN(2000) - 1000)
	}
	return r.NormFloat64() * 1e6
}

func randomObjects(r *rand.Rand, n int) []Object {
	objs := make([]Object, 0, n)
	for i := range n {
		o := Object{DB: i * 4 / n, Key: fmt.Appendf(nil, "key:%d:%x", i, randomBytes(r, r.IntN(8))), Type: Type(r.IntN(5))}
		if r.IntN(3) == 0 {
			o.ExpireMS = 4102444800000 + r.Int64N(1e9) // after 2100
		}
		if o.Type == TypeString {
			o.Str = randomItem(r)
			objs = append(objs, o)
			continue
		}
		size := 1 + r.IntN(20)
		if r.IntN(10) == 0 {
			size = 300 + r.IntN(500)
		}
		seen := map[string]bool{}
		for range size {
			it := randomItem(r)
			if o.Type != TypeList && seen[string(it)] {
				continue
			}
			seen[string(it)] = true
			o.Items = append(o.Items, it)
			switch o.Type {
			case TypeHash:
				o.Items = append(o.Items, randomItem(r))
			case TypeZSet:
				o.Scores = append(o.Scores, randomScore(r))
			}
		}
		objs = append(objs, o)
	}
	return objs
}

// streamSample is what sample has not, whose golden files are older.
func streamSample() []Object {
	return []Object{{DB: 3, Key: []byte("stream"), Type: TypeStream, Stream: sampleStream(), ExpireMS: 4102444800000}}
}

// sample is small, fixed, and has one of everything but a stream.
func sample() []Object {
	items := func(s ...string) (out [][]byte) {
		for _, x := range s {
			out = append(out, []byte(x))
		}
		return out
	}
	return []Object{
		{DB: 0, Key: []byte("string"), Type: TypeString, Str: []byte("hello")},
		{DB: 0, Key: []byte("empty"), Type: TypeString, Str: []byte{}},
		{DB: 0, Key: []byte("12345"), Type: TypeString, Str: []byte("-70000"), ExpireMS: 4102444800123},
		{DB: 0, Key: []byte("long"), Type: TypeString, Str: bytes.Repeat([]byte("0123456789"), 30)},
		{DB: 3, Key: []byte("list"), Type: TypeList, Items: items("a", "1", "300", "a", "")},
		{DB: 3, Key: []byte("set"), Type: TypeSet, Items: items("x", "y", "7")},
		{DB: 3, Key: []byte("ints"), Type: TypeSet, Items: items("-5", "1", "70000", "5000000000")},
		{DB: 3, Key: []byte("hash"), Type: TypeHash, Items: items("f", "v", "n", "42"), ExpireMS: 4102444800000},
		{DB: 3, Key: []byte("zset"), Type: TypeZSet, Items: items("m", "n", "o"), Scores: []float64{1.5, math.Inf(-1), -3}},
	}
}
