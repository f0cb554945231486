package hll

import "math"

// Count estimates how many different elements a valid HyperLogLog has seen.
func Count(b []byte) (uint64, error) {
	var h histogram
	if Dense(b) {
		for i := range Registers {
			h[Register(b, i)]++
		}
		return h.estimate(), nil
	}
	err := eachRun(b, func(_, n int, value uint8) { h[value] += n })
	return h.estimate(), err
}

// Count estimates how many different elements all of them have seen.
func (m *Max) Count() uint64 {
	var h histogram
	for _, v := range m {
		h[v&registerMask]++
	}
	return h.estimate()
}

// histogram is how many registers have each value.
type histogram [1 << registerBits]int

// estimate is the estimator of Ertl's paper. Products are rounded before they are
// added, so that the estimate is the same on every machine.
func (h *histogram) estimate() uint64 {
	const m, alpha = Registers, 0.721347520444481703680 // 1/(2 ln 2)
	z := m * tau((m-float64(h[MaxRegister]))/m)
	for j := runBits; j >= 1; j-- {
		z += float64(h[j])
		z *= 0.5
	}
	z += float64(m * sigma(float64(h[0])/m))
	return uint64(math.Round(alpha * m * m / z))
}

// sigma corrects for registers that are 0.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x *= x
		before := z
		z += float64(x * y)
		y += y
		if z == before {
			return z
		}
	}
}

// tau corrects for registers that have the largest value.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		before := z
		y *= 0.5
		z -= float64((1 - x) * (1 - x) * y)
		if z == before {
			return z / 3
		}
	}
}
