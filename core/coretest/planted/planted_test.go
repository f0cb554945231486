//go:build lab

package planted

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// inBrief is how many of the bugs are planted where not all are asked for.
const inBrief = 8

// TestUpToDate: the lines that each of the bugs replaces are there, and what it puts in
// their place compiles.
func TestUpToDate(t *testing.T) {
	root := moduleRoot(t)
	check := newChecker(t, root)
	for _, f := range bugs(t) {
		b := read(t, f)
		path, src := b.planted(t, root)
		if err := check.compiles(path, src); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// checker type-checks single packages of the module from their source, the others being what the compiler has made of them.
type checker struct {
	fset    *token.FileSet
	imports types.Importer
}

func newChecker(t *testing.T, root string) *checker {
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", "./core/...", "./plugins/...", "./fsbackends/...")
	list.Dir = root
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		exports[name] = file
	}
	fset := token.NewFileSet()
	return &checker{fset, importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })}
}

// compiles tells why the package of a file does not compile with src in its place.
func (c *checker) compiles(path string, src []byte) error {
	pkg, err := build.ImportDir(filepath.Dir(path), 0)
	if err != nil {
		return err
	}
	var files []*ast.File
	for _, name := range pkg.GoFiles {
		file := filepath.Join(pkg.Dir, name)
		var text any
		if file == path {
			text = src
		}
		f, err := parser.ParseFile(c.fset, file, text, 0)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	conf := types.Config{Importer: c.imports}
	_, err = conf.Check(pkg.Dir, c.fset, files, nil)
	return err
}

// TestCaught plants bugs and wants a failed test for each: all of them with
// SPILLWAY_PLANTED=all, those that -run names, or else some, which SPILLWAY_SEED draws.
func TestCaught(t *testing.T) {
	root := moduleRoot(t)
	for _, f := range drawn(t, bugs(t)) {
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel() // the linker has one thread for the most part
			b := read(t, f)
			overlay := b.plant(t, root)
			for _, tests := range b.tests {
				if by := runTests(t, root, overlay, tests); by != "" {
					t.Logf("%s Caught by %s in %s.", b.about, by, tests)
					return
				}
			}
			t.Errorf("nobody noticed: %s", b.about)
		})
	}
}

// bugs are the files of all of them.
func bugs(t *testing.T) []string {
	files, err := filepath.Glob("testdata/*")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d bugs in testdata: %v", len(files), err)
	}
	return files
}

// drawn are those of the bugs that are planted.
func drawn(t *testing.T, files []string) []string {
	if os.Getenv("SPILLWAY_PLANTED") == "all" || strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return files
	}
	seed := time.Now().UnixNano()
	if s := os.Getenv("SPILLWAY_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseInt(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(uint64(seed), 0))
	rng.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	t.Logf("%d of %d bugs; the same with SPILLWAY_SEED=%d, all with SPILLWAY_PLANTED=all", inBrief, len(files), seed)
	return files[:inBrief]
}

// bug is one file of testdata.
type bug struct {
	about    string
	file     string
	tests    []string
	old, new string
}

func read(t *testing.T, path string) bug {
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bug
	for i, line := range strings.Split(strings.TrimSpace(string(a.Comment)), "\n") {
		switch {
		case i == 0:
			b.about = line
		case strings.HasPrefix(line, "file: "):
			b.file = line[len("file: "):]
		case strings.HasPrefix(line, "tests: "):
			b.tests = strings.Fields(line[len("tests: "):])
		}
	}
	for _, f := range a.Files {
		switch text := strings.TrimSuffix(string(f.Data), "\n"); f.Name {
		case "old":
			b.old = text
		case "new":
			b.new = text
		}
	}
	if b.about == "" || b.file == "" || len(b.tests) == 0 || b.old == "" {
		t.Fatalf("%s is not a bug: %+v", path, b)
	}
	return b
}

// planted is the file that the bug is in, and what it is with it.
func (b bug) planted(t *testing.T, root string) (path string, src []byte) {
	path = filepath.Join(root, b.file)
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(src), b.old); n != 1 {
		t.Fatalf("%s has the lines that the bug replaces %d times: bring the bug up to date", b.file, n)
	}
	return path, []byte(strings.Replace(string(src), b.old, b.new, 1))
}

// plant writes the overlay that has the bug.
func (b bug) plant(t *testing.T, root string) string {
	path, src := b.planted(t, root)
	dir := t.TempDir()
	bad := filepath.Join(dir, filepath.Base(path))
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: bad}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	for name, data := range map[string][]byte{bad: src, list: overlay} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)

// runTests runs the tests of a package, or one of them ("core:TestRecovery"),
// and returns the test that failed, "" if none did.
func runTests(t *testing.T, root, overlay, tests string) string {
	pkg, one, _ := strings.Cut(tests, ":")
	cmd := exec.Command("go", "test", "-overlay", overlay, "-count=1", "-failfast", "-vet=off", "-ldflags=-s -w", "-run=^"+one, "-skip=TestImportLaw", "-timeout=8m", "./"+pkg)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	if strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]") {
		t.Fatalf("the bug does not build:\n%s", out)
	}
	if m := failed.FindStringSubmatch(string(out)); m != nil {
		return m[1]
	}
	return fmt.Sprintf("a panic or a timeout (%.200s)", out)
}

func moduleRoot(t *testing.T) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
