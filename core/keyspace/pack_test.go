package keyspace

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

func listpackOf(items ...string) []byte {
	b := packed.AppendListHeader(nil)
	for _, it := range items {
		b = packed.AppendEntry(b, []byte(it))
	}
	return packed.SealList(b, len(items))
}

// payloadOf is what DUMP would make of a value that is one string of bytes.
func payloadOf(code byte, value []byte) []byte {
	b := []byte{code, 0x80, byte(len(value) >> 24), byte(len(value) >> 16), byte(len(value) >> 8), byte(len(value))}
	return append(b, value...)
}

// Type bytes of the RDB format.
const (
	codeHashListpack = 16
	codeZSetListpack = 17
	codeQuicklist2   = 18
	codeSetListpack  = 20
	codeIntset       = 11
)

func numbers(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint(i*7))
	}
	return out
}

// TestLoadPacked loads values that a file may hold, well-formed ones and odd
// ones: all must read as what they say, and be packed where they may be.
func TestLoadPacked(t *testing.T) {
	x65 := strings.Repeat("x", 65)
	odd := packed.SealList(append(packed.AppendListHeader(nil), "\x8212\x03\xf1\x05\x00\x03"...), 2) // "12" as a string, 5 in 16 bits
	ints := func(v ...int64) []byte { return packed.AppendIntset(nil, v...) }
	node := func(lp []byte) []byte { return append([]byte{codeQuicklist2, 1, 2}, payloadOf(0, lp)[1:]...) }
	for name, tt := range map[string]struct {
		payload []byte
		enc     string
		want    string
	}{
		"hash":             {payloadOf(codeHashListpack, listpackOf("a", "1", "2", "b")), "listpack", `hash [] "2"="b" "a"="1"`},
		"field twice":      {payloadOf(codeHashListpack, listpackOf("a", "1", "a", "2")), "hashtable", `hash [] "a"="2"`},
		"not canonical":    {payloadOf(codeHashListpack, odd), "listpack", `hash [] "12"="5"`},
		"long field":       {payloadOf(codeHashListpack, listpackOf(x65, "1")), "hashtable", `hash [] "` + x65 + `"="1"`},
		"many fields":      {payloadOf(codeHashListpack, listpackOf(numbers(1026)...)), "hashtable", ""},
		"as many as can":   {payloadOf(codeHashListpack, listpackOf(numbers(1024)...)), "listpack", ""},
		"zset":             {payloadOf(codeZSetListpack, listpackOf("b", "-inf", "a", "1", "c", "1")), "listpack", `zset [] "b":-Inf "a":1 "c":1`},
		"zset disordered":  {payloadOf(codeZSetListpack, listpackOf("a", "3", "c", "1", "b", "1")), "listpack", `zset [] "b":1 "c":1 "a":3`},
		"zset ties":        {payloadOf(codeZSetListpack, listpackOf("b", "1", "a", "1")), "listpack", `zset [] "a":1 "b":1`},
		"member twice":     {payloadOf(codeZSetListpack, listpackOf("a", "1", "a", "2")), "skiplist", `zset [] "a":2`},
		"minus zero":       {payloadOf(codeZSetListpack, listpackOf("a", "-0", "b", "0")), "listpack", `zset [] "a":0 "b":0`},
		"long member":      {payloadOf(codeZSetListpack, listpackOf(x65, "1")), "skiplist", `zset [] "` + x65 + `":1`},
		"intset":           {payloadOf(codeIntset, ints(-3, 70000)), "intset", `set [] "-3":0 "70000":0`},
		"set":              {payloadOf(codeSetListpack, listpackOf("a", "1")), "listpack", `set [] "1":0 "a":0`},
		"set of integers":  {payloadOf(codeSetListpack, listpackOf("5", "1")), "intset", `set [] "1":0 "5":0`},
		"plain set":        {[]byte("\x02\x02\x01b\x01a"), "listpack", `set [] "a":0 "b":0`},
		"plain integers":   {[]byte("\x02\x03\xc0\x07\xc0\xff\x013"), "intset", `set [] "-1":0 "3":0 "7":0`},
		"plain set, twice": {[]byte("\x02\x02\x01a\x01a"), "hashtable", `set [] "a":0`},
		"list":             {node(listpackOf("a", "1", "a")), "quicklist", `list ["a" "1" "a"]`},
		"long list":        {node(listpackOf(numbers(5000)...)), "quicklist", fmt.Sprintf("list %q", numbers(5000))},
	} {
		obj, err := rdb.DecodeObject(tt.payload)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		obj.Key = []byte("k")
		check := func(how string, d *DB) {
			checkCollections(t, d)
			e, status := d.Get(obj.Key, 0)
			if got := contents(d)["k"]; status != Live || e.Encoding() != tt.enc || tt.want != "" && got != tt.want {
				t.Errorf("%s, %s: %s\n%.300s, want %s\n%.300s", name, how, e.Encoding(), got, tt.enc, tt.want)
			}
		}
		_, d := oneDB(t)
		if err := d.Restore(obj.Key, obj); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		check("restored", d)
		k := New(Config{Shards: 1, Databases: 1})
		t.Cleanup(k.Close)
		if err := loadPacked(k, fileOf(tt.payload)); err != nil {
			t.Errorf("%s, of a file: %v", name, err)
		}
		s := k.Shard(0)
		s.Lock()
		check("of a file", s.DB(0))
		s.Unlock()
	}
}

// fileOf is an RDB file without a checksum with a payload at the key "k".
func fileOf(payload []byte) []byte {
	b := append([]byte("REDIS0011"), payload[0], 1, 'k')
	return append(append(b, payload[1:]...), 255, 0, 0, 0, 0, 0, 0, 0, 0)
}

// loadPacked loads a file as a start does.
func loadPacked(k *Keyspace, file []byte) error {
	l := k.NewLoader()
	defer l.Flush()
	return rdb.Read(bytes.NewReader(file), rdb.Handler{Packed: true, Object: l.Load})
}

// TestLowerLex counts members in both encodings.
func TestLowerLex(t *testing.T) {
	_, d := oneDB(t)
	for _, entries := range []int{0, 128} {
		d.ks.SetLimits(Limits{ZSetEntries: entries, ZSetValue: 64})
		z := d.ZSet(fmt.Append(nil, entries))
		for _, m := range []string{"", "1", "12", "a", "b"} {
			z.Add([]byte(m), 3)
		}
		for _, tt := range []struct {
			member string
			excl   bool
			want   int
		}{{"", false, 0}, {"", true, 1}, {"12", false, 2}, {"12", true, 3}, {"11", false, 2}, {"aa", true, 4}, {"z", false, 5}} {
			if got := z.LowerLex([]byte(tt.member), tt.excl); got != tt.want {
				t.Errorf("up to %d packed: %d members below %q, %v; want %d", entries, got, tt.member, tt.excl, tt.want)
			}
		}
	}
	if n := d.ZSet([]byte("nosuch")).LowerLex([]byte("a"), false); n != 0 {
		t.Errorf("nothing has %d members", n)
	}
}

// TestNestedReads reads handles from the callbacks of others: integers' texts
// must not overwrite one another.
func TestNestedReads(t *testing.T) {
	_, d := oneDB(t)
	for i := range 5 {
		n := fmt.Append(nil, 100+i)
		d.Hash([]byte("h")).Set(n, fmt.Append(nil, 200+i))
		d.Set([]byte("s")).Add(n)
		d.ZSet([]byte("z")).Add(n, 1)
		d.List([]byte("l")).PushBack(n)
	}
	seen := 0
	d.Hash([]byte("h")).Each(func(f, v []byte) bool {
		want := string(f) + " " + string(v)
		d.Set([]byte("s")).Each(func(m []byte) bool {
			inner := string(m)
			d.List([]byte("l")).Each(0, true, func([]byte) bool { return true })
			d.ZSet([]byte("z")).EachRank(0, 4, true, func([]byte, float64) bool { return true })
			got, _ := d.Hash([]byte("h")).Get(m)
			if d.List([]byte("l")).At(2); string(m) != inner || len(got) != 3 {
				t.Errorf("a member became %q, it was %q", m, inner)
			}
			seen++
			return true
		})
		if string(f)+" "+string(v) != want {
			t.Errorf("a field and its value became %s %s, they were %s", f, v, want)
		}
		return true
	})
	if seen != 25 || len(d.st.shard.texts) != 0 {
		t.Errorf("%d pairs seen, %d bytes of texts left", seen, len(d.st.shard.texts))
	}
}

// TestReadsDoNotAllocate holds what serving small collections promises.
func TestReadsDoNotAllocate(t *testing.T) {
	_, d := oneDB(t)
	h, s, z, l := d.Hash([]byte("h")), d.Set([]byte("s")), d.ZSet([]byte("z")), d.List([]byte("l"))
	i := d.Set([]byte("i"))
	for n := range 20 {
		h.Set(fmt.Append(nil, "f", n), fmt.Append(nil, n))
		s.Add(fmt.Append(nil, "m", n))
		i.Add(fmt.Append(nil, n))
		z.Add(fmt.Append(nil, "m", n), float64(n)+0.5)
		l.PushBack(fmt.Append(nil, n))
	}
	f, m, num := []byte("f7"), []byte("m7"), []byte("7")
	count := 0
	for name, fn := range map[string]func(){
		"hash":   func() { h.Get(f); h.Len(); h.Each(func(_, _ []byte) bool { count++; return true }) },
		"set":    func() { s.Has(m); s.Len(); s.At(3); s.Each(func([]byte) bool { count++; return true }) },
		"intset": func() { i.Has(num); i.Len(); i.At(3); i.Each(func([]byte) bool { count++; return true }) },
		"zset": func() {
			z.Score(m)
			z.Rank(m)
			z.LowerScore(3, true)
			z.EachRank(1, 9, true, func([]byte, float64) bool { count++; return true })
		},
		"list": func() { l.At(4); l.Len(); l.Each(2, false, func([]byte) bool { count++; return true }) },
	} {
		fn() // the scratch memory is allocated once
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("reading a %s allocates %v times", name, n)
		}
	}
}

// FuzzRestore takes any bytes for the payload of a RESTORE. What decodes must
// be stored as what it says, be written and loaded back the same, and leave
// nothing behind when it is deleted.
func FuzzRestore(f *testing.F) {
	f.Add(payloadOf(codeHashListpack, listpackOf("a", "1", "300", "b")))
	f.Add(payloadOf(codeZSetListpack, listpackOf("a", "1", "b", "1.5", "c", "inf")))
	f.Add(payloadOf(codeSetListpack, listpackOf("a", "1")))
	f.Add(payloadOf(codeIntset, packed.AppendIntset(nil, -3, 70000)))
	f.Add(append([]byte{codeQuicklist2, 1, 2}, payloadOf(0, listpackOf("a", "-5", ""))[1:]...))
	f.Fuzz(func(t *testing.T, payload []byte) {
		obj, err := rdb.DecodeObject(payload)
		if err != nil || obj.Type == rdb.TypeString || obj.Type == rdb.TypeStream {
			return
		}
		for _, s := range obj.Scores {
			if math.IsNaN(s) {
				t.Fatal("the decoder lets a NaN pass")
			}
		}
		want := newPlain(obj.Type)
		for i := 0; i < len(obj.Items); i++ {
			switch item := obj.Items[i]; want.t {
			case Hash:
				i++
				want.take(item, obj.Items[i], 0)
			case ZSet:
				want.take(item, nil, plusZero(obj.Scores[i]))
			default:
				want.take(item, nil, 0)
			}
		}
		k := New(Config{Shards: 1, Databases: 1})
		obj.Key = []byte("k")
		if err := k.Load(obj); err != nil {
			t.Fatal(err)
		}
		s := k.Shard(0)
		s.Lock()
		checkCollections(t, s.DB(0))
		if got := contents(s.DB(0))["k"]; got != want.String() {
			t.Fatalf("%s, want %s", got, want)
		}
		v, err := s.Freeze()
		s.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		out, err := snapshot(v)
		v.Release()
		if err != nil {
			t.Fatal(err)
		}
		again := New(Config{Shards: 1, Databases: 1})
		defer again.Close()
		if err := rdb.Read(bytes.NewReader(out), rdb.Handler{Object: again.Load}); err != nil {
			t.Fatal(err)
		}
		if got := contents(again.Shard(0).DB(0))["k"]; got != want.String() {
			t.Fatalf("reloaded it is %s, want %s", got, want)
		}
		for _, file := range [][]byte{out, fileOf(payload)} {
			packed := New(Config{Shards: 1, Databases: 1})
			if err := loadPacked(packed, file); err != nil {
				t.Fatal(err)
			}
			if got := contents(packed.Shard(0).DB(0))["k"]; got != want.String() {
				t.Fatalf("reloaded packed it is %s, want %s", got, want)
			}
			packed.Close()
		}
		s.Lock()
		s.DB(0).Delete([]byte("k"))
		s.Unlock()
		checkDrained(t, k)
	})
}
