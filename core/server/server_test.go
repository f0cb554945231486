package server

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

const patience = 2 * time.Minute // a hang guard: a machine that does much else is slow

// eventLoops is what servers of the tests have that do not say: all tests are run
// without loops and with some.
var eventLoops = -1

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 && runtime.GOOS == "linux" && flag.Lookup("test.list").Value.String() == "" {
		eventLoops = 2
		if code = m.Run(); code != 0 {
			fmt.Fprintln(os.Stderr, "with event loops")
		}
	}
	os.Exit(code)
}

// serve runs a server on loopback. wrap may change the listener.
func serve(t *testing.T, opt Options, change func(*core.Options), wrap func(net.Listener) net.Listener) (*Server, string) {
	t.Helper()
	return serveOver(t, nil, opt, change, wrap)
}

// serveOver is serve with TLS, unless secured is nil.
func serveOver(t *testing.T, secured *TLS, opt Options, change func(*core.Options), wrap func(net.Listener) net.Listener) (*Server, string) {
	t.Helper()
	o := core.Options{FS: memfs.New(), Shards: 2}
	if change != nil {
		change(&o)
	}
	db, err := core.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if wrap != nil {
		l = wrap(l)
	}
	if opt.EventLoops == 0 {
		opt.EventLoops = eventLoops
	}
	s := New(db, opt)
	done := make(chan error, 1)
	go func() {
		if secured != nil {
			done <- s.ServeTLS(l, secured)
		} else {
			done <- s.Serve(l)
		}
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, addr
}

type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return clientOn(t, c)
}

// clientOn is a client on a connection.
func clientOn(t *testing.T, c net.Conn) *client {
	_ = c.SetDeadline(time.Now().Add(patience))
	return &client{c, t, bufio.NewReader(c)}
}

func (c *client) ask(line string) string {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	v, err := resp.ReadReply(c.r)
	if err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	return v.String()
}

// rest is what comes until the server closes.
func (c *client) rest() string {
	c.t.Helper()
	b, err := io.ReadAll(c.r)
	if os.IsTimeout(err) {
		c.t.Fatal("the connection is not closed")
	}
	return string(b)
}

// remoteListener makes every peer one of another machine.
type remoteListener struct{ net.Listener }

type remoteConn struct{ net.Conn }

func (l remoteListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return remoteConn{c}, err
}

func (remoteConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1234} }

// TestProtectedMode: without a password only this machine is let in.
func TestProtectedMode(t *testing.T) {
	far := func(l net.Listener) net.Listener { return remoteListener{l} }
	t.Run("no password", func(t *testing.T) {
		s, addr := serve(t, Options{}, nil, far)
		if got := dial(t, addr).rest(); !strings.HasPrefix(got, "-DENIED ") || s.rejected.Load() != 1 {
			t.Errorf("a client of another machine gets %q, %d rejected", got, s.rejected.Load())
		}
		// The administrator may open it.
		s.protected.Store(false)
		if got := dial(t, addr).ask("PING"); got != `"PONG"` {
			t.Errorf("with protected-mode no: %s", got)
		}
	})
	t.Run("a password", func(t *testing.T) {
		_, addr := serve(t, Options{}, func(o *core.Options) { o.RequirePass = "pw" }, far)
		c := dial(t, addr)
		if got := c.ask("GET a"); !strings.Contains(got, "NOAUTH") {
			t.Errorf("before AUTH: %s", got)
		}
		if got := c.ask("AUTH pw"); got != `"OK"` {
			t.Errorf("AUTH: %s", got)
		}
	})
	t.Run("this machine", func(t *testing.T) {
		_, addr := serve(t, Options{}, nil, nil)
		if got := dial(t, addr).ask("CONFIG SET protected-mode no"); got != `"OK"` {
			t.Errorf("CONFIG SET: %s", got)
		}
	})
}

// watchedConn remembers the deadline of reads.
type watchedConn struct {
	net.Conn
	read atomic.Pointer[time.Time]
}

func (c *watchedConn) SetReadDeadline(t time.Time) error {
	c.read.Store(&t)
	return c.Conn.SetReadDeadline(t)
}

type watchedListener struct {
	net.Listener
	last atomic.Pointer[watchedConn]
}

func (l *watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	w := &watchedConn{Conn: c}
	l.last.Store(w)
	return w, err
}

// TestTimeoutChanges: a new timeout reaches clients that wait already, in both
// directions, and clients that are stuck writing.
func TestTimeoutChanges(t *testing.T) {
	var l *watchedListener
	s, addr := serve(t, Options{Timeout: time.Hour}, nil, func(inner net.Listener) net.Listener {
		l = &watchedListener{Listener: inner}
		return l
	})
	c := dial(t, addr)
	c.ask("PING")
	mine := l.last.Load()
	until := func(what string, cond func(deadline time.Time) bool) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			if d := mine.read.Load(); d != nil && cond(*d) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the deadline of a waiting client is not %s: %v", what, mine.read.Load())
			}
		}
	}
	until("in an hour", func(d time.Time) bool { return time.Until(d) > time.Minute })
	s.setTimeout(0) // the old deadline must not outlive the timeout
	until("lifted", time.Time.IsZero)
	s.setTimeout(time.Minute)
	until("in a minute", func(d time.Time) bool { return time.Until(d) > time.Second && time.Until(d) <= time.Minute })
	s.setTimeout(0)
	until("lifted again", time.Time.IsZero)
	if got := c.ask("PING"); got != `"PONG"` {
		t.Errorf("after all of that: %s", got)
	}
	idle := dial(t, addr)
	idle.ask("PING")
	// A client that reads nothing is idle too.
	c.ask("SET big " + strings.Repeat("v", 60_000))
	go func() { _, _ = io.WriteString(c, strings.Repeat("GET big\r\n", 2000)) }()
	testutil.Eventually(t, "something is written", func() bool { return s.bytesOut.Load() >= 1<<20 })
	s.setTimeout(50 * time.Millisecond)
	if got := idle.rest(); got != "" {
		t.Errorf("an idle client gets %q", got)
	}
	if _, err := io.Copy(io.Discard, c.r); os.IsTimeout(err) {
		t.Error("a client that reads nothing is not closed")
	}
}

// TestDrain: a shutdown does not wait for idle clients, timeout or not, and
// what was asked before it is answered.
func TestDrain(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Hour} {
		s, addr := serve(t, Options{Timeout: timeout, EnableDebug: "local"}, nil, nil)
		var cs []*client
		for range 20 {
			c := dial(t, addr)
			c.ask("PING")
			cs = append(cs, c)
		}
		if _, err := io.WriteString(cs[0], "DEBUG SLEEP 0.05\r\n"); err != nil {
			t.Fatal(err)
		}
		testutil.Eventually(t, "the command begins", func() bool { return strings.Contains(cs[1].ask("CLIENT LIST"), "cmd=debug") })
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := s.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		if got := cs[0].rest(); got != "+OK\r\n" {
			t.Errorf("the client that waited for a reply gets %q", got)
		}
		if got := cs[2].rest(); got != "" {
			t.Errorf("an idle client gets %q", got)
		}
	}
}

// TestOutbox: with a limit, a client that falls behind within it gets all of
// its replies, in order, and those before QUIT too.
func TestOutbox(t *testing.T) {
	for _, quit := range []bool{false, true} {
		s, addr := serve(t, Options{OutputLimit: 1 << 30}, nil, nil)
		c := dial(t, addr)
		const n = 3000
		c.ask("SET pad " + strings.Repeat("v", 20_000))
		end := ""
		if quit {
			end = "QUIT\r\n"
		}
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(c, strings.Repeat("INCR n\r\nGET pad\r\n", n)+end)
			sent <- err
		}()
		// All of it is taken although nothing is read.
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		testutil.Eventually(t, "the server does not wait for a client for which it need not", func() bool { return dial(t, addr).ask("GET n") == `"3000"` })
		for i := range n {
			v, err := resp.ReadReply(c.r)
			if err != nil || v.Int != int64(i+1) {
				t.Fatalf("reply %d: %v, %v", i, v, err)
			}
			if v, err = resp.ReadReply(c.r); err != nil || len(v.Str) != 20_000 {
				t.Fatalf("reply %d: %d bytes, %v", i, len(v.Str), err)
			}
		}
		if quit {
			if got := c.rest(); got != "+OK\r\n" {
				t.Errorf("QUIT: %q", got)
			}
			continue
		}
		if got := c.ask("PING"); got != `"PONG"` {
			t.Errorf("after it has caught up: %s", got)
		}
		s.outputs.Store(defaultOutputLimits())
		if got := c.ask("PING"); got != `"PONG"` {
			t.Errorf("without a limit: %s", got)
		}
	}
}

func TestOutputLimitsText(t *testing.T) {
	l := defaultOutputLimits()
	const redis = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
	if l.String() != redis {
		t.Fatalf("the defaults are %q", l)
	}
	for in, want := range map[string]string{
		"normal 1mb 512kb 10":                "normal 1048576 524288 10 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
		"replica 1 2 3 PUBSUB 4 5 6":         "normal 0 0 0 slave 1 2 3 pubsub 4 5 6",
		"normal 1 0 0 normal 2 0 0":          "normal 2 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
		"":                                   "Wrong number",
		"normal 1 2":                         "Wrong number",
		"nobody 1 2 3":                       "Invalid client class",
		"normal x 2 3":                       "Error in hard",
		"normal 1 2 -3":                      "Error in hard",
		"pubsub 9 9 9 normal 1 2 3 master 1": "Wrong number",
	} {
		got, err := l.with(in)
		if err != nil {
			if !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%q: %v, want %q", in, err, want)
			}
		} else if got.String() != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if l.String() != redis {
		t.Errorf("the original changed to %q", l)
	}
}

// TestInfoWhileServing: the server's sections are there, and its counters move.
func TestInfoWhileServing(t *testing.T) {
	_, addr := serve(t, Options{MaxClients: 7, ConfigFile: "x.hcl"}, nil, nil)
	c := dial(t, addr)
	got := c.ask("INFO")
	for _, want := range []string{"connected_clients:1", "maxclients:7", "config_file:x.hcl", "tcp_port:" + addr[strings.LastIndexByte(addr, ':')+1:], "total_connections_received:1", "redis_version:7.0.15", "role:master", "cluster_enabled:0", "used_cpu_user:"} {
		if !strings.Contains(got, want) {
			t.Errorf("INFO lacks %q", want)
		}
	}
}

// TestAcceptedIsCounted: whoever asks first thing how many have come is one of them.
func TestAcceptedIsCounted(t *testing.T) {
	_, addr := serve(t, Options{}, nil, nil)
	for n := range testutil.Rounds(400) {
		c := dial(t, addr)
		if got, want := c.ask("INFO stats"), fmt.Sprintf(`total_connections_received:%d\r\n`, n+1); !strings.Contains(got, want) {
			t.Fatalf("client %d is not counted: %s", n+1, got)
		}
		_ = c.Close()
	}
}

// TestWhoHasGoneMakesRoom: where there is room for two clients, one that has seen the end of
// its connection, by QUIT, or by CLIENT KILL of which the other has the reply, may come again.
func TestWhoHasGoneMakesRoom(t *testing.T) {
	_, addr := serve(t, Options{MaxClients: 2}, nil, nil)
	stays := dial(t, addr)
	if got := stays.ask("PING"); got != `"PONG"` {
		t.Fatal(got)
	}
	for n := range testutil.Rounds(400) {
		c := dial(t, addr)
		if got := c.ask("CLIENT ID"); strings.Contains(got, "ERR") {
			t.Fatalf("client %d: %s", n, got)
		}
		if n%2 == 0 {
			c.send("QUIT\n")
			if got := c.rest(); got != "+OK\r\n" {
				t.Fatalf("QUIT: %q", got)
			}
		} else if got := stays.ask("CLIENT KILL TYPE normal SKIPME yes"); got != "1" {
			t.Fatalf("CLIENT KILL: %s", got)
		}
		if list := stays.ask("CLIENT LIST"); strings.Count(list, "id=") != 1 {
			t.Fatalf("client %d has gone and is listed: %s", n, list)
		}
	}
}

// TestOneTimeForATransaction: a key that is set with a deadline in a transaction is
// there to its end, however long that takes.
func TestOneTimeForATransaction(t *testing.T) {
	_, addr := serve(t, Options{EnableDebug: "local"}, nil, nil)
	c := dial(t, addr)
	for _, line := range []string{"MULTI", "SET k v PX 1", "DEBUG SLEEP 0.02", "GET k", `EVAL "return redis.call('get', 'k')" 1 k`} {
		c.ask(line)
	}
	if got, want := c.ask("EXEC"), `["OK" "OK" "v" "v"]`; got != want {
		t.Errorf("EXEC: %s, and %s was expected", got, want)
	}
	if got := c.ask("GET k"); got != "(nil)" {
		t.Errorf("afterwards: %s", got)
	}
}
