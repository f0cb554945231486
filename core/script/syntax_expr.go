package script

import "fmt"

// priority of binary operators, left and right, as in Lua 5.1.
var priority = map[string][2]int{
	"+": {6, 6}, "-": {6, 6}, "*": {7, 7}, "/": {7, 7}, "%": {7, 7}, "^": {10, 9}, "..": {5, 4},
	"~=": {3, 3}, "==": {3, 3}, "<": {3, 3}, "<=": {3, 3}, ">": {3, 3}, ">=": {3, 3}, "and": {2, 2}, "or": {1, 1},
}

const unaryPriority = 8

// maxPath is how far the path of a value is known: redis.call, and a little more.
const maxPath = 4

func (p *parser) expr() { p.subexpr(0) }

func (p *parser) subexpr(limit int) mention {
	p.enter()
	var m mention
	if p.is("not") || p.is("-") || p.is("#") {
		op, line := p.t.text, p.t.line
		p.advance()
		operand := p.subexpr(unaryPriority)
		if op != "not" {
			p.reckon(line, operand)
		}
	} else {
		m = p.simple()
	}
	for n := 0; p.t.kind == tokOp || p.t.kind == tokWord; n++ {
		pri, ok := priority[p.t.text]
		if !ok || pri[0] <= limit {
			break
		}
		p.chained(n)
		line := p.t.line
		p.advance()
		right := p.subexpr(pri[1])
		p.reckon(line, m)
		p.reckon(line, right)
		m = mention{}
	}
	p.leave()
	return m
}

func (p *parser) reckon(line int, m mention) {
	if m.name != "" {
		p.notes.reckoned[line] = append(p.notes.reckoned[line], m)
	}
}

func (p *parser) simple() mention {
	switch {
	case p.t.kind == tokNumber || p.t.kind == tokString || p.is("nil") || p.is("true") || p.is("false"):
		p.advance()
	case p.is("..."):
		if !p.fn().vararg {
			p.failAt("cannot use '...' outside a vararg function")
		}
		p.advance()
	case p.is("{"):
		p.table()
	case p.is("function"):
		line := p.t.line
		p.advance()
		p.body(false, line)
	default:
		m, _ := p.primary()
		return m
	}
	return mention{}
}

func (p *parser) table() {
	line := p.t.line
	p.expect("{")
	for !p.is("}") {
		switch {
		case p.t.kind == tokName && p.peek().kind == tokOp && p.peek().text == "=":
			p.advance()
			p.advance()
			p.expr()
		case p.is("["):
			p.advance()
			p.expr()
			p.expect("]")
			p.expect("=")
			p.expr()
		default:
			p.expr()
		}
		if !p.accept(",") && !p.accept(";") {
			break
		}
	}
	p.match("}", "{", line)
}

// primary parses a name or what is in parentheses, and what is behind it. call tells
// that it ends with a call.
func (p *parser) primary() (m mention, call bool) {
	switch {
	case p.t.kind == tokName:
		m = p.variable(p.name())
	case p.is("("):
		line := p.t.line
		p.advance()
		p.expr()
		p.match(")", "(", line)
	default:
		p.failAt("unexpected symbol")
	}
	for n := 0; ; n++ {
		p.chained(n)
		line := p.t.line
		switch {
		case p.is("."):
			p.advance()
			m, call = p.index(line, m, p.name()), false
		case p.is("["):
			p.advance()
			key := ""
			if p.t.kind == tokString && len(p.t.text) > 1 && p.t.text[0] != '[' {
				key = p.t.text[1 : len(p.t.text)-1]
			}
			p.expr()
			p.expect("]")
			m, call = p.index(line, m, key), false
		case p.is(":"):
			p.advance()
			key := p.name()
			p.index(line, m, key)
			m = mention{name: "method '" + key + "'"}
			p.args(m)
			m, call = mention{}, true
		case p.is("(") || p.is("{") || p.t.kind == tokString:
			p.args(m)
			m, call = mention{}, true
		default:
			return m, call
		}
	}
}

// index notes that m is indexed, and returns what that gives.
func (p *parser) index(line int, m mention, key string) mention {
	m.key = key
	p.notes.indexed[line] = append(p.notes.indexed[line], m)
	field := mention{name: fmt.Sprintf("field '%s'", key)}
	if key == "" {
		field.name = "field '?'"
	}
	if m.path != nil && key != "" && len(m.path) < maxPath {
		field.path = append(append([]string{}, m.path...), key)
	}
	return field
}

func (p *parser) args(m mention) {
	line := p.t.line
	p.notes.calls[line] = append(p.notes.calls[line], m)
	switch {
	case p.t.kind == tokString:
		p.advance()
	case p.is("{"):
		p.table()
	default:
		if p.last != line {
			p.failAt("ambiguous syntax (function call x new statement)")
		}
		p.advance()
		if !p.is(")") {
			p.exprList()
		}
		p.match(")", "(", line)
	}
}

func (p *parser) variable(name string) mention {
	for i := len(p.funcs) - 1; i >= 0; i-- {
		for j := len(p.funcs[i].locals) - 1; j >= 0; j-- {
			if p.funcs[i].locals[j] != name {
				continue
			}
			if i == len(p.funcs)-1 {
				return mention{name: "local '" + name + "'"}
			}
			return mention{name: "upvalue '" + name + "'"}
		}
	}
	return mention{name: "global '" + name + "'", path: []string{name}}
}
