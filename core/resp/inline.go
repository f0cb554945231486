package resp

// SplitArgs splits a line into words the way Redis does, and appends them to
// args: words are separated by blanks, "double quotes" know the escapes \n \r
// \t \b \a \xHH, 'single quotes' only \'. ok is false when a quote is not
// closed or is followed by something other than a blank; args is then returned
// as it was. Words without quotes alias line.
func SplitArgs(line []byte, args [][]byte) (out [][]byte, ok bool) {
	out = args
	i := 0
	for {
		for i < len(line) && blank(line[i]) {
			i++
		}
		if i == len(line) {
			return out, true
		}
		start := i
		for i < len(line) && !blank(line[i]) && line[i] != '"' && line[i] != '\'' {
			i++
		}
		if i == len(line) || blank(line[i]) {
			out = append(out, line[start:i:i])
			continue
		}
		word, next, ok := quoted(line, start, i)
		if !ok {
			return args, false
		}
		out = append(out, word)
		i = next
	}
}

// quoted reads the word that begins at start and has its first quote at i.
func quoted(line []byte, start, i int) (word []byte, next int, ok bool) {
	word = append(make([]byte, 0, len(line)-start), line[start:i]...)
	for i < len(line) && !blank(line[i]) {
		q := line[i]
		if q != '"' && q != '\'' {
			word = append(word, q)
			i++
			continue
		}
		for i++; ; i++ {
			if i >= len(line) {
				return nil, 0, false
			}
			c := line[i]
			if c == q {
				i++
				if i < len(line) && !blank(line[i]) {
					return nil, 0, false
				}
				return word, i, true
			}
			switch {
			case c == '\\' && q == '"' && i+3 < len(line) && line[i+1] == 'x' && hexDigit(line[i+2]) >= 0 && hexDigit(line[i+3]) >= 0:
				c = byte(hexDigit(line[i+2])<<4 | hexDigit(line[i+3]))
				i += 3
			case c == '\\' && q == '"' && i+1 < len(line):
				i++
				c = unescape(line[i])
			case c == '\\' && q == '\'' && i+1 < len(line) && line[i+1] == '\'':
				i++
				c = '\''
			}
			word = append(word, c)
		}
	}
	return word, i, true
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

// blank is C's isspace, and the NUL that ends a C string.
func blank(c byte) bool {
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
