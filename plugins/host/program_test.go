package host_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/plugins/host"
)

// swap is a place where a pinned program lies, and another one that wants to
// be there. The other one leaves a file when it runs.
type swap struct {
	t                   testing.TB
	place, ours, theirs string
	mark                string
}

func newSwap(t testing.TB, ours []byte) *swap {
	t.Helper()
	dir := t.TempDir()
	s := &swap{t: t, place: filepath.Join(dir, "plugin"), ours: filepath.Join(dir, "ours"), theirs: filepath.Join(dir, "theirs"), mark: filepath.Join(dir, "mark")}
	for path, program := range map[string][]byte{s.ours: ours, s.theirs: []byte("#!/bin/sh\ntouch " + s.mark + "\n")} {
		if err := os.WriteFile(path, program, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.put(s.ours)
	return s
}

// binary is this test's program; script is one that becomes it.
func binary(t testing.TB) []byte {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func script(t testing.TB) []byte {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []byte("#!/bin/sh\nexec " + self + "\n")
}

// put has a program take the place, as mv does.
func (s *swap) put(program string) {
	tmp := s.place + ".new"
	if err := errors.Join(os.Link(program, tmp), os.Rename(tmp, s.place)); err != nil {
		s.t.Error(err)
	}
	_ = os.Remove(tmp) // it stays when both were the same file
}

// spec pins ours at the place.
func (s *swap) spec(name string) host.Spec {
	s.t.Helper()
	spec := selfSpec(s.t, name)
	sum, err := host.Checksum(s.ours)
	if err != nil {
		s.t.Fatal(err)
	}
	spec.Command, spec.Checksum = []string{s.place}, sum
	return spec
}

func (s *swap) check() {
	s.t.Helper()
	if _, err := os.Stat(s.mark); err == nil {
		s.t.Error("a program ran that is not the pinned one")
	}
}

// bothWays runs f with what is run on Linux, and with what is run elsewhere.
func bothWays(t *testing.T, f func(t *testing.T)) {
	t.Run("descriptor", f)
	t.Run("copy", func(t *testing.T) {
		t.Cleanup(host.RunCopies())
		f(t)
	})
}

// TestSwapAfterChecksum: another program takes the place of the pinned one
// after that was read and before it is started. What was read is what runs, also
// when it has an interpreter.
func TestSwapAfterChecksum(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		t.Run("binary", func(t *testing.T) { swapAfterChecksum(t, binary(t)) })
		t.Run("script", func(t *testing.T) { swapAfterChecksum(t, script(t)) })
	})
}

func swapAfterChecksum(t *testing.T, ours []byte) {
	s := newSwap(t, ours)
	swapped := 0
	t.Cleanup(host.OnVerified(func(path string) {
		if path == s.place {
			s.put(s.theirs)
			swapped++
		}
	}))
	r := newRig(t, "", ample, nil)
	for i := range 2 {
		s.put(s.ours)
		if _, err := r.add(s.spec(fmt.Sprint("p", i))).Ping(t.Context()); err != nil {
			t.Errorf("the pinned program does not run: %v", err)
		}
		if swapped != i+1 {
			t.Fatalf("%d swaps in %d starts", swapped, i+1)
		}
	}
	s.check()
}

// TestSwapRace: two programs take each other's place without a pause.
func TestSwapRace(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		s := newSwap(t, script(t))
		r := newRig(t, "", ample, nil)
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					s.put(s.theirs)
					s.put(s.ours)
				}
			}
		}()
		ran, refused := 0, 0
		for i := 0; i < 12 || ran == 0 && i < 1000; i++ {
			switch _, err := r.add(s.spec(fmt.Sprint("p", i))).Ping(t.Context()); {
			case err == nil:
				ran++
			case errors.Is(err, host.ErrChecksum):
				refused++
			default:
				t.Errorf("neither started nor refused: %v", err)
			}
		}
		close(stop)
		<-done
		t.Logf("%d starts, %d refused", ran, refused)
		s.check()
	})
}

// TestOthersCanWrite: a program that others can change, or exchange, is refused
// with what to do, pinned or not.
func TestOthersCanWrite(t *testing.T) {
	const stranger = 54321
	chown := func(path string) error { return os.Chown(path, stranger, -1) }
	mode := func(m os.FileMode) func(string) error {
		return func(path string) error { return os.Chmod(path, m) }
	}
	group := func(m os.FileMode) func(string) error {
		return func(path string) error { return errors.Join(os.Chown(path, -1, stranger), os.Chmod(path, m)) }
	}
	for name, c := range map[string]struct {
		file, dir func(string) error
		want      string
	}{
		"file of all":                 {file: mode(0o757), want: "(mode -rwxr-xrwx); chmod o-w it"},
		"file of a group":             {file: group(0o775), want: "(mode -rwxrwxr-x); chmod g-w it"},
		"file of another":             {file: chown, want: "belongs to another user (uid 54321)"},
		"file that cannot run":        {file: mode(0o644), want: "permission denied"},
		"directory of all":            {dir: mode(0o777), want: "everybody may write to DIR/bin "},
		"directory of a group":        {dir: group(0o775), want: "a group may write to DIR/bin "},
		"directory of another":        {dir: chown, want: "DIR/bin belongs to another user"},
		"sticky directory":            {dir: mode(0o777 | os.ModeSticky)},
		"sticky directory of another": {dir: func(p string) error { return errors.Join(chown(p), mode(0o777|os.ModeSticky)(p)) }, want: "belongs to another user"},
		"all is well":                 {},
	} {
		if os.Getuid() != 0 && (strings.Contains(name, "another") || strings.Contains(name, "group")) {
			continue // only root gives files away: make test runs as root
		}
		t.Run(name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			bin := filepath.Join(dir, "bin")
			if err := os.Mkdir(bin, 0o700); err != nil {
				t.Fatal(err)
			}
			program := filepath.Join(bin, "plugin")
			if err := os.WriteFile(program, script(t), 0o755); err != nil {
				t.Fatal(err)
			}
			sum, err := host.Checksum(program)
			if err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(dir, "link") // the directories behind it count
			if err := os.Symlink(program, link); err != nil {
				t.Fatal(err)
			}
			for path, change := range map[string]func(string) error{program: c.file, bin: c.dir} {
				if change != nil {
					if err := change(path); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, path := range []string{program, link} {
				for _, insecure := range []bool{false, true} {
					spec := selfSpec(t, "p")
					spec.Command, spec.Checksum = []string{path}, sum
					if insecure {
						spec.Checksum, spec.Insecure = "", true
					}
					err := spec.Verify()
					want := strings.ReplaceAll(c.want, "DIR", dir)
					if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
						t.Errorf("%s, insecure %s: %v, want %q", path, strconv.FormatBool(insecure), err, want)
					}
				}
			}
		})
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o755); err != nil {
		t.Fatal(err)
	}
	spec := selfSpec(t, "p")
	spec.Command = []string{fifo}
	if err := spec.Verify(); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a FIFO: %v", err)
	}
}
