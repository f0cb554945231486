package host_test

import (
	"bytes"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
)

func part(gen uint64) sink.Part {
	return sink.Part{Job: 1, Kind: sink.KindSnapshot, Generation: gen, Shards: 1, Name: "shard-0000.rdb"}
}

func putPart(t testing.TB, s sink.Sink, gen uint64, data []byte) sink.SetPart {
	t.Helper()
	r, err := s.Put(t.Context(), part(gen), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return sink.SetPart{Part: part(gen), Bytes: int64(len(data)), SinkReceipt: r}
}
