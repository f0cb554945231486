package param

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// ParseMemory reads a size as redis.conf spells it: 1024, 64mb, 1gb, 1g (k, m
// and g are powers of ten, kb, mb and gb of two).
func ParseMemory(v string) (int64, error) {
	digits := strings.TrimRight(strings.ToLower(v), "kmgtb")
	unit, ok := map[string]int64{
		"": 1, "b": 1, "k": 1e3, "kb": 1 << 10, "m": 1e6, "mb": 1 << 20, "g": 1e9, "gb": 1 << 30, "t": 1e12, "tb": 1 << 40,
	}[strings.ToLower(v)[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || n < 0 || n > math.MaxInt64/unit {
		return 0, errors.New("argument must be a memory value")
	}
	return n * unit, nil
}

// FormatMemory is the shortest spelling of a size that ParseMemory reads: "64mb".
func FormatMemory(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"tb", 1 << 40}, {"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}} {
		if n > 0 && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
