package sink_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillwaydb/spillway/core/sink"
)

// goldenSets are the sets in testdata/golden-v1.*.json, which the first release
// wrote. Those files are never regenerated. Between them they have every field
// and every kind of receipt: none, empty, of a stage, of a sink, of a target.
func goldenSets() map[string]sink.Set {
	digest := func(c string) string { return strings.Repeat(c, 32) }
	snapshot := sink.Set{
		ID:        sink.SetID{Generation: 42, Kind: sink.KindSnapshot},
		CreatedAt: time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC),
		Stages:    []sink.StageRecord{{Name: "zstd", Version: "1"}, {Name: "age", Version: "1"}},
		Parts: []sink.SetPart{
			{
				Part:  sink.Part{Job: 7, Kind: sink.KindSnapshot, Generation: 42, Shard: 0, Shards: 2, Name: "shard-0000.rdb.zst.age"},
				Bytes: 1234, RawBytes: 56789, SHA256: digest("0a"), RawSHA256: digest("1b"), Keys: 321,
				Stages:         []sink.StageRecord{{Name: "zstd", Version: "1"}, {Name: "age", Version: "1"}},
				StageReceipts:  []sink.Receipt{nil, sink.Receipt("nonce \x00\xff")},
				SinkReceipt:    sink.Receipt("local"),
				TargetReceipts: map[string]sink.Receipt{"offsite": sink.Receipt(`"etag"`), "nas": {}},
			},
			{
				Part:  sink.Part{Job: 7, Kind: sink.KindSnapshot, Generation: 42, Shard: 1, Shards: 2, Name: "shard-0001.rdb.zst.age"},
				Bytes: 0, RawBytes: 0, SHA256: digest("2c"), RawSHA256: digest("3d"),
				Stages:        []sink.StageRecord{{Name: "zstd", Version: "1"}, {Name: "age", Version: "1"}},
				StageReceipts: []sink.Receipt{nil, nil},
			},
		},
		CreatedBy: "spillway <1.0> & more",
		Meta:      map[string]string{"cut": "00000007", "ключ": "значение \u2028"},
	}
	return map[string]sink.Set{
		"testdata/golden-v1.snapshot.json": snapshot,
		"testdata/golden-v1.rewrite.json": {
			ID: sink.SetID{Generation: 18446744073709551615, Kind: sink.KindRewrite}, CreatedAt: time.Unix(0, 0).UTC(),
			Parts: []sink.SetPart{{
				Part:  sink.Part{Kind: sink.KindRewrite, Generation: 18446744073709551615, Shards: 1, Name: "shard-0000.aof"},
				Bytes: 9223372036854775807, RawBytes: 9223372036854775807, SHA256: digest("4e"), RawSHA256: digest("5f"), Keys: 9223372036854775807,
			}},
		},
		"testdata/golden-v1.segment.json": {ID: sink.SetID{Generation: 7, Kind: sink.KindSegment}, CreatedAt: time.Unix(1_700_000_000, 0).UTC()},
	}
}

// TestGoldenSets: what the first release published is read for ever, and what is
// published today is what it would have written.
func TestGoldenSets(t *testing.T) {
	for name, want := range goldenSets() {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := sink.DecodeSet(file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s reads as something else (-want +got):\n%s", name, diff)
		}
		now, err := sink.EncodeSet(want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(now, file) {
			t.Errorf("%s is written differently today:\n%s", name, now)
		}
	}
}
