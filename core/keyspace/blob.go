package keyspace

import "encoding/binary"

// blob is a key and its value as they lie in the arena, sliced to their exact
// length; doc.go draws it. One that a live view can see is never written, but
// for the bytes of its access clock, which no view reads.
type blob []byte

const (
	blobHeader   = 16
	deadlineSize = 8

	offEpoch = 0
	offKey   = 4
	offValue = 8
	offFlags = 12
	offClock = 13

	flagType     = 0x07
	flagEnc      = 0x70
	flagEncShift = 4
	flagDeadline = 0x80
)

func (b blob) epoch() uint32 { return binary.LittleEndian.Uint32(b[offEpoch:]) }
func (b blob) keyLen() int   { return int(binary.LittleEndian.Uint32(b[offKey:])) }
func (b blob) typ() Type     { return Type(b[offFlags] & flagType) }
func (b blob) enc() enc      { return enc(b[offFlags] & flagEnc >> flagEncShift) }

func (b blob) hasDeadline() bool { return b[offFlags]&flagDeadline != 0 }

// deadline is in Unix milliseconds, 0 for none.
func (b blob) deadline() int64 {
	if !b.hasDeadline() {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(b[blobHeader:])) // the bits of a signed number
}

// keyAt is where the key begins.
func (b blob) keyAt() int { return blobHeader + int(b[offFlags]>>7)*deadlineSize }

func (b blob) key() []byte {
	at := b.keyAt()
	end := at + b.keyLen()
	return b[at:end:end]
}

// payload is the value: the bytes of a string, or whatever the encoding says.
func (b blob) payload() []byte { return b[b.keyAt()+b.keyLen() : len(b) : len(b)] }

// blobFlags is the byte that says what a blob holds.
func blobFlags(t Type, e enc, deadline int64) byte {
	f := byte(t) | byte(e)<<flagEncShift
	if deadline != 0 {
		f |= flagDeadline
	}
	return f
}

// blobSize is how long a blob is.
func blobSize(key, payload int, deadline int64) int {
	n := blobHeader + key + payload
	if deadline != 0 {
		n += deadlineSize
	}
	return n
}

// setHeader writes everything before the key except the clock.
func (b blob) setHeader(epoch uint32, key, payload int, flags byte, deadline int64) {
	binary.LittleEndian.PutUint32(b[offEpoch:], epoch)
	binary.LittleEndian.PutUint32(b[offKey:], uint32(key))       // checked by put
	binary.LittleEndian.PutUint32(b[offValue:], uint32(payload)) // checked by put
	b[offFlags] = flags
	if deadline != 0 {
		binary.LittleEndian.PutUint64(b[blobHeader:], uint64(deadline)) // its bits
	}
}

// headerSize reads the length of a blob from its first bytes.
func headerSize(h *[blobHeader]byte) int {
	return blobHeader + int(h[offFlags]>>7)*deadlineSize +
		int(binary.LittleEndian.Uint32(h[offKey:])) + int(binary.LittleEndian.Uint32(h[offValue:]))
}

// clock is 24 bits; access.go says of what.
func (b blob) clock() uint32 {
	return uint32(b[offClock]) | uint32(b[offClock+1])<<8 | uint32(b[offClock+2])<<16
}

// setClock writes byte by byte: a view may be reading the flags beside it.
func (b blob) setClock(c uint32) {
	b[offClock], b[offClock+1], b[offClock+2] = byte(c), byte(c>>8), byte(c>>16)
}
