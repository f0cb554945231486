package command

import (
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
)

// bits makes random commands on the bits of a few strings.
func (w words) bits() (line []string, unordered bool) {
	key := func() string { return pick(w, "a", "b", "c", "d", "nosuch") }
	index := func() string {
		return pick(w, strconv.Itoa(w.rng.IntN(40)-20), strconv.Itoa(w.rng.IntN(400)-200), w.index())
	}
	offset := func() string {
		return pick(w, strconv.Itoa(w.rng.IntN(300)), strconv.Itoa(w.rng.IntN(300)), strconv.Itoa(w.rng.IntN(300)), pick(w, "-1", "4294967296", "x", "", "#1", "1.5"))
	}
	field := func() string {
		if w.rng.IntN(20) == 0 {
			return pick(w, "u64", "i65", "u0", "x8", "", "i", "u-1", "I8", "u8\x00x")
		}
		return pick(w, "u", "i") + strconv.Itoa(1+w.rng.IntN(63))
	}
	at := func() string {
		if w.rng.IntN(30) == 0 {
			return pick(w, "#-1", "-1", "#", "#x", "4294967296", "#4294967296", "#1152921504606846976") // none is valid: a string of 512 MB is TestLargeBits's
		}
		return pick(w, "", "", "#") + strconv.Itoa(w.rng.IntN(100))
	}
	integer := func() string {
		return pick(w, strconv.Itoa(w.rng.IntN(300)-150), strconv.FormatInt(w.rng.Int64()>>w.rng.IntN(64), 10),
			strconv.FormatInt(-w.rng.Int64()>>w.rng.IntN(64), 10), pick(w, "9223372036854775807", "-9223372036854775808", "x", "9223372036854775808"))
	}
	ranged := func(line ...string) []string {
		switch w.rng.IntN(6) {
		case 0:
			return line
		case 1:
			return append(line, index())
		case 2:
			return append(line, index(), index(), pick(w, "BYTE", "bit", "BIT", "BITS"))
		case 3:
			return append(line, index(), index(), "BIT")
		case 4:
			return append(line, index(), index(), "BIT", "x")
		}
		return append(line, index(), index())
	}
	switch w.rng.IntN(16) {
	case 0, 1:
		return []string{"SETBIT", key(), offset(), pick(w, "0", "1", "1", "1", "0", "2", "x")}, false
	case 2:
		return []string{"GETBIT", key(), offset()}, false
	case 3:
		return ranged("BITCOUNT", key()), false
	case 4, 5:
		return ranged("BITPOS", key(), pick(w, "0", "1", "0", "1", "2", "x")), false
	case 6:
		line := []string{"BITOP", pick(w, "AND", "or", "XOR", "NOT", "NAND"), key()}
		for range 1 + w.rng.IntN(4) {
			line = append(line, key())
		}
		return line, false
	case 7, 8, 9, 10:
		line := []string{pick(w, "BITFIELD", "BITFIELD", "BITFIELD", "BITFIELD", "BITFIELD_RO"), key()}
		for range w.rng.IntN(4) {
			if w.rng.IntN(3) == 0 {
				line = append(line, "OVERFLOW", pick(w, "WRAP", "SAT", "sat", "FAIL", "FAIL", "x"))
			}
			line = append(line, pick(w, [][]string{{"GET", field(), at()}, {"SET", field(), at(), integer()}, {"incrby", field(), at(), integer()}, {"GET", "u8"}}...)...)
		}
		return line, false
	case 11:
		return []string{"SET", key(), pick(w, "", "123", strings.Repeat("\xff", w.rng.IntN(30)), strings.Repeat("\x00", w.rng.IntN(30)), "foobar", strings.Repeat("\xff", 13)+"\xf0")}, false
	case 12:
		return []string{"GET", key()}, false
	case 13:
		return []string{pick(w, "OBJECT", "OBJECT"), "ENCODING", key()}, false
	case 14:
		return pick(w, []string{"RPUSH", "d", "x"}, []string{"DEL", key()}, []string{"DEL", "d"}), false
	}
	return []string{pick(w, "GET", "STRLEN"), key()}, false
}

func TestBitsAgainstRedis(t *testing.T) {
	errorOf := func(text string) func([]string, resp.Value) bool {
		return func(_ []string, v resp.Value) bool { return v.Err() != nil && strings.Contains(v.Err().Error(), text) }
	}
	(&compared{
		rounds:  10_000,
		command: words.bits,
		met: map[string]func([]string, resp.Value) bool{
			"a field that fails": func(l []string, v resp.Value) bool {
				return l[0] == "BITFIELD" && strings.Contains(v.String(), "(nil)")
			},
			"a bit that is found":    func(l []string, v resp.Value) bool { return l[0] == "BITPOS" && v.Int > 8 },
			"bits that are counted":  func(l []string, v resp.Value) bool { return l[0] == "BITCOUNT" && v.Int > 20 },
			"a result of BITOP":      func(l []string, v resp.Value) bool { return l[0] == "BITOP" && v.Int > 8 },
			"another type":           errorOf("WRONGTYPE"),
			"a bad offset":           errorOf("bit offset"),
			"a bad type":             errorOf("bitfield type"),
			"a write to BITFIELD_RO": errorOf("BITFIELD_RO"),
		},
	}).compare(t)
}

// TestLargeBits writes a bit at the end of the longest string there may be, and
// beyond.
func TestLargeBits(t *testing.T) {
	x := newTester(t, 2)
	for _, c := range [][2]string{
		{"SETBIT k 4294967296 1", "(error) ERR bit offset is not an integer or out of range"},
		{"BITFIELD k SET u8 4294967296 1", "(error) ERR bit offset is not an integer or out of range"},
		{"BITFIELD k SET u8 4294967289 1", "(error) ERR bit offset is not an integer or out of range"},
		{"BITFIELD k INCRBY i64 #67108864 1", "(error) ERR bit offset is not an integer or out of range"},
		{"EXISTS k", "0"},
		{"SETBIT k 80000007 1", "0"},
		{"STRLEN k", "10000001"},
		{"BITCOUNT k", "1"},
		{"BITPOS k 1", "80000007"},
		{"BITOP NOT k k", "10000001"},
		{"BITCOUNT k", "80000007"},
		{"BITPOS k 0", "80000007"},
		{"BITPOS k 0 0 -2", "-1"},
	} {
		if got := x.do(c[0]); got != c[1] {
			t.Errorf("%s: %s, want %s", c[0], got, c[1])
		}
	}
}
