package plugintest

import (
	"bytes"
	"context"
	"errors"
	"runtime/metrics"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
)

// Allocated returns how many bytes f made be allocated on the heap, whether they
// were freed again or not. What runs beside f counts too.
func Allocated(f func()) int64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	before := s[0].Value.Uint64()
	f()
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - before)
}

// maxFuzzOutput is how much of a decompression bomb is looked at.
const maxFuzzOutput = 16 << 20

// FuzzStage is the body of a fuzz target of a stage. Arbitrary bytes, and an
// arbitrary receipt, must not make Decode panic, nor reserve more than memory
// and a hundred bytes for each of the input; and whatever Encode is given comes
// back. seeds are stored parts, of released versions for example.
func FuzzStage(f *testing.F, s sink.Stage, memory int64, seeds ...[]byte) {
	for _, data := range [][]byte{nil, []byte("hello"), Payload(5000)} {
		var stored bytes.Buffer
		receipt, err := s.Encode(context.Background(), part(1, 0), &stored, bytes.NewReader(data))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(stored.Bytes(), []byte(receipt))
	}
	for _, stored := range seeds {
		f.Add(stored, []byte(nil))
	}
	f.Fuzz(func(t *testing.T, in, receipt []byte) {
		out := &limitWriter{maxFuzzOutput}
		got := Allocated(func() {
			_ = s.Decode(context.Background(), part(1, 0), receipt, out, bytes.NewReader(in))
		})
		if most := memory + 100*int64(len(in)); got > most {
			t.Fatalf("decoding %d bytes made %d be allocated; at most %d may", len(in), got, most)
		}
		var stored, back bytes.Buffer
		r, err := s.Encode(context.Background(), part(1, 0), &stored, bytes.NewReader(in))
		if err == nil {
			err = s.Decode(context.Background(), part(1, 0), r, &back, &stored)
		}
		if err == nil && !bytes.Equal(back.Bytes(), in) {
			err = errors.New("what comes back is different")
		}
		if err != nil {
			t.Fatalf("encode and decode %d bytes: %v", len(in), err)
		}
	})
}
