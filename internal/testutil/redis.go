package testutil

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Redis starts a real redis-server that keeps nothing on disk, with these arguments
// besides, and returns what connects to it, over a Unix socket. Server and
// connections end with the test, which fails where there is no redis-server.
func Redis(t testing.TB, args ...string) (dial func() net.Conn) {
	t.Helper()
	return NewRedisServer(t, args...).Dial
}

// RedisServer is a real redis-server that can be killed and started again on the
// directory that it has.
type RedisServer struct {
	t      testing.TB
	args   []string
	socket string
	cmd    *exec.Cmd
}

// NewRedisServer starts one, see [Redis].
func NewRedisServer(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "spillway") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	s := &RedisServer{t: t, socket: filepath.Join(dir, "s")}
	s.args = append([]string{"--port", "0", "--unixsocket", s.socket, "--dir", dir, "--save", "", "--appendonly", "no"}, args...)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// Start starts the server, which does not run, and returns when it has loaded what
// it finds.
func (s *RedisServer) Start() {
	s.t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatalf("redis-server is needed to judge this package: apt-get install redis-server (%v)", err)
	}
	var log bytes.Buffer
	s.cmd = exec.Command(bin, s.args...) //nolint:gosec // a test says which
	s.cmd.Stdout, s.cmd.Stderr = &log, &log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(Patience); ; time.Sleep(5 * time.Millisecond) {
		err := s.answers()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.Kill() // before its output is read
			s.t.Fatalf("redis-server does not answer: %v\n%s", err, log.String())
		}
	}
}

// answers is nil when the server answers and is not loading any more. It may ask
// for a password.
func (s *RedisServer) answers() error {
	conn, err := net.Dial("unix", s.socket)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && strings.HasPrefix(line, "-LOADING") {
		return errors.New("it is loading")
	}
	return err
}

// Kill ends the server as kill -9 does, if it runs.
func (s *RedisServer) Kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Dial connects to the server. The connection ends with the test.
func (s *RedisServer) Dial() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("unix", s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}
