package script

import "fmt"

// A script is parsed twice: here, for nothing but the refusals of Lua 5.1 and what its
// messages call a value by, and then by gopher-lua, whose parser and compiler have
// other words and no bound on nesting.

const (
	maxLevels = 200    // of nested syntax; Lua's LUAI_MAXCCALLS
	maxChain  = 10_000 // of operators or suffixes in a row, each of which gopher-lua nests
	maxLocals = 200
)

// mention is a value that is called, indexed or reckoned with, as messages name it:
// "global 'x'", "field 'x'", "" for what has no name.
type mention struct {
	name string
	path []string // from a global, as far as it is known
	key  string   // what it is indexed with; "" for not known
}

// notes are the mentions of a chunk by line.
type notes struct {
	calls, indexed, reckoned map[int][]mention
}

// parser walks over Lua 5.1.
type parser struct {
	lexer
	t, ahead token
	peeked   bool
	depth    int
	last     int // line of the token before t
	funcs    []*scope
	notes    *notes
}

// scope is a function that is parsed.
type scope struct {
	vararg bool
	loops  int
	locals []string
}

// check refuses source that is not Lua 5.1. chunk is what messages call it.
func check(src, chunk string) (n *notes, err error) {
	p := &parser{lexer: lexer{chunk: chunk, src: src, line: 1}, notes: &notes{map[int][]mention{}, map[int][]mention{}, map[int][]mention{}}}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(syntaxError)
			if !ok {
				panic(r)
			}
			n, err = nil, e
		}
	}()
	if len(src) > 0 && src[0] == '#' {
		for p.pos < len(src) && src[p.pos] != '\n' {
			p.pos++
		}
	}
	p.funcs = []*scope{{vararg: true}}
	p.advance()
	p.block()
	if p.t.kind != tokEnd {
		p.failAt("'<eof>' expected")
	}
	return p.notes, nil
}

func (p *parser) advance() {
	p.last = p.t.line
	if p.peeked {
		p.t, p.peeked = p.ahead, false
		return
	}
	p.t = p.next()
}

func (p *parser) peek() token {
	if !p.peeked {
		p.ahead, p.peeked = p.next(), true
	}
	return p.ahead
}

func (p *parser) failAt(msg string) {
	panic(syntaxError{fmt.Sprintf("%s:%d: %s near '%s'", p.chunk, p.t.line, msg, p.t.text)})
}

func (p *parser) is(text string) bool {
	return (p.t.kind == tokWord || p.t.kind == tokOp) && p.t.text == text
}

func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.failAt("'" + text + "' expected")
	}
}

// match expects the end of what began with a word on an earlier line.
func (p *parser) match(what, who string, line int) {
	if p.accept(what) {
		return
	}
	if p.t.line == line {
		p.failAt("'" + what + "' expected")
	}
	p.failAt(fmt.Sprintf("'%s' expected (to close '%s' at line %d)", what, who, line))
}

func (p *parser) name() string {
	if p.t.kind != tokName {
		p.failAt("'<name>' expected")
	}
	s := p.t.text
	p.advance()
	return s
}

func (p *parser) enter() {
	if p.depth++; p.depth > maxLevels {
		panic(syntaxError{fmt.Sprintf("%s:%d: chunk has too many syntax levels", p.chunk, p.t.line)})
	}
}

func (p *parser) leave() { p.depth-- }

func (p *parser) chained(n int) {
	if n > maxChain {
		panic(syntaxError{fmt.Sprintf("%s:%d: chunk has too many syntax levels", p.chunk, p.t.line)})
	}
}

func (p *parser) fn() *scope { return p.funcs[len(p.funcs)-1] }

func (p *parser) local(name string) {
	f := p.fn()
	if f.locals = append(f.locals, name); len(f.locals) > maxLocals {
		panic(syntaxError{fmt.Sprintf("%s:%d: %s has more than %d local variables", p.chunk, p.t.line, "function", maxLocals)})
	}
}

func (p *parser) blockEnds() bool {
	return p.t.kind == tokEnd || p.is("end") || p.is("else") || p.is("elseif") || p.is("until")
}

// block parses statements up to the end of a block, with locals of its own.
func (p *parser) block() {
	n := len(p.fn().locals)
	p.statements()
	p.fn().locals = p.fn().locals[:n]
}

func (p *parser) statements() {
	p.enter()
	for last := false; !last && !p.blockEnds(); {
		last = p.statement()
		p.accept(";")
	}
	p.leave()
}

// statement tells whether it must be the last of its block.
func (p *parser) statement() (last bool) {
	line := p.t.line
	if p.t.kind != tokWord {
		p.exprStatement()
		return false
	}
	switch p.t.text {
	case "if":
		p.ifStatement(line)
	case "while":
		p.advance()
		p.expr()
		p.expect("do")
		p.loop()
		p.match("end", "while", line)
	case "do":
		p.advance()
		p.block()
		p.match("end", "do", line)
	case "for":
		p.forStatement(line)
	case "repeat":
		p.advance()
		p.fn().loops++
		n := len(p.fn().locals)
		p.statements()
		p.fn().loops--
		p.match("until", "repeat", line)
		p.expr()
		p.fn().locals = p.fn().locals[:n]
	case "function":
		p.advance()
		p.name()
		method := false
		for n := 0; !method && (p.is(".") || p.is(":")); n++ {
			p.chained(n)
			method = p.is(":")
			p.advance()
			p.name()
		}
		p.body(method, line)
	case "local":
		p.advance()
		p.localStatement(line)
	case "return":
		p.advance()
		if !p.blockEnds() && !p.is(";") {
			p.exprList()
		}
		return true
	case "break":
		if p.advance(); p.fn().loops == 0 {
			p.failAt("no loop to break")
		}
		return true
	default:
		p.exprStatement()
	}
	return false
}

func (p *parser) loop() {
	p.fn().loops++
	p.block()
	p.fn().loops--
}

func (p *parser) ifStatement(line int) {
	p.advance()
	p.expr()
	p.expect("then")
	p.block()
	for p.is("elseif") {
		p.advance()
		p.expr()
		p.expect("then")
		p.block()
	}
	if p.accept("else") {
		p.block()
	}
	p.match("end", "if", line)
}

func (p *parser) forStatement(line int) {
	p.advance()
	n := len(p.fn().locals)
	names := []string{p.name()}
	switch {
	case p.is("="):
		p.advance()
		p.expr()
		p.expect(",")
		p.expr()
		if p.accept(",") {
			p.expr()
		}
	case p.is(",") || p.is("in"):
		for p.accept(",") {
			names = append(names, p.name())
		}
		p.expect("in")
		p.exprList()
	default:
		p.failAt("'=' or 'in' expected")
	}
	p.expect("do")
	for _, name := range names {
		p.local(name)
	}
	p.loop()
	p.fn().locals = p.fn().locals[:n]
	p.match("end", "for", line)
}

func (p *parser) localStatement(line int) {
	if p.accept("function") {
		p.local(p.name())
		p.body(false, line)
		return
	}
	names := []string{p.name()}
	for p.accept(",") {
		names = append(names, p.name())
	}
	if p.accept("=") {
		p.exprList()
	}
	for _, name := range names {
		p.local(name)
	}
}

// body parses the parameters and the statements of a function.
func (p *parser) body(method bool, line int) {
	p.funcs = append(p.funcs, &scope{})
	if method {
		p.local("self")
	}
	p.expect("(")
	for !p.is(")") {
		if p.accept("...") {
			p.fn().vararg = true
			break
		}
		if p.t.kind != tokName {
			p.failAt("<name> or '...' expected")
		}
		p.local(p.name())
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	p.statements()
	p.match("end", "function", line)
	p.funcs = p.funcs[:len(p.funcs)-1]
}

func (p *parser) exprStatement() {
	_, call := p.primary()
	if call && !p.is("=") && !p.is(",") {
		return
	}
	p.assignment(call, 1)
}

func (p *parser) assignment(call bool, n int) {
	if call {
		p.failAt("syntax error")
	}
	if p.accept(",") {
		_, call := p.primary()
		if n > maxLevels {
			panic(syntaxError{fmt.Sprintf("%s:%d: variables in assignment has more than %d", p.chunk, p.t.line, maxLevels)})
		}
		p.assignment(call, n+1)
		return
	}
	if !p.is("=") {
		if n == 1 {
			p.failAt("'=' expected")
		}
		p.failAt("'=' expected")
	}
	p.advance()
	p.exprList()
}

func (p *parser) exprList() {
	p.expr()
	for p.accept(",") {
		p.expr()
	}
}
