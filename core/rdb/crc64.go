package rdb

import "encoding/binary"

// jonesPoly is the reflected form of 0xad93d23594c935a9. Redis starts from 0
// and does not invert, so hash/crc64 cannot be used as it is.
const jonesPoly = 0x95ac9329ac4bc9b5

var crcTable = func() (t [8][256]uint64) {
	for i := range t[0] {
		c := uint64(i)
		for range 8 {
			if c&1 == 1 {
				c = c>>1 ^ jonesPoly
			} else {
				c >>= 1
			}
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
	for len(p) >= 3*crcLane {
		var b, c uint64
		for i := 0; i < crcLane; i += 8 {
			crc = crcStep(&crcTable, crc^binary.LittleEndian.Uint64(p[i:]))
			b = crcStep(&crcTable, b^binary.LittleEndian.Uint64(p[crcLane+i:]))
			c = crcStep(&crcTable, c^binary.LittleEndian.Uint64(p[2*crcLane+i:]))
		}
		crc = crcStep(&crcOver, crcStep(&crcOver, crc)^b) ^ c
		p = p[3*crcLane:]
	}
	for len(p) >= 8 {
		crc = crcStep(&crcTable, crc^binary.LittleEndian.Uint64(p))
		p = p[8:]
	}
	for _, b := range p {
		crc = crcTable[0][byte(crc)^b] ^ crc>>8
	}
	return crc
}

// crcLane is how long the three parts of a large input are whose checksums are computed in turn, so that the processor
// looks something up for the next while it waits for the one before: it takes less than half of the time.
const crcLane = 1 << 10

// crcStep is what a checksum is 8 bytes later, or with crcOver crcLane bytes, all of them zero.
func crcStep(t *[8][256]uint64, crc uint64) uint64 {
	return t[7][crc&0xff] ^ t[6][crc>>8&0xff] ^ t[5][crc>>16&0xff] ^ t[4][crc>>24&0xff] ^
		t[3][crc>>32&0xff] ^ t[2][crc>>40&0xff] ^ t[1][crc>>48&0xff] ^ t[0][crc>>56]
}

// crcOver leads a checksum over crcLane bytes of zero, which is linear: bit by bit.
var crcOver = func() (t [8][256]uint64) {
	for k := range t {
		for c := 1; c < 256; c++ {
			if rest := c & (c - 1); rest != 0 { // all bits but the lowest
				t[k][c] = t[k][rest] ^ t[k][c^rest]
				continue
			}
			crc := uint64(c) << (8 * (7 - k)) // positive
			for range crcLane / 8 {
				crc = crcStep(&crcTable, crc)
			}
			t[k][c] = crc
		}
	}
	return t
}()
