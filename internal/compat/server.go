package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// server is one process of the daemon, or of redis-server, for one unit.
type server struct {
	cmd    *exec.Cmd
	port   string
	exited chan struct{}
}

// startServer starts one with an empty data directory, and waits until it
// answers. Whatever it prints goes to log.
func (c *compat) startServer(dir, log string) (*server, error) {
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		return nil, err
	}
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{port: port, exited: make(chan struct{})}
	s.cmd = exec.Command(c.command[0], append(c.command[1:len(c.command):len(c.command)], "--port", port, "--dir", data)...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, out, out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is in its log
		close(s.exited)
	}()
	for began := time.Now(); time.Since(began) < 30*time.Second; {
		if s.ping() == '+' { // a server that still loads answers with an error
			return s, nil
		}
		select {
		case <-s.exited:
			return nil, fmt.Errorf("the server ended at once; see %s", log)
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.stop()
	return nil, errors.New("the server does not answer")
}

// answers reports whether PING gets a reply, be it an error.
func (s *server) answers() bool { return s.ping() != 0 }

// ping returns what the reply to PING begins with, 0 when there is none.
func (s *server) ping() byte {
	c, err := net.DialTimeout("tcp", "127.0.0.1:"+s.port, time.Second)
	if err != nil {
		return 0
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second)) // a TCP connection has deadlines
	if _, err := c.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
		return 0
	}
	b := make([]byte, 1)
	if _, err := c.Read(b); err != nil || b[0] != '+' && b[0] != '-' {
		return 0
	}
	return b[0]
}

// stop ends the server at once and waits until it is gone.
func (s *server) stop() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.exited
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
