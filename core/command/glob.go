package command

// GlobMatch tells whether s matches a pattern in Redis's glob syntax: * ? [abc]
// [^a] [a-z] and \x. With nocase set, case does not matter. It takes time in
// proportion to len(pattern)*len(s) at worst, and no stack.
func GlobMatch(pattern, s []byte, nocase bool) bool {
	p, i := 0, 0
	star, resume := -1, 0 // after the last *, and where in s to try again from
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			if p == len(pattern) {
				return true
			}
			star, resume = p, i
			continue
		}
		if p < len(pattern) {
			if next, ok := globOne(pattern, p, s[i], nocase); ok {
				p = next
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		// The last * takes one byte more; an earlier one could do no better.
		resume++
		p, i = star, resume
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// globOne matches one byte against the element of the pattern that begins at
// p, and returns where the next element begins.
func globOne(pattern []byte, p int, ch byte, nocase bool) (next int, ok bool) {
	fold := func(c byte) byte {
		if nocase {
			return lower(c)
		}
		return c
	}
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return globClass(pattern, p+1, ch, fold)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, fold(pattern[p]) == fold(ch)
}

// globClass matches a [class]; an unfinished one ends with the pattern.
func globClass(pattern []byte, p int, ch byte, fold func(byte) byte) (next int, ok bool) {
	negate := p < len(pattern) && pattern[p] == '^'
	if negate {
		p++
	}
	match := false
	for ; p < len(pattern); p++ {
		rest := len(pattern) - p
		switch {
		case pattern[p] == '\\' && rest >= 2:
			p++
			match = match || pattern[p] == ch
			continue
		case pattern[p] == ']':
			return p + 1, match != negate
		case rest >= 3 && pattern[p+1] == '-':
			lo, hi := pattern[p], pattern[p+2]
			if lo > hi {
				lo, hi = hi, lo
			}
			c := fold(ch)
			match = match || fold(lo) <= c && c <= fold(hi)
			p += 2
			continue
		}
		match = match || fold(pattern[p]) == fold(ch)
	}
	return p, match != negate
}

// globAll tells whether a pattern matches everything, the common case of KEYS
// and SCAN.
func globAll(pattern []byte) bool { return len(pattern) == 1 && pattern[0] == '*' }
