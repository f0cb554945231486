package osfs

import (
	"os"
	"path/filepath"
	"testing"
)

// TestNames: directories are changed as os.Root changes them, and what it refuses is refused in
// its words.
func TestNames(t *testing.T) {
	long := string(make([]rune, 300)) // not a name: NUL bytes
	for n, c := range []struct {
		op       string
		from, to string
		flag     int
	}{
		{op: "open", from: "new", flag: os.O_WRONLY | os.O_CREATE},
		{op: "open", from: "dir/new", flag: os.O_RDWR | os.O_CREATE | os.O_EXCL},
		{op: "open", from: "file", flag: os.O_WRONLY | os.O_CREATE},
		{op: "open", from: "file", flag: os.O_WRONLY | os.O_CREATE | os.O_TRUNC},
		{op: "open", from: "file", flag: os.O_WRONLY | os.O_CREATE | os.O_EXCL},
		{op: "open", from: "dir", flag: os.O_WRONLY | os.O_CREATE},
		{op: "open", from: "link", flag: os.O_WRONLY | os.O_CREATE},
		{op: "open", from: "link", flag: os.O_WRONLY | os.O_CREATE | os.O_EXCL},
		{op: "open", from: "dangling", flag: os.O_WRONLY | os.O_CREATE},
		{op: "open", from: "outside", flag: os.O_WRONLY | os.O_CREATE},
		{op: "open", from: "outdir/new", flag: os.O_WRONLY | os.O_CREATE},
		{op: "open", from: "dirlink/new", flag: os.O_WRONLY | os.O_CREATE},
		{op: "open", from: "missing/new", flag: os.O_WRONLY | os.O_CREATE},
		{op: "open", from: "file/new", flag: os.O_WRONLY | os.O_CREATE},
		{op: "open", from: long, flag: os.O_WRONLY | os.O_CREATE},
		{op: "mkdir", from: "newdir"},
		{op: "mkdir", from: "dir/newdir"},
		{op: "mkdir", from: "dir"},
		{op: "mkdir", from: "link"},
		{op: "mkdir", from: "missing/newdir"},
		{op: "mkdir", from: "outdir/newdir"},
		{op: "remove", from: "file"},
		{op: "remove", from: "dir"},
		{op: "remove", from: "empty"},
		{op: "remove", from: "link"},
		{op: "remove", from: "outside"},
		{op: "remove", from: "outdir/secret"},
		{op: "remove", from: "missing"},
		{op: "removeall", from: "file"},
		{op: "removeall", from: "dir"},
		{op: "removeall", from: "empty"},
		{op: "removeall", from: "link"},
		{op: "removeall", from: "dirlink"},
		{op: "removeall", from: "outdir"},
		{op: "removeall", from: "dir/inner"},
		{op: "removeall", from: "missing"},
		{op: "removeall", from: "file/missing"},
		{op: "rename", from: "file", to: "new"},
		{op: "rename", from: "file", to: "dir/below"},
		{op: "rename", from: "file", to: "empty"},
		{op: "rename", from: "empty", to: "file"},
		{op: "rename", from: "empty", to: "dir"},
		{op: "rename", from: "dir", to: "new"},
		{op: "rename", from: "link", to: "new"},
		{op: "rename", from: "file", to: "outside"},
		{op: "rename", from: "file", to: "outdir/secret"},
		{op: "rename", from: "missing", to: "new"},
		{op: "rename", from: "file", to: "missing/new"},
	} {
		dir := t.TempDir()
		outcome := func(which string, do func(*FS) error) (string, string) {
			base := filepath.Join(dir, which)
			lay(t, base)
			disk, err := New(filepath.Join(base, "root"))
			if err != nil {
				t.Fatal(err)
			}
			fs := disk.(*FS)
			defer fs.Close()
			said := "nil"
			if err := do(fs); err != nil {
				said = err.Error()
			}
			return said, list(t, base)
		}
		var ours, theirs func(*FS) error
		switch c.op {
		case "open":
			done := func(f *os.File, err error) error {
				if err != nil {
					return err
				}
				if f.Name() == "" {
					t.Errorf("%d: the file has no name", n)
				}
				_, err = f.Write([]byte("written"))
				f.Close()
				return err
			}
			ours = func(fs *FS) error { return done(fs.openFile(c.from, c.flag, 0o600)) }
			theirs = func(fs *FS) error { return done(fs.root.OpenFile(c.from, c.flag, 0o600)) }
		case "mkdir":
			ours = func(fs *FS) error { return fs.mkdir(c.from, 0o700) }
			theirs = func(fs *FS) error { return fs.root.Mkdir(c.from, 0o700) }
		case "remove":
			ours = func(fs *FS) error { return fs.remove(c.from) }
			theirs = func(fs *FS) error { return fs.root.Remove(c.from) }
		case "removeall":
			ours = func(fs *FS) error { return fs.RemoveAll(c.from) }
			theirs = func(fs *FS) error { return fs.root.RemoveAll(c.from) }
		case "rename":
			ours = func(fs *FS) error { return fs.rename(c.from, c.to) }
			theirs = func(fs *FS) error { return fs.root.Rename(c.from, c.to) }
		}
		said, left := outcome("ours", ours)
		want, wantLeft := outcome("root", theirs)
		if said != want || left != wantLeft {
			t.Errorf("%s %q %q, flags %#x: %s\n%s\nos.Root says: %s\n%s", c.op, c.from, c.to, c.flag, said, left, want, wantLeft)
		}
	}
}

// lay makes a root with something of each kind, and a directory beside it.
func lay(t *testing.T, base string) {
	t.Helper()
	for _, d := range []string{"root/dir", "root/empty", "out"} {
		if err := os.MkdirAll(filepath.Join(base, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"root/file", "root/dir/inner", "out/secret"} {
		if err := os.WriteFile(filepath.Join(base, f), []byte("of "+f+", and a little more"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"link": "file", "dangling": "nowhere", "outside": "../out/secret", "outdir": "../out", "dirlink": "dir"} {
		if err := os.Symlink(to, filepath.Join(base, "root", name)); err != nil {
			t.Fatal(err)
		}
	}
}

// list is everything below base, and what is in it.
func list(t *testing.T, base string) (all string) {
	t.Helper()
	err := filepath.Walk(base, func(at string, st os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		what := ""
		switch {
		case st.Mode().IsRegular():
			b, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			what = string(b)
		case st.Mode()&os.ModeSymlink != 0:
			if what, err = os.Readlink(at); err != nil {
				return err
			}
		}
		rel, err := filepath.Rel(base, at)
		all += rel + " " + st.Mode().String() + " " + what + "\n"
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
