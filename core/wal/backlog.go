package wal

import (
	"context"
	"errors"
	"sync"
)

// ErrNotHeld is what a Backlog returns for a block that it does not hold: one
// that has made room for later ones, or that is none of this order. The reader
// begins anew, from a copy of the data.
var ErrNotHeld = errors.New("the backlog does not hold this block")

// Backlog is a taker that keeps the newest blocks in memory, for readers that go
// at a pace of their own, such as replicas. No commit depends on it. It may join
// and leave, and join again: what it held then is good as long as the numbers go
// on without a gap.
type Backlog struct {
	limit int

	mu     sync.Mutex
	blocks []RawBlock // without gaps, oldest first; those before head are gone
	head   int
	bytes  int
	last   uint64        // number of the newest block, held or not
	begun  bool          // last means something
	more   chan struct{} // closed when a block comes; nil: nobody waits
}

var _ Taker = (*Backlog)(nil)

// blockCost is what a block costs in memory beside its bytes, roughly.
const blockCost = 96

// NewBacklog returns a backlog that holds blocks of up to limit bytes together,
// and the newest one in any case.
func NewBacklog(limit int) *Backlog { return &Backlog{limit: limit} }

// Begin implements Taker.
func (b *Backlog) Begin(after uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.begun || b.last != after {
		b.blocks, b.head, b.bytes = nil, 0, 0
	}
	b.last, b.begun = after, true
	b.tell()
}

// Take implements Taker.
func (b *Backlog) Take(block *RawBlock) error {
	own := block.clone()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blocks = append(b.blocks, own)
	b.bytes += len(own.Data) + blockCost
	b.last = own.Seq
	for b.bytes > b.limit && b.head < len(b.blocks)-1 {
		b.bytes -= len(b.blocks[b.head].Data) + blockCost
		b.blocks[b.head] = RawBlock{}
		b.head++
	}
	if b.head > len(b.blocks)/2 {
		n := copy(b.blocks, b.blocks[b.head:])
		clear(b.blocks[n:])
		b.blocks, b.head = b.blocks[:n], 0
	}
	b.tell()
	return nil
}

// Need implements Taker.
func (b *Backlog) Need() Need { return Optional }

// Sync implements Taker.
func (b *Backlog) Sync() error { return nil }

// tell wakes those who wait for the next block. The caller holds mu.
func (b *Backlog) tell() {
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
}

// From returns the blocks from number seq on, oldest first, none if seq is that
// of the next block to come. They must not be changed.
func (b *Backlog) From(seq uint64) ([]RawBlock, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	held, err := b.from(seq)
	return append([]RawBlock(nil), held...), err
}

// Next returns block seq, and waits for it if it is the next to come. It must
// not be changed.
func (b *Backlog) Next(ctx context.Context, seq uint64) (RawBlock, error) {
	for {
		b.mu.Lock()
		held, err := b.from(seq)
		if len(held) > 0 || err != nil {
			b.mu.Unlock()
			if err != nil {
				return RawBlock{}, err
			}
			return held[0], nil
		}
		if b.more == nil {
			b.more = make(chan struct{})
		}
		more := b.more
		b.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return RawBlock{}, ctx.Err()
		}
	}
}

// from is From without a copy. The caller holds mu.
func (b *Backlog) from(seq uint64) ([]RawBlock, error) {
	held := b.blocks[b.head:]
	next := b.last + 1
	if !b.begun || seq > next || seq < next-uint64(len(held)) {
		return nil, ErrNotHeld
	}
	return held[uint64(len(held))-(next-seq):], nil
}

// Held tells which blocks are held, from first to last; first is last + 1 if none
// is. bytes is what they take.
func (b *Backlog) Held() (first, last uint64, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last + 1 - uint64(len(b.blocks)-b.head), b.last, b.bytes
}
