package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
)

var binary string

// eventLoopsEnv is how many event loops (event-loops) the daemons of the tests have that
// are not told otherwise.
const eventLoopsEnv = "SPILLWAY_TEST_EVENT_LOOPS"

// TestMain builds the daemon once: these tests drive the real binary over real
// sockets.
func TestMain(m *testing.M) {
	if report := os.Getenv(measureEnv); report != "" {
		os.Exit(measureChild(report))
	}
	dir, err := os.MkdirTemp("", "spillway-test")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "spillway")
	var faulty sync.WaitGroup
	if flag.Parse(); flag.Lookup("test.run").Value.String() == "" { // of all tests, some need it
		faulty.Go(func() { _, _ = buildFaulty() }) // those fail that need it
	}
	if out, err := exec.Command("go", "build", "-ldflags=-s", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the daemon: %v\n%s", err, out)
		os.Exit(1)
	}
	faulty.Wait() // the linker has one thread for the most part
	if err := servers.SetS3Env(); err != nil {
		panic(err)
	}
	redis.SetLogger(quiet{})
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// quiet is go-redis's logger: daemons that are killed are none of its news.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// patience is the hang guard of everything that waits.
const patience = 2 * time.Minute

// daemon is a running server.
type daemon struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  testutil.Buffer
	addr string
	done chan struct{}
	rdb  *redis.Client
}

// startDaemon runs the daemon on dir with further flags and waits until it serves.
func startDaemon(t *testing.T, dir string, flags ...string) *daemon {
	t.Helper()
	d := launch(t, append([]string{"--dir", dir}, flags...)...)
	d.waitReady()
	return d
}

// startConfig runs the daemon with a configuration file and waits until it serves.
func startConfig(t *testing.T, hcl string, flags ...string) *daemon {
	t.Helper()
	d := launch(t, append([]string{"-config", writeConfig(t, hcl)}, flags...)...)
	d.waitReady()
	return d
}

func writeConfig(t *testing.T, hcl string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plugins.hcl")
	if err := os.WriteFile(path, []byte(hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// launch starts the daemon on a free TCP port and returns once it listens there
// or has ended. A port that somebody took meanwhile is not the test's fault.
func launch(t *testing.T, flags ...string) *daemon {
	t.Helper()
	return launchBinary(t, binary, flags...)
}

// launchBinary is launch with another build of the daemon.
func launchBinary(t *testing.T, binary string, flags ...string) *daemon {
	t.Helper()
	return launchAs(t, nil, binary, flags...)
}

// launchAs is launchBinary with attributes of the process.
func launchAs(t *testing.T, attr *syscall.SysProcAttr, binary string, flags ...string) *daemon {
	t.Helper()
	return launchBy(t, func(cmd *exec.Cmd) error { cmd.SysProcAttr = attr; return cmd.Start() }, binary, flags...)
}

// launchBy is launchBinary with the process started by start.
func launchBy(t *testing.T, start func(*exec.Cmd) error, binary string, flags ...string) *daemon {
	t.Helper()
	for try := 0; ; try++ {
		port := freePort(t)
		d := &daemon{t: t, addr: net.JoinHostPort("127.0.0.1", port), done: make(chan struct{})}
		args := []string{"serve", "--port", port}
		if n := os.Getenv(eventLoopsEnv); n != "" {
			args = append(args, "--event-loops", n)
		}
		d.cmd = exec.Command(binary, append(args, flags...)...)
		d.cmd.Dir = t.TempDir() // no plugins.hcl there
		d.cmd.Stderr, d.cmd.Stdout = &d.log, &d.log
		if err := start(d.cmd); err != nil {
			t.Fatal(err)
		}
		go func() { _ = d.cmd.Wait(); close(d.done) }()
		t.Cleanup(d.kill)
		d.waitFor("a listener", func() bool {
			c, err := net.Dial("tcp", d.addr)
			if err == nil {
				_ = c.Close()
			}
			return err == nil || d.ended()
		})
		if d.ended() && strings.Contains(d.log.String(), "address already in use") && try < 5 {
			continue
		}
		d.rdb = d.client(nil)
		return d
	}
}

// client is a go-redis client that is closed with the test.
func (d *daemon) client(change func(*redis.Options)) *redis.Client {
	o := &redis.Options{Addr: d.addr, MaxRetries: -1, ReadTimeout: patience, DialTimeout: patience, DisableIdentity: true}
	if change != nil {
		change(o)
	}
	c := redis.NewClient(o)
	d.t.Cleanup(func() { _ = c.Close() })
	return c
}

// waitReady waits until the daemon says that it serves.
func (d *daemon) waitReady() {
	d.t.Helper()
	d.waitFor("the daemon to be ready", func() bool {
		if d.ended() {
			d.t.Fatalf("the daemon ended at start:\n%s", d.log.String())
		}
		return strings.Contains(d.log.String(), "Ready to accept connections")
	})
}

func (d *daemon) ended() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// waitFor polls until cond holds; patience is the hang guard.
func (d *daemon) waitFor(what string, cond func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("waited in vain for %s:\n%s", what, d.log.String())
		}
	}
}

// waitLog waits for a line of the daemon's log.
func (d *daemon) waitLog(text string) {
	d.t.Helper()
	d.waitFor(fmt.Sprintf("%q in the log", text), func() bool { return strings.Contains(d.log.String(), text) })
}

func (d *daemon) kill() {
	_ = d.cmd.Process.Signal(syscall.SIGKILL)
	<-d.done
}

func (d *daemon) signal(sig os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.t.Fatal(err)
	}
}

// wantExit waits for the daemon to end by itself with this status.
func (d *daemon) wantExit(code int) {
	d.t.Helper()
	d.waitFor("the end of the daemon", d.ended)
	if got := d.cmd.ProcessState.ExitCode(); got != code {
		d.t.Fatalf("exit status %d, want %d:\n%s", got, code, d.log.String())
	}
}

// stop ends the daemon cleanly.
func (d *daemon) stop() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	d.wantExit(0)
}

// do runs a command that must not fail.
func (d *daemon) do(args ...any) any {
	d.t.Helper()
	v, err := d.rdb.Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		d.t.Fatalf("%v: %v\n%s", args, err, d.log.String())
	}
	return v
}

// info is one field of INFO.
func (d *daemon) info(field string) string {
	d.t.Helper()
	s, err := d.rdb.Info(context.Background(), "all").Result()
	if err != nil {
		d.t.Fatalf("INFO: %v\n%s", err, d.log.String())
	}
	return infoField(s, field)
}

func infoField(info, field string) string {
	_, rest, found := strings.Cut(info, "\r\n"+field+":")
	if !found {
		return "(missing)"
	}
	v, _, _ := strings.Cut(rest, "\r\n")
	return v
}

// wire is a connection without a client library.
type wire struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

// dial opens one to the daemon.
func (d *daemon) dial() *wire { d.t.Helper(); return dialWire(d.t, "tcp", d.addr) }

func dialWire(t *testing.T, network, addr string) *wire {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = c.Close() })
	return &wire{c, t, bufio.NewReader(c)}
}

func (w *wire) send(s string) {
	w.t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		w.t.Fatalf("sending %.60q: %v", s, err)
	}
}

// reply reads one reply, as resp.Value.String shows it.
func (w *wire) reply() string {
	w.t.Helper()
	v, err := resp.ReadReply(w.r)
	if err != nil {
		w.t.Fatalf("reading a reply: %v", err)
	}
	return v.String()
}

// ask is send and reply of one inline command.
func (w *wire) ask(line string) string { w.t.Helper(); w.send(line + "\r\n"); return w.reply() }

// rest reads until the server closes the connection.
func (w *wire) rest() string {
	w.t.Helper()
	b, err := io.ReadAll(w.r)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		w.t.Fatalf("the connection is not closed: %v", err)
	}
	return string(b)
}

// talk sends in, says that no more is coming, and returns all that comes back.
func talk(t *testing.T, network, addr, in string) string {
	t.Helper()
	w := dialWire(t, network, addr)
	w.send(in)
	if err := w.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) {
		t.Fatal(err)
	}
	return w.rest()
}

// spillway runs a command of the binary to its end.
func spillway(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	output, cmd := spillwayCommand(t, args...)
	return output, cmd.ProcessState.ExitCode()
}

// spillwayCommand is spillway that returns the process, which has ended.
func spillwayCommand(t *testing.T, args ...string) (output string, cmd *exec.Cmd) {
	t.Helper()
	return runCommand(t, exec.Command(binary, args...))
}

// runCommand runs a command to its end, with further variables in its environment.
func runCommand(t *testing.T, cmd *exec.Cmd, env ...string) (output string, ended *exec.Cmd) {
	t.Helper()
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !late.Stop() {
		t.Fatalf("%v does not end:\n%s", cmd.Args, out.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), cmd
}

// redisServer starts a real redis-server on a Unix socket and returns its path
// and a client.
func redisServer(t *testing.T, dir string, flags ...string) (socket string, c *redis.Client) {
	t.Helper()
	return redisServerOf(t, "redis-server", dir, flags...)
}

// redisServerOf is redisServer of another release.
func redisServerOf(t *testing.T, program, dir string, flags ...string) (socket string, c *redis.Client) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "r.sock")
	cmd := exec.Command(program, append([]string{"--port", "0", "--unixsocket", socket, "--dir", dir, "--save", ""}, flags...)...)
	var log testutil.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: apt-get install redis-server", err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	c = redis.NewClient(&redis.Options{Network: "unix", Addr: socket, MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = c.Close() })
	up := func() bool {
		err := c.Ping(context.Background()).Err()
		return err == nil || strings.HasPrefix(err.Error(), "NOAUTH")
	}
	for deadline := time.Now().Add(patience); !up(); time.Sleep(2 * time.Millisecond) {
		select {
		case <-done:
			t.Fatalf("redis-server ended:\n%s", log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server does not answer:\n%s", log.String())
		}
	}
	return socket, c
}

// ports are those that freePort has given out.
var ports sync.Map

// freePort is a port that nobody listens on, and no other daemon of these tests
// is told: until one has it, the system would give it out again.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		// Not one that the kernel would choose: it chooses those for whoever connects
		// to something, too, before the server of the test gets to it.
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(22_000)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
		_ = l.Close()
		if _, given := ports.LoadOrStore(port, true); !given {
			return port
		}
	}
}
