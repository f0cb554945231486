package command

import "github.com/spillwaydb/spillway/core/keyspace"

// lcsMatch is a common run of two strings: first and last positions in each.
type lcsMatch struct{ a0, a1, b0, b1 int }

func lcsCommand(c *Ctx) {
	na, ok1 := c.lcsLen(c.Args[1])
	nb, ok2 := c.lcsLen(c.Args[2])
	if !ok1 || !ok2 {
		c.Out.Error("ERR The specified keys must contain string values")
		return
	}
	var getLen, getIdx, withLen bool
	var minLen int64
	for i := 3; i < len(c.Args); i++ {
		switch o := c.Args[i]; {
		case is(o, "len"):
			getLen = true
		case is(o, "idx"):
			getIdx = true
		case is(o, "withmatchlen"):
			withLen = true
		case is(o, "minmatchlen") && i+1 < len(c.Args):
			i++
			var ok bool
			if minLen, ok = c.intArg(c.Args[i]); !ok {
				return
			}
		default:
			c.Out.Error(errSyntax)
			return
		}
	}
	if getLen && getIdx {
		c.Out.Error("ERR If you want both the length and indexes, please just use IDX.")
		return
	}
	cells := int64(na+1) * int64(nb+1)
	if cells > maxString/4 {
		c.Out.Error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
		return
	}
	if c.detach(int(cells/lcsCells), c.Args[1], c.Args[2]) {
		return
	}
	a, b := c.lcsString(c.Args[1]), c.lcsString(c.Args[2])
	table := lcsTable(a, b)
	length := int64(table[len(table)-1])
	switch {
	case getLen:
		c.Out.Int(length)
	case getIdx:
		_, matches := lcsWalk(a, b, table, minLen)
		c.Out.Map(2)
		c.Out.BulkString("matches")
		c.Out.Array(len(matches))
		for _, m := range matches {
			if withLen {
				c.Out.Array(3)
			} else {
				c.Out.Array(2)
			}
			c.Out.Array(2)
			c.Out.Int(int64(m.a0))
			c.Out.Int(int64(m.a1))
			c.Out.Array(2)
			c.Out.Int(int64(m.b0))
			c.Out.Int(int64(m.b1))
			if withLen {
				c.Out.Int(int64(m.a1 - m.a0 + 1))
			}
		}
		c.Out.BulkString("len")
		c.Out.Int(length)
	default:
		text, _ := lcsWalk(a, b, table, minLen)
		c.Out.Bulk(text)
	}
}

// lcsCells is how many cells of the table count as one element for detach.
const lcsCells = 64

// lcsLen is how long the string is of a key, which may be missing; it is false for a key
// of another type.
func (c *Ctx) lcsLen(key []byte) (n int, ok bool) {
	e, found := c.lookup(key)
	if !found {
		return 0, true
	}
	if e.Type() != keyspace.String {
		return 0, false
	}
	return len(e.Bytes()), true
}

// lcsString is a string that was looked up, empty when there is none. It is the store's.
func (c *Ctx) lcsString(key []byte) []byte {
	if e, status := c.db(key).Get(key, c.Now); status == keyspace.Live {
		return e.Bytes()
	}
	return nil
}

// lcsTable holds at [i*(len(b)+1)+j] the length of the longest common
// subsequence of a[:i] and b[:j].
func lcsTable(a, b []byte) []uint32 {
	w := len(b) + 1
	t := make([]uint32, (len(a)+1)*w)
	for i := 1; i <= len(a); i++ {
		row, above := t[i*w:(i+1)*w], t[(i-1)*w:i*w]
		for j := 1; j < w; j++ {
			if a[i-1] == b[j-1] {
				row[j] = above[j-1] + 1
			} else {
				row[j] = max(above[j], row[j-1])
			}
		}
	}
	return t
}

// lcsWalk goes back through the table, as Redis does, for the subsequence and
// for its runs of at least minLen, last first.
func lcsWalk(a, b []byte, t []uint32, minLen int64) (text []byte, matches []lcsMatch) {
	w := len(b) + 1
	i, j := len(a), len(b)
	idx := t[len(t)-1]
	text = make([]byte, idx)
	var m lcsMatch
	open := false
	for i > 0 && j > 0 {
		emit := false
		if a[i-1] == b[j-1] {
			idx--
			text[idx] = a[i-1]
			switch {
			case !open:
				open, m = true, lcsMatch{i - 1, i - 1, j - 1, j - 1}
			case m.a0 == i && m.b0 == j:
				m.a0--
				m.b0--
			default:
				emit = true
			}
			emit = emit || m.a0 == 0 || m.b0 == 0
			i--
			j--
		} else {
			if t[(i-1)*w+j] > t[i*w+j-1] {
				i--
			} else {
				j--
			}
			emit = open
		}
		if emit {
			if int64(m.a1-m.a0+1) >= minLen {
				matches = append(matches, m)
			}
			open = false
		}
	}
	return text, matches
}
