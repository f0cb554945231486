package wal

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
)

// block is one that a test hands to a taker itself.
func block(seq uint64, data string) *RawBlock { return &RawBlock{Seq: seq, Data: []byte(data)} }

// TestBacklogHoldsTheNewest: a backlog is bounded by bytes, hands out what it
// holds without a gap, and refuses what it does not hold: what is gone, and what
// never was.
func TestBacklogHoldsTheNewest(t *testing.T) {
	const size = 1000
	b := NewBacklog(10 * (size + blockCost))
	if _, err := b.From(1); !errors.Is(err, ErrNotHeld) {
		t.Fatalf("before it has joined: %v", err)
	}
	b.Begin(100)
	for seq := uint64(101); seq <= 150; seq++ {
		if err := b.Take(block(seq, fmt.Sprintf("%*d", size, seq))); err != nil {
			t.Fatal(err)
		}
		first, last, bytes := b.Held()
		if last != seq || first != max(101, seq-9) || bytes > b.limit {
			t.Fatalf("block %d: it holds %d to %d, %d bytes", seq, first, last, bytes)
		}
		for from := first; from <= seq+1; from++ {
			held, err := b.From(from)
			if err != nil || uint64(len(held)) != seq+1-from {
				t.Fatalf("block %d: %d from %d on: %v", seq, len(held), from, err)
			}
			for i, h := range held {
				if want := from + uint64(i); h.Seq != want || string(h.Data) != fmt.Sprintf("%*d", size, want) {
					t.Fatalf("block %d from %d on is %d", i, from, h.Seq)
				}
			}
		}
		for _, not := range []uint64{0, first - 1, seq + 2} {
			if _, err := b.From(not); !errors.Is(err, ErrNotHeld) {
				t.Fatalf("block %d: from %d on: %v", seq, not, err)
			}
		}
	}
	// The newest block is held, however large.
	if err := b.Take(block(151, string(make([]byte, 2*b.limit)))); err != nil {
		t.Fatal(err)
	}
	if first, last, _ := b.Held(); first != 151 || last != 151 {
		t.Fatalf("it holds %d to %d", first, last)
	}
}

// TestBacklogJoinsAgain: what it holds is good when nothing was missed, and
// dropped otherwise.
func TestBacklogJoinsAgain(t *testing.T) {
	b := NewBacklog(1 << 20)
	b.Begin(0)
	for seq := uint64(1); seq <= 3; seq++ {
		_ = b.Take(block(seq, "x"))
	}
	b.Begin(3)
	if held, err := b.From(1); err != nil || len(held) != 3 {
		t.Fatalf("without a gap: %v, %v", held, err)
	}
	b.Begin(5)
	if held, err := b.From(6); err != nil || len(held) != 0 {
		t.Fatalf("behind a gap: %v, %v", held, err)
	}
	for _, seq := range []uint64{1, 4, 5} {
		if _, err := b.From(seq); !errors.Is(err, ErrNotHeld) {
			t.Fatalf("behind a gap, block %d: %v", seq, err)
		}
	}
}

// TestBacklogNext: a reader waits for the next block, and for nothing else.
func TestBacklogNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBacklog(1 << 20)
		b.Begin(0)
		type result struct {
			block RawBlock
			err   error
		}
		next := func(ctx context.Context, seq uint64) <-chan result {
			c := make(chan result, 1)
			go func() {
				block, err := b.Next(ctx, seq)
				c <- result{block, err}
			}()
			synctest.Wait()
			return c
		}
		first, second := next(t.Context(), 1), next(t.Context(), 1)
		if len(first)+len(second) != 0 {
			t.Fatal("there is no block yet")
		}
		_ = b.Take(block(1, "one"))
		for _, c := range []<-chan result{first, second, next(t.Context(), 1)} {
			if r := <-c; r.err != nil || string(r.block.Data) != "one" {
				t.Fatalf("%+v", r)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		waits := next(ctx, 2)
		cancel()
		if r := <-waits; !errors.Is(r.err, context.Canceled) {
			t.Fatalf("%+v", r)
		}
		waits = next(t.Context(), 2)
		b.Begin(7) // it was away, and block 2 will never come
		if r := <-waits; !errors.Is(r.err, ErrNotHeld) {
			t.Fatalf("%+v", r)
		}
	})
}
