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
	t := &crcTable
	for len(p) >= 8 {
		crc ^= binary.LittleEndian.Uint64(p)
		crc = t[7][crc&0xff] ^ t[6][crc>>8&0xff] ^ t[5][crc>>16&0xff] ^ t[4][crc>>24&0xff] ^
			t[3][crc>>32&0xff] ^ t[2][crc>>40&0xff] ^ t[1][crc>>48&0xff] ^ t[0][crc>>56]
		p = p[8:]
	}
	for _, b := range p {
		crc = t[0][byte(crc)^b] ^ crc>>8
	}
	return crc
}
