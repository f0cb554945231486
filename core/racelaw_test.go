package core_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tested is what go list says of a package and its tests.
type tested struct {
	ImportPath, Dir                    string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
}

func packages(t *testing.T, patterns ...string) (list []tested) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json"}, patterns...)...)
	cmd.Dir = ".." // where the Makefile's ./ is
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p tested
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// made is what the Makefile lists under a name.
func made(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + ` := (.+)$`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatalf("the Makefile does not say %s", name)
	}
	return strings.Fields(m[1])
}

// TestRaceLaw: the race detector is spared for packages of one goroutine only, and what is
// tried less under it is tried in full without it.
func TestRaceLaw(t *testing.T) {
	var offheap []string
	for _, p := range packages(t, made(t, "OFFHEAP")...) {
		offheap = append(offheap, p.ImportPath)
	}
	for _, p := range packages(t, made(t, "SINGLE")...) {
		if !slices.Contains(offheap, p.ImportPath) {
			t.Errorf("%s is in SINGLE and not in OFFHEAP: it does not run", p.ImportPath)
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if path == "sync" || path == "sync/atomic" || strings.HasPrefix(path, "golang.org/x/sync/") ||
				path == module+"core" || strings.HasPrefix(path, module+"core/coretest") {
				t.Errorf("%s imports %s: it belongs under the race detector", p.ImportPath, path)
			}
		}
		for _, file := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			for _, at := range concurrent(t, filepath.Join(p.Dir, file)) {
				t.Errorf("%s starts goroutines: it belongs under the race detector", at)
			}
		}
	}
	few := regexp.MustCompile(`\btestutil\.(Race\b|Rounds\(|OneUnderRace\()`)
	for _, p := range packages(t, module+"...") {
		if slices.Contains(offheap, p.ImportPath) {
			continue
		}
		for _, file := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if few.Match(text) {
				t.Errorf("%s/%s tries less under the race detector, and its package is not in OFFHEAP: nothing tries all", p.ImportPath, file)
			}
		}
	}
}

// concurrent is where a file starts a goroutine, makes a channel or has tests side by side.
func concurrent(t *testing.T, path string) (at []string) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		found := false
		switch n := n.(type) {
		case *ast.GoStmt, *ast.ChanType:
			found = true
		case *ast.SelectorExpr:
			found = n.Sel.Name == "Parallel" || n.Sel.Name == "RunParallel"
		}
		if found {
			p := fset.Position(n.Pos())
			at = append(at, filepath.Base(p.Filename)+":"+strconv.Itoa(p.Line))
		}
		return true
	})
	return at
}
