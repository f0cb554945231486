package blob_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/blob"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

// TestFileDamage: what cannot be read in a directory is an error that names it,
// and is neither waited for nor taken for something that is not there.
func TestFileDamage(t *testing.T) {
	pipe := func(name string) error { return syscall.Mkfifo(name, 0o600) }
	dir := func(name string) error { return os.Mkdir(name, 0o700) }
	file := func(name string) error { return os.WriteFile(name, []byte("x"), 0o600) }
	loop := func(name string) error { return os.Symlink(filepath.Base(name), name) }
	for _, c := range []struct {
		name, path string // below the set's directory
		put        func(string) error
		says       string
	}{
		{"a description is a pipe", "SET.json", pipe, "named pipe"},
		{"a description is a directory", "SET.json", dir, "a directory"},
		{"a description cannot be reached", "SET.json", loop, "too many"},
		{"a part is a pipe", "shard-0000.rdb", pipe, "named pipe"},
		{"a part is a directory", "shard-0000.rdb", dir, "a directory"},
		{"the place is a file", "..", file, "not a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			s := mk(t, blob.Options{URL: "file://" + root, Attempts: 1})
			older, newer := plugintest.PutOne(t, s, 1, []byte("older")), plugintest.PutOne(t, s, 2, []byte("newer"))
			plugintest.Publish(t, s, older)
			plugintest.Publish(t, s, newer)
			at := filepath.Join(root, "checkpoints", sink.DirName(newer.ID), c.path)
			if err := os.RemoveAll(at); err != nil {
				t.Fatal(err)
			}
			if err := c.put(at); err != nil {
				t.Fatal(err)
			}
			fresh := mk(t, blob.Options{URL: "file://" + root, Attempts: 1}) // that has not read it before
			var sets []sink.Set
			err := within(t, func() (err error) {
				sets, err = fresh.List(bg)
				if err != nil || !strings.HasPrefix(c.path, "shard") {
					return err
				}
				rc, err := fresh.Open(bg, newer.Parts[0].Part, newer.Parts[0].SinkReceipt)
				if err != nil {
					return err
				}
				defer rc.Close()
				_, err = io.Copy(io.Discard, rc)
				return err
			})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("it says %v", err)
			}
			if c.path != ".." && !strings.Contains(err.Error(), sink.DirName(newer.ID)+"/"+c.path) {
				t.Errorf("it does not say which file: %v", err)
			}
			if c.path == "SET.json" && (len(sets) != 1 || sets[0].ID != older.ID) {
				t.Errorf("beside it there are %v", sets)
			}
		})
	}
}

// within fails the test when f does not return.
func within(t *testing.T, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(guard):
		t.Fatal("it waits for ever")
		return nil
	}
}
