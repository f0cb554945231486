package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// leftOpen is how long the output of a process that has ended is still read:
// what it left in the pipes, or a child that holds them open.
const leftOpen = 500 * time.Millisecond

// osRunner is one process, for go-plugin. It is started once.
//
// The process leads a process group of its own; a pipe on its stdin ends with
// the host, and on Linux the kernel kills it when the host dies. When it ends,
// what is left of its group is killed.
type osRunner struct {
	cmd      *exec.Cmd
	out      *output
	lifeline *os.File // the host's end of the plugin's stdin

	stdout *handshakeLine
	stderr *io.PipeReader // for go-plugin: nothing, then the end

	alive  context.Context // while the process runs
	ended  context.CancelFunc
	gone   chan struct{} // the process was reaped and its output read
	err    error         // how it ended; valid when gone
	mu     sync.Mutex
	pid    int
	killed bool // Kill was called in time
	reaped bool
}

var _ runner.Runner = (*osRunner)(nil)

// newRunner prepares a process.
func newRunner(cmd *exec.Cmd, out *output) *osRunner {
	cmd.SysProcAttr = processAttributes()
	r := &osRunner{cmd: cmd, out: out, gone: make(chan struct{})}
	r.alive, r.ended = context.WithCancel(context.Background())
	return r
}

// Start implements runner.Runner.
func (r *osRunner) Start(context.Context) error {
	var files []*os.File
	closeFiles := func() {
		for _, f := range files {
			_ = f.Close()
		}
	}
	pipe := func() (rd, wr *os.File, err error) {
		rd, wr, err = os.Pipe()
		files = append(files, rd, wr)
		return rd, wr, err
	}
	in, lifeline, err1 := pipe()
	stdout, w1, err2 := pipe()
	stderr, w2, err3 := pipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		closeFiles()
		return fmt.Errorf("pipes for the plugin: %w", err)
	}
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = in, w1, w2
	r.lifeline = lifeline
	var reading sync.WaitGroup
	r.stdout = newHandshakeLine()
	reading.Go(func() { r.stdout.pass(r.alive, stdout, r.out) })
	pr, pw := io.Pipe()
	r.stderr = pr
	reading.Go(func() {
		defer pw.Close()
		r.out.copy(r.alive, bufio.NewReaderSize(stderr, maxLine))
	})
	started := make(chan error)
	go r.watch(started, &reading, []*os.File{in, w1, w2}, []*os.File{lifeline, stdout, stderr})
	err := <-started
	if err != nil {
		closeFiles()
		reading.Wait()
	}
	return err
}

// watch starts the process and stays until it has ended, on one thread: Linux
// sends the signal of a parent's death when the thread that started the child
// ends, so it must not end before the child. theirs are the child's ends of the
// pipes, ours the host's.
func (r *osRunner) watch(started chan<- error, reading *sync.WaitGroup, theirs, ours []*os.File) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	err := r.cmd.Start()
	if err != nil {
		r.ended()
		started <- err
		return
	}
	for _, f := range theirs {
		_ = f.Close()
	}
	pid := r.cmd.Process.Pid
	r.mu.Lock()
	r.pid = pid
	late := r.killed
	r.mu.Unlock()
	if late {
		_ = r.Kill(context.Background())
	}
	started <- nil

	err = r.reap(pid)
	r.ended()
	closeOurs := func() {
		for _, f := range ours {
			_ = f.Close()
		}
	}
	timer := time.AfterFunc(leftOpen, closeOurs)
	reading.Wait()
	timer.Stop()
	closeOurs()
	r.err = err
	close(r.gone)
}

// reap waits for the process's end, kills what is left of its group, and
// returns how it ended.
func (r *osRunner) reap(pid int) error {
	if awaitExit(pid) {
		r.mu.Lock()
		defer r.mu.Unlock()
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		r.reaped = true
		return r.cmd.Wait()
	}
	err := r.cmd.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reaped = true
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	return err
}

// Wait implements runner.AttachedRunner.
func (r *osRunner) Wait(context.Context) error {
	<-r.gone
	return r.err
}

// Kill implements runner.AttachedRunner: the process and its group, stopped or
// not, end at once. It does not wait.
func (r *osRunner) Kill(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reaped {
		return nil
	}
	r.killed = true
	if r.pid == 0 { // not started yet, or never
		return nil
	}
	err := syscall.Kill(-r.pid, syscall.SIGKILL)
	if err != nil { // not yet the leader of its group
		err = syscall.Kill(r.pid, syscall.SIGKILL)
	}
	return err
}

// endedItself tells whether a process that is gone has ended without our doing.
func (r *osRunner) endedItself() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.killed || !signalled(r.err, syscall.SIGKILL)
}

// letGo closes the lifeline: the plugin exits by itself.
func (r *osRunner) letGo() { _ = r.lifeline.Close() }

// ID implements runner.AttachedRunner.
func (r *osRunner) ID() string {
	if pid := r.processID(); pid != 0 {
		return strconv.Itoa(pid)
	}
	return ""
}

// processID is 0 before the start.
func (r *osRunner) processID() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pid
}

// Stdout implements runner.Runner.
func (r *osRunner) Stdout() io.ReadCloser { return r.stdout }

// Stderr implements runner.Runner. go-plugin is given nothing to parse: its
// parser panics on JSON of an unexpected shape.
func (r *osRunner) Stderr() io.ReadCloser { return r.stderr }

// Name implements runner.Runner.
func (r *osRunner) Name() string { return r.cmd.Args[0] }

// Diagnose implements runner.Runner.
func (r *osRunner) Diagnose(context.Context) string { return "" }

// PluginToHost implements runner.AddrTranslator.
func (r *osRunner) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

// HostToPlugin implements runner.AddrTranslator.
func (r *osRunner) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}
