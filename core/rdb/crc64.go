package rdb

import "encoding/binary"

// jonesPoly is the reflected form of 0xad93d23594c935a9. Redis starts from 0
// and does not invert, so hash/crc64 cannot be used as it is.
const jonesPoly = 0x95ac9329ac4bc9b5

// crcShift is a polynomial times x, modulo that of the checksum.
func crcShift(c uint64) uint64 {
	if c&1 == 1 {
		return c>>1 ^ jonesPoly
	}
	return c >> 1
}

var crcTable = func() (t [8][256]uint64) {
	for i := range t[0] {
		c := uint64(i)
		for range 8 {
			c = crcShift(c)
		}
		t[0][i] = c
	}
	for i := range t[0] {
		for k := 1; k < 8; k++ {
			c := t[k-1][i]
			t[k][i] = t[0][c&0xff] ^ c>>8
		}
	}
	return t
}()

// CRC64 continues crc (0 to begin) over p with the CRC-64/Jones that Redis
// uses for RDB files and DUMP payloads.
func CRC64(crc uint64, p []byte) uint64 {
	if n := len(p) &^ (foldStep - 1); n >= foldLeast && canFold {
		x := [2]uint64{crc}
		fold(&x, &p[0], n, &foldBy)
		crc = crcStep(crcStep(x[0]) ^ x[1])
		p = p[n:]
	}
	for len(p) >= 8 {
		crc = crcStep(crc ^ binary.LittleEndian.Uint64(p))
		p = p[8:]
	}
	for _, b := range p {
		crc = crcTable[0][byte(crc)^b] ^ crc>>8
	}
	return crc
}

// crcStep is what a checksum is 8 bytes later, all of them zero.
func crcStep(crc uint64) uint64 {
	t := &crcTable
	return t[7][crc&0xff] ^ t[6][crc>>8&0xff] ^ t[5][crc>>16&0xff] ^ t[4][crc>>24&0xff] ^
		t[3][crc>>32&0xff] ^ t[2][crc>>40&0xff] ^ t[1][crc>>48&0xff] ^ t[0][crc>>56]
}

// A long input is folded where the processor multiplies without carries, as polynomials are multiplied: 16 bytes
// are multiplied by what they count for later, modulo the polynomial, and added to the 16 bytes that are there. What is
// left in the end, 16 bytes, has the checksum of all. It takes a twentieth of the time of the table (BenchmarkCRC64), with
// which a tenth of a start from a snapshot went.
const (
	foldStep  = 64           // bytes, in four places at a time, so that none waits for the one before
	foldLeast = 2 * foldStep // for less the table is as fast
)

// foldBy is what 16 bytes are multiplied by, in two halves: to be added to those 64 bytes later, and 16. A product
// of two reflected polynomials is reflected once too often, and so counts for one power less.
var foldBy = [4]uint64{crcPower(8*64 + 63), crcPower(8*64 - 1), crcPower(8*16 + 63), crcPower(8*16 - 1)}

// crcPower is x to the power of n, modulo the polynomial.
func crcPower(n int) uint64 {
	c := uint64(1) << 63
	for range n {
		c = crcShift(c)
	}
	return c
}
