package fstest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/vfs"
)

// Agree does the same random operations on two filesystems and wants the same
// results: bytes, counts, positions, listings, and errors by their number. mkA
// and mkB return a new, empty filesystem; seed decides the operations. A failure
// shows the whole history.
//
// What backends may do differently is left out: permissions, times, the order of
// a directory's entries, and the text of errors.
func Agree(t *testing.T, mkA, mkB func(t *testing.T) vfs.FS, seed uint64, steps int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 3))
	a, b := &actor{fs: mkA(t)}, &actor{fs: mkB(t)}
	defer a.closeAll()
	defer b.closeAll()
	var history strings.Builder
	for range steps {
		o := randomOp(rng)
		ra, rb := o.run(a), o.run(b)
		fmt.Fprintf(&history, "%s: %.100s\n", o.name, ra)
		if ra != rb {
			t.Fatalf("%s (seed %d)\n%s says %.300q\n%s says %.300q\nafter\n%s", o.name, seed, a.fs.Name(), ra, b.fs.Name(), rb, history.String())
		}
	}
	if ta, tb := tree(a.fs, "."), tree(b.fs, "."); ta != tb {
		t.Fatalf("seed %d: the trees differ\n%s: %s\n%s: %s\nafter\n%s", seed, a.fs.Name(), ta, b.fs.Name(), tb, history.String())
	}
}

// actor is one filesystem and its open files.
type actor struct {
	fs    vfs.FS
	files [5]afero.File
}

func (a *actor) closeAll() {
	for _, f := range a.files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// step is one operation and how to tell its result.
type step struct {
	name string
	run  func(a *actor) string
}

var agreeNames = []string{
	"a", "b", "d", "e", "d/a", "d/b", "d/e", "e/a", "d/e/a", "a/x", "none/x", ".", "", "..", "../x", "d/../b", "/a", "d/.", "d//a",
}

func randomOp(rng *rand.Rand) step {
	name, other := agreeNames[rng.IntN(len(agreeNames))], agreeNames[rng.IntN(len(agreeNames))]
	if rng.IntN(3) > 0 { // mostly those that can be files
		name = agreeNames[[]int{0, 1, 4, 5, 7, 8}[rng.IntN(6)]]
	}
	switch rng.IntN(10) {
	case 0, 1:
		return openOp(rng, name)
	case 2, 3:
		return nameOp(rng, name, other)
	}
	return fileOp(rng)
}

func openOp(rng *rand.Rand, name string) step {
	flag := []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR}[rng.IntN(4)]
	text := []string{"r", "w", "rw"}[flag]
	for _, f := range []struct {
		flag int
		text string
		in   int
	}{{os.O_CREATE, "+create", 2}, {os.O_EXCL, "+excl", 6}, {os.O_TRUNC, "+trunc", 5}, {os.O_APPEND, "+append", 4}, {os.O_SYNC, "+sync", 8}} {
		// O_TRUNC without writing and O_EXCL without O_CREATE are undefined.
		if rng.IntN(f.in) == 0 && !(f.flag == os.O_TRUNC && flag&3 == os.O_RDONLY) && !(f.flag == os.O_EXCL && flag&os.O_CREATE == 0) {
			flag |= f.flag
			text += f.text
		}
	}
	slot := rng.IntN(5)
	return step{fmt.Sprintf("open %d %q %s", slot, name, text), func(a *actor) string {
		f, err := a.fs.OpenFile(name, flag, 0o600)
		if err != nil {
			return result(err)
		}
		if a.files[slot] != nil {
			_ = a.files[slot].Close()
		}
		a.files[slot] = f
		return result(nil)
	}}
}

func nameOp(rng *rand.Rand, name, other string) step {
	one := func(op string, f func(fs vfs.FS) error) step {
		return step{fmt.Sprintf("%s %q", op, name), func(a *actor) string { return result(f(a.fs)) }}
	}
	switch rng.IntN(12) {
	case 0, 1:
		return one("mkdir", func(fs vfs.FS) error { return fs.Mkdir(name, 0o700) })
	case 2:
		return one("mkdirall", func(fs vfs.FS) error { return fs.MkdirAll(name, 0o700) })
	case 3:
		return one("remove", func(fs vfs.FS) error { return fs.Remove(name) })
	case 4:
		return one("removeall", func(fs vfs.FS) error { return fs.RemoveAll(name) })
	case 5, 6:
		return step{fmt.Sprintf("rename %q %q", name, other), func(a *actor) string { return result(a.fs.Rename(name, other)) }}
	case 7:
		return step{fmt.Sprintf("replace %q %q", name, other), func(a *actor) string { return result(a.fs.Replace(name, other)) }}
	case 8:
		return one("syncdir", func(fs vfs.FS) error { return fs.SyncDir(name) })
	case 9:
		return one("chmod", func(fs vfs.FS) error { return fs.Chmod(name, 0o700) })
	case 10:
		return step{fmt.Sprintf("stat %q", name), func(a *actor) string { return stat(a.fs.Stat(name)) }}
	}
	return step{"tree", func(a *actor) string { return tree(a.fs, ".") }}
}

func fileOp(rng *rand.Rand) step {
	slot := rng.IntN(5)
	n, off, size := rng.IntN(3000)*min(rng.IntN(8), 1), rng.Int64N(40_000)-20, rng.Int64N(40_000)-5
	data := make([]byte, n)
	for i := range data {
		data[i] = byte('a' + rng.IntN(26))
	}
	on := func(op string, f func(h afero.File) string) step {
		return step{fmt.Sprintf("%s %d", op, slot), func(a *actor) string {
			if a.files[slot] == nil {
				return "not open"
			}
			return f(a.files[slot])
		}}
	}
	onFile := func(op string, f func(h afero.File) string) step { // bytes and positions of a directory mean nothing
		return on(op, func(h afero.File) string {
			if st, err := h.Stat(); err == nil && st.IsDir() {
				return "a directory"
			}
			return f(h)
		})
	}
	switch rng.IntN(13) {
	case 0, 1:
		return onFile(fmt.Sprintf("read %d of", n), func(h afero.File) string {
			b := make([]byte, n)
			got, err := h.Read(b)
			return fmt.Sprintf("%s %s", b[:max(got, 0)], result(err))
		})
	case 2:
		return onFile(fmt.Sprintf("readat %d %d of", n, off), func(h afero.File) string {
			b := make([]byte, n)
			got, err := h.ReadAt(b, off)
			return fmt.Sprintf("%s %s", b[:max(got, 0)], result(err))
		})
	case 3, 4:
		return on(fmt.Sprintf("write %d to", n), func(h afero.File) string { return counted(h.Write(data)) })
	case 5:
		return on(fmt.Sprintf("writestring %d to", n), func(h afero.File) string { return counted(h.WriteString(string(data))) })
	case 6:
		return on(fmt.Sprintf("writeat %d %d to", n, off), func(h afero.File) string { return counted(h.WriteAt(data, off)) })
	case 7:
		whence := rng.IntN(3)
		return onFile(fmt.Sprintf("seek %d %d in", off, whence), func(h afero.File) string {
			pos, err := h.Seek(off, whence)
			if err != nil {
				pos = 0
			}
			return fmt.Sprint(pos, result(err))
		})
	case 8:
		return on(fmt.Sprintf("truncate %d of", size), func(h afero.File) string { return result(h.Truncate(size)) })
	case 9:
		return on("sync", func(h afero.File) string { return result(h.Sync()) })
	case 10:
		return on("stat", func(h afero.File) string { return stat(h.Stat()) })
	case 11:
		return on("list", func(h afero.File) string {
			if _, err := h.Stat(); err != nil {
				return result(err) // closed: the os package has a text of its own for this
			}
			infos, err := h.Readdir(-1)
			return listing(infos) + result(err)
		})
	}
	return on("close", func(h afero.File) string { return result(h.Close()) }) // and stays, closed
}

func counted(n int, err error) string { return fmt.Sprint(n, " ", result(err)) }

func stat(st os.FileInfo, err error) string {
	if err != nil {
		return result(err)
	}
	return listing([]os.FileInfo{st})
}

// listing is the entries in order, without what backends do differently.
func listing(infos []os.FileInfo) string {
	out := make([]string, len(infos))
	for i, st := range infos {
		out[i] = fmt.Sprintf("%s %d;", st.Name(), st.Size())
		if st.IsDir() {
			out[i] = st.Name() + "/;"
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// tree is everything under dir, with the content of the files.
func tree(fs vfs.FS, dir string) string {
	infos, err := vfs.ReadDir(fs, dir)
	if err != nil {
		return result(err)
	}
	slices.SortFunc(infos, func(a, b os.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	var b strings.Builder
	for _, st := range infos {
		p := dir + "/" + st.Name()
		if st.IsDir() {
			fmt.Fprintf(&b, "%s/ %s", p, tree(fs, p))
			continue
		}
		data, err := vfs.ReadFile(fs, p)
		fmt.Fprintf(&b, "%s=%q%s ", p, data, result(err))
	}
	return b.String()
}

// result tells an error by what a caller may test for.
func result(err error) string {
	var no syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &no):
		return no.Error()
	}
	for _, e := range []error{io.EOF, os.ErrClosed, vfs.ErrEscape} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return "another error"
}
