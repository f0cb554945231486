//go:build linux && (amd64 || arm64)

package sysfault

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Call is a file-changing system call that is about to be made.
type Call struct {
	N    int    // its number among those below root, from 1; 0 if it is none of them
	Name string // as in section 2 of the manual: "write", "renameat"
	Path string // what it changes, relative to root; "." is root. "" where N is 0
	To   string // the new name of a rename or a link, else ""
}

// String is the call as a person reads it.
func (c Call) String() string {
	if c.To != "" {
		return c.Name + " " + c.Path + " → " + c.To
	}
	return c.Name + " " + c.Path
}

// Verdict is what becomes of a call.
type Verdict struct {
	errno syscall.Errno
	kill  bool
}

// The verdicts besides Fail. Kill is SIGKILL: the call is not made.
var (
	Pass = Verdict{}
	Kill = Verdict{kill: true}
)

// Fail is the verdict that the call is not made and returns an error.
func Fail(errno syscall.Errno) Verdict { return Verdict{errno: errno} }

// ErrUnavailable says that this machine does not let a process be watched.
var ErrUnavailable = errors.New("seccomp's user notification is not to be had here (Linux 5.19 or newer, and a container that allows seccomp(2) and looking at one's children)")

// Watch is a process that is watched.
type Watch struct {
	root   string
	decide func(Call) Verdict
	n      int
	done   chan struct{}
	err    error
}

// Start starts cmd with decide asked about every file-changing call of it and of
// its children: first about those below root, which have a number, but also
// about all others, sockets and terminals included, which have none. decide is
// called by one goroutine, while the call waits. Pdeathsig must not be set: the
// thread that starts the process ends at once.
func Start(cmd *exec.Cmd, root string, decide func(Call) Verdict) (*Watch, error) {
	abs, err := filepath.Abs(root)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, err
	}
	w := &Watch{root: abs, decide: decide, done: make(chan struct{})}
	started := make(chan error, 1)
	go w.start(cmd, started)
	return w, <-started
}

// start puts the filter on a thread, whose children inherit it, and starts the
// process there. It never unlocks the thread, so that it ends with the
// goroutine, and nothing else runs on it.
func (w *Watch) start(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() { // the main thread would not end
		defer runtime.UnlockOSThread()
		again := make(chan error)
		go w.start(cmd, again)
		started <- <-again
		return
	}
	fd, err := install()
	if err != nil {
		started <- fmt.Errorf("%w: %w", ErrUnavailable, err)
		return
	}
	go w.serve(fd) // from now on: this thread is held up as well
	started <- cmd.Start()
}

// Wait returns once the process and all its children have ended. An error says
// that not every call could be decided on, and the run is worth nothing.
func (w *Watch) Wait() error { <-w.done; return w.err }

// Available tells why Start would not work here; nil: it works.
func Available() error {
	dir, err := os.MkdirTemp("", "sysfault")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var seen []string
	cmd := exec.Command("mkdir", "a")
	cmd.Dir = dir
	w, err := Start(cmd, dir, func(c Call) Verdict {
		if c.N == 0 {
			return Pass
		}
		seen = append(seen, c.String())
		return Fail(syscall.EROFS)
	})
	if err != nil {
		return err
	}
	_ = cmd.Wait() // it fails if all is well
	if err := w.Wait(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err == nil || len(seen) != 1 || !strings.HasPrefix(seen[0], "mkdir") {
		return fmt.Errorf("%w: mkdir was seen as %q", ErrUnavailable, seen)
	}
	return nil
}
