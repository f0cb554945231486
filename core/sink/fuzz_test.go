package sink_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

// FuzzDecodeSet feeds documents, as they are and with a checksum that matches,
// so that mutations reach beyond it. What is read must be written and read again
// as the same set, be clonable, and come out of a sink's List or not at all.
func FuzzDecodeSet(f *testing.F) {
	for name, set := range goldenSets() {
		file, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		body, err := json.Marshal(set)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
		f.Add(body)
	}
	f.Add([]byte(`{"id":{"generation":1,"kind":"snapshot"},"created_at":"9999-12-31T23:59:59+23:59","parts":[]}`))
	f.Add([]byte(`{"id":{"generation":1,"kind":"segment"},"parts":[{"part":{"generation":1,"kind":"segment","name":"../x"},"bytes":-1}]}`))
	f.Add(bytes.Repeat([]byte("["), 20_000))
	f.Fuzz(func(t *testing.T, in []byte) {
		checkSet(t, in)
		checkSet(t, fmt.Appendf(nil, `{"format":"spillway-set","version":1,"crc32c":"%08x","set":%s}`, compactSum(in), in))
	})
}

func compactSum(body []byte) uint32 {
	var b bytes.Buffer
	_ = json.Compact(&b, body) // what is not JSON has no sum, and is refused
	return crc32.Checksum(b.Bytes(), crc32.MakeTable(crc32.Castagnoli))
}

func checkSet(t *testing.T, doc []byte) {
	t.Helper()
	var set sink.Set
	var err error
	// The densest JSON is an array of objects without members.
	if used := plugintest.Allocated(func() { set, err = sink.DecodeSet(doc) }); used > 2<<20+400*int64(len(doc)) {
		t.Fatalf("%d bytes made %d be allocated", len(doc), used)
	}
	fs := memfs.New()
	dir := "checkpoints/00000001"
	if err := vfs.MkdirAllSync(fs, dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFileAtomic(fs, dir+"/"+sink.SetFile, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	listed, lerr := sink.NewFSSink("fs", fs, "checkpoints").List(bg)
	if err != nil {
		if !errors.Is(err, sink.ErrCorrupt) && !sink.IsPermanent(err) {
			t.Fatalf("the error has no class: %v", err)
		}
		if lerr == nil || len(listed) != 0 {
			t.Fatalf("List shows what DecodeSet refuses: %v, %v", listed, lerr)
		}
		return
	}
	if in := set.ID.Generation == 1 && set.ID.Kind != sink.KindSegment; in != (len(listed) == 1) || in != (lerr == nil) {
		t.Fatalf("%s in the directory of generation 1 is listed as %v, %v", set.ID, listed, lerr)
	}
	again, err := sink.EncodeSet(*set.Clone())
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	back, err := sink.DecodeSet(again)
	if err != nil {
		t.Fatalf("what was read and written cannot be read: %v\n%s", err, again)
	}
	if third, err := sink.EncodeSet(back); err != nil || !bytes.Equal(third, again) {
		t.Fatalf("it changes from reading to reading: %v\n%s\n%s", err, again, third)
	}
}

// FuzzReadPart gives a pipeline stored bytes and a record of them that agree,
// as who can write to a sink may forge both: reading either gives what the
// record says or fails, within bounded memory, and leaves nothing running.
func FuzzReadPart(f *testing.F) {
	z, err := zstd.New(zstd.Options{})
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range []int{0, 10, 5000} {
		var stored bytes.Buffer
		if _, err := z.Encode(bg, sink.Part{}, &stored, bytes.NewReader(plugintest.Payload(n))); err != nil {
			f.Fatal(err)
		}
		f.Add(stored.Bytes(), int64(n), true)
		f.Add(stored.Bytes(), int64(1)<<62, true)
		f.Add(stored.Bytes(), int64(-1), true)
		f.Add(stored.Bytes(), int64(n), false)
	}
	f.Fuzz(func(t *testing.T, stored []byte, raw int64, staged bool) {
		local := plugintest.NewMemSink("local")
		p := sink.NewPipeline("fuzz", []sink.Stage{z}, local, nil, sink.PipelineOptions{Buffer: 8 << 10})
		part := sink.Part{Kind: sink.KindSnapshot, Generation: 1, Shards: 1, Name: "shard-0000.rdb.zst"}
		receipt, err := local.Put(bg, part, bytes.NewReader(stored))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(stored)
		sp := sink.SetPart{
			Part: part, Bytes: int64(len(stored)), RawBytes: raw, SHA256: hex.EncodeToString(sum[:]), RawSHA256: hex.EncodeToString(sum[:]),
			SinkReceipt: receipt,
		}
		if staged {
			sp.Stages, sp.StageReceipts = p.StageRecords(), []sink.Receipt{nil}
		}
		var got bytes.Buffer
		used := plugintest.Allocated(func() {
			err = p.Read(bg, sp, func(r io.Reader) error {
				_, err := io.Copy(&got, io.LimitReader(r, 1<<20))
				return err
			})
		})
		if used > 32<<20 {
			t.Fatalf("%d stored bytes made %d be allocated", len(stored), used)
		}
		if err == nil && (staged || !bytes.Equal(got.Bytes(), stored) || raw != int64(len(stored))) {
			t.Fatalf("%d bytes that are not what is recorded were accepted", got.Len())
		}
	})
}
