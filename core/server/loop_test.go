package server

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestNeighbours: a client whose command waits for the lock of a shard holds up nobody,
// though all share a loop: neither those whose commands were executed before in the same turn
// nor those that come later, new ones included.
func TestNeighbours(t *testing.T) {
	s, addr := serve(t, Options{EventLoops: eventLoops / 2}, nil, nil) // 1, or what eventLoops says
	const stuck, others = 20, 5
	var waiting, free []*client
	for range stuck {
		waiting = append(waiting, dial(t, addr))
	}
	for range others {
		free = append(free, dial(t, addr))
	}
	for i, c := range append(waiting, free...) {
		c.ask(fmt.Sprintf("SET k %d", i))
	}
	shard := s.db.Keyspace().Shard(s.db.Keyspace().ShardOf([]byte("k")))
	shard.Lock()
	unlock := sync.OnceFunc(shard.Unlock)
	defer unlock()
	for i, c := range waiting {
		if _, err := fmt.Fprintf(c, "ECHO %d\r\nINCR k\r\nECHO behind\r\n", i); err != nil {
			t.Fatal(err)
		}
		c := free[i%others]
		if got := c.ask(fmt.Sprintf("ECHO %d", i)); got != fmt.Sprintf("%q", fmt.Sprint(i)) {
			t.Fatalf("a neighbour of %d clients that wait gets %s", i, got)
		}
	}
	if got := dial(t, addr).ask("PING"); got != `"PONG"` {
		t.Fatalf("a new client gets %s", got)
	}
	unlock()
	seen := make(map[int64]bool)
	for i, c := range waiting {
		c.want("before it", fmt.Sprintf("%q", fmt.Sprint(i)))
		v, err := resp.ReadReply(c.r)
		if err != nil || seen[v.Int] {
			t.Fatalf("client %d gets %v, %v", i, v, err)
		}
		seen[v.Int] = true
		c.want("behind it", `"behind"`)
	}
	for _, c := range waiting { // which are the loop's again
		if got := c.ask("PING"); got != `"PONG"` {
			t.Fatalf("afterwards a client gets %s", got)
		}
	}
}

// TestNobodyGetsAnothersReplies: clients that come, go in the middle of things and are
// killed, all the time, have descriptors with the same numbers one after the other. Whoever
// gets a reply gets its own.
func TestNobodyGetsAnothersReplies(t *testing.T) {
	s, addr := serve(t, Options{}, nil, tightly)
	const clients, lives = 12, 25
	var all sync.WaitGroup
	var done atomic.Bool
	for n := range clients {
		all.Go(func() {
			for life := range lives {
				if err := live(addr, fmt.Sprintf("%d:%d", n, life), life); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	killer := make(chan struct{})
	go func() {
		defer close(killer)
		for !done.Load() {
			for _, c := range s.snapshot() {
				if rand.IntN(4) == 0 {
					c.kill()
				}
			}
			time.Sleep(time.Millisecond)
		}
	}()
	all.Wait()
	done.Store(true)
	<-killer
	wantNothingHeld(t, s)
}

// live is a client's life, which may be cut short at any time; the error is that of
// somebody else's reply.
func live(addr, name string, life int) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	c := &client{Conn: nc, r: nil}
	text := strings.Repeat(name+" ", 1+life*200)
	word := "$" + fmt.Sprint(len(text)) + "\r\n" + text + "\r\n"
	request := strings.Repeat("*2\r\n$4\r\nECHO\r\n"+word, 8)
	if life%3 == 1 {
		request += "*2\r\n$4\r\nECHO\r\n$9\r\nha"
	}
	go func() { _, _ = io.WriteString(c, request) }()
	if life%5 == 4 {
		return nil
	}
	want := strings.Repeat(word, 8)
	got := make([]byte, len(want))
	n, _ := io.ReadFull(c, got)
	if string(got[:n]) != want[:n] {
		return fmt.Errorf("client %s gets %.200q", name, got[:n])
	}
	return nil
}

// TestHostileClients: clients that do not read, send a byte at a time, close half of
// the connection, or all of it within a command, and many that do nothing, neither hold up the
// others nor the shutdown, which finds some in a write that is blocked, some killed in one.
func TestHostileClients(t *testing.T) {
	for _, how := range []string{"all leave", "killed", "drained", "killed by the shutdown"} {
		t.Run(how, func(t *testing.T) { hostile(t, how) })
	}
}

func hostile(t *testing.T, how string) {
	s, addr := serve(t, Options{}, nil, tightly)
	good := dial(t, addr)
	good.ask("SETRANGE long 299999 v")
	good.ask("SET k v")
	var conns []*conn
	var clients []*client
	for i := range 8 { // do not read, neither replies nor what is pushed
		c, conn := dialed(t, s, addr)
		clients, conns = append(clients, c), append(conns, conn)
		if i%2 == 0 {
			go func() { _, _ = io.WriteString(c, strings.Repeat("GET long\r\n", 200)) }()
		} else {
			_, _ = io.WriteString(c, "SUBSCRIBE news\r\n")
		}
	}
	for i, conn := range conns {
		testutil.Eventually(t, "the client is owed, or has subscribed", func() bool {
			return i%2 == 0 && conn.box.pending.Load() > 100_000 || i%2 == 1 && conn.Subscribed()
		})
	}
	long := strings.Repeat("n", 20_000)
	for range 50 {
		good.ask("PUBLISH news " + long)
	}
	slow := dial(t, addr)
	for _, b := range "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n" {
		_, _ = io.WriteString(slow, string(b))
		if got := good.ask("GET k"); got != `"v"` {
			t.Fatalf("a neighbour gets %s", got)
		}
	}
	slow.want("a byte at a time", `"hello"`)
	half := dial(t, addr)
	_, _ = io.WriteString(half, "ECHO 1\r\nECHO 2\r\n")
	_ = half.Conn.(*net.TCPConn).CloseWrite()
	half.want("who has closed half", `"1"`)
	half.want("who has closed half", `"2"`)
	if got := half.rest(); got != "" {
		t.Errorf("who has closed half gets %q", got)
	}
	for i := range 20 {
		c := dial(t, addr)
		_, _ = io.WriteString(c, "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n"[:1+i])
		_ = c.Close()
	}
	blocked := dial(t, addr)
	_, _ = io.WriteString(blocked, "BLPOP nothing 0\r\n")
	testutil.Eventually(t, "a client is blocked", func() bool { return s.db.BlockedClients() == 1 })
	if got := good.ask("PING"); got != `"PONG"` {
		t.Fatalf("a neighbour gets %s", got)
	}
	switch how {
	case "all leave":
		for _, c := range append(clients, good, slow, blocked) {
			_ = c.Close()
		}
	case "killed":
		for _, c := range s.snapshot() {
			c.kill()
		}
	case "drained":
		for _, c := range clients {
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
		return // to the shutdown of serve, which must succeed
	case "killed by the shutdown":
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Shutdown(ctx); err == nil {
			t.Error("nobody was waited for")
		}
	}
	wantNothingHeld(t, s)
}

// TestIdleClients: what many clients that do nothing cost a loop is hardly anything, and
// they leave nothing behind.
func TestIdleClients(t *testing.T) {
	const most = 5000
	s, addr := serve(t, Options{}, nil, nil)
	var idle []net.Conn
	defer func() {
		for _, c := range idle {
			_ = c.Close()
		}
		wantNothingHeld(t, s)
	}()
	for range most {
		c, err := net.Dial("tcp", addr)
		if err != nil { // of descriptors or ports the machine may have fewer
			t.Logf("%d clients: %v", len(idle), err)
			break
		}
		idle = append(idle, c)
	}
	busy := idle[len(idle)/2:]
	for i, c := range busy {
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = fmt.Fprintf(c, "ECHO %06d\r\n", i)
	}
	for i, c := range busy {
		want := fmt.Sprintf("$6\r\n%06d\r\n", i)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Fatalf("client %d gets %q, %v", i, got, err)
		}
	}
	if eventLoops > 0 {
		testutil.Eventually(t, "no buffers are held", func() bool { return s.memHeld.Load() == 0 })
	}
}

// TestUnreadAndGone: clients that ask for much, in several commands at once, and go without having
// read it while they are waited for are gone here too, and so are those that are closed for what all hold together.
func TestUnreadAndGone(t *testing.T) {
	s, addr := serve(t, Options{}, nil, tightly)
	good := dial(t, addr)
	good.ask("SETRANGE long 999999 v")
	s.memLimit.Store(20 << 20)
	var clients []*client
	for range 10 {
		c := dial(t, addr)
		_, _ = io.WriteString(c, "MULTI\r\n"+strings.Repeat("GET long\r\n", 5)+"EXEC\r\nPING\r\n")
		clients = append(clients, c)
	}
	testutil.Eventually(t, "those are closed for which there is no room", func() bool { return s.memEvicted.Load() >= 6 })
	testutil.Eventually(t, "the others are waited for", func() bool {
		waited := 0
		for _, c := range s.snapshot() {
			if c.box.pending.Load() > 1<<20 && c.box.busy() {
				waited++
			}
		}
		return waited > 0 && waited == s.Clients()-1
	})
	for _, c := range clients {
		_ = c.Close()
	}
	testutil.Eventually(t, "all are gone but one", func() bool { return s.Clients() == 1 })
	if got := good.ask("PING"); got != `"PONG"` {
		t.Fatalf("a neighbour gets %s", got)
	}
}
