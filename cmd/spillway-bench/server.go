package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"
)

const (
	// startLimit is how long a server may take to load its data.
	startLimit = 10 * time.Minute
	// lastWords is how many lines of a log an error shows.
	lastWords = 15
	// goneSoon is how long a server whose connection broke is given to be seen ending.
	goneSoon = time.Second
)

// server is one of a fleet, running or not.
type server struct {
	spec
	bench         *bench
	options       options
	dir           string
	port, tlsPort string
	rdb           *redis.Client

	cmd     *exec.Cmd
	ctx     context.Context // ends with the process, or the bench
	gone    chan struct{}   // closed when the process has ended
	outcome error           // of the process, when gone is closed
	state   string          // the same in words
}

// fleet are the servers of a scenario, with the same options and, for the most part,
// the same data.
type fleet []*server

// fleet makes all servers, not running, with empty directories.
func (b *bench) fleet(o options) (fleet, error) {
	var f fleet
	for _, spec := range b.specs {
		s := &server{spec: spec, bench: b, options: o, dir: filepath.Join(b.dir, o.scenario, spec.name)}
		var err error
		if s.port, err = freePort(); err == nil {
			s.tlsPort, err = freePort()
		}
		if err = errors.Join(err, os.RemoveAll(s.dir), os.MkdirAll(s.dir, 0o700)); err != nil {
			return nil, err
		}
		f = append(f, s)
	}
	return f, nil
}

// with starts a fleet, runs fn, and ends the fleet.
func (b *bench) with(o options, fn func(fleet) error) (err error) {
	f, err := b.fleet(o)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range f {
			err = errors.Join(err, s.kill(), os.RemoveAll(s.dir))
		}
	}()
	started := make([]error, len(f))
	var all sync.WaitGroup
	for i, s := range f {
		all.Go(func() { _, started[i] = s.start() })
	}
	all.Wait()
	if err := errors.Join(started...); err != nil {
		return err
	}
	for _, s := range f {
		b.report.saw(s)
	}
	return fn(f)
}

// rounds has every server in turn do something, so many times, while the others are
// stopped. Who begins changes with the round, so that none always follows the same.
func (f fleet) rounds(n int, do func(s *server) error) error {
	for round := range n {
		for i := range f {
			if err := f.turn((round+i)%len(f), do); err != nil {
				return err
			}
		}
	}
	return nil
}

// turn has one server do something while the others are stopped.
func (f fleet) turn(i int, do func(s *server) error) error {
	for n, s := range f {
		signal := syscall.SIGSTOP
		if n == i {
			signal = syscall.SIGCONT
		}
		if err := s.cmd.Process.Signal(signal); err != nil {
			return s.blame(err)
		}
	}
	s := f[i]
	err := s.rdb.Ping(s.ctx).Err()
	if err == nil {
		time.Sleep(s.bench.settle / 30) // what it has to catch up with
		err = do(s)
	}
	if err == nil && s.ended() {
		err = errors.New("it has ended")
	}
	return s.blame(err)
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

func (s *server) addr() string    { return "127.0.0.1:" + s.port }
func (s *server) logFile() string { return s.dir + ".log" }

// dial connects as the fleet's clients do: with TLS if that is what is measured.
func (s *server) dial() (net.Conn, error) {
	return s.dialBy(func(addr string) (net.Conn, error) { return net.Dial("tcp", addr) })
}

// dialBy is dial over a connection that somebody makes.
func (s *server) dialBy(dial func(addr string) (net.Conn, error)) (net.Conn, error) {
	addr := s.addr()
	if s.options.tls {
		addr = "127.0.0.1:" + s.tlsPort
	}
	c, err := dial(addr)
	if err != nil || !s.options.tls {
		return c, err
	}
	return s.bench.cert.client(c)
}

// start runs the server and returns how long it took until it served.
func (s *server) start() (time.Duration, error) {
	log, err := os.Create(s.logFile())
	if err != nil {
		return 0, err
	}
	defer log.Close()
	began := time.Now()
	args := append(s.bench.pins.serverCommand(s.options.pinned), s.command...)
	args = append(args, s.options.args(s.dir, s.port, s.tlsPort, s.bench.cert)...)
	ctx, end := context.WithCancel(s.bench.ctx)
	s.cmd = exec.CommandContext(ctx, args[0], args[1:]...)
	s.cmd.Dir = s.dir // and no configuration of whoever runs the bench
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		end()
		return 0, fmt.Errorf("%s: %w", s.name, err)
	}
	s.ctx, s.gone = ctx, make(chan struct{})
	cmd := s.cmd
	go func() {
		s.outcome = cmd.Wait()
		s.state = cmd.ProcessState.String()
		close(s.gone)
		end()
	}()
	for time.Since(began) < startLimit && !s.ended() {
		if err = s.serves(); err == nil {
			took := time.Since(began)
			s.rdb = redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1, ReadTimeout: 10 * time.Minute})
			// The only jobs are to be those that are measured.
			return took, s.blame(s.rdb.ConfigSet(ctx, "auto-aof-rewrite-percentage", "0").Err())
		}
		time.Sleep(2 * time.Millisecond)
	}
	return 0, s.blame(fmt.Errorf("it does not serve on %s: %w", s.addr(), err))
}

// serves is nil when the server answers, and is not loading any more.
func (s *server) serves() error {
	c, err := net.Dial("tcp", s.addr())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	return skipReplies(bufio.NewReader(c), 1)
}

// ended is whether the process is no more.
func (s *server) ended() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// blame says whose error it is and, if the server has ended or did not start, what it
// logged last.
func (s *server) blame(err error) error {
	if err == nil {
		return nil
	}
	if s.gone != nil {
		select {
		case <-s.gone:
			err = fmt.Errorf("%w; it ended with %s", err, s.state)
		case <-time.After(goneSoon):
		}
	}
	return fmt.Errorf("%s: %w\n%s", s.name, err, s.lastLines())
}

// lastLines is the end of the server's log.
func (s *server) lastLines() string {
	log, err := os.ReadFile(s.logFile())
	if err != nil {
		return fmt.Sprintf("(its log: %v)", err)
	}
	log = bytes.TrimSpace(log)
	if len(log) == 0 {
		return "(it logged nothing)"
	}
	lines := strings.Split(string(log), "\n")
	return "the last it logged:\n  " + strings.Join(lines[max(0, len(lines)-lastWords):], "\n  ")
}

// kill ends the server at once, without a word to its data.
func (s *server) kill() error {
	if s.cmd == nil {
		return nil
	}
	if s.rdb != nil {
		_ = s.rdb.Close()
	}
	_ = s.cmd.Process.Kill() // it may be gone
	<-s.gone
	s.cmd = nil
	return nil
}

// shutdown ends the server as it should be ended, without a save.
func (s *server) shutdown() error {
	s.rdb.ShutdownNoSave(context.Background())
	_ = s.rdb.Close()
	<-s.gone
	s.cmd = nil
	return s.outcome
}

// spent is the processor time of a process: all of it, and what of it was the kernel's
// work for it, which the kernel counts in hundredths of a second.
type spent struct{ all, kernel time.Duration }

// cpu is what the server's process has spent so far.
func (s *server) cpu() (spent, error) {
	var t unix.Timespec
	clock := int32(^s.cmd.Process.Pid<<3 | 2) // the CPU-time clock of a process, see clock_getcpuclockid(3)
	if err := unix.ClockGettime(clock, &t); err != nil {
		return spent{}, err
	}
	ticks, err := s.proc("stat", func(line string) (float64, error) {
		_, behind, _ := strings.Cut(line, ") ") // behind the name, see proc_pid_stat(5)
		fields := strings.Fields(behind)
		if len(fields) < 13 {
			return 0, fmt.Errorf("it has %d fields", len(fields))
		}
		return strconv.ParseFloat(fields[12], 64)
	})
	return spent{time.Duration(t.Nano()), time.Duration(ticks) * 10 * time.Millisecond}, err
}

// since is what was spent after another moment.
func (s spent) since(before spent) spent { return spent{s.all - before.all, s.kernel - before.kernel} }

// rss is the server's resident memory in bytes.
func (s *server) rss() (float64, error) {
	return s.proc("statm", func(line string) (float64, error) {
		pages, err := strconv.ParseFloat(strings.Fields(line)[1], 64)
		return pages * float64(os.Getpagesize()), err
	})
}

// peak is the most resident memory since forgetPeak, in bytes.
func (s *server) peak() (float64, error) {
	return s.proc("status", func(text string) (float64, error) {
		kb, err := field(text, "VmHWM")
		return kb * 1024, err
	})
}

func (s *server) forgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5"), 0)
}

// written is how many bytes the server, and children of it that have ended, have had
// written to disks.
func (s *server) written() (float64, error) {
	return s.proc("io", func(text string) (float64, error) { return field(text, "write_bytes") })
}

func (s *server) proc(name string, read func(string) (float64, error)) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, name))
	if err != nil {
		return 0, err
	}
	return read(string(b))
}

// field reads a number out of lines "name: number".
func field(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(line, ":"); ok && k == name {
			return strconv.ParseFloat(strings.Fields(v)[0], 64)
		}
	}
	return 0, fmt.Errorf("there is no %s", name)
}

// info is all of INFO, by field.
func (s *server) info() (map[string]string, error) {
	all, err := s.rdb.Info(s.ctx).Result()
	if err != nil {
		return nil, err
	}
	fields := make(map[string]string)
	for line := range strings.Lines(all) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[k] = v
		}
	}
	return fields, nil
}

// count is a number of INFO, -1 for one that this server does not have.
func count(info map[string]string, name string) float64 {
	n, err := strconv.ParseFloat(info[name], 64)
	if err != nil {
		return -1
	}
	return n
}
