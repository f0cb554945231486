package core_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// valueTypes are the types that package rdb declares, without their prefix.
func valueTypes(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "rdb/types.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			for _, n := range s.(*ast.ValueSpec).Names {
				if name, ok := strings.CutPrefix(n.Name, "Type"); ok {
					types = append(types, name)
				}
			}
		}
	}
	if len(types) < 5 {
		t.Fatalf("rdb declares the types %q: there are five at least", types)
	}
	return types
}

// TestTypeLaw: a switch on the type of a value names every type there is, or has
// a default that calls unknownType, rdb.UnknownType or panic: a type that is new
// is never taken for another, and nothing is left out without a word.
func TestTypeLaw(t *testing.T) {
	types := valueTypes(t)
	// names returns the type that an expression names, "" if it names none.
	names := func(pkg string, e ast.Expr) string {
		name, from := "", pkg
		switch e := e.(type) {
		case *ast.Ident:
			name = e.Name
		case *ast.SelectorExpr:
			if x, ok := e.X.(*ast.Ident); ok {
				name, from = e.Sel.Name, x.Name
			}
		}
		switch from {
		case "rdb":
			if !strings.HasPrefix(name, "Type") {
				return ""
			}
			name = strings.TrimPrefix(name, "Type")
		case "model":
			if !strings.HasPrefix(name, "kind") {
				return ""
			}
			name = strings.TrimPrefix(name, "kind")
		case "keyspace":
		default:
			return ""
		}
		if !slices.Contains(types, name) {
			return ""
		}
		return name
	}
	seen := 0
	check := func(files *token.FileSet, pkg string, s *ast.SwitchStmt) {
		var named []string
		var otherwise *ast.CaseClause
		for _, c := range s.Body.List {
			c := c.(*ast.CaseClause)
			if c.List == nil {
				otherwise = c
			}
			for _, e := range c.List {
				if n := names(pkg, e); n != "" {
					named = append(named, n)
				}
			}
		}
		if len(named) == 0 {
			return
		}
		seen++
		if otherwise != nil && !refuses(otherwise) {
			t.Errorf("%s: a switch on the type of a value has a default that takes one that is new for what it is not", files.Position(otherwise.Pos()))
		}
		for _, n := range types {
			if otherwise == nil && !slices.Contains(named, n) {
				t.Errorf("%s: a switch on the type of a value does not say what a %s is; name it, or refuse it in a default", files.Position(s.Pos()), n)
			}
		}
	}
	for _, root := range []string{".", "../cmd", "../plugins"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SwitchStmt); ok && s.Tag != nil {
					check(files, f.Name.Name, s)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 5 {
		t.Errorf("only %d switches on the type of a value were found: has it another name?", seen)
	}
}

// refuses tells whether a clause fails.
func refuses(c *ast.CaseClause) (yes bool) {
	for _, s := range c.Body {
		ast.Inspect(s, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch f := call.Fun.(type) {
			case *ast.Ident:
				yes = yes || f.Name == "panic" || f.Name == "unknownType" || f.Name == "UnknownType"
			case *ast.SelectorExpr:
				yes = yes || f.Sel.Name == "UnknownType"
			}
			return true
		})
	}
	return yes
}
