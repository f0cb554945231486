package config_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/vfs"
)

func TestOpenFS(t *testing.T) {
	dir := t.TempDir()
	for _, location := range []string{dir, filepath.Join(dir, "new", "dir"), "file://" + dir, "file:" + dir,
		"file://localhost" + dir + "/with%20space", "mem:", "mem://"} {
		fs, err := config.OpenFS(location)
		if err != nil {
			t.Errorf("Open(%q): %v", location, err)
			continue
		}
		if err := vfs.RequireData(fs); err != nil {
			t.Errorf("Open(%q): %v", location, err)
		}
		if err := vfs.WriteFileAtomic(fs, "f", []byte("x"), 0o600); err != nil {
			t.Errorf("Open(%q): %v", location, err)
		}
	}
	if ok, err := vfs.Exists(mustOpen(t, dir), "with space/f"); !ok || err != nil {
		t.Errorf("the escaped path was not unescaped: %v, %v", ok, err)
	}
	for location, want := range map[string]string{
		"":                  "empty",
		"mem:/x":            "no path",
		"file://data/x":     "host",
		"file:///x?y=1":     "path only",
		"s3://":             "bucket",
		"sftp://me:pw@h/x":  "password",
		"file:///%zz":       "escape",
		"weird:thing/there": "no backend",
	} {
		_, err := config.OpenFS(location)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q): %v, want an error with %q", location, err, want)
		}
	}
}

// TestRequireData: what is remote is refused without a connection, or even
// credentials; what is not is not.
func TestRequireDataFS(t *testing.T) {
	for location, lacks := range map[string]string{
		"s3://b/x": "atomic replace, append", "gs://b": "append", "azblob://c/x": "append", "sftp://h/x": "lock",
		"": "", "data": "", "./s3:x": "", "/s3:/x": "", "mem:": "", "file:///x": "",
	} {
		err := config.RequireDataFS(location)
		if lacks == "" && err == nil {
			continue
		}
		if lacks == "" || !errors.Is(err, vfs.ErrCaps) || !strings.Contains(err.Error(), lacks) {
			t.Errorf("%q: %v, want %q", location, err, lacks)
		}
	}
	fs, err := config.OpenFS("sftp://nobody@host.invalid/x") // not connected yet
	if err != nil || !errors.Is(vfs.RequireData(fs), vfs.ErrCaps) {
		t.Errorf("%v, %v", fs, err)
	}
}

func mustOpen(t *testing.T, location string) vfs.FS {
	t.Helper()
	fs, err := config.OpenFS(location)
	if err != nil {
		t.Fatal(err)
	}
	return fs
}
