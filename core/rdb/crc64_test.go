package rdb

import (
	"math/rand/v2"
	"testing"
)

// TestCRC64InParts: the checksum is that of one byte after the other, however long the input is and
// in whatever parts it comes.
func TestCRC64InParts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	p := make([]byte, 5*foldStep*foldStep+5)
	for i := range p {
		p[i] = byte(rnd.Uint32()) // any
	}
	slow := func(p []byte) (crc uint64) {
		for i := range p {
			crc = CRC64(crc, p[i:i+1])
		}
		return crc
	}
	for _, size := range []int{0, 7, 8, foldLeast - 1, foldLeast, foldLeast + 1, foldLeast + foldStep - 1, foldLeast + foldStep, 1000, len(p) - 1, len(p)} {
		want := slow(p[:size])
		if got := CRC64(0, p[:size]); got != want {
			t.Errorf("%d bytes: %x, want %x", size, got, want)
		}
		if cut := rnd.IntN(size + 1); CRC64(CRC64(0, p[:cut]), p[cut:size]) != want {
			t.Errorf("%d bytes in two parts, of which the first has %d: not %x", size, cut, want)
		}
	}
}
