package values

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/rdb"
)

var noon = time.UnixMilli(1_700_000_000_000)

func items(s ...string) (out [][]byte) {
	for _, w := range s {
		out = append(out, []byte(w))
	}
	return out
}

func of(t *testing.T, o *rdb.Object) *Entry {
	t.Helper()
	e, err := Of(o, noon)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestEqual: what is the same to a client has one digest, what is not has another.
func TestEqual(t *testing.T) {
	ms := noon.UnixMilli()
	groups := [][]*rdb.Object{
		{{Type: rdb.TypeString, Str: []byte("a")}, {Type: rdb.TypeString, Str: []byte("a"), ExpireMS: ms + 1, Key: []byte("k")}},
		{{Type: rdb.TypeString, Str: []byte("b")}},
		{{Type: rdb.TypeSet, Items: items("a", "b")}, {Type: rdb.TypeSet, Items: items("b", "a")}},
		{{Type: rdb.TypeSet, Items: items("ab")}},
		{{Type: rdb.TypeList, Items: items("a", "b")}},
		{{Type: rdb.TypeList, Items: items("b", "a")}},
		{{Type: rdb.TypeHash, Items: items("a", "b", "c", "d")}, {Type: rdb.TypeHash, Items: items("c", "d", "a", "b")},
			{Type: rdb.TypeHash, Items: items("gone", "x", "c", "d", "a", "b"), Expires: []int64{ms, 0, 0}}},
		{{Type: rdb.TypeHash, Items: items("c", "d", "a", "b"), Expires: []int64{0, ms + 1}}},
		{{Type: rdb.TypeHash, Items: items("a", "d", "c", "b")}},
		{{Type: rdb.TypeZSet, Items: items("a", "b"), Scores: []float64{2, math.Inf(1)}}, {Type: rdb.TypeZSet, Items: items("b", "a"), Scores: []float64{math.Inf(1), 2}}},
		{{Type: rdb.TypeZSet, Items: items("a", "b"), Scores: []float64{2, 3}}},
	}
	met := make(map[[32]byte]int)
	for i, g := range groups {
		for _, o := range g {
			d := of(t, o).Digest()
			if j, was := met[d]; was && j != i {
				t.Errorf("group %d is as group %d", i, j)
			}
			met[d] = i
		}
	}
	if len(met) != len(groups) {
		t.Errorf("%d digests of %d groups", len(met), len(groups))
	}
}

// TestPast: what had expired at the moment was not there, and what expired later was.
func TestPast(t *testing.T) {
	ms := noon.UnixMilli()
	for _, o := range []*rdb.Object{
		{Type: rdb.TypeString, Str: []byte("x"), ExpireMS: ms},
		{Type: rdb.TypeHash, Items: items("f", "v"), Expires: []int64{ms - 1}},
	} {
		if e := of(t, o); e != nil {
			t.Errorf("%+v", e)
		}
		o.ExpireMS, o.Expires = ms+1, nil
		if of(t, o) == nil {
			t.Error("it was there")
		}
	}
}

func TestJSON(t *testing.T) {
	for want, o := range map[string]*rdb.Object{
		`{"db":3,"key":"k","type":"string","elements":1,"expires":"2023-11-14T22:13:20.001Z","value":"é"}`:                 {DB: 3, Key: []byte("k"), ExpireMS: noon.UnixMilli() + 1, Str: []byte("é")},
		`{"db":0,"key":"aw==","base64":true,"type":"string","elements":1,"value":"/w=="}`:                                  {Key: []byte("k"), Str: []byte{0xff}},
		`{"db":0,"key":"k","type":"zset","elements":2,"value":[{"member":"a","score":1.5},{"member":"b","score":"inf"}]}`:  {Key: []byte("k"), Type: rdb.TypeZSet, Items: items("b", "a"), Scores: []float64{math.Inf(1), 1.5}},
		`{"db":0,"key":"k","type":"hash","elements":1,"value":{"f":"v"},"field_expires":{"f":"2023-11-14T22:13:20.001Z"}}`: {Key: []byte("k"), Type: rdb.TypeHash, Items: items("f", "v"), Expires: []int64{noon.UnixMilli() + 1}},
		`{"db":0,"key":"k","type":"list","elements":2,"value":["b","a"]}`:                                                  {Key: []byte("k"), Type: rdb.TypeList, Items: items("b", "a")},
	} {
		got, err := json.Marshal(of(t, o))
		if err != nil || string(got) != want {
			t.Errorf("%v\n%s\nwant\n%s", err, got, want)
		}
	}
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	e := of(t, &rdb.Object{Type: rdb.TypeZSet, Items: items("b\n", "a"), Scores: []float64{3, 1.5}})
	if err := e.WriteText(&out, Quoted); err != nil || out.String() != "\"a\"\t1.5\n\"b\\n\"\t3\n" {
		t.Errorf("%v, %q", err, out.String())
	}
	out.Reset()
	if err := e.WriteText(&out, Plain); err != nil || !strings.HasPrefix(out.String(), "a\t1.5\nb\n\t3") {
		t.Errorf("%v, %q", err, out.String())
	}
}

// TestAllTypes: a type that is new is not left out without a word.
func TestAllTypes(t *testing.T) {
	if _, err := Of(&rdb.Object{Type: rdb.Type(len(rdb.Types()))}, noon); err == nil {
		t.Error("an unknown type is taken")
	}
}
