package arena

import (
	"bytes"
	"testing"
)

// TestBuffer: a buffer keeps what is in it while it grows.
func TestBuffer(t *testing.T) {
	t.Parallel()
	var b Buffer
	want := []byte{}
	for size := 1 << 10; size <= 32<<20; size *= 4 {
		mem := b.Grow(size)
		if len(mem) < size || !bytes.Equal(mem[:len(want)], want) {
			t.Fatalf("after it has grown to %d it holds something else", size)
		}
		for i := len(want); i < len(mem); i++ {
			mem[i] = byte(i * 7 >> 3)
		}
		want = bytes.Clone(mem)
	}
	b.Free()
	b.Free()
	c := TakeChunk()
	if len(c.Bytes()) != ChunkSize {
		t.Errorf("a chunk of %d bytes", len(c.Bytes()))
	}
	GiveChunk(c)
}
