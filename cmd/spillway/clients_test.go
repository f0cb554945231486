package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// peakKB is the most memory the daemon has had, in KiB, without the pages of its
// program, which the kernel may drop.
func (d *daemon) peakKB() int {
	d.t.Helper()
	return d.procStatus("VmHWM") - d.procStatus("RssFile")
}

// procStatus is a number in the daemon's /proc status.
func (d *daemon) procStatus(field string) int {
	d.t.Helper()
	return procStatus(d.t, d.cmd.Process.Pid, field)
}

// procStatus is a number in a process's /proc status.
func procStatus(t *testing.T, pid int, field string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), field+":")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wantClosed waits for the server to close the connection, whatever it sent
// before that.
func (w *wire) wantClosed() {
	w.t.Helper()
	if _, err := io.Copy(io.Discard, w.r); os.IsTimeout(err) {
		w.t.Fatal("the connection is not closed")
	}
}

// TestUnixSocket: private to its owner, replaced after a crash, not while in
// use, and gone after a clean end.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	sock := filepath.Join(t.TempDir(), "s.sock")
	d := startDaemon(t, t.TempDir(), "--unixsocket", sock, "--save", "")
	if got := dialWire(t, "unix", sock).ask("SET a 1"); got != `"OK"` {
		t.Fatalf("SET: %s", got)
	}
	if st, err := os.Stat(sock); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", st, err)
	}
	if list := dialWire(t, "unix", sock).ask("CLIENT LIST"); !strings.Contains(list, "addr="+sock+":0") || !strings.Contains(list, "flags=U") {
		t.Errorf("CLIENT LIST: %s", list)
	}
	out, code := spillway(t, "serve", "--dir", t.TempDir(), "--bind", "", "--unixsocket", sock)
	if code != 1 || !strings.Contains(out, sock) {
		t.Errorf("a second daemon on the socket: exit status %d:\n%s", code, out)
	}
	d.kill()
	d = startDaemon(t, t.TempDir(), "--unixsocket", sock, "--save", "")
	if got := dialWire(t, "unix", sock).ask("PING"); got != `"PONG"` {
		t.Errorf("after a crash: %s", got)
	}
	d.stop()
	if _, err := os.Stat(sock); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestMaxClients(t *testing.T) {
	t.Parallel()
	d := startConfig(t, `server { max_clients = 3 }`, "--dir", t.TempDir())
	in := []*wire{d.dial()}
	d.waitFor("the harness's own connection to be gone", func() bool {
		return strings.Contains(in[0].ask("INFO clients"), `connected_clients:1\r\n`)
	})
	for range 2 {
		w := d.dial()
		if got := w.ask("PING"); got != `"PONG"` {
			t.Fatalf("a client within the limit: %s", got)
		}
		in = append(in, w)
	}
	for range 2 {
		if got := d.dial().rest(); got != "-ERR max number of clients reached\r\n" {
			t.Errorf("a client too many gets %q", got)
		}
	}
	if got := in[1].ask("INFO stats"); !strings.Contains(got, `rejected_connections:2\r\n`) {
		t.Errorf("INFO: %s", got)
	}
	// One goes, another may come; the limit can be raised too.
	in[0].send("QUIT\r\n")
	if got := in[0].rest(); got != "+OK\r\n" {
		t.Errorf("QUIT: %q", got)
	}
	if got := d.dial().ask("PING"); got != `"PONG"` {
		t.Errorf("in the place of the client that left: %s", got)
	}
	if got := in[1].ask("CONFIG SET maxclients 100"); got != `"OK"` {
		t.Fatal(got)
	}
	if got := d.dial().ask("PING"); got != `"PONG"` {
		t.Errorf("after the limit was raised: %s", got)
	}
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir())
	idle := d.dial()
	if got := idle.ask("PING"); got != `"PONG"` {
		t.Fatal(got)
	}
	d.dial().ask("CONFIG SET timeout 1")
	if got := idle.rest(); got != "" {
		t.Errorf("a client that was idle for a second gets %q", got)
	}
	if got := d.dial().ask("CONFIG GET timeout"); got != `["timeout" "1"]` {
		t.Errorf("CONFIG GET: %s", got)
	}
}

// TestOutputLimit: a client that asks for much and reads nothing is closed at
// the limit; without a limit it waits, and costs no memory.
func TestOutputLimit(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--save", "", "--appendonly", "no")
	const size, asks = 100_000, 2000
	d.do("SET", "big", strings.Repeat("v", size))

	w := d.dial()
	go func() { _, _ = io.WriteString(w, strings.Repeat("GET big\r\n", asks)) }()
	d.waitFor("a client that does not read", func() bool { return strings.Contains(fmt.Sprint(d.do("CLIENT", "LIST")), "cmd=get") })
	for range asks {
		if got := w.reply(); len(got) != size+2 {
			t.Fatalf("a reply of %d bytes", len(got))
		}
	}
	if kb := d.peakKB(); kb > 100<<10 {
		t.Errorf("a client that is owed %d MB took the daemon to %d MB", size*asks>>20, kb>>10)
	}

	// The soft limit alone bounds nothing within its second: ask for less.
	for limit, n := range map[string]int{"normal 1mb 0 0": asks, "normal 0 300kb 1": 300} {
		d.do("CONFIG", "SET", "client-output-buffer-limit", limit)
		before := strings.Count(d.log.String(), "client-output-buffer-limit")
		w := d.dial()
		go func() { _, _ = io.WriteString(w, strings.Repeat("GET big\r\n", n)) }()
		d.waitFor("the client to be closed by "+limit, func() bool { return strings.Count(d.log.String(), "client-output-buffer-limit") > before })
		w.wantClosed()
		// Who reads is not touched.
		w = d.dial()
		for range 20 {
			if got := w.ask("GET big"); len(got) != size+2 {
				t.Fatalf("%s: a reply of %d bytes", limit, len(got))
			}
		}
	}
	d.do("CONFIG", "SET", "client-output-buffer-limit", "normal 0 300kb 1")
	if got := d.do("CONFIG", "GET", "client-output-buffer-limit"); !strings.Contains(fmt.Sprint(got), "normal 0 307200 1 slave 268435456 67108864 60 pubsub 33554432 8388608 60") {
		t.Errorf("CONFIG GET: %v", got)
	}

	// The replies of one EXEC are bounded too, and what it wrote counts.
	d.do("CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 0 0")
	w = d.dial()
	w.send("MULTI\r\n" + strings.Repeat("GET big\r\n", 1000) + "SET done yes\r\nEXEC\r\n")
	w.wantClosed()
	if got := d.do("GET", "done"); got != "yes" {
		t.Errorf("the transaction of the client that was closed: done is %v", got)
	}
	if kb := d.peakKB(); kb > 120<<10 {
		t.Errorf("the daemon had %d MB", kb>>10)
	}
}

// TestQueryLimit: what a request may take, and that it takes no more than was
// sent.
func TestQueryLimit(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--save", "", "--appendonly", "no")
	for range 200 {
		w := d.dial()
		w.send("*2147483647\r\n$4\r\nMSET\r\n$536870912\r\nx")
	}
	d.do("PING")
	if kb := d.peakKB(); kb > 100<<10 {
		t.Errorf("requests that announce terabytes took the daemon to %d MB", kb>>10)
	}
	d.do("CONFIG", "SET", "client-query-buffer-limit", 1<<20)
	for name, in := range map[string]string{
		"one argument":    "*2\r\n$4\r\nECHO\r\n$3000000\r\n" + strings.Repeat("x", 2<<20),
		"many arguments":  "*1000000\r\n" + strings.Repeat("$1\r\nx\r\n", 300_000),
		"one transaction": "MULTI\r\n" + strings.Repeat("SET k "+strings.Repeat("x", 10_000)+"\r\n", 200),
	} {
		w := d.dial()
		go func() { _, _ = io.WriteString(w, in) }()
		w.wantClosed()
		if t.Failed() {
			t.Fatal(name)
		}
	}
	d.waitFor("a line for each of the three", func() bool { return strings.Count(d.log.String(), "client-query-buffer-limit") == 3 })
	big := strings.Repeat("x", 1<<20-100)
	w := d.dial()
	w.send(fmt.Sprintf("*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", len(big), big))
	if got := w.reply(); got != `"`+big+`"` {
		t.Errorf("a request within the limit: %.60s", got)
	}
}

// TestClientCommands: LIST, KILL, REPLY and NO-EVICT over sockets.
func TestClientCommands(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--save", "")
	a, b := d.dial(), d.dial()
	a.ask("CLIENT SETNAME first")
	b.ask("CLIENT SETNAME second")
	idA, idB := a.ask("CLIENT ID"), b.ask("CLIENT ID")
	b.ask("CLIENT NO-EVICT ON")
	b.ask("SELECT 3")
	b.ask("MULTI")
	list := a.ask("CLIENT LIST ID " + idA + " " + idB)
	for _, want := range []string{
		"id=" + idA + " addr=" + a.LocalAddr().String() + " laddr=" + d.addr, "name=first", "cmd=client|list",
		"id=" + idB + " addr=" + b.LocalAddr().String(), "name=second", "flags=xe db=3", "multi=0", "cmd=multi", "user=default",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("CLIENT LIST lacks %q:\n%s", want, list)
		}
	}
	if got := a.ask("CLIENT KILL ID " + idB); got != "1" {
		t.Errorf("CLIENT KILL ID: %s", got)
	}
	b.wantClosed()
	if got := a.ask("CLIENT KILL ID " + idB); got != "0" {
		t.Errorf("CLIENT KILL of one that is gone: %s", got)
	}
	b = d.dial()
	b.ask("PING")
	if got := a.ask("CLIENT KILL " + b.LocalAddr().String()); got != `"OK"` {
		t.Errorf("CLIENT KILL addr: %s", got)
	}
	b.wantClosed()
	// Itself: only when asked for, and after the reply.
	if got := a.ask("CLIENT KILL LADDR " + d.addr + " NAMED x"); !strings.Contains(got, "syntax error") {
		t.Errorf("an unknown filter: %s", got)
	}
	a.ask("CLIENT KILL LADDR " + d.addr)
	if got := a.ask("PING"); got != `"PONG"` {
		t.Errorf("after a KILL of everybody else: %s", got)
	}
	a.send("CLIENT KILL ID " + idA + " SKIPME no\r\n")
	if got := a.rest(); got != ":1\r\n" {
		t.Errorf("a client that kills itself gets %q", got)
	}
}
