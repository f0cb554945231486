package hll

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// SelfTest is PFSELFTEST: registers keep what is written to them and leave their
// neighbours alone, both forms agree, and estimates are as near as they must be. A
// sparse HyperLogLog may have limit bytes.
func SelfTest(rng *rand.Rand, limit int) error {
	if err := testRegisters(rng); err != nil {
		return err
	}
	return testEstimates(rng, limit)
}

func testRegisters(rng *rand.Rand) error {
	for range 100 {
		var want Max
		dense, _ := ToDense(New())
		for i := range want {
			want[i] = uint8(rng.IntN(1 << registerBits)) // six bits
			raise(dense, i, want[i])
		}
		for i, v := range want {
			if got := Register(dense, i); got != v {
				return fmt.Errorf("TESTFAILED Register %d should be %d but is %d", i, v, got)
			}
		}
	}
	return nil
}

func testEstimates(rng *rand.Rand, limit int) error {
	const most = 10_000_000
	dense, _ := ToDense(New())
	either := New()
	relative := 1.04 / math.Sqrt(Registers)
	seed := rng.Uint64()
	next := uint64(1)
	for n := uint64(1); n <= most; n++ {
		var element [8]byte
		binary.LittleEndian.PutUint64(element[:], n^seed)
		i, v := Place(element[:])
		raise(dense, i, v)
		var err error
		if either, _, err = Set(either, i, v, limit); err != nil {
			return err
		}
		if n != next {
			continue
		}
		next *= 10
		if n < uint64(max(limit, 0))/2 && Dense(either) {
			return errors.New("TESTFAILED sparse encoding not used")
		}
		a, _ := Count(dense)
		b, err := Count(either)
		if err != nil || a != b {
			return errors.New("TESTFAILED dense/sparse disagree")
		}
		off := a - n
		if a < n {
			off = n - a
		}
		allowed := uint64(math.Ceil(relative * 6 * float64(n)))
		if n == 10 {
			allowed = 1
		}
		if off > allowed {
			return fmt.Errorf("TESTFAILED Too big error. card:%d abserr:%d", n, off)
		}
	}
	return nil
}
