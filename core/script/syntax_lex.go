package script

import (
	"fmt"
	"strings"
)

// token is a lexical element of Lua 5.1: a kind, and the text it is shown as.
type token struct {
	kind byte   // tokEnd, tokName, tokString, tokNumber, tokWord; else the operator is in text
	text string // of a name, a reserved word or an operator; of others as written
	line int
}

const (
	tokEnd byte = iota
	tokName
	tokString
	tokNumber
	tokWord
	tokOp
)

var reserved = map[string]bool{
	"and": true, "break": true, "do": true, "else": true, "elseif": true, "end": true, "false": true, "for": true, "function": true,
	"if": true, "in": true, "local": true, "nil": true, "not": true, "or": true, "repeat": true, "return": true, "then": true, "true": true,
	"until": true, "while": true,
}

// syntaxError is a refusal of the source, in the words of Lua 5.1.
type syntaxError struct{ msg string }

func (e syntaxError) Error() string { return e.msg }

// lexer cuts Lua source into tokens, as Lua 5.1 does and with its errors.
type lexer struct {
	chunk string // as messages name it
	src   string
	pos   int
	line  int
	start int // of the token that is read
}

func (x *lexer) fail(msg, near string) {
	s := fmt.Sprintf("%s:%d: %s", x.chunk, x.line, msg)
	if near != "" {
		s += " near '" + near + "'"
	}
	panic(syntaxError{s})
}

func (x *lexer) at(i int) byte {
	if x.pos+i < len(x.src) {
		return x.src[x.pos+i]
	}
	return 0
}

func (x *lexer) newline() {
	c := x.src[x.pos]
	x.pos++
	if d := x.at(0); (d == '\n' || d == '\r') && d != c {
		x.pos++
	}
	x.line++
}

func (x *lexer) next() token {
	for x.pos < len(x.src) {
		x.start = x.pos
		c := x.src[x.pos]
		switch {
		case c == '\n' || c == '\r':
			x.newline()
		case c == ' ' || c == '\t' || c == '\v' || c == '\f':
			x.pos++
		case c == '-' && x.at(1) == '-':
			x.comment()
		case c == '"' || c == '\'':
			return x.quoted(c)
		case c == '[':
			if n := x.longBracket(); n >= 0 {
				return x.long(n, "string")
			} else if n < -1 {
				x.fail("invalid long string delimiter", x.src[x.start:x.pos])
			}
			x.pos++
			return token{tokOp, "[", x.line}
		case isDigit(c) || c == '.' && isDigit(x.at(1)):
			return x.number()
		case isLetter(c):
			for x.pos < len(x.src) && (isLetter(x.src[x.pos]) || isDigit(x.src[x.pos])) {
				x.pos++
			}
			word := x.src[x.start:x.pos]
			if reserved[word] {
				return token{tokWord, word, x.line}
			}
			return token{tokName, word, x.line}
		default:
			return x.operator()
		}
	}
	return token{tokEnd, "<eof>", x.line}
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func (x *lexer) operator() token {
	for _, op := range []string{"...", "..", "==", "<=", ">=", "~="} {
		if strings.HasPrefix(x.src[x.pos:], op) {
			x.pos += len(op)
			return token{tokOp, op, x.line}
		}
	}
	x.pos++
	return token{tokOp, x.src[x.start:x.pos], x.line}
}

func (x *lexer) comment() {
	x.pos += 2
	if x.at(0) == '[' {
		x.start = x.pos
		if n := x.longBracket(); n >= 0 {
			x.long(n, "comment")
			return
		}
	}
	for x.pos < len(x.src) && x.src[x.pos] != '\n' && x.src[x.pos] != '\r' {
		x.pos++
	}
}

// longBracket returns how many '=' a long bracket has that begins here; -1 when it is a
// bracket only, less when it is neither, with pos behind the '='.
func (x *lexer) longBracket() int {
	n := 0
	for x.at(1+n) == '=' {
		n++
	}
	if x.at(1+n) == '[' {
		return n
	}
	if n > 0 {
		x.pos += 1 + n
		return -1 - n
	}
	return -1
}

func (x *lexer) long(n int, what string) token {
	x.pos += n + 2
	closing := "]" + strings.Repeat("=", n) + "]"
	for x.pos < len(x.src) {
		switch c := x.src[x.pos]; {
		case c == '\n' || c == '\r':
			x.newline()
		case c == ']' && strings.HasPrefix(x.src[x.pos:], closing):
			x.pos += len(closing)
			return token{tokString, x.src[x.start:x.pos], x.line}
		default:
			x.pos++
		}
	}
	x.fail("unfinished long "+what, "<eof>")
	return token{}
}

func (x *lexer) quoted(quote byte) token {
	x.pos++
	for {
		if x.pos >= len(x.src) {
			x.fail("unfinished string", "<eof>")
		}
		switch c := x.src[x.pos]; c {
		case quote:
			x.pos++
			return token{tokString, x.src[x.start:x.pos], x.line}
		case '\n', '\r':
			x.fail("unfinished string", x.src[x.start:x.pos])
		case '\\':
			x.pos++
			switch {
			case x.pos >= len(x.src):
			case x.src[x.pos] == '\n' || x.src[x.pos] == '\r':
				x.newline()
			case isDigit(x.src[x.pos]):
				v, i := 0, 0
				for ; i < 3 && isDigit(x.at(0)); i++ {
					v = v*10 + int(x.at(0)-'0')
					x.pos++
				}
				if v > 255 {
					x.fail("escape sequence too large", x.src[x.start:x.pos])
				}
			default:
				x.pos++
			}
		default:
			x.pos++
		}
	}
}

func (x *lexer) number() token {
	for isDigit(x.at(0)) || x.at(0) == '.' {
		x.pos++
	}
	if c := x.at(0); c == 'e' || c == 'E' {
		x.pos++
		if c := x.at(0); c == '+' || c == '-' {
			x.pos++
		}
	}
	for isLetter(x.at(0)) || isDigit(x.at(0)) {
		x.pos++
	}
	text := x.src[x.start:x.pos]
	if _, ok := parseNumber(text); !ok {
		x.fail("malformed number", text)
	}
	return token{tokNumber, text, x.line}
}
