package command

import (
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/command/hll"
	"github.com/spillwaydb/spillway/core/resp"
)

// sketches makes random commands on a few HyperLogLogs, and on strings that are
// none or are spoiled.
func (w words) sketches() (line []string, unordered bool) {
	key := func() string { return pick(w, "a", "b", "c", "d", "e", "nosuch") }
	elements := func(line ...string) []string {
		n := pick(w, 0, 1, 1, 3, 30, 300)
		if line[1] == "e" {
			n = min(n, 1) // Redis keeps, and does not log, what it has done when it meets the corrupt part
		}
		for range n {
			line = append(line, pick(w, "e"+strconv.Itoa(w.rng.IntN(100_000)), strconv.FormatUint(w.rng.Uint64(), 36), w.member()))
		}
		return line
	}
	switch w.rng.IntN(16) {
	case 0, 1, 2, 3:
		return elements("PFADD", key()), false
	case 4, 5:
		return []string{"PFCOUNT", key()}, false
	case 6:
		return []string{"PFCOUNT", key(), key(), key()}, false
	case 7:
		return []string{"PFMERGE", key(), key(), key()}[:2+w.rng.IntN(3)], false
	case 8:
		return []string{"PFDEBUG", pick(w, "DECODE", "decode", "ENCODING", "TODENSE", "GETREG", "NOSUCH"), pick(w, "a", "b", "nosuch")}, false
	case 9:
		return []string{"DEL", key()}, false
	case 10:
		if w.rng.IntN(3) > 0 {
			return []string{"OBJECT", "ENCODING", key()}, false
		}
		b := hll.New()
		switch w.rng.IntN(6) {
		case 0:
			b[4] = byte(w.rng.IntN(3))
		case 1:
			b[w.rng.IntN(len(b))] ^= byte(1 << w.rng.IntN(8))
		case 2:
			b = append(b, byte(w.rng.IntN(64)))
		case 3:
			b = append(b[:16], 0x80|byte(w.rng.IntN(128)))
		case 4:
			b = b[:16]
		default:
			b = []byte("HYLL")
		}
		return []string{"SET", "e", string(b)}, false
	case 11:
		return []string{"RPUSH", "nosuch", "x"}, false
	}
	return []string{"GET", key()}, false
}

func TestHyperLogLogAgainstRedis(t *testing.T) {
	is := func(name, reply string) func([]string, resp.Value) bool {
		return func(line []string, v resp.Value) bool { return line[0] == name && strings.Contains(v.String(), reply) }
	}
	(&compared{
		rounds:  6_000,
		command: words.sketches,
		met: map[string]func([]string, resp.Value) bool{
			"dense":     is("PFDEBUG", "dense"),
			"sparse":    is("PFDEBUG", "sparse"),
			"runs":      is("PFDEBUG", "v:1,2"),
			"registers": func(l []string, v resp.Value) bool { return l[0] == "PFDEBUG" && len(v.Elems) > 0 },
			"no sketch": is("PFADD", "not a valid HyperLogLog"),
			"corrupt":   is("PFCOUNT", "INVALIDOBJ"),
			"many":      func(l []string, v resp.Value) bool { return l[0] == "PFCOUNT" && v.Int > 500 },
		},
	}).compare(t)
}

// TestSparseLimitOfThePast replays what was logged under one limit under others: a
// HyperLogLog is sparse, or dense, as it was.
func TestSparseLimitOfThePast(t *testing.T) {
	x, twin := newTester(t, 2), newTester(t, 2)
	l := x.ks.Limits()
	for i, limit := range []int{100, 3000, 20, 500} {
		l.HLLSparse = limit
		x.ks.SetLimits(l)
		l.HLLSparse = 3000 / (i + 1)
		twin.ks.SetLimits(l)
		line := []string{"PFADD", "k" + strconv.Itoa(i)}
		for n := range 200 {
			line = append(line, strconv.Itoa(n))
		}
		x.run(line...)
		x.run("PFMERGE", "m"+strconv.Itoa(i), "k"+strconv.Itoa(i), "k0", "k1")
		x.run("PFCOUNT", "k"+strconv.Itoa(i))
	}
	twin.replay(x.effects)
	if want, got := strings.Join(x.state(), "\n"), strings.Join(twin.state(), "\n"); want != got {
		t.Errorf("the log replays to another state\nwant:\n%s\ngot:\n%s", want, got)
	}
	if a, b := x.do("PFDEBUG ENCODING k0"), x.do("PFDEBUG ENCODING k1"); a != `"dense"` || b != `"sparse"` {
		t.Errorf("k0 is %s and k1 %s", a, b)
	}
}
