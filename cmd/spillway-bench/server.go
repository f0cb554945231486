package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	serverCPU = "0"
	loadCPU   = "1"
	// startLimit is how long a server may take to load its data.
	startLimit = 10 * time.Minute
)

// server is one of the two, running or not.
type server struct {
	name string
	port string
	args []string // the command line
	cmd  *exec.Cmd
	rdb  *redis.Client
}

// servers makes both, with empty data directories for a scenario; pinned ones
// have one CPU.
func (b *bench) servers(scenario, appendOnly string, pinned bool) (ours, theirs *server, err error) {
	make1 := func(name, bin string) (*server, error) {
		dir := filepath.Join(b.dir, scenario, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		s := &server{name: name, port: port}
		if pinned {
			s.args = []string{"taskset", "-c", serverCPU}
		}
		s.args = append(s.args, bin)
		if name == "spillway" {
			s.args = append(s.args, "serve")
		}
		s.args = append(s.args, "--dir", dir, "--port", port, "--save", "", "--loglevel", "warning",
			"--appendonly", appendOnly, "--appendfsync", b.fsync)
		return s, nil
	}
	if ours, err = make1("spillway", b.spillway); err != nil {
		return nil, nil, err
	}
	theirs, err = make1("redis", b.redis)
	return ours, theirs, err
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

func (s *server) addr() string { return "127.0.0.1:" + s.port }

// start runs the server and returns how long it took until it served.
func (s *server) start() (time.Duration, error) {
	began := time.Now()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return 0, err
	}
	s.rdb = redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1, ReadTimeout: time.Minute})
	for time.Since(began) < startLimit {
		if s.rdb.Ping(context.Background()).Err() == nil {
			took := time.Since(began)
			// The only jobs are to be those that are measured.
			if err := s.rdb.ConfigSet(context.Background(), "auto-aof-rewrite-percentage", "0").Err(); err != nil {
				return 0, errors.Join(err, s.kill())
			}
			return took, nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0, errors.Join(fmt.Errorf("%s does not answer on %s", s.name, s.addr()), s.kill())
}

// kill ends the server at once, without a word to its data.
func (s *server) kill() error {
	if s.cmd == nil {
		return nil
	}
	_ = s.rdb.Close()
	err := s.cmd.Process.Kill()
	_ = s.cmd.Wait() // killed, of course
	s.cmd = nil
	return err
}

// cpu is the server's processor time so far.
func (s *server) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var ticks int64
	for _, v := range f[11:13] { // utime and stime, 14th and 15th of all
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100), nil // USER_HZ is 100 on Linux
}

// rss is the server's resident memory in bytes.
func (s *server) rss() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(b))[1], 64)
	return pages * float64(os.Getpagesize()), err
}

// info reads one field of INFO.
func (s *server) info(field string) (string, error) {
	all, err := s.rdb.Info(context.Background()).Result()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(all) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && k == field {
			return v, nil
		}
	}
	return "", fmt.Errorf("%s's INFO has no %s", s.name, field)
}

// both starts two servers, runs fn and stops them.
func both(ours, theirs *server, fn func() error) (err error) {
	for _, s := range []*server{ours, theirs} {
		if _, err := s.start(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.kill()) }()
	}
	return fn()
}
