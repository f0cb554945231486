package hll

import (
	"fmt"
	"slices"
	"strings"
)

const (
	zeroMax   = 64        // registers of a ZERO
	valMax    = 4         // registers of a VAL
	sparseMax = 32        // value of a VAL
	xzeroMax  = Registers // registers of an XZERO
)

// A run is what is at some place of a sparse HyperLogLog.
type run struct {
	n     int // registers
	value uint8
	size  int // bytes
}

// runAt reads the run at a place. An XZERO that ends after its first byte is read
// as Redis reads it, which has a zero byte behind every string.
func runAt(b []byte, at int) run {
	switch x := b[at]; {
	case x&0x80 != 0:
		return run{int(x&3) + 1, x>>2&31 + 1, 1}
	case x&0x40 == 0:
		return run{int(x) + 1, 0, 1}
	case at+1 < len(b):
		return run{int(x&63)<<8 + int(b[at+1]) + 1, 0, 2}
	default:
		return run{int(x&63)<<8 + 1, 0, 2}
	}
}

// appendZeros appends a run of n registers that are 0.
func appendZeros(b []byte, n int) []byte {
	if n > zeroMax {
		return append(b, 0x40|byte((n-1)>>8), byte(n-1)) // n is at most xzeroMax
	}
	return append(b, byte(n-1))
}

// appendRun appends a run of n registers, at most valMax if they are not 0.
func appendRun(b []byte, n int, value uint8) []byte {
	if value == 0 {
		return appendZeros(b, n)
	}
	return append(b, val(n, value))
}

func val(n int, value uint8) byte { return 0x80 | (value-1)<<2 | byte(n-1) } // n is at most valMax

// eachRun calls fn with the runs of a sparse HyperLogLog, as long as they fit.
func eachRun(b []byte, fn func(at, n int, value uint8)) error {
	i := 0
	for at := headerSize; at < len(b); {
		r := runAt(b, at)
		if i+r.n > Registers {
			return ErrCorrupt
		}
		fn(i, r.n, r.value)
		i += r.n
		at += r.size
	}
	if i != Registers {
		return ErrCorrupt
	}
	return nil
}

// outcome says what raising a register of a sparse HyperLogLog has led to.
type outcome uint8

const (
	unchanged  outcome = iota
	changedRun         // it is done
	tooLong            // nothing is done: the result would be too long
)

// setSparse raises a register to a value of at most sparseMax. It writes to b.
func setSparse(b []byte, register int, value uint8, limit int) ([]byte, outcome, error) {
	// The run that has the register, and the one before it.
	first, at, before := 0, headerSize, headerSize
	var r run
	for {
		if at >= len(b) {
			return nil, unchanged, ErrCorrupt
		}
		r = runAt(b, at)
		if at+r.size > len(b) {
			return nil, unchanged, ErrCorrupt
		}
		if register < first+r.n {
			break
		}
		first += r.n
		before = at
		at += r.size
	}
	if r.value >= value {
		return b, unchanged, nil
	}
	// It becomes what is before the register, the register, and what is behind it.
	var room [5]byte
	runs := room[:0]
	if n := register - first; n > 0 {
		runs = appendRun(runs, n, r.value)
	}
	runs = appendRun(runs, 1, value)
	if n := first + r.n - 1 - register; n > 0 {
		runs = appendRun(runs, n, r.value)
	}
	if len(runs) > r.size && len(b)+len(runs)-r.size > limit {
		return b, tooLong, nil
	}
	b = slices.Replace(b, at, at+r.size, runs...)
	return joinRuns(b, before), changedRun, nil
}

// joinRuns joins neighbours of the same value, among the few runs from a place on.
// Redis joins no others, and so must we to end with the same bytes.
func joinRuns(b []byte, at int) []byte {
	for looks := 5; looks > 0 && at < len(b); looks-- {
		r := runAt(b, at)
		if r.value == 0 {
			at += r.size
			continue
		}
		if at+1 < len(b) && b[at+1]&0x80 != 0 {
			if next := runAt(b, at+1); next.value == r.value && r.n+next.n <= valMax {
				b[at+1] = val(r.n+next.n, r.value)
				b = slices.Delete(b, at, at+1)
				continue
			}
		}
		at++
	}
	return b
}

// Decode shows the runs of a sparse HyperLogLog as PFDEBUG DECODE does.
func Decode(b []byte) string {
	var out strings.Builder
	for at := headerSize; at < len(b); {
		r := runAt(b, at)
		switch {
		case r.value > 0:
			fmt.Fprintf(&out, "v:%d,%d ", r.value, r.n)
		case r.size == 1:
			fmt.Fprintf(&out, "z:%d ", r.n)
		default:
			fmt.Fprintf(&out, "Z:%d ", r.n)
		}
		at += r.size
	}
	return strings.TrimSuffix(out.String(), " ")
}
