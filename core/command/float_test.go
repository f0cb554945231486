package command

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// TestFloatsOfDigits: what is read without strconv is what that reads.
func TestFloatsOfDigits(t *testing.T) {
	check := func(text string) {
		t.Helper()
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		f, n, exact := strtod([]byte(text))
		if math.Float64bits(f) != math.Float64bits(want) || n != len(text) || !exact {
			t.Errorf("%q is %v, %d bytes, exact %v, want %v", text, f, n, exact, want)
		}
	}
	rng := rand.New(rand.NewPCG(5, 7))
	for digits := 1; digits <= 20; digits++ {
		for _, sign := range []string{"", "-", "+"} {
			check(sign + strings.Repeat("0", digits))
			check(sign + strings.Repeat("9", digits))
			for range 100 {
				check(fmt.Sprintf("%s%0*d", sign, digits, rng.Uint64()>>rng.IntN(64)))
			}
		}
	}
	for text, read := range map[string]int{"": 0, "-": 0, "--1": 0, "-a": 0, "12a": 2, "1.5": 3, "1:": 1, "1/": 1, "-12;": 3, "1\x00": 1, "1_0": 1} {
		if _, n, _ := strtod([]byte(text)); n != read {
			t.Errorf("of %q %d bytes are read, want %d", text, n, read)
		}
	}
}
