package script

import (
	"errors"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// compile makes a function of source, which messages call chunk. The errors are those
// of Lua 5.1.
func compile(src, chunk string) (proto *lua.FunctionProto, n *notes, err error) {
	if n, err = check(src, chunk); err != nil {
		return nil, nil, err
	}
	defer func() {
		if r := recover(); r != nil { // a defect of the compiler is an error of the source
			proto, err = nil, fmt.Errorf("%s:1: %v", chunk, r)
		}
	}()
	stmts, err := parse.Parse(strings.NewReader(src), chunk)
	if err != nil {
		return nil, nil, compileError(err, chunk)
	}
	rewriteAll(stmts)
	if proto, err = lua.Compile(stmts, chunk); err != nil {
		return nil, nil, compileError(err, chunk)
	}
	return proto, n, nil
}

// compileError puts an error of gopher-lua in the form of Lua's.
func compileError(err error, chunk string) error {
	var p *parse.Error
	var c *lua.CompileError
	switch {
	case errors.As(err, &p):
		return fmt.Errorf("%s:%d: %s near '%s'", chunk, max(p.Pos.Line, 1), p.Message, p.Token)
	case errors.As(err, &c):
		return fmt.Errorf("%s:%d: %s", chunk, c.Line, c.Message)
	}
	return err
}

// rewriteAll has the operators .. and # call Interp.concat and Interp.lenOf, and the
// bounds of a numeric for pass bound.
func rewriteAll(stmts []ast.Stmt) {
	for _, s := range stmts {
		rewriteStmt(s)
	}
}

func rewriteStmt(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		rewriteList(s.Lhs)
		rewriteList(s.Rhs)
	case *ast.LocalAssignStmt:
		rewriteList(s.Exprs)
	case *ast.FuncCallStmt:
		rewrite(&s.Expr)
	case *ast.DoBlockStmt:
		rewriteAll(s.Stmts)
	case *ast.WhileStmt:
		rewrite(&s.Condition)
		rewriteAll(s.Stmts)
	case *ast.RepeatStmt:
		rewrite(&s.Condition)
		rewriteAll(s.Stmts)
	case *ast.IfStmt:
		for {
			rewrite(&s.Condition)
			rewriteAll(s.Then)
			if len(s.Else) == 1 { // elseif, of which there may be many
				if next, ok := s.Else[0].(*ast.IfStmt); ok {
					s = next
					continue
				}
			}
			rewriteAll(s.Else)
			return
		}
	case *ast.NumberForStmt:
		for _, e := range []*ast.Expr{&s.Init, &s.Limit, &s.Step} {
			rewriteBound(e)
			if *e != nil { // a bound is refused where the last one stands
				s.SetLine(max(s.Line(), (*e).Line()))
			}
		}
		rewriteAll(s.Stmts)
	case *ast.GenericForStmt:
		rewriteList(s.Exprs)
		rewriteAll(s.Stmts)
	case *ast.FuncDefStmt:
		rewriteAll(s.Func.Stmts)
	case *ast.ReturnStmt:
		rewriteList(s.Exprs)
	}
}

func rewriteList(list []ast.Expr) {
	for i := range list {
		rewrite(&list[i])
	}
}

func rewrite(e *ast.Expr) {
	switch x := (*e).(type) {
	case *ast.AttrGetExpr:
		rewrite(&x.Object)
		rewrite(&x.Key)
	case *ast.TableExpr:
		for _, f := range x.Fields {
			rewrite(&f.Key)
			rewrite(&f.Value)
		}
	case *ast.FuncCallExpr:
		rewrite(&x.Func)
		rewrite(&x.Receiver)
		rewriteList(x.Args)
	case *ast.LogicalOpExpr:
		rewrite(&x.Lhs)
		rewrite(&x.Rhs)
	case *ast.RelationalOpExpr:
		rewrite(&x.Lhs)
		rewrite(&x.Rhs)
	case *ast.ArithmeticOpExpr:
		rewrite(&x.Lhs)
		rewrite(&x.Rhs)
	case *ast.UnaryMinusOpExpr:
		rewrite(&x.Expr)
	case *ast.UnaryNotOpExpr:
		rewrite(&x.Expr)
	case *ast.UnaryLenOpExpr:
		rewrite(&x.Expr)
		adjust(x.Expr)
		*e = call(x, hiddenLen, []ast.Expr{x.Expr})
	case *ast.FunctionExpr:
		rewriteAll(x.Stmts)
	case *ast.StringConcatOpExpr:
		*e = concatCall(x)
	}
}

// rewriteBound is rewrite of what a numeric for counts with.
func rewriteBound(e *ast.Expr) {
	rewrite(e)
	switch (*e).(type) {
	case nil, *ast.NumberExpr:
	default:
		adjust(*e)
		*e = call(*e, hiddenFor, []ast.Expr{*e})
	}
}

// maxConcat is how many operands one call gets; more are calls within calls.
const maxConcat = 100

func concatCall(x *ast.StringConcatOpExpr) ast.Expr {
	var operands []ast.Expr
	var next ast.Expr = x
	for {
		c, ok := next.(*ast.StringConcatOpExpr)
		if !ok {
			operands = append(operands, next)
			break
		}
		operands = append(operands, c.Lhs)
		next = c.Rhs
	}
	for i := range operands {
		rewrite(&operands[i])
		adjust(operands[i])
	}
	for len(operands) > maxConcat { // to the right first, as the operator associates
		cut := len(operands) - maxConcat
		operands = append(operands[:cut:cut], call(x, hiddenCat, operands[cut:]))
	}
	return call(x, hiddenCat, operands)
}

// adjust has a call or ... stand for one value.
func adjust(e ast.Expr) {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		e.AdjustRet = true
	case *ast.Comma3Expr:
		e.AdjustRet = true
	}
}

// call is a call of one of our functions in the place of an operator.
func call(at ast.Expr, name string, args []ast.Expr) ast.Expr {
	fn := &ast.IdentExpr{Value: name}
	fn.SetLine(at.Line())
	fn.SetLastLine(at.LastLine())
	c := &ast.FuncCallExpr{Func: fn, Args: args, AdjustRet: true}
	c.SetLine(at.Line())
	c.SetLastLine(at.LastLine())
	return c
}

// chunkName is what messages call source that a script loads (Lua's luaO_chunkid).
func chunkName(source string) string {
	const most = 60
	switch {
	case strings.HasPrefix(source, "="):
		return source[1:min(len(source), most)]
	case strings.HasPrefix(source, "@"):
		s := source[1:]
		if room := most - len(" '...' ") - 1; len(s) > room {
			return "..." + s[len(s)-room:]
		}
		return s
	}
	line, _, more := strings.Cut(source, "\n")
	if l, _, cr := strings.Cut(line, "\r"); cr {
		line, more = l, true
	}
	room := most - len(" [string \"...\"] ") - 1
	if more || len(line) > room {
		return "[string \"" + line[:min(len(line), room)] + "...\"]"
	}
	return "[string \"" + line + "\"]"
}

// function makes a function of compiled source, with the globals of scripts.
func (in *Interp) function(proto *lua.FunctionProto, n *notes) *lua.LFunction {
	in.notes[proto.SourceName] = n
	f := in.L.NewFunctionFromProto(proto)
	f.Env = in.env
	return f
}
