package rdb

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// withTimes is a stream whose consumers were active at these times.
func withTimes(s *Stream, times ...int64) *Stream {
	c := *s
	c.Groups = func(yield func(StreamGroup) bool) {
		n := 0
		for g := range s.Groups {
			consumers := slices.Collect(g.Consumers)
			for i := range consumers {
				consumers[i].Active = times[n]
				n++
			}
			g.Consumers = slices.Values(consumers)
			if !yield(g) {
				return
			}
		}
	}
	return &c
}

// timesOf are when the consumers of a stream were active.
func timesOf(s *Stream) (out []int64) {
	for g := range s.Groups {
		for c := range g.Consumers {
			out = append(out, c.Active)
		}
	}
	return out
}

// TestActiveTimes: a file has when consumers were active, of version 10 too, whose streams have
// no place for it; without a word it is when they were seen. DUMP has no word. A field that
// does not fit the stream behind it is refused.
func TestActiveTimes(t *testing.T) {
	seen := []int64{1700000000003, 1, 1700000000004}
	want := []int64{1700000000001, NeverActive, 1700000000004}
	s := withTimes(sampleStream(), want...)
	file := func(s *Stream) []byte {
		var b bytes.Buffer
		w := NewWriter(&b)
		w.Header(nil)
		w.SelectDB(0)
		w.Expire(4102444800000)
		w.Stream([]byte("other"), sampleStream())
		w.Expire(4102444800000)
		w.Stream([]byte("s"), s)
		w.Stream([]byte("third"), sampleStream())
		if err := w.End(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	written := file(s)
	got := map[string][]int64{}
	aux := 0
	err := Read(bytes.NewReader(written), Handler{
		Aux: func(_, _ []byte) { aux++ },
		Object: func(o *Object) error {
			got[string(o.Key)] = timesOf(o.Stream)
			if dated := o.ExpireMS != 0; dated != (string(o.Key) != "third") {
				t.Errorf("%s has the deadline %d", o.Key, o.ExpireMS)
			}
			return nil
		},
	})
	if err != nil || aux > 0 {
		t.Fatal(err, aux)
	}
	for key, times := range map[string][]int64{"other": seen, "s": want, "third": seen} {
		if !slices.Equal(got[key], times) {
			t.Errorf("%s: %v, want %v", key, got[key], times)
		}
	}
	if bytes.Contains(file(sampleStream()), []byte(auxActive)) {
		t.Error("what needs no word has one")
	}

	b, err := EncodeObject(nil, &Object{Type: TypeStream, Stream: s})
	if err != nil {
		t.Fatal(err)
	}
	o, err := DecodeObject(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := timesOf(o.Stream); !slices.Equal(got, seen) {
		t.Errorf("by DUMP: %v, want %v", got, seen)
	}

	at := bytes.Index(written, []byte(auxActive)) + len(auxActive)
	for name, value := range map[string][]byte{"too few": written[at+1 : at+17], "too many": append(slices.Clone(written[at+1:at+25]), make([]byte, 8)...), "half": written[at+1 : at+22]} {
		spoiled := appendString(slices.Clone(written[:at]), value)
		spoiled = append(spoiled, written[at+25:len(written)-8]...)
		spoiled = binary.LittleEndian.AppendUint64(spoiled, CRC64(0, spoiled))
		if err := Read(bytes.NewReader(spoiled), Handler{Object: func(*Object) error { return nil }}); err == nil || !strings.Contains(err.Error(), "consumers") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
