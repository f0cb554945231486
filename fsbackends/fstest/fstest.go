package fstest

import (
	"errors"
	"testing"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/vfs"
)

// Run runs the suite. mk returns a new, empty filesystem each time it is called.
func Run(t *testing.T, mk func(t *testing.T) vfs.FS) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, fs vfs.FS)
	}{
		{"Whole", testWhole},
		{"ReadWrite", testReadWrite},
		{"Flags", testFlags},
		{"Append", testAppend},
		{"Truncate", testTruncate},
		{"Seek", testSeek},
		{"ClosedFile", testClosedFile},
		{"Directories", testDirectories},
		{"Readdir", testReaddir},
		{"Remove", testRemove},
		{"Rename", testRename},
		{"Replace", testReplace},
		{"OpenFilesOutliveNames", testOutlive},
		{"Sync", testSync},
		{"Containment", testContainment},
		{"Attributes", testAttributes},
		{"WriteFileAtomic", testWriteFileAtomic},
		{"MkdirAllSync", testMkdirAllSync},
		{"Exclusive", testExclusive},
		{"Concurrent", testConcurrent},
		{"Lock", testLock},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, mk(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func open(t *testing.T, fs vfs.FS, name string, flag int) afero.File {
	t.Helper()
	f, err := fs.OpenFile(name, flag, 0o600)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func put(t *testing.T, fs vfs.FS, name, data string) {
	t.Helper()
	f, err := fs.Create(name)
	must(t, err)
	_, err = f.WriteString(data)
	must(t, err)
	must(t, f.Close())
}

func want(t *testing.T, fs vfs.FS, name, data string) {
	t.Helper()
	b, err := vfs.ReadFile(fs, name)
	must(t, err)
	if string(b) != data {
		t.Fatalf("%s is %.80q, want %.80q", name, b, data)
	}
}
