package geo

import "math"

// Distances are printed with four digits after the point, and C's sine, cosine and
// arc sine round nearly always to the nearest number there is. Go's may be one off,
// which now and then is the last digit. So they are computed here with twice the
// digits, and rounded once.

// double is a number that is the sum of two, the second far smaller than the first.
type double struct{ hi, lo float64 }

// quickSum is a+b where a is the larger one.
func quickSum(a, b float64) double {
	s := a + b
	return double{s, b - (s - a)}
}

func twoSum(a, b float64) double {
	s := a + b
	t := s - a
	return double{s, (a - (s - t)) + (b - t)}
}

func twoProduct(a, b float64) double {
	p := float64(a * b)
	return double{p, math.FMA(a, b, -p)}
}

func (a double) add(b double) double {
	s := twoSum(a.hi, b.hi)
	return quickSum(s.hi, s.lo+a.lo+b.lo)
}

func (a double) mul(b double) double {
	p := twoProduct(a.hi, b.hi)
	return quickSum(p.hi, p.lo+float64(a.hi*b.lo)+float64(a.lo*b.hi))
}

// inverse is 1/n for a whole number n.
func inverse(n float64) double {
	q := 1 / n
	return quickSum(q, -math.FMA(q, n, -1)/n)
}

// terms is how many terms the series have; of the next one nothing is seen up to π/4.
const terms = 13

// The factors from one term to the next of the series of sine and cosine.
var sineSteps, cosineSteps [terms]double

func init() {
	for i := range terms {
		n := float64(2*i + 1)
		cosineSteps[i] = inverse(-n * (n + 1))
		sineSteps[i] = inverse(-(n + 1) * (n + 2))
	}
}

// series adds up first, and terms each of which is the one before it by steps and x².
func series(first, x2 double, steps *[terms]double) double {
	sum := double{}
	for i := terms - 1; i >= 0; i-- { // Horner's rule: first·(1 + s0·x²·(1 + s1·x²·(…)))
		sum = sum.add(double{1, 0}).mul(x2).mul(steps[i])
	}
	return first.add(first.mul(sum))
}

// sincos returns sine and cosine of x, which is at most a few turns.
func sincos(x float64) (sin, cos double) {
	// π/2 in three parts
	const p1, p2, p3 = 0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110
	k := math.RoundToEven(x / p1)
	part := twoProduct(-k, p1)
	r := twoSum(x, part.hi).add(double{part.lo, 0}).add(twoProduct(-k, p2)).add(double{-k * p3, 0})
	r2 := r.mul(r)
	sin = series(r, r2, &sineSteps)
	cos = series(double{1, 0}, r2, &cosineSteps)
	minus := func(a double) double { return double{-a.hi, -a.lo} }
	switch int(k) & 3 {
	case 1:
		return cos, minus(sin)
	case 2:
		return minus(sin), minus(cos)
	case 3:
		return minus(cos), sin
	}
	return sin, cos
}

func sine(x float64) float64 {
	s, _ := sincos(x)
	return s.hi
}

// cosine takes any number. Where it is large, only squares depend on it and no
// distance does.
func cosine(x float64) float64 {
	if !(math.Abs(x) < 8) {
		return math.Cos(x)
	}
	_, c := sincos(x)
	return c.hi
}

// arcSine is that of a number from 0 on; of more than 1 it is not a number.
func arcSine(y float64) float64 {
	x := math.Asin(y)
	if !(y < 1) {
		return x
	}
	// One step of Newton's method doubles the digits.
	s, c := sincos(x)
	off := s.add(double{-y, 0})
	return x - (off.hi+off.lo)/c.hi
}
