package testutil

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Document fails the test unless a document of the repository has, between the lines
// "<!-- place: begin -->" and "<!-- place: end -->", what the code says. path is
// relative to the package's directory, with slashes. Given the flag -rewrite, which
// github.com/cockroachdb/datadriven declares, it writes that instead.
func Document(t *testing.T, path, place, want string) {
	t.Helper()
	path = filepath.FromSlash(path)
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+place+": begin -->\n", "<!-- "+place+": end -->\n"
	before, rest, ok1 := strings.Cut(string(src), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for %s", path, place)
	}
	whole := before + begin + want + end + after
	if string(src) == whole {
		return
	}
	if f := flag.Lookup("rewrite"); f == nil || f.Value.String() != "true" {
		t.Fatalf("%s is not what the code says: go test -run %s -rewrite in this package writes it", path, t.Name())
	}
	if err := os.WriteFile(path, []byte(whole), 0o644); err != nil { //nolint:gosec // a document
		t.Fatal(err)
	}
}
