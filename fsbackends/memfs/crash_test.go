package memfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestCrash runs scripts of operations. "crash" lists the distinct states that
// CrashClone leaves, over many seeds, and wants every one of them to be possible
// on the disk of the model; with "all" it wants all of those. Files are shown as
// file=content, a letter for each block of 512 bytes.
func TestCrash(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		fs, m := memfs.New(), newModel()
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				fs, m = memfs.New(), newModel()
				return script(fs, m, d.Input)
			case "do":
				return script(fs, m, d.Input)
			case "kill":
				fs = fs.KillClone()
				return script(fs, m, d.Input)
			case "show":
				return show(fs) + "\n"
			case "crash":
				possible, _ := m.states(1 << 20)
				var parts func(string) []string
				if d.HasArg("all") {
					parts = func(state string) []string { return []string{state} }
				}
				reached, odd, missed := states(fs, possible, parts)
				for _, state := range odd {
					t.Errorf("%s: no disk can be in this state: %s", d.Pos, state)
				}
				for _, state := range missed {
					t.Errorf("%s: the model has this state and CrashClone never does: %s", d.Pos, state)
				}
				return strings.Join(slices.Sorted(maps.Keys(reached)), "\n") + "\n"
			}
			return fmt.Sprintf("unknown command %s", d.Cmd)
		})
	})
}

// script runs one operation a line on fs and on the model, which may be nil, and
// returns the errors.
func script(fs *memfs.FS, m *model, text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if err := step(fs, f); err != nil {
			fmt.Fprintf(&out, "%s: %v\n", f[0], err)
			if m != nil && f[0] == "sync" && errors.Is(err, syscall.EIO) {
				m.do([]string{"dropped", f[1]})
			}
		} else if m != nil {
			m.do(f)
		}
	}
	return out.String()
}

func step(fs *memfs.FS, f []string) error {
	switch f[0] {
	case "mkdir":
		return fs.Mkdir(f[1], 0o700)
	case "create":
		h, err := fs.OpenFile(f[1], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			h.Close()
		}
		return err
	case "write", "append", "half", "sync", "truncate": // write file letter: a whole block of it
		h, err := fs.OpenFile(f[1], os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer h.Close()
		switch f[0] {
		case "sync":
			return h.Sync()
		case "truncate":
			return h.Truncate(0)
		case "append", "half":
			if _, err := h.Seek(0, io.SeekEnd); err != nil {
				return err
			}
		}
		size := 512
		if f[0] == "half" {
			size = 256
		}
		var data []byte
		for _, c := range f[2] {
			data = append(data, bytes.Repeat([]byte(string(c)), size)...)
		}
		_, err = h.Write(data)
		return err
	case "rename":
		return fs.Rename(f[1], f[2])
	case "remove":
		return fs.Remove(f[1])
	case "removeall":
		return fs.RemoveAll(f[1])
	case "syncdir":
		return fs.SyncDir(f[1])
	case "failsync":
		fs.FailSync(func(name string) error { return syscall.EIO })
	case "healsync":
		fs.FailSync(nil)
	case "evict":
		fs.Evict()
	default:
		return errors.New("unknown step")
	}
	return nil
}

// states returns the distinct states after a crash, and those among them that
// are not possible. With parts it goes on through the seeds until it has seen
// every part of every possible state, and returns the parts that it missed.
func states(fs *memfs.FS, possible map[string]bool, parts func(state string) []string) (reached map[string]bool, odd, missed []string) {
	reached = map[string]bool{}
	left := map[string]bool{}
	if parts != nil {
		for state := range possible {
			for _, p := range parts(state) {
				left[p] = true
			}
		}
	}
	for seed := int64(0); seed < 400 || len(left) > 0 && seed < 200_000; seed++ {
		state := show(fs.CrashClone(seed))
		if reached[state] {
			continue
		}
		reached[state] = true
		if !possible[state] {
			odd = append(odd, state)
		}
		if parts != nil {
			for _, p := range parts(state) {
				delete(left, p)
			}
		}
	}
	return reached, odd, slices.Sorted(maps.Keys(left))
}

// show is a tree in one line.
func show(fs vfs.FS) string {
	var out []string
	var walk func(dir string)
	walk = func(dir string) {
		infos, err := vfs.ReadDir(fs, dir)
		if err != nil {
			panic(err)
		}
		for _, st := range infos {
			p := path.Join(dir, st.Name())
			if st.IsDir() {
				out = append(out, p+"/")
				walk(p)
				continue
			}
			data, err := vfs.ReadFile(fs, p)
			if err != nil {
				panic(err)
			}
			out = append(out, p+"="+letters(halves(data)))
		}
	}
	walk(".")
	if len(out) == 0 {
		return "(empty)"
	}
	return strings.Join(out, " ")
}

// halves is content as the model has it: one letter for 256 bytes.
func halves(data []byte) string {
	var b strings.Builder
	for part := range slices.Chunk(data, 256) {
		c := part[0]
		switch {
		case bytes.Count(part, part[:1]) != len(part):
			c = '?' // torn inside
		case c == 0:
			c = '.'
		}
		b.WriteByte(c)
	}
	return b.String()
}
