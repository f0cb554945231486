package script

import (
	lua "github.com/yuin/gopher-lua"
)

// Lua's patterns.

const (
	maxCaptures = 32
	maxMatching = 100_000 // calls of match within each other
	ticksEvery  = 100_000 // steps of a match
)

const (
	captureUnfinished = -1
	capturePosition   = -2
)

type capture struct{ start, len int }

// matcher is one match of a pattern.
type matcher struct {
	in    *Interp
	L     *lua.LState
	s, p  string
	caps  []capture
	depth int
	steps int
}

func (m *matcher) classEnd(p int) int {
	if p >= len(m.p) {
		fail(m.L, "malformed pattern (ends with '%%')")
	}
	c := m.p[p]
	p++
	switch c {
	case '%':
		if p >= len(m.p) {
			fail(m.L, "malformed pattern (ends with '%%')")
		}
		return p + 1
	case '[':
		if p < len(m.p) && m.p[p] == '^' {
			p++
		}
		for first := true; first || p >= len(m.p) || m.p[p] != ']'; first = false {
			if p >= len(m.p) {
				fail(m.L, "malformed pattern (missing ']')")
			}
			c := m.p[p]
			p++
			if c == '%' && p < len(m.p) {
				p++
			}
		}
		return p + 1
	}
	return p
}

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isPunct(c byte) bool { return c > ' ' && c < 0x7f && !isAlpha(c) && !isDigit(c) }

func inClass(c, class byte) bool {
	var res bool
	switch class | 0x20 {
	case 'a':
		res = isAlpha(c)
	case 'c':
		res = c < ' ' || c == 0x7f
	case 'd':
		res = isDigit(c)
	case 'l':
		res = c >= 'a' && c <= 'z'
	case 'p':
		res = isPunct(c)
	case 's':
		res = isSpace(c)
	case 'u':
		res = c >= 'A' && c <= 'Z'
	case 'w':
		res = isAlpha(c) || isDigit(c)
	case 'x':
		res = isHex(c)
	case 'z':
		res = c == 0
	default:
		return class == c
	}
	if !isAlpha(class) {
		return class == c
	}
	return res == (class >= 'a')
}

// inSet tells whether c is in the set from p, which is at '[', to end, which is at ']'.
func (m *matcher) inSet(c byte, p, end int) bool {
	in := true
	if p++; m.p[p] == '^' {
		in = false
		p++
	}
	for ; p < end; p++ {
		switch {
		case m.p[p] == '%':
			p++
			if inClass(c, m.p[p]) {
				return in
			}
		case p+2 < end && m.p[p+1] == '-':
			if m.p[p] <= c && c <= m.p[p+2] {
				return in
			}
			p += 2
		case m.p[p] == c:
			return in
		}
	}
	return !in
}

func (m *matcher) single(s, p, end int) bool {
	if s >= len(m.s) {
		return false
	}
	c := m.s[s]
	switch m.p[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.p[p+1])
	case '[':
		return m.inSet(c, p, end-1)
	}
	return m.p[p] == c
}

// match matches the pattern from p on at s, and returns where the match ends, -1 when
// there is none.
func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxMatching {
		fail(m.L, "pattern too complex")
	}
	defer func() { m.depth-- }()
	for {
		if m.steps++; m.steps%ticksEvery == 0 {
			m.in.tickIn(m.L)
		}
		if p == len(m.p) {
			return s
		}
		switch m.p[p] {
		case '(':
			if p+1 < len(m.p) && m.p[p+1] == ')' {
				return m.open(s, p+2, capturePosition)
			}
			return m.open(s, p+1, captureUnfinished)
		case ')':
			return m.close(s, p+1)
		case '$':
			if p+1 == len(m.p) {
				if s == len(m.s) {
					return s
				}
				return -1
			}
		case '%':
			if p+1 < len(m.p) {
				switch c := m.p[p+1]; {
				case c == 'b':
					if s = m.balance(s, p+2); s < 0 {
						return -1
					}
					p += 4
					continue
				case c == 'f':
					p += 2
					if p >= len(m.p) || m.p[p] != '[' {
						fail(m.L, "missing '[' after '%%f' in pattern")
					}
					end := m.classEnd(p)
					var before, here byte
					if s > 0 {
						before = m.s[s-1]
					}
					if s < len(m.s) {
						here = m.s[s]
					}
					if m.inSet(before, p, end-1) || !m.inSet(here, p, end-1) {
						return -1
					}
					p = end
					continue
				case isDigit(c):
					if s = m.again(s, c); s < 0 {
						return -1
					}
					p += 2
					continue
				}
			}
		}
		end := m.classEnd(p)
		var suffix byte
		if end < len(m.p) {
			suffix = m.p[end]
		}
		switch suffix {
		case '?':
			if m.single(s, p, end) {
				if res := m.match(s+1, end+1); res >= 0 {
					return res
				}
			}
			p = end + 1
		case '*':
			return m.most(s, p, end)
		case '+':
			if !m.single(s, p, end) {
				return -1
			}
			return m.most(s+1, p, end)
		case '-':
			for {
				if res := m.match(s, end+1); res >= 0 {
					return res
				}
				if !m.single(s, p, end) {
					return -1
				}
				s++
			}
		default:
			if !m.single(s, p, end) {
				return -1
			}
			s, p = s+1, end
		}
	}
}

func (m *matcher) most(s, p, end int) int {
	n := 0
	for m.single(s+n, p, end) {
		n++
	}
	for ; n >= 0; n-- {
		if res := m.match(s+n, end+1); res >= 0 {
			return res
		}
	}
	return -1
}

func (m *matcher) open(s, p, what int) int {
	if len(m.caps) >= maxCaptures {
		fail(m.L, "too many captures")
	}
	n := len(m.caps)
	m.caps = append(m.caps, capture{s, what})
	res := m.match(s, p)
	if res < 0 {
		m.caps = m.caps[:n]
	}
	return res
}

func (m *matcher) close(s, p int) int {
	for i := len(m.caps) - 1; i >= 0; i-- {
		if m.caps[i].len == captureUnfinished {
			m.caps[i].len = s - m.caps[i].start
			res := m.match(s, p)
			if res < 0 {
				m.caps[i].len = captureUnfinished
			}
			return res
		}
	}
	fail(m.L, "invalid pattern capture")
	return -1
}

func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.p) {
		fail(m.L, "unbalanced pattern")
	}
	if s >= len(m.s) || m.s[s] != m.p[p] {
		return -1
	}
	open, shut, depth := m.p[p], m.p[p+1], 1
	for s++; s < len(m.s); s++ {
		switch m.s[s] {
		case shut:
			if depth--; depth == 0 {
				return s + 1
			}
		case open:
			depth++
		}
	}
	return -1
}

// again matches what a capture has matched.
func (m *matcher) again(s int, digit byte) int {
	i := int(digit) - '1'
	if i < 0 || i >= len(m.caps) || m.caps[i].len == captureUnfinished {
		fail(m.L, "invalid capture index")
	}
	c := m.caps[i]
	if c.len < 0 || len(m.s)-s < c.len || m.s[c.start:c.start+c.len] != m.s[s:s+c.len] {
		return -1
	}
	return s + c.len
}

// value is capture i of a match from s to e; capture 0 is all of it where there are no
// captures.
func (m *matcher) value(i, s, e int) lua.LValue {
	if i >= len(m.caps) {
		if i != 0 {
			fail(m.L, "invalid capture index")
		}
		return lua.LString(m.s[s:e])
	}
	c := m.caps[i]
	switch c.len {
	case captureUnfinished:
		fail(m.L, "unfinished capture")
	case capturePosition:
		return lua.LNumber(c.start + 1)
	}
	return lua.LString(m.s[c.start : c.start+c.len])
}

// push pushes the captures, or with whole the match if there are none.
func (m *matcher) push(s, e int, whole bool) int {
	n := len(m.caps)
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		m.L.Push(m.value(i, s, e))
	}
	return n
}
