package plugintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
)

// TestStage checks that the stages mk makes keep the promises of sink.Stage.
// mk is called once per check; a stage must be able to undo what it did.
func TestStage(t *testing.T, mk func(t testing.TB) sink.Stage) {
	checks := []struct {
		name string
		f    func(t *testing.T, s sink.Stage)
	}{
		{"info", stageInfo},
		{"round trip", stageRoundTrip},
		{"reader fails", stageReaderFails},
		{"writer fails", stageWriterFails},
		{"cancelled", stageCancelled},
		{"damaged input", stageDamage},
		{"concurrent", stageConcurrent},
		{"in a pipeline", stageInPipeline},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			s := mk(t)
			NoLeaks(t)
			Within(t, c.name, func() { c.f(t, s) })
		})
	}
}

func stageInfo(t *testing.T, s sink.Stage) {
	i := s.Info()
	if i.Name == "" || i.Version == "" {
		t.Errorf("Info() = %+v: name and version must not be empty", i)
	}
	if err := sink.CheckName("shard-0000.rdb" + i.Suffix); err != nil {
		t.Errorf("suffix %q: %v", i.Suffix, err)
	}
	if s.Info() != i {
		t.Errorf("Info() changes: %+v, then %+v", i, s.Info())
	}
}

// encode runs Encode on data and checks how it was read.
func encode(t testing.TB, s sink.Stage, p sink.Part, data []byte, chunk int) ([]byte, sink.Receipt) {
	var out bytes.Buffer
	src := &source{data: data, chunk: chunk}
	r, err := s.Encode(context.Background(), p, &out, src)
	if err != nil {
		t.Errorf("Encode of %d bytes: %v", len(data), err)
		return nil, nil
	}
	if !src.ended {
		t.Errorf("Encode of %d bytes returned nil before it met io.EOF", len(data))
	}
	if len(r) > sink.MaxReceipt {
		t.Errorf("receipt of %d bytes, at most %d are kept", len(r), sink.MaxReceipt)
	}
	return out.Bytes(), r
}

func decode(t testing.TB, s sink.Stage, p sink.Part, r sink.Receipt, stored []byte, chunk int) []byte {
	var out bytes.Buffer
	src := &source{data: stored, chunk: chunk}
	if err := s.Decode(context.Background(), p, r, &out, src); err != nil {
		t.Errorf("Decode of %d bytes: %v", len(stored), err)
	} else if !src.ended {
		t.Errorf("Decode of %d bytes returned nil before it met io.EOF", len(stored))
	}
	return out.Bytes()
}

func stageRoundTrip(t *testing.T, s sink.Stage) {
	for _, n := range []int{0, 1, 100, 4096, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 3<<20 + 17} {
		for _, chunk := range []int{0, 1, 1000} {
			if chunk == 1 && n > 100<<10 || chunk > 0 && n > 2<<20 {
				continue // a megabyte in small pieces shows what there is to see
			}
			data := Payload(n)
			stored, r := encode(t, s, part(1, 0), data, chunk)
			if back := decode(t, s, part(1, 0), r, stored, chunk); !bytes.Equal(back, data) {
				t.Errorf("%d bytes in reads of %d: what comes back is different (%d bytes)", n, chunk, len(back))
			}
		}
	}
}

func stageReaderFails(t *testing.T, s sink.Stage) {
	for _, n := range []int{0, 1, 100_000, 2 << 20} {
		_, err := s.Encode(context.Background(), part(1, 0), io.Discard, &source{data: Payload(n), fail: errInjected})
		if !errors.Is(err, errInjected) {
			t.Errorf("Encode, reader fails after %d bytes: error %v does not wrap the reader's", n, err)
		}
		stored, r := encode(t, s, part(1, 0), Payload(n), 0)
		err = s.Decode(context.Background(), part(1, 0), r, io.Discard, &source{data: stored[:len(stored)/2], fail: errInjected})
		if err == nil {
			t.Errorf("Decode of %d bytes: nil although the reader failed half way", len(stored))
		}
	}
}

func stageWriterFails(t *testing.T, s sink.Stage) {
	data := Payload(2 << 20)
	stored, r := encode(t, s, part(1, 0), data, 0)
	for _, n := range []int{0, 1, len(stored) / 2, len(stored) - 1} {
		if _, err := s.Encode(context.Background(), part(1, 0), &brokenWriter{n}, &source{data: data}); err == nil {
			t.Errorf("Encode: nil although the writer failed after %d bytes", n)
		}
	}
	for _, n := range []int{0, 1, len(data) / 2, len(data) - 1} {
		if err := s.Decode(context.Background(), part(1, 0), r, &brokenWriter{n}, &source{data: stored}); err == nil {
			t.Errorf("Decode: nil although the writer failed after %d bytes", n)
		}
	}
}

func stageCancelled(t *testing.T, s sink.Stage) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	src := &source{data: Payload(300_000), fail: context.Canceled, after: cancel}
	if _, err := s.Encode(ctx, part(1, 0), io.Discard, src); err == nil {
		t.Error("Encode: nil although it was cancelled")
	}
	stored, r := encode(t, s, part(1, 0), Payload(300_000), 0)
	ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	src = &source{data: stored[:len(stored)/2], fail: context.Canceled, after: cancel}
	if err := s.Decode(ctx, part(1, 0), r, io.Discard, src); err == nil {
		t.Error("Decode: nil although it was cancelled")
	}
}

// stageDamage asks for no error, only for a return: a stage need not notice
// damage, the pipeline's digests do.
func stageDamage(t *testing.T, s sink.Stage) {
	seed := rand.Int63()
	rng := rand.New(rand.NewSource(seed))
	stored, r := encode(t, s, part(1, 0), Payload(50_000), 0)
	for i := range 200 {
		bad := bytes.Clone(stored)
		receipt := bytes.Clone(r)
		switch {
		case i%4 == 0 && len(bad) > 0:
			bad = bad[:rng.Intn(len(bad))]
		case i%4 == 1:
			bad = append(bad, Payload(1+rng.Intn(100))...)
		case i%4 == 2 && len(receipt) > 0:
			receipt = receipt[:rng.Intn(len(receipt))]
		default:
			for range 1 + rng.Intn(3) {
				if len(bad) > 0 {
					bad[rng.Intn(min(len(bad), 1+rng.Intn(len(bad))))] ^= byte(1 + rng.Intn(255))
				}
			}
		}
		func() {
			defer func() {
				if v := recover(); v != nil {
					t.Errorf("Decode of damaged bytes panics (seed %d, round %d): %v", seed, i, v)
				}
			}()
			_ = s.Decode(context.Background(), part(1, 0), receipt, &limitWriter{64 << 20}, &source{data: bad})
		}()
	}
}

func stageConcurrent(t *testing.T, s sink.Stage) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 4 {
				data := Payload(10_000*i + 777*j)
				p := part(uint64(1+j), i)
				stored, r := encode(t, s, p, data, 0)
				if !bytes.Equal(decode(t, s, p, r, stored, 0), data) {
					t.Errorf("part %d of 8 at once: what comes back is different", i)
				}
			}
		})
	}
	wg.Wait()
}

func stageInPipeline(t *testing.T, s sink.Stage) {
	p := sink.NewPipeline("plugintest", []sink.Stage{s}, NewMemSink("local"), nil, sink.PipelineOptions{VerifyDecode: true})
	data := Payload(3 << 20)
	sp, err := p.Write(context.Background(), p.Part(1, sink.SetID{Generation: 1, Kind: sink.KindSnapshot}, 0, 1), func(w io.Writer) (int64, error) {
		n, err := w.Write(data)
		return int64(n), err
	}, nil)
	if err != nil {
		t.Errorf("Write: %v", err)
		return
	}
	err = p.Read(context.Background(), sp, func(r io.Reader) error {
		back, err := io.ReadAll(r)
		if err == nil && !bytes.Equal(back, data) {
			err = fmt.Errorf("%d bytes come back, and they are different", len(back))
		}
		return err
	})
	if err != nil {
		t.Errorf("Read: %v", err)
	}
}
