package session_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/server"
)

const patience = 2 * time.Minute // a hang guard: a machine that does much else is slow

// client runs commands step by step, so that what other clients do comes in
// between where the test says.
type client struct {
	*core.Session
	t   *testing.T
	out resp.Writer
}

func newClient(t *testing.T, h *coretest.Harness) *client {
	return &client{Session: h.DB.Session(), t: t}
}

func (c *client) run(line string) command.Outcome {
	outcome := c.Run(words(line), &c.out)
	c.Finish(&c.out)
	return outcome
}

// mustBlock runs a command that has to wait.
func (c *client) mustBlock(line string) {
	c.t.Helper()
	if got := c.run(line); got != command.Blocked || !c.Blocked() || c.Ready() || len(c.out.Buf) > 0 {
		c.t.Fatalf("%s: outcome %v, blocked %v, ready %v, reply %q", line, got, c.Blocked(), c.Ready(), c.out.Buf)
	}
}

// resumed is what the command that was blocked replies now.
func (c *client) resumed(want string) {
	c.t.Helper()
	if !c.Ready() {
		c.t.Fatal("nothing has woken the client")
	}
	outcome := c.Resume(&c.out)
	c.Finish(&c.out)
	if got := string(c.out.Buf); got != want || outcome == command.Blocked || c.Blocked() {
		c.t.Fatalf("outcome %v, blocked %v, reply %q; want %q", outcome, c.Blocked(), got, want)
	}
	c.out.Taken()
}

func words(line string) (out [][]byte) {
	for _, w := range strings.Fields(line) {
		out = append(out, []byte(w))
	}
	return out
}

// TestBlocked: a command that waits is run again when something happens to one of
// its keys, and what it does then is logged.
func TestBlocked(t *testing.T) {
	h := coretest.New(t)
	a := newClient(t, h)
	a.mustBlock("BLPOP k1 k2 k3 k1 0")
	h.Do("SET", "other", "1")
	if a.Ready() {
		t.Error("a key that it does not wait for has woken it")
	}
	if got := h.Do("CLIENT", "INFO"); strings.Contains(got, "flags=b") {
		t.Errorf("another client: %s", got)
	}
	if got := a.Info().Flags; got != "b" {
		t.Errorf("flags %q of a blocked client", got)
	}
	h.Do("RPUSH", "k2", "v", "w")
	a.resumed("*2\r\n$2\r\nk2\r\n$1\r\nv\r\n")
	h.Crash(0)
	if got := h.Do("LRANGE", "k2", "0", "-1"); got != `["w"]` {
		t.Errorf("%s is left after a crash", got)
	}
}

// TestBlockedDeadline: a command waits until the deadline of its first call, whatever
// happens to its key meanwhile that is of no use to it.
func TestBlockedDeadline(t *testing.T) {
	h := coretest.New(t)
	a := newClient(t, h)
	a.mustBlock("BLPOP k 1")
	h.Clock.Advance(900 * time.Millisecond)
	h.Do("SADD", "k", "v")
	h.Do("DEL", "k")
	h.Clock.Advance(99 * time.Millisecond)
	if a.Ready() || a.Resume(&a.out) != command.Blocked {
		t.Error("it has ended before its deadline")
	}
	h.Clock.Advance(time.Millisecond)
	h.Do("RPUSH", "k", "v")
	a.resumed("*-1\r\n")
	if got := h.Do("LLEN", "k"); got != "1" {
		t.Errorf("a client that was late has taken an element: LLEN %s", got)
	}
	if got := a.run("BLPOP k 1"); got != command.Done || string(a.out.Buf) != "*2\r\n$1\r\nk\r\n$1\r\nv\r\n" {
		t.Errorf("with an element there: outcome %v, reply %q", got, a.out.Buf)
	}
}

// TestBlockedByDatabase: SWAPDB brings the keys of another database.
func TestBlockedByDatabase(t *testing.T) {
	h := coretest.New(t)
	h.Do("SELECT", "1")
	h.Do("RPUSH", "k", "v")
	a := newClient(t, h)
	a.mustBlock("BLPOP k 0")
	h.Do("SWAPDB", "0", "1")
	a.resumed("*2\r\n$1\r\nk\r\n$1\r\nv\r\n")
}

// TestUnblock: a client can be told to give up, with an error or without.
func TestUnblock(t *testing.T) {
	h := coretest.New(t)
	a := newClient(t, h)
	if a.Unblock(false) {
		t.Error("a client that is not blocked was unblocked")
	}
	a.mustBlock("BLPOP k 0")
	if !a.Unblock(false) {
		t.Error("not unblocked")
	}
	a.resumed("*-1\r\n")
	a.mustBlock("BLPOP k 0")
	errors := h.DB.Stats().Errors()
	if !a.Unblock(true) {
		t.Error("not unblocked")
	}
	a.resumed("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")
	if got := h.DB.Stats().Errors() - errors; got != 1 {
		t.Errorf("%d errors counted", got)
	}
}

// TestBlockedReplies: nothing blocks inside MULTI, and CLIENT REPLY SKIP is about
// the reply whenever it comes.
func TestBlockedReplies(t *testing.T) {
	h := coretest.New(t)
	h.Do("MULTI")
	h.Do("BLPOP", "k", "0")
	h.Do("GET", "k")
	if got := h.Do("EXEC"); got != "[(nil) (nil)]" {
		t.Errorf("EXEC: %s", got)
	}
	a := newClient(t, h)
	a.run("CLIENT REPLY SKIP")
	a.mustBlock("BLPOP k 0")
	h.Do("RPUSH", "k", "v")
	a.resumed("")
	if a.run("LLEN k"); string(a.out.Buf) != ":0\r\n" {
		t.Errorf("behind the skipped reply: %q", a.out.Buf)
	}
}

// TestBlockedClose: a client that goes does not wait any more.
func TestBlockedClose(t *testing.T) {
	h := coretest.New(t)
	a := newClient(t, h)
	a.mustBlock("BLPOP k k2 0")
	a.Close()
	h.Do("RPUSH", "k", "v")
	if a.Blocked() || h.Do("LLEN", "k") != "1" {
		t.Error("it waits on")
	}
}

// TestDoWaits: the call of embedded programs waits, for the key, the deadline, or
// the end of the engine.
func TestDoWaits(t *testing.T) {
	h := coretest.New(t)
	type answer struct {
		v   resp.Value
		err error
	}
	start := func(args ...string) (*core.Session, chan answer) {
		s, done := h.DB.Session(), make(chan answer, 1)
		go func() {
			v, err := s.Do(args...)
			done <- answer{v, err}
		}()
		for !s.Blocked() {
			runtime.Gosched()
		}
		return s, done
	}
	_, done := start("BLPOP", "k", "0")
	h.Do("RPUSH", "k", "v")
	if a := <-done; a.v.String() != `["k" "v"]` {
		t.Errorf("%v, %v", a.v, a.err)
	}
	s, done := start("BLPOP", "k", "0.001")
	h.Clock.Advance(time.Millisecond)
	if a := <-done; a.v.String() != "(nil)" {
		t.Errorf("%v, %v", a.v, a.err)
	}
	_ = s
	s, done = start("BLPOP", "k", "0")
	s.Unblock(true)
	if a := <-done; a.v.Err() == nil {
		t.Errorf("%v, %v", a.v, a.err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	given := h.DB.Session()
	go func() {
		for !given.Blocked() {
			runtime.Gosched()
		}
		cancel()
	}()
	if v, err := given.DoContext(ctx, "BLPOP", "k", "0"); !errors.Is(err, context.Canceled) {
		t.Errorf("a command whose context has ended: %v, %v", v, err)
	}
	h.Do("RPUSH", "k", "v") // of which it takes nothing
	if v, err := given.Do("LLEN", "k"); err != nil || v.Int != 1 || given.Blocked() {
		t.Errorf("behind it: %v, %v", v, err)
	}
	h.Do("DEL", "k")
	_, done = start("BLPOP", "k", "0")
	if err := h.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if a := <-done; a.err == nil {
		t.Errorf("%v after the end of the engine", a.v)
	}
}

// TestNothingMissed: however pushes and pops meet, each element is taken once and
// each client gets one.
func TestNothingMissed(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.NoLog = true })
	const clients, rounds = 4, 200
	keys := []string{"a", "b", "c", "d", "e"}
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for range clients {
		s := h.DB.Session()
		wg.Go(func() {
			for range rounds {
				v, err := s.Do(append(append([]string{"BLPOP"}, keys...), "0")...)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got[v.Elems[1].String()]++
				mu.Unlock()
			}
		})
	}
	for i := range clients * rounds {
		h.Do("RPUSH", keys[i%len(keys)], fmt.Sprint(i))
	}
	wg.Wait()
	if len(got) != clients*rounds {
		t.Errorf("%d different elements were taken, want %d", len(got), clients*rounds)
	}
}

// tcp is a connection to a server.
type tcp struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func serve(t *testing.T) (*server.Server, func() *tcp) {
	h := coretest.New(t, func(o *core.Options) { o.Clock, o.Shards = nil, 8 })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(h.DB, server.Options{})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; !errors.Is(err, server.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, func() *tcp {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { _ = c.Close() })
		return &tcp{c, t, bufio.NewReader(c)}
	}
}

func (c *tcp) send(lines ...string) {
	c.t.Helper()
	if _, err := c.Write([]byte(strings.Join(lines, "\r\n") + "\r\n")); err != nil {
		c.t.Fatal(err)
	}
}

func (c *tcp) wants(replies ...string) {
	c.t.Helper()
	for _, want := range replies {
		v, err := resp.ReadReply(c.r)
		if err != nil || v.String() != want {
			c.t.Fatalf("%v, %v; want %s", v, err, want)
		}
	}
}

// TestBatchStops: a batch stops at a command that is blocked. What was before it
// is answered, what is behind it is executed when it has replied, and what comes
// meanwhile behind that.
func TestBatchStops(t *testing.T) {
	_, dial := serve(t)
	a, b := dial(), dial()
	long := strings.Repeat("x", 50_000)
	a.send("SET before 1", "BLPOP k 0", "SET after 1", "BLPOP k2 1000", "SET last "+long)
	a.wants(`"OK"`)
	b.send("GET before", "GET after", "INFO clients")
	b.wants(`"1"`, "(nil)")
	if v, err := resp.ReadReply(b.r); err != nil || !strings.Contains(v.String(), "blocked_clients:1") {
		t.Fatalf("%v, %v", v, err)
	}
	a.send("STRLEN last")
	b.send("RPUSH k v")
	b.wants("1")
	a.wants(`["k" "v"]`, `"OK"`)
	b.send("GET after", "GET last", "RPUSH k2 w")
	b.wants(`"1"`, "(nil)", "1")
	a.wants(`["k2" "w"]`, `"OK"`, "50000")
	a.send("BLPOP k 0.001", "PING")
	a.wants("(nil)", `"PONG"`)
}

// TestBlockedConnectionEnds: a client that hangs up while it is blocked does not
// take what another may have, and a server that shuts down does not wait for one.
func TestBlockedConnectionEnds(t *testing.T) {
	s, dial := serve(t)
	a, b := dial(), dial()
	a.send("PING", "BLPOP k 0")
	a.wants(`"PONG"`)
	_ = a.Close()
	for {
		b.send("INFO clients")
		v, err := resp.ReadReply(b.r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(v.String(), "connected_clients:1\r\n") || strings.Contains(v.String(), `connected_clients:1\r\n`) {
			break
		}
	}
	b.send("RPUSH k v", "LLEN k", "BLPOP nothing 0")
	b.wants("1", "1")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
