package rdb

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// newerHashes are the hashes in the files of testdata/newer, a field with its value and
// its deadline.
var newerHashes = map[string]map[string]string{
	"small": {"a": "1 9999999999999", "b": "two 9999999990000", "c": "3 0"},
	"large": {"f0": "v 0", "f1": "v 9999999999999", "f2": "v 9999999999999", "f3": "v 0", "f4": "v 0", "f5": "v 0", "f6": "v 0", "f7": "v 9999999990001", "f8": "v 0", "f9": "v 0"},
	"once":  {"a": "1 0", "b": "2 0"},
	"plain": {"a": "1 0"},
}

func fieldsOf(o *Object) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(o.Items); i += 2 {
		var ms int64
		if o.Expires != nil {
			ms = o.Expires[i/2]
		}
		m[string(o.Items[i])] = fmt.Sprintf("%s %d", o.Items[i+1], ms)
	}
	return m
}

// TestNewerServers reads what servers after Redis 7.0 have written, in files and in
// payloads, and what is written of it again.
func TestNewerServers(t *testing.T) {
	files, err := filepath.Glob("testdata/newer/*.rdb")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all := checkNewer(t, data)
			dumps, err := os.ReadFile(strings.TrimSuffix(file, ".rdb") + ".dump")
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(dumps)) {
				key, text, _ := strings.Cut(strings.TrimSpace(line), " ")
				dump, err := hex.DecodeString(text)
				if err != nil {
					t.Fatal(err)
				}
				o, err := DecodeDump(dump)
				if err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				if want := newerHashes[key]; want != nil && !maps.Equal(fieldsOf(o), want) {
					t.Errorf("the payload of %s has %v, want %v", key, fieldsOf(o), want)
				}
				checkSealed(t, key, o)
			}
			var again bytes.Buffer
			w := NewWriter(&again)
			w.DatedHeader(nil)
			w.SelectDB(0)
			for _, o := range all {
				w.Object(&o)
			}
			if err := w.End(); err != nil {
				t.Fatal(err)
			}
			checkNewer(t, again.Bytes())
		})
	}
}

// checkNewer reads a file of testdata/newer, and returns its objects.
func checkNewer(t *testing.T, data []byte) (all []Object) {
	t.Helper()
	functions := 0
	types := map[string]Type{}
	err := Read(bytes.NewReader(data), Handler{
		Function: func([]byte) error { functions++; return nil },
		Object: func(o *Object) error {
			types[string(o.Key)] = o.Type
			if want := newerHashes[string(o.Key)]; want != nil && !maps.Equal(fieldsOf(o), want) {
				t.Errorf("%s has %v, want %v", o.Key, fieldsOf(o), want)
			}
			if o.Type != TypeHash && o.Expires != nil {
				t.Errorf("%s has deadlines", o.Key)
			}
			c := clone(o)
			c.Listpack = bytes.Clone(o.Listpack)
			all = append(all, c)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Type{"small": TypeHash, "large": TypeHash, "once": TypeHash, "plain": TypeHash, "set": TypeSet, "stream": TypeStream, "key": TypeString}
	if !maps.Equal(types, want) {
		t.Errorf("there are %v, want %v", types, want)
	}
	return all
}

// checkSealed writes a payload of o, which is to be of version 12 only where a field has
// a deadline, and reads it.
func checkSealed(t *testing.T, key string, o *Object) {
	t.Helper()
	payload, err := EncodeObject(nil, o)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	dump := SealDump(payload)
	want := writeVersion
	if o.Expires != nil {
		want = datedVersion
	}
	if got := dumpVersion(dump); got != want {
		t.Errorf("the payload of %s is of version %d, want %d", key, got, want)
	}
	again, err := DecodeDump(dump)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	if o.Type == TypeHash && !maps.Equal(fieldsOf(again), fieldsOf(o)) {
		t.Errorf("%s comes back as %v, was %v", key, fieldsOf(again), fieldsOf(o))
	}
}

func triples(entries ...any) []byte {
	b := packed.AppendListHeader(nil)
	for _, e := range entries {
		switch e := e.(type) {
		case int:
			b = packed.AppendInt(b, int64(e))
		case string:
			b = packed.AppendEntry(b, []byte(e))
		}
	}
	return packed.SealList(b, len(entries))
}

// datedValue is a value of type 22 or 24.
func datedValue(first int64, pre bool, fields ...any) (b []byte) {
	if !pre {
		b = appendMS(b, first)
	}
	b = appendLen(b, uint64(len(fields)/3))
	for _, f := range fields {
		switch f := f.(type) {
		case int:
			b = appendLen(b, uint64(f))
		case string:
			b = appendString(b, []byte(f))
		}
	}
	return b
}

// TestReleaseCandidates reads the types that only release candidates of Redis 7.4 wrote,
// and listpacks in an order that Redis does not write.
func TestReleaseCandidates(t *testing.T) {
	want := map[string]string{"a": "1 5000", "b": "2 0"}
	str := func(b []byte) []byte { return appendString(nil, b) }
	for name, c := range map[string]struct {
		enc   byte
		value []byte
		whole bool
	}{
		"metadata":          {encHashDatedPre, datedValue(0, true, 5000, "a", "1", 0, "b", "2"), false},
		"listpack":          {encHashListExPre, str(triples("a", "1", 5000, "b", "2", 0)), true},
		"listpack unsorted": {encHashListEx, append(appendMS(nil, 5000), str(triples("b", "2", 0, "a", "1", 5000))...), false},
		"relative":          {encHashDated, datedValue(4000, false, 1001, "a", "1", 0, "b", "2"), false},
	} {
		o, err := DecodeObject(append([]byte{c.enc}, c.value...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := fieldsOf(o); !maps.Equal(got, want) || (o.Listpack != nil) != c.whole {
			t.Errorf("%s: %v, whole %v", name, got, o.Listpack != nil)
		}
	}
}

// TestCorruptDeadlines: what is no hash with deadlines is refused.
func TestCorruptDeadlines(t *testing.T) {
	list := func(entries ...any) []byte {
		return append(appendMS(nil, 1), appendString(nil, triples(entries...))...)
	}
	for name, c := range map[string]struct {
		enc   byte
		value []byte
	}{
		"late":            {encHashDatedPre, datedValue(0, true, 1<<48, "a", "1")},
		"late first":      {encHashDated, datedValue(1<<48+1, false, 1, "a", "1")},
		"late relative":   {encHashDated, datedValue(1<<48-1, false, 2, "a", "1")},
		"wraps":           {encHashDated, append(appendMS(nil, 5), append([]byte{1, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 1, 'a', 1, 'b')...)},
		"no value":        {encHashDated, append(appendMS(nil, 5), 1, 1, 1, 'a')},
		"pairs":           {encHashListEx, list("a", "1", "b", "2")},
		"word":            {encHashListEx, list("a", "1", "soon")},
		"negative":        {encHashListEx, list("a", "1", -1)},
		"late in a list":  {encHashListEx, list("a", "1", 1<<48)},
		"short":           {encHashListEx, []byte{1, 2, 3}},
		"no list":         {encHashListEx, append(appendMS(nil, 1), 1, 'x')},
		"metadata, short": {encHashDated, []byte{1, 2}},
	} {
		var u *CorruptError
		if err := readBytes(seal(12, object(c.enc, "k", c.value))); !errors.As(err, &u) {
			t.Errorf("Read, %s: %v", name, err)
		}
		if o, err := DecodeObject(append([]byte{c.enc}, c.value...)); !errors.As(err, &u) || o != nil {
			t.Errorf("DecodeObject, %s: %v", name, err)
		}
	}
}

// TestDeadlinesNeedTheirVersion: no file of version 10 gets a type that it does not have.
func TestDeadlinesNeedTheirVersion(t *testing.T) {
	for name, write := range map[string]func(w *Writer){
		"listpack": func(w *Writer) { w.DatedListpack([]byte("k"), triples("a", "1", 5)) },
		"fields":   func(w *Writer) { w.BeginDated([]byte("k"), 1, 5); w.Element([]byte("a"), []byte("1"), 5) },
	} {
		for _, dated := range []bool{false, true} {
			var out bytes.Buffer
			w := NewWriter(&out)
			if dated {
				w.DatedHeader(nil)
			} else {
				w.Header(nil)
			}
			w.SelectDB(0)
			write(w)
			if err := w.End(); (err == nil) != dated || err != nil && !errors.Is(err, ErrMisuse) {
				t.Errorf("%s behind a dated header %v: %v", name, dated, err)
			}
			if is, err := Dated(bytes.NewReader(out.Bytes())); dated && (err != nil || !is) {
				t.Errorf("%s: Dated says %v, %v", name, is, err)
			}
		}
	}
}

// TestCommandsOfDeadlines: the commands that build a hash give its fields their deadlines.
func TestCommandsOfDeadlines(t *testing.T) {
	var got []string
	c := NewCommands(func(args [][]byte) error {
		got = append(got, string(bytes.Join(args, []byte(" "))))
		return nil
	})
	c.Object(&Object{Key: []byte("k"), Type: TypeHash, Items: [][]byte{[]byte("a"), []byte("1"), []byte("b"), []byte("2")}, Expires: []int64{0, 5000}, ExpireMS: 9000})
	if err := c.End(); err != nil {
		t.Fatal(err)
	}
	want := []string{"HSET k a 1 b 2", "HPEXPIREAT k 5000 FIELDS 1 b", "PEXPIREAT k 9000"}
	if !slices.Equal(got, want) {
		t.Errorf("commands are %q, want %q", got, want)
	}
}
