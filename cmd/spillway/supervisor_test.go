package main

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// notifySocket is a service manager's end of sd_notify.
type notifySocket struct {
	t    *testing.T
	conn *net.UnixConn
	path string
}

func listenNotify(t *testing.T) *notifySocket {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &notifySocket{t, conn, path}
}

// next is the next message, as lines. What is waited for comes within patience of
// the beginning of the wait.
func (n *notifySocket) next(began time.Time) []string {
	n.t.Helper()
	if err := n.conn.SetReadDeadline(began.Add(patience)); err != nil {
		n.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	k, err := n.conn.Read(buf)
	if err != nil {
		n.t.Fatalf("waited in vain for a message: %v", err)
	}
	return strings.Split(string(buf[:k]), "\n")
}

// until reads messages to the one with this line, and returns those before it, one
// line each.
func (n *notifySocket) until(line string) (before []string) {
	n.t.Helper()
	for began := time.Now(); ; {
		m := n.next(began)
		if slices.Contains(m, line) {
			return before
		}
		before = append(before, m...)
	}
}

// launch starts a daemon whose service manager this is, and expects a keep-alive
// within watchdog.
func (n *notifySocket) launch(binary string, watchdog time.Duration, flags ...string) *daemon {
	n.t.Helper()
	return launchBy(n.t, func(cmd *exec.Cmd) error {
		cmd.Env = append(cmd.Environ(), "NOTIFY_SOCKET="+n.path, "WATCHDOG_USEC="+fmt.Sprint(watchdog.Microseconds()))
		return cmd.Start()
	}, binary, flags...)
}

// TestNotify: a service manager is told that the data is loaded when it is and not
// before, that the engine goes on, and that the end has begun.
func TestNotify(t *testing.T) {
	t.Parallel()
	n := listenNotify(t)
	script := writeFaults(t, `on read path "checkpoints/**" hang`)
	d := &faultyDaemon{daemon: n.launch(faultyBinary(t), time.Second, "--dir", savedDir(t), "--fault-script", script), script: script}
	if m := n.next(time.Now()); len(m) != 1 || !strings.HasPrefix(m[0], "STATUS=Loading the data") {
		t.Fatalf("the first message is %q", m)
	}
	d.faults("")
	for _, line := range n.until("READY=1") {
		if !strings.HasPrefix(line, "STATUS=Loading the data") {
			t.Errorf("before READY=1 it says %q", line)
		}
	}
	if got := d.do("GET", "base:99"); got != "99" {
		t.Errorf("READY=1, and a key is %v", got)
	}
	n.until("WATCHDOG=1")
	n.until("WATCHDOG=1")
	d.signal(syscall.SIGTERM)
	n.until("STOPPING=1")
	d.wantExit(0)
	if strings.Contains(d.log.String(), "cannot be told") {
		t.Errorf("the log complains:\n%s", d.log.String())
	}
}

// TestWatchdogOfADisk: one that does not answer is waited for, and no reason for a
// service manager to end the daemon: it would lose what waits to be written.
func TestWatchdogOfADisk(t *testing.T) {
	t.Parallel()
	n := listenNotify(t)
	script := writeFaults(t, "")
	d := &faultyDaemon{daemon: n.launch(faultyBinary(t), time.Second, "--dir", t.TempDir(), "--fault-script", script, "--save", "1 1"), script: script}
	n.until("READY=1")
	d.do("SET", "k", "v")
	d.faults("on any hang")
	d.do("SET", "k", "w")
	d.waitLog("takes longer than a second")
	for range 3 {
		n.until("WATCHDOG=1")
	}
	d.kill()
}

// TestWatchdogBites: an engine that hangs sends no keep-alives, says so, and goes
// on with them when it does.
func TestWatchdogBites(t *testing.T) {
	t.Parallel()
	n := listenNotify(t)
	script := writeFaults(t, "")
	d := &faultyDaemon{daemon: n.launch(faultyBinary(t), time.Second, "--dir", savedDir(t), "--fault-script", script, "--shards", "1", "--enable-debug-command", "yes"), script: script}
	n.until("READY=1")
	// The checkpoint of a DEBUG RELOAD opens the part and its set's description; the
	// third to open something loads the part, while nobody else may touch the data.
	d.faults(`on open path "checkpoints/**" nth 3 hang`)
	reloaded := make(chan error, 1)
	go func() { reloaded <- d.rdb.Do(t.Context(), "DEBUG", "RELOAD").Err() }()
	n.until("STATUS=The engine hangs: no keep-alives are sent")
	d.waitLog("the engine hangs")
	d.faults("")
	if before := n.until("WATCHDOG=1"); len(before) > 0 {
		t.Errorf("between the hang and the next keep-alive it says %q", before)
	}
	n.until("STATUS=Serving clients")
	if err := <-reloaded; err != nil {
		t.Error(err)
	}
}

// TestNotifyToNobody: a socket that is gone ends nothing.
func TestNotifyToNobody(t *testing.T) {
	t.Parallel()
	n := listenNotify(t)
	_ = n.conn.Close()
	d := n.launch(binary, time.Second, "--dir", t.TempDir())
	d.waitReady()
	d.waitLog("the service manager cannot be told")
	d.stop()
}

// engineOf is what a supervisor sees of an engine.
type engineOf struct {
	mu     sync.Mutex
	done   int64
	total  int64
	ticks  uint64
	health error
}

func (e *engineOf) set(change func(e *engineOf)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

func (e *engineOf) LoadProgress() (done, total int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.done, e.total
}
func (e *engineOf) Ticks() uint64  { e.mu.Lock(); defer e.mu.Unlock(); return e.ticks }
func (e *engineOf) Healthy() error { e.mu.Lock(); defer e.mu.Unlock(); return e.health }

// TestSupervisor: what is said, and when, to the second.
func TestSupervisor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var said []string
		s := &supervisor{log: hclog.NewNullLogger(), pulse: 10 * time.Second, send: func(state string) error {
			said = append(said, fmt.Sprint(int(time.Since(began)/time.Second))+" "+state)
			return nil
		}}
		e := &engineOf{}
		at := func(second int, change func(e *engineOf)) {
			time.Sleep(time.Until(began.Add(time.Duration(second)*time.Second + time.Second/2)))
			e.set(change)
		}
		ticking := func(until int) { // ten times a second
			for time.Since(began) < time.Duration(until)*time.Second {
				time.Sleep(time.Second / 10)
				e.set(func(e *engineOf) { e.ticks++ })
			}
		}
		s.restoring()
		go s.watch(t.Context(), e)
		at(1, func(e *engineOf) { e.total = 200 })
		at(12, func(e *engineOf) { e.done = 50 }) // long: no watchdog yet
		at(13, func(e *engineOf) { e.done = 201 })
		at(14, func(*engineOf) {})
		s.ready(e)
		at(20, func(*engineOf) {}) // no tick yet
		ticking(32)
		at(40, func(e *engineOf) { e.health = errors.New("no space\nleft") }) // and no tick any more
		at(55, func(e *engineOf) {})
		ticking(61)
		at(62, func(e *engineOf) { e.health = nil })
		at(63, func(e *engineOf) {})
		s.stop()
		at(81, func(e *engineOf) { e.health = errors.New("shutting down") })
		want := []string{
			"0 STATUS=Restoring the data from a backup",
			"0 STATUS=Loading the data",
			"2 STATUS=Loading the data: 0 %",
			"13 STATUS=Loading the data: 25 %",
			"14 STATUS=Loading the data: 100 %",
			"14 READY=1\nSTATUS=Serving clients",
			"20 WATCHDOG=1",
			"30 WATCHDOG=1",
			"40 WATCHDOG=1", // for the ticks until the 32nd second
			"41 STATUS=Not healthy: no space left",
			"50 STATUS=The engine hangs: no keep-alives are sent",
			"60 WATCHDOG=1",
			"60 STATUS=Not healthy: no space left",
			"63 STATUS=Serving clients",
			"63 STOPPING=1\nSTATUS=Shutting down",
			"70 WATCHDOG=1", // without any tick: an end may take its time
			"80 WATCHDOG=1",
		}
		if got, want := strings.Join(said, "\n"), strings.Join(want, "\n"); got != want {
			t.Errorf("said:\n%s\nwant:\n%s", got, want)
		}
	})
}
