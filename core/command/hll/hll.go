package hll

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

const (
	indexBits = 14
	runBits   = 64 - indexBits

	// Registers is how many registers there are.
	Registers = 1 << indexBits
	// MaxRegister is the largest value that an element can raise a register to.
	MaxRegister = runBits + 1

	registerBits = 6
	registerMask = 1<<registerBits - 1

	headerSize = 16
	denseSize  = headerSize + Registers*registerBits/8

	offEncoding = 4
	offCard     = 8
	offUnknown  = 15 // the byte with the bit that says that the cardinality is not known
	unknownBit  = 0x80

	encodingDense  = 0
	encodingSparse = 1
)

var magic = [4]byte{'H', 'Y', 'L', 'L'}

// ErrCorrupt says that the runs of a sparse HyperLogLog do not add up.
var ErrCorrupt = errors.New("corrupted HyperLogLog")

// Valid tells whether a string may be a HyperLogLog. The runs of a sparse one are
// not looked at: what reads them returns ErrCorrupt.
func Valid(b []byte) bool {
	return len(b) >= headerSize && [4]byte(b) == magic &&
		(b[offEncoding] == encodingSparse || b[offEncoding] == encodingDense && len(b) == denseSize)
}

// New returns a HyperLogLog that has seen nothing. It is sparse.
func New() []byte {
	b := make([]byte, headerSize, headerSize+8)
	copy(b, magic[:])
	b[offEncoding] = encodingSparse
	return appendZeros(b, Registers)
}

// Dense tells whether a valid HyperLogLog is dense.
func Dense(b []byte) bool { return b[offEncoding] == encodingDense }

// Cached returns the cardinality that is kept in a valid HyperLogLog; ok is false
// when it is not known.
func Cached(b []byte) (n uint64, ok bool) {
	return binary.LittleEndian.Uint64(b[offCard:]), b[offUnknown]&unknownBit == 0
}

// CacheAt is where the bytes of AppendCache belong.
const CacheAt = offCard

// AppendCache appends the bytes that keep a cardinality in a HyperLogLog.
func AppendCache(dst []byte, n uint64) []byte { return binary.LittleEndian.AppendUint64(dst, n) }

// Forget marks the cardinality of a valid HyperLogLog as not known.
func Forget(b []byte) { b[offUnknown] |= unknownBit }

// Place returns the register that an element chooses, and the value it raises it to.
func Place(element []byte) (register int, value uint8) {
	h := murmur64(element)
	run := bits.TrailingZeros64(h>>indexBits | 1<<runBits)
	return int(h & (Registers - 1)), uint8(run + 1) // at most MaxRegister
}

// murmur64 is MurmurHash2 with 64 bits and Redis's seed.
func murmur64(b []byte) uint64 {
	const seed, m, r = 0xadc83b19, 0xc6a4a7935bd1e995, 47
	h := seed ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		k = (k ^ k>>r) * m
		h = (h ^ k) * m
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		h = (h ^ binary.LittleEndian.Uint64(tail[:])) * m
	}
	h = (h ^ h>>r) * m
	return h ^ h>>r
}

// Register returns register i of a dense HyperLogLog.
func Register(b []byte, i int) uint8 {
	at, shift := headerSize+i*registerBits/8, i*registerBits%8
	two := uint16(b[at])
	if at+1 < len(b) {
		two |= uint16(b[at+1]) << 8
	}
	return uint8(two >> shift & registerMask) // six bits
}

// Raised returns the bytes of a dense HyperLogLog that change, and where they are,
// when register i is raised to value; none when it has that value or more.
func Raised(b []byte, i int, value uint8) (at int, part [2]byte, n int) {
	if Register(b, i) >= value {
		return 0, part, 0
	}
	at = headerSize + i*registerBits/8
	shift := i * registerBits % 8
	n = copy(part[:], b[at:])
	two := binary.LittleEndian.Uint16(part[:])&^(registerMask<<shift) | uint16(value)<<shift
	binary.LittleEndian.PutUint16(part[:], two)
	return at, part, n
}

// raise raises a register of a dense HyperLogLog, and tells whether that changed it.
func raise(b []byte, i int, value uint8) bool {
	at, part, n := Raised(b, i, value)
	copy(b[at:], part[:n])
	return n > 0
}

// Max are the registers of HyperLogLogs that are looked at together: of each the
// largest.
type Max [Registers]uint8

// Merge takes a valid HyperLogLog into the maximum.
func (m *Max) Merge(b []byte) error {
	if Dense(b) {
		for i := range m {
			m[i] = max(m[i], Register(b, i))
		}
		return nil
	}
	return eachRun(b, func(at, n int, value uint8) {
		if value == 0 {
			return
		}
		for i := at; i < at+n; i++ {
			m[i] = max(m[i], value)
		}
	})
}

// ToDense returns the dense form of a valid HyperLogLog, which is b itself if it
// is dense.
func ToDense(b []byte) ([]byte, error) {
	if Dense(b) {
		return b, nil
	}
	dense := make([]byte, denseSize)
	copy(dense, b[:headerSize])
	dense[offEncoding] = encodingDense
	err := eachRun(b, func(at, n int, value uint8) {
		if value == 0 {
			return
		}
		for i := at; i < at+n; i++ {
			raise(dense, i, value)
		}
	})
	if err != nil {
		return nil, err
	}
	return dense, nil
}

// Set raises a register of a valid HyperLogLog, which it may write to, and returns
// what becomes of it. A sparse one that would be longer than limit, or cannot have
// the value, becomes dense. The cached cardinality is forgotten if anything changed.
func Set(b []byte, register int, value uint8, limit int) (out []byte, changed bool, err error) {
	if !Dense(b) {
		if value <= sparseMax {
			out, outcome, err := setSparse(b, register, value, limit)
			if err != nil || outcome != tooLong {
				if outcome == changedRun {
					Forget(out)
				}
				return out, outcome == changedRun, err
			}
		}
		if b, err = ToDense(b); err != nil {
			return nil, false, err
		}
	}
	changed = raise(b, register, value)
	if changed {
		Forget(b)
	}
	return b, changed, nil
}
