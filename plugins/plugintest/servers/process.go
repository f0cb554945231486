package servers

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout is how long a server may take to answer.
const startTimeout = 2 * time.Minute

// Process is a server that can be ended, and started again on the same port
// with the same files.
type Process struct {
	t    testing.TB
	name string
	addr string
	argv []string
	env  []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
	log  tail
}

// start runs a server until t ends.
func start(t testing.TB, name, addr string, env []string, argv ...string) *Process {
	t.Helper()
	p := &Process{t: t, name: name, addr: addr, argv: argv, env: env}
	t.Cleanup(p.Kill)
	p.Start()
	return p
}

// Addr is where it listens: host and port.
func (p *Process) Addr() string { return p.addr }

// Start starts a server that was killed, and waits until it takes connections.
func (p *Process) Start() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = attributes()
	started, done := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the kernel ends the server with this thread
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	p.cmd, p.done = cmd, done
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", p.addr, time.Second)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-done:
			p.t.Fatalf("%s ended at once:\n%s", p.name, p.log.String())
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s does not listen on %s: %v\n%s", p.name, p.addr, err, p.log.String())
		}
	}
}

// Kill ends the server and what it started, as kill -9 does.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	p.cmd = nil
}

// Pause stops the server where it is: connections stay open, and nothing
// answers. On a busy machine its threads stop one after the other; Pause waits
// for the last.
func (p *Process) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signal(syscall.SIGSTOP)
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(5 * time.Millisecond) {
		running := ""
		for _, pid := range p.family() {
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*/stat", pid))
			for _, name := range tasks {
				b, _ := os.ReadFile(name) // one that is gone does not run
				if _, rest, ok := strings.Cut(string(b), ") "); ok && !strings.HasPrefix(rest, "T") && !strings.HasPrefix(rest, "Z") {
					running = name
				}
			}
		}
		if running == "" {
			return
		}
		if time.Now().After(deadline) {
			p.t.Errorf("%s does not stop: %s", p.name, running)
			return
		}
	}
}

// Resume undoes Pause.
func (p *Process) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signal(syscall.SIGCONT)
}

// signal reaches the server and its descendants, children first.
func (p *Process) signal(s syscall.Signal) {
	family := p.family()
	for i := len(family) - 1; i >= 0; i-- {
		_ = syscall.Kill(family[i], s)
	}
}

// family is the server and what it has started.
func (p *Process) family() []int {
	if p.cmd == nil {
		return nil
	}
	family := []int{p.cmd.Process.Pid}
	for i := 0; i < len(family); i++ {
		family = append(family, children(family[i])...)
	}
	return family
}

// children are the processes that pid has started.
func children(pid int) (out []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // gone meanwhile
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			if n, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// freeAddr is an address that nobody listens on.
func freeAddr(t testing.TB) (addr, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String(), strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// installed finds a program in the repository's bin, then in places, then in
// PATH.
func installed(t testing.TB, name string, places ...string) string {
	t.Helper()
	bin := filepath.Join(root(t), "bin")
	for _, p := range append([]string{filepath.Join(bin, name)}, places...) {
		if !filepath.IsAbs(p) {
			p = filepath.Join(bin, p)
		}
		if fi, err := os.Stat(p); err == nil && fi.Mode()&0o111 != 0 {
			return p
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed; run: make deps", name)
	}
	return p
}

// root is the directory of go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
	}
}

// setenv sets variables for the test, and returns them for other processes. A test that
// runs in parallel must have them already.
func setenv(t testing.TB, vars map[string]string) map[string]string {
	t.Helper()
	for k, v := range vars {
		if had, ok := os.LookupEnv(k); !ok || had != v {
			t.Setenv(k, v)
		}
	}
	return vars
}

// tail keeps the end of what a server says.
type tail struct {
	mu sync.Mutex
	b  []byte
}

// Write implements io.Writer.
func (l *tail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	if len(l.b) > 64<<10 {
		l.b = bytes.Clone(l.b[len(l.b)-(16<<10):])
	}
	return len(b), nil
}

// String is what was kept.
func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

// Log is the end of what the server has said.
func (p *Process) Log() string { return fmt.Sprintf("%s: %s", p.name, p.log.String()) }
