package geo

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestTrigonometry compares with series that are added up with 200 bits.
func TestTrigonometry(t *testing.T) {
	exact := func(x float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(x) }
	series := func(bigX *big.Float, first int64) *big.Float { // sine from 1 on, cosine from 0 on
		x2 := new(big.Float).SetPrec(300).Mul(bigX, bigX)
		term := new(big.Float).SetPrec(300).SetInt64(1)
		if first == 1 {
			term.Set(bigX)
		}
		sum := new(big.Float).SetPrec(300).Set(term)
		for n := first + 1; n < 120; n += 2 {
			term.Mul(term, x2)
			term.Quo(term, new(big.Float).SetInt64(-n*(n+1)))
			sum.Add(sum, term)
		}
		return sum
	}
	precise := func(x float64, first int64) float64 {
		f, _ := series(exact(x), first).Float64()
		return f
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		x := (rng.Float64() - 0.5) * math.Ldexp(13, -rng.IntN(30))
		if got, want := sine(x), precise(x, 1); got != want {
			t.Errorf("the sine of %v is %v, not %v", x, want, got)
		}
		if got, want := cosine(x), precise(x, 0); got != want {
			t.Errorf("the cosine of %v is %v, not %v", x, want, got)
		}
		y := rng.Float64()
		a := arcSine(y)
		below, above := math.Nextafter(a, -1), math.Nextafter(a, 2)
		middle := func(other float64) *big.Float {
			sum := new(big.Float).SetPrec(300).Add(exact(a), exact(other))
			return series(sum.Quo(sum, exact(2)), 1)
		}
		if middle(below).Cmp(exact(y)) > 0 || middle(above).Cmp(exact(y)) < 0 {
			t.Errorf("the arc sine of %v is not %v", y, a)
		}
	}
	if d := float64(degree); math.Float64bits(d) != 0x3f91df46a2529d39 {
		t.Error("a degree is not what it is in C")
	}
}

// TestRangesCoverTheShape: what is in a shape is in one of its ranges. (Beyond the
// edges of the map Redis does not look, nor do we.)
func TestRangesCoverTheShape(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	found := 0
	for range 3000 {
		s := Shape{Center: Point{rng.Float64()*300 - 150, rng.Float64()*140 - 70}, Unit: 1000, Box: rng.IntN(2) == 0}
		size := math.Pow(10, rng.Float64()*3)
		s.Radius, s.Width, s.Height = size, size, size*rng.Float64()
		for range 20 {
			spread := size / 60
			p := Point{s.Center.Lon + (rng.Float64()-0.5)*spread, s.Center.Lat + (rng.Float64()-0.5)*spread}
			if !p.Valid() {
				continue
			}
			p = FromScore(float64(p.Score()))
			if _, in := s.Distance(p); !in {
				continue
			}
			found++
			covered := false
			s.Ranges(func(from, to uint64) bool {
				covered = covered || from <= p.Score() && p.Score() < to
				return true
			})
			if !covered {
				t.Fatalf("%v is in %+v and in none of its ranges", p, s)
			}
		}
	}
	if found < 1000 {
		t.Errorf("only %d points were in a shape", found)
	}
}

// TestEveryScoreIsAPlace: any score may be in a sorted set.
func TestEveryScoreIsAPlace(t *testing.T) {
	for _, f := range []float64{0, -1, 1 << 52, 1e18, 1 << 63, 1e19, 1 << 64, 1e300, -1e300, math.Inf(1), math.Inf(-1)} {
		if p := FromScore(f); !p.Valid() {
			t.Errorf("the score %v is at %v", f, p)
		}
	}
}
