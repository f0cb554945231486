package arena

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
)

// TestPool: blocks keep what was written to them as long as somebody owns them, whoever takes and frees
// others meanwhile, and the last owner is told so.
func TestPool(t *testing.T) {
	p := NewPool()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(g))) // below 4
			var blocks []Block
			for range 3000 {
				if len(blocks) < 100 && rng.IntN(3) > 0 {
					b := p.Alloc(1 + rng.IntN(3000))
					if !b.Sole() {
						t.Error("a new block has another owner")
					}
					b.Data = b.Data[:cap(b.Data)]
					for i := range b.Data {
						b.Data[i] = byte(len(b.Data))
					}
					blocks = append(blocks, b)
					continue
				}
				if len(blocks) == 0 {
					continue
				}
				at := rng.IntN(len(blocks))
				b := blocks[at]
				blocks[at] = blocks[len(blocks)-1]
				blocks = blocks[:len(blocks)-1]
				if n := bytes.Count(b.Data, []byte{byte(len(b.Data))}); n != len(b.Data) {
					t.Errorf("%d bytes of %d are what they were", n, len(b.Data))
				}
				b.Hold()
				var drops sync.WaitGroup
				last := make(chan bool, 2)
				for range 2 {
					drops.Go(func() { last <- b.Drop() })
				}
				drops.Wait()
				if a, c := <-last, <-last; a == c {
					t.Errorf("of two owners the last is the first: %v, the second: %v", a, c)
				}
				if rng.IntN(2) == 0 {
					b.Keep()
					if !b.Sole() || !b.Drop() {
						t.Error("a block that was kept has another owner")
					}
				}
				p.Free(b)
			}
			for _, b := range blocks {
				if !b.Drop() {
					t.Error("a block has an owner that nobody is")
				}
				p.Free(b)
			}
		})
	}
	wg.Wait()
	if n := p.Used(); n != 0 {
		t.Errorf("%d bytes are in use by nobody", n)
	}
}
