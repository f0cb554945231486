package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

var binary string

// TestMain builds the daemon once: these tests drive the real binary over TCP.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "spillway-test")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "spillway")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the daemon: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// daemon is a running server.
type daemon struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  bytes.Buffer
	addr string
	done chan struct{}
	rdb  *redis.Client
}

// startDaemon runs the daemon on dir with further flags and waits for PONG.
func startDaemon(t *testing.T, dir string, flags ...string) *daemon {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	d := &daemon{t: t, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), done: make(chan struct{})}
	args := append([]string{"serve", "--dir", dir, "--port", strconv.Itoa(port)}, flags...)
	d.cmd = exec.Command(binary, args...)
	d.cmd.Dir = t.TempDir() // no plugins.hcl there
	d.cmd.Stderr, d.cmd.Stdout = &d.log, &d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = d.cmd.Wait(); close(d.done) }()
	d.rdb = redis.NewClient(&redis.Options{Addr: d.addr, MaxRetries: -1, ReadTimeout: 20 * time.Second, DialTimeout: time.Second})
	t.Cleanup(func() { _ = d.rdb.Close(); d.kill() })
	deadline := time.Now().Add(60 * time.Second)
	for d.rdb.Ping(context.Background()).Err() != nil {
		select {
		case <-d.done:
			t.Fatalf("the daemon ended at start:\n%s", d.log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the daemon does not answer")
		}
		time.Sleep(5 * time.Millisecond)
	}
	return d
}

func (d *daemon) kill() {
	_ = d.cmd.Process.Signal(syscall.SIGKILL)
	<-d.done
}

// stop ends the daemon cleanly.
func (d *daemon) stop() {
	d.t.Helper()
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(30 * time.Second):
		d.t.Fatalf("the daemon does not stop")
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		d.t.Fatalf("exit status %d:\n%s", code, d.log.String())
	}
}
