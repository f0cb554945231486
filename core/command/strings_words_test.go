package command

import (
	"strconv"
	"strings"
)

// far is a deadline that no test sees pass, in seconds.
func (w words) far() string {
	if w.rng.IntN(40) == 0 {
		return pick(w, "x", "", "9223372036854775807", "1.5")
	}
	return strconv.Itoa(33_000_000_000 + w.rng.IntN(5))
}

// strings makes random commands on strings and numbers, on keys, and on deadlines,
// which are absolute and far away so that two clocks see the same.
func (w words) strings() (line []string, unordered bool) {
	key := func() string { return pick(w, "a", "b", "c", "d", "n", "list", "nosuch") }
	value := func() string {
		return pick(w, strconv.Itoa(w.rng.IntN(300)-100), w.member(), strings.Repeat("v", w.rng.IntN(60)), "1.5", "x")
	}
	ms := func() string { return w.far() + pick(w, "000", "001", "777") }
	until := func(line ...string) []string {
		return append(line, pick(w, [][]string{{"EXAT", w.far()}, {"PXAT", ms()}, {"PXAT", ms()}, {"KEEPTTL"}, {"EX", "0"}, {"PX", "-1"}}...)...)
	}
	if w.rng.IntN(3) == 0 {
		switch w.rng.IntN(8) {
		case 0:
			return []string{"EXPIREAT", key(), w.far()}, false
		case 1, 2:
			return w.maybe([]string{"PEXPIREAT", key(), ms()}, 60, pick(w, "NX", "XX", "GT", "LT", "nx", "YY")), false
		case 3:
			return []string{"PERSIST", key()}, false
		case 4:
			return until("GETEX", key()), false
		case 5:
			return []string{"GETEX", key(), "PERSIST"}, false
		}
		return []string{pick(w, "EXPIRETIME", "PEXPIRETIME"), key()}, false
	}
	switch w.rng.IntN(24) {
	case 0, 1:
		return []string{"SET", key(), value()}, false
	case 2:
		return until("SET", key(), value()), false
	case 3:
		return w.maybe([]string{"SET", key(), value(), pick(w, "NX", "XX")}, 30, "GET"), false
	case 4:
		return []string{pick(w, "SETNX", "GETSET", "APPEND", "APPEND"), key(), value()}, false
	case 5:
		return []string{"SETRANGE", key(), strconv.Itoa(w.rng.IntN(40) - 2), value()}, false
	case 6:
		return []string{pick(w, "GETRANGE", "SUBSTR"), key(), w.index(), w.index()}, false
	case 7, 8:
		return []string{pick(w, "INCR", "DECR"), pick(w, "n", key())}, false
	case 9:
		return []string{pick(w, "INCRBY", "DECRBY"), pick(w, "n", key()), w.index()}, false
	case 10:
		return []string{"INCRBYFLOAT", pick(w, "n", key()), pick(w, "0.5", "-1.25", "3", "1e2", "x", "nan")}, false
	case 11:
		return []string{pick(w, "MSET", "MSET", "MSETNX"), key(), value(), key(), value()}, false
	case 12:
		return []string{"MGET", key(), key(), key()}, false
	case 13:
		return []string{"GETDEL", key()}, false
	case 14:
		return w.maybe([]string{"LCS", key(), key()}, 50, pick(w, "LEN", "IDX")), false
	case 15:
		return []string{pick(w, "RENAME", "RENAMENX"), key(), key()}, false
	case 16:
		return w.maybe(w.maybe([]string{"COPY", key(), key()}, 30, "DB", pick(w, "0", "1", "3")), 60, "REPLACE"), false
	case 17:
		return []string{"MOVE", key(), pick(w, "0", "1", "3", "99")}, false
	case 18:
		return []string{pick(w, "DEL", "UNLINK", "EXISTS", "TOUCH"), key(), key()}, false
	case 19:
		return pick(w, []string{"SWAPDB", "0", pick(w, "1", "3")}, []string{"DBSIZE"}, []string{"KEYS", "*"}), true
	case 20:
		return pick(w, []string{"RPUSH", "list", "x"}, []string{"TYPE", key()}), false
	}
	return []string{pick(w, "GET", "GET", "STRLEN"), key()}, false
}
