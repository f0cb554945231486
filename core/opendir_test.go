package core_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spillwaydb/spillway/core"
)

// TestOpenDir: what a program has written is there after the process is gone,
// without a Close and without a checkpoint.
func TestOpenDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	db, err := core.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := db.Session()
	if v, err := s.Do("SET", "k", "v"); err != nil || v.Err() != nil {
		t.Fatal(v, err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := core.OpenDir(dir); err == nil {
		t.Error("a directory that is open was opened a second time")
	}
	s.Close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, copied} {
		db, err := core.OpenDir(d)
		if err != nil {
			t.Fatal(err)
		}
		s := db.Session()
		if v, err := s.Do("GET", "k"); err != nil || string(v.Str) != "v" {
			t.Errorf("%s: %v, %v", d, v, err)
		}
		s.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
