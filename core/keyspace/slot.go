package keyspace

import "bytes"

// numSlots is the number of slots of Redis Cluster.
const numSlots = 16384

// Slot returns the Redis Cluster slot of key: CRC-16 of the key, or of what
// stands between its first { and the next } if that is not empty.
func Slot(key []byte) int {
	if open := bytes.IndexByte(key, '{'); open >= 0 {
		if n := bytes.IndexByte(key[open+1:], '}'); n > 0 {
			key = key[open+1 : open+1+n]
		}
	}
	return int(crc16(key) % numSlots)
}

// crc16 is CRC-16/XMODEM, polynomial 0x1021. It takes eight bytes at a time, since
// every command computes it for its keys: byte by byte, each look-up has to wait for
// the one before it.
func crc16(b []byte) (crc uint16) {
	t := &crcTables
	for ; len(b) >= 8; b = b[8:] {
		crc = t[7][byte(crc>>8)^b[0]] ^ t[6][byte(crc)^b[1]] ^ t[5][b[2]] ^ t[4][b[3]] ^ t[3][b[4]] ^ t[2][b[5]] ^ t[1][b[6]] ^ t[0][b[7]]
	}
	if len(b) >= 4 {
		crc = t[3][byte(crc>>8)^b[0]] ^ t[2][byte(crc)^b[1]] ^ t[1][b[2]] ^ t[0][b[3]]
		b = b[4:]
	}
	for _, c := range b {
		crc = crc<<8 ^ t[0][byte(crc>>8)^c]
	}
	return crc
}

// crcTables hold, for each byte, the CRC of it with so many zero bytes behind it.
var crcTables = func() (t [8][256]uint16) {
	for i := range t[0] {
		crc := uint16(i) << 8 // i < 256
		for zeros := range t {
			for range 8 {
				if crc&0x8000 != 0 {
					crc = crc<<1 ^ 0x1021
				} else {
					crc <<= 1
				}
			}
			t[zeros][i] = crc
		}
	}
	return t
}()
