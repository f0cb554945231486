package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// length64 is a length in its longest form.
func length64(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{0x81}, n) }

// allocated is how many bytes f made be allocated.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// endless is a reader that never runs out, as a few bytes behind a compression
// stage do not: it counts what is taken.
type endless struct{ taken int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.taken += int64(len(p))
	return len(p), nil
}

// TestStringLimit: a string longer than any command could write is refused by
// its length alone, wherever the format has one, and however many bytes there
// really are.
func TestStringLimit(t *testing.T) {
	const gb = 1 << 30
	header := seal(10)[:9]
	for _, n := range []uint64{MaxString + 1, 3 * gb, 1 << 40, 1 << 63} {
		claim := length64(n)
		for name, value := range map[string][]byte{
			"key":             append([]byte{encString}, claim...),
			"aux":             append([]byte{opAux}, claim...),
			"string":          object(encString, "k", claim),
			"member":          object(encSet, "k", append([]byte{2}, claim...)),
			"score's member":  object(encZSet2, "k", append([]byte{2}, claim...)),
			"field":           object(encHash, "k", append([]byte{2, 1, 'f'}, claim...)),
			"listpack":        object(encHashListpack, "k", claim),
			"quicklist plain": object(encListQuicklist2, "k", append([]byte{1, 1}, claim...)),
			"quicklist node":  object(encListQuicklist2, "k", append([]byte{1, 2}, claim...)),
			"function":        append([]byte{opFunction2}, claim...),
			"compressed":      object(encString, "k", append([]byte{0xC3}, claim...)),
			"expanded":        object(encString, "k", append(append([]byte{0xC3, 4}, claim...), 0, 'x', 0, 'x')),
		} {
			rest := &endless{}
			var err error
			used := allocated(func() {
				err = Read(io.MultiReader(bytes.NewReader(header), bytes.NewReader(value), rest), Handler{
					Unsupported: func(*UnsupportedError) error { return nil },
				})
			})
			var bad *CorruptError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), fmt.Sprint(n)) || !strings.Contains(err.Error(), "proto-max-bulk-len") {
				t.Errorf("%s of %d bytes: %v", name, n, err)
			}
			if used > 1<<20 || rest.taken > 1<<20 {
				t.Errorf("%s of %d bytes: %d were allocated and %d read", name, n, used, rest.taken)
			}
		}
	}
}

// TestLengthsArrive: a length within the limit costs what has really come.
func TestLengthsArrive(t *testing.T) {
	for _, come := range []int{0, 1000, 3 << 20, 10 << 20} {
		data := append(append(seal(10)[:9], object(encString, "k", length64(MaxString))...), make([]byte, come)...)
		var err error
		used := allocated(func() { err = Read(bytes.NewReader(data), Handler{}) })
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", come, err)
		}
		if most := uint64(2<<20 + 6*come); used > most {
			t.Errorf("%d bytes of a string that claims %d made %d be allocated, want at most %d", come, MaxString, used, most)
		}
	}
}

// TestLZFLengths: a block that does not give what it claims is found before
// memory is taken for it.
func TestLZFLengths(t *testing.T) {
	literals := bytes.Repeat([]byte{31, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h',
		'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}, 30000) // 990,000 bytes, of 960,000
	for _, n := range []uint64{uint64(len(literals)) * 88, 960_001, 959_999} {
		value := append([]byte{0xC3}, append(length64(uint64(len(literals))), length64(n)...)...)
		data := append(append(seal(10)[:9], object(encString, "k", append(value, literals...))...), make([]byte, 64)...)
		var err error
		used := allocated(func() { err = Read(bytes.NewReader(data), Handler{}) })
		var bad *CorruptError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), "LZF") {
			t.Errorf("960,000 bytes that claim to be %d: %v", n, err)
		}
		if used > 3<<20 {
			t.Errorf("960,000 bytes that claim to be %d made %d be allocated", n, used)
		}
	}
	if o, err := DecodeObject(append([]byte{encString}, lzfString(literals[:33], 32)...)); err != nil || string(o.Str) != string(literals[1:33]) {
		t.Errorf("a block of literals: %v", err)
	}
}
