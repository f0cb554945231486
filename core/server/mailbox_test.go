package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// lines is a log that tests read while it is written.
type lines struct{ testutil.Buffer }

func (l *lines) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: l, Level: hclog.Debug})
}

// tight makes the kernel hold little of what is written.
type tight struct{ net.Listener }

func (l tight) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(32 << 10)
	}
	return c, err
}

func tightly(l net.Listener) net.Listener { return tight{l} }

// dialed is a client, of whom the kernel holds little too, and its connection.
func dialed(t *testing.T, s *Server, addr string) (*client, *conn) {
	t.Helper()
	c := dial(t, addr)
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(32 << 10)
	id, _ := strconv.ParseInt(c.ask("CLIENT ID"), 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[id] == nil {
		t.Fatalf("no client %d", id)
	}
	return c, s.conns[id]
}

// wantClosed reads what the server has sent and wants it to have closed.
func (c *client) wantClosed(what string) {
	c.t.Helper()
	if _, err := io.Copy(io.Discard, c.r); err != nil && err.(net.Error).Timeout() {
		c.t.Fatalf("%s: the connection is not closed", what)
	}
}

// wantNothingHeld wants all memory of all clients back, once there are none.
func wantNothingHeld(t *testing.T, s *Server) {
	t.Helper()
	testutil.Eventually(t, "no client and no memory", func() bool { return s.Clients() == 0 && s.memHeld.Load() == 0 })
}

// push is a message as a producer frames it.
func push(producer, n, size int) []byte {
	w := resp.Writer{Proto: 3}
	w.Push(3)
	w.Int(int64(producer))
	w.Int(int64(n))
	w.Bulk(bytes.Repeat([]byte{'a' + byte(producer)}, size))
	return w.Buf
}

// TestDeliver: pushes from many goroutines and pipelined replies arrive whole,
// each producer's and the replies in their order, whatever the limits are and
// though the client reads late.
func TestDeliver(t *testing.T) {
	const producers, pushes, asks = 8, 1500, 600
	for _, test := range []struct {
		name   string
		class  command.ClientType
		limits string
	}{
		{"no limit", command.ClientNormal, "normal 0 0 0"},
		{"a limit", command.ClientNormal, "normal 1gb 0 0"},
		{"a soft limit", command.ClientNormal, "normal 0 64kb 3600"},
		{"pubsub", command.ClientPubSub, "pubsub 1gb 64kb 3600"},
		{"replica", command.ClientReplica, "replica 1gb 64kb 3600"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, addr := serve(t, Options{}, nil, tightly)
			c, conn := dialed(t, s, addr)
			c.ask("SET pad " + strings.Repeat("v", 20_000))
			c.ask("SETRANGE long 699999 v")
			dial(t, addr).ask("CONFIG SET client-output-buffer-limit '" + test.limits + "'")
			conn.box.class.Store(int32(test.class))
			var all sync.WaitGroup
			for p := range producers {
				all.Go(func() {
					for i := range pushes {
						if !conn.box.deliver(push(p, i, i*37%2000)) {
							t.Errorf("producer %d: push %d is refused", p, i)
							return
						}
					}
				})
			}
			all.Go(func() {
				for i := range asks {
					get := "GET pad"
					if i%100 == 0 {
						get = "GET long"
					}
					if _, err := io.WriteString(c, "INCR n\r\n"+get+"\r\n"); err != nil {
						t.Error(err)
						return
					}
				}
			})
			testutil.Eventually(t, "the client is behind", func() bool { return conn.box.pending.Load() > 4<<20 })
			var next [producers]int
			for replies, pushed := 0, 0; replies < 2*asks || pushed < producers*pushes; {
				v, err := resp.ReadReply(c.r)
				if err != nil {
					t.Fatalf("after %d replies and %d pushes: %v", replies, pushed, err)
				}
				switch v.Kind {
				case resp.KindPush:
					p, n := int(v.Elems[0].Int), int(v.Elems[1].Int)
					if n != next[p] || !bytes.Equal(v.Elems[2].Str, bytes.Repeat([]byte{'a' + byte(p)}, n*37%2000)) {
						t.Fatalf("producer %d: push %d of %d bytes, want %d", p, n, len(v.Elems[2].Str), next[p])
					}
					next[p]++
					pushed++
				case resp.KindInt:
					if int(v.Int) != replies/2+1 || replies%2 != 0 {
						t.Fatalf("reply %d is %d", replies, v.Int)
					}
					replies++
				case resp.KindBulk:
					want := 20_000
					if replies/2%100 == 0 {
						want = 700_000
					}
					if len(v.Str) != want || replies%2 != 1 {
						t.Fatalf("reply %d has %d bytes", replies, len(v.Str))
					}
					replies++
				default:
					t.Fatalf("reply %d: %s", replies, v)
				}
			}
			all.Wait()
			testutil.Eventually(t, "the mailbox is idle and empty", func() bool {
				conn.box.mu.Lock()
				defer conn.box.mu.Unlock()
				return !conn.box.writing && conn.box.pending.Load() == 0 && conn.box.soft.IsZero() && conn.box.mem.Load() == 0
			})
			if got := c.ask("PING"); got != `"PONG"` {
				t.Errorf("afterwards: %s", got)
			}
		})
	}
}

// TestDeliverToIdle: a client that asks for nothing gets its push.
func TestDeliverToIdle(t *testing.T) {
	s, addr := serve(t, Options{}, nil, nil)
	c, conn := dialed(t, s, addr)
	for i := range 100 {
		if !conn.box.deliver(push(1, i, 10)) {
			t.Fatalf("push %d is refused", i)
		}
		v, err := resp.ReadReply(c.r)
		if err != nil || v.Kind != resp.KindPush || v.Elems[1].Int != int64(i) {
			t.Fatalf("push %d: %s, %v", i, v, err)
		}
	}
	if got := c.ask("PING"); got != `"PONG"` {
		t.Errorf("PING: %s", got)
	}
}

// TestDeliverLimits: a client of any class that does not read is closed at its
// class's limit, hard or soft, and at no other's.
func TestDeliverLimits(t *testing.T) {
	const size = 10_000
	for _, class := range []command.ClientType{command.ClientNormal, command.ClientReplica, command.ClientPubSub} {
		for _, soft := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s soft %t", class, soft), func(t *testing.T) {
				var log lines
				s, addr := serve(t, Options{Logger: log.logger()}, nil, tightly)
				limits := outputLimits{{hard: 1}, {hard: 1}, {hard: 1}}
				limits[class] = outputLimit{hard: 2 << 20}
				if soft {
					limits[class] = outputLimit{soft: 2 << 20, softFor: 20 * time.Millisecond}
				}
				c, conn := dialed(t, s, addr)
				other := dial(t, addr)
				other.ask("PING")
				conn.box.class.Store(int32(class))
				s.outputs.Store(&limits)
				n := 0
				for conn.box.deliver(push(1, n, size)) && n < 10_000 {
					n++
					if soft && conn.box.pending.Load() > 3<<20 {
						break // the rest must come by itself
					}
				}
				testutil.Eventually(t, "the client is closed", func() bool { return s.Clients() == 1 })
				if n < 2<<20/size || n == 10_000 {
					t.Errorf("%d pushes were taken", n)
				}
				if conn.box.deliver(push(1, n, size)) {
					t.Error("a push enters after the end")
				}
				c.wantClosed("it reads nothing")
				if got := log.String(); strings.Count(got, "client-output-buffer-limit") != 1 || !strings.Contains(got, "class="+class.String()) {
					t.Errorf("the log says:\n%s", got)
				}
				s.outputs.Store(defaultOutputLimits())
				if got := other.ask("PING"); got != `"PONG"` {
					t.Errorf("another client: %s", got)
				}
				_ = other.Close()
				wantNothingHeld(t, s)
			})
		}
	}
}

// TestDeliverUnlimited: without a limit pushes queue and are counted, and
// replies hold up their own connection only.
func TestDeliverUnlimited(t *testing.T) {
	s, addr := serve(t, Options{}, nil, tightly)
	c, conn := dialed(t, s, addr)
	c.ask("SET pad " + strings.Repeat("v", 20_000))
	const pushes, size, asks = 800, 10_000, 1000
	for i := range pushes {
		if !conn.box.deliver(push(1, i, size)) {
			t.Fatalf("push %d is refused", i)
		}
	}
	go func() { _, _ = io.WriteString(c, strings.Repeat("INCR n\r\nGET pad\r\n", asks)) }()
	testutil.Eventually(t, "the connection waits for its client", func() bool {
		conn.box.mu.Lock()
		defer conn.box.mu.Unlock()
		return conn.box.awaited
	})
	other := dial(t, addr)
	if n, _ := strconv.Atoi(strings.Trim(other.ask("GET n"), `"`)); n == 0 || n > asks/2 {
		t.Errorf("%d commands of a client that reads nothing were executed", n)
	}
	list := other.ask(fmt.Sprintf("CLIENT LIST ID %d", conn.ID()))
	field := func(name string) int {
		_, rest, _ := strings.Cut(list, " "+name+"=")
		n, _ := strconv.Atoi(strings.Fields(rest)[0])
		return n
	}
	if owed := field("obl"); owed < 6<<20 || field("omem") < owed-128<<10 || field("omem") > owed || field("tot-mem") < field("omem") || field("oll") < field("omem")/arena.ChunkSize {
		t.Errorf("CLIENT LIST: %s", list)
	}
	for i := range pushes {
		if v, err := resp.ReadReply(c.r); err != nil || v.Kind != resp.KindPush || v.Elems[1].Int != int64(i) {
			t.Fatalf("push %d: %s, %v", i, v, err)
		}
	}
	for i := range asks {
		if v, err := resp.ReadReply(c.r); err != nil || v.Int != int64(i+1) {
			t.Fatalf("reply %d: %s, %v", i, v, err)
		}
		if v, err := resp.ReadReply(c.r); err != nil || len(v.Str) != 20_000 {
			t.Fatalf("reply %d: %v", i, err)
		}
	}
	if got := c.ask("PING"); got != `"PONG"` {
		t.Errorf("afterwards: %s", got)
	}
	if held := conn.box.mem.Load(); held != 0 {
		t.Errorf("%d bytes are held by nothing", held)
	}
}

// TestDeliverMemory: what waits counts for maxmemory-clients, little as it may
// be, and who holds most of it is closed.
func TestDeliverMemory(t *testing.T) {
	s, addr := serve(t, Options{MaxMemoryClients: 8 << 20}, nil, tightly)
	_, conn := dialed(t, s, addr)
	other := dial(t, addr)
	before := conn.mem.Load()
	conn.box.cork(&conn.out)
	conn.box.deliver(push(1, 0, 20_000))
	if held := conn.mem.Load() - before; held < 20_000 || held > 80_000 {
		t.Errorf("a push of 20,000 bytes takes %d", held)
	}
	if list := other.ask(fmt.Sprintf("CLIENT LIST ID %d", conn.ID())); !strings.Contains(list, " oll=1 ") {
		t.Errorf("CLIENT LIST: %s", list)
	}
	n := 0
	for conn.box.deliver(push(1, n, 10_000)) && n < 10_000 {
		n++
	}
	if n == 10_000 || s.memEvicted.Load() != 1 || !conn.evicted.Load() {
		t.Errorf("%d pushes were taken, %d clients evicted", n, s.memEvicted.Load())
	}
	if got := other.ask("PING"); got != `"PONG"` {
		t.Errorf("another client: %s", got)
	}
	_ = other.Close()
	wantNothingHeld(t, s)
}

// TestDeliverToClosed: nothing enters for a client that is gone, however it went.
func TestDeliverToClosed(t *testing.T) {
	for name, end := range map[string]func(c, other *client, id int64){
		"it closes":   func(c, _ *client, _ int64) { _ = c.Close() },
		"QUIT":        func(c, _ *client, _ int64) { _, _ = io.WriteString(c, "QUIT\r\n"); go io.Copy(io.Discard, c.r) },
		"CLIENT KILL": func(_, other *client, id int64) { other.ask(fmt.Sprintf("CLIENT KILL ID %d", id)) },
	} {
		t.Run(name, func(t *testing.T) {
			s, addr := serve(t, Options{}, nil, tightly)
			c, conn := dialed(t, s, addr)
			other := dial(t, addr)
			for i := range 300 {
				if !conn.box.deliver(push(1, i, 10_000)) {
					t.Fatalf("push %d is refused", i)
				}
			}
			end(c, other, conn.ID())
			if name == "CLIENT KILL" && conn.box.deliver(push(1, 0, 1)) {
				t.Error("a push enters after CLIENT KILL has replied")
			}
			testutil.Eventually(t, "nothing enters any more", func() bool { return !conn.box.deliver(push(1, 0, 1)) })
			_ = other.Close()
			wantNothingHeld(t, s)
			if conn.box.deliver(push(1, 0, 1)) || s.memHeld.Load() != 0 {
				t.Error("a push enters after the end")
			}
		})
	}
}

// TestDeliverAndGo: clients come and go while they are pushed to. Whoever says
// QUIT gets whole messages and the reply to it.
func TestDeliverAndGo(t *testing.T) {
	s, addr := serve(t, Options{}, nil, nil)
	stop := make(chan struct{})
	var pushers, clients sync.WaitGroup
	for p := range 4 {
		pushers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				for _, conn := range s.snapshot() {
					conn.box.deliver(push(p, i, i%300))
				}
			}
		})
	}
	for range 8 {
		clients.Go(func() {
			for range 20 {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				_ = nc.SetDeadline(time.Now().Add(patience))
				_, _ = io.WriteString(nc, strings.Repeat("PING\r\n", 50)+"QUIT\r\n")
				replies := 0
				for r := bufio.NewReader(nc); ; {
					v, err := resp.ReadReply(r)
					if err != nil {
						if err != io.EOF || replies != 51 {
							t.Errorf("after %d replies: %v", replies, err)
						}
						break
					}
					if v.Kind != resp.KindPush {
						replies++
					}
				}
				_ = nc.Close()
			}
		})
	}
	clients.Wait()
	close(stop)
	pushers.Wait()
	wantNothingHeld(t, s)
}

// TestCork: what a command asks for comes after its reply, whether the client is
// behind or not.
func TestCork(t *testing.T) {
	for _, behind := range []bool{false, true} {
		s, addr := serve(t, Options{OutputLimit: 1 << 30}, nil, tightly)
		c, conn := dialed(t, s, addr)
		early := 0
		for ; behind && conn.box.pending.Load() < 1<<20; early++ {
			conn.box.deliver(push(0, early, 10_000))
		}
		// The connection's goroutine waits for a command and is not in the way.
		var out resp.Writer
		out.SimpleString("ack")
		conn.box.cork(&conn.out)
		conn.box.deliver(push(1, 0, 10))
		conn.box.deliver(push(1, 1, 100_000))
		if !conn.box.send(&out, &conn.long) {
			t.Fatal("send")
		}
		conn.box.deliver(push(1, 2, 10))
		for i := range early {
			if v, err := resp.ReadReply(c.r); err != nil || v.Kind != resp.KindPush || v.Elems[0].Int != 0 || v.Elems[1].Int != int64(i) {
				t.Fatalf("early push %d: %s, %v", i, v, err)
			}
		}
		if v, err := resp.ReadReply(c.r); err != nil || v.String() != `"ack"` {
			t.Fatalf("behind %t: first comes %s, %v", behind, v, err)
		}
		for i := range 3 {
			if v, err := resp.ReadReply(c.r); err != nil || v.Kind != resp.KindPush || v.Elems[0].Int != 1 || v.Elems[1].Int != int64(i) {
				t.Fatalf("push %d: %s, %v", i, v, err)
			}
		}
		_ = c.Close()
		wantNothingHeld(t, s)
	}
}

// TestBlockedWriteLooksAgain: a timeout or limit that is set while a reply waits
// for its client is heeded.
func TestBlockedWriteLooksAgain(t *testing.T) {
	for name, set := range map[string]func(s *Server){
		"timeout":    func(s *Server) { s.setTimeout(20 * time.Millisecond) },
		"hard limit": func(s *Server) { s.setOutputLimits(&outputLimits{{hard: 1}}) },
		"soft limit": func(s *Server) { s.setOutputLimits(&outputLimits{{soft: 1, softFor: 20 * time.Millisecond}}) },
	} {
		t.Run(name, func(t *testing.T) {
			s, addr := serve(t, Options{}, nil, tightly)
			c, conn := dialed(t, s, addr)
			c.ask("SET big " + strings.Repeat("v", 60_000))
			go func() { _, _ = io.WriteString(c, strings.Repeat("GET big\r\n", 1000)) }()
			before, same := int64(-1), 0
			testutil.Eventually(t, "the write is blocked", func() bool {
				if n := s.bytesOut.Load(); n != before {
					before, same = n, 0
				}
				same++
				return same > 50 && conn.box.pending.Load() > 0
			})
			set(s)
			testutil.Eventually(t, "the client is closed", func() bool { return s.Clients() == 0 })
		})
	}
}

// TestNothingFollowsHalfAReply: a client that is closed in the middle of a reply
// gets no push behind the half that it has got.
func TestNothingFollowsHalfAReply(t *testing.T) {
	for name, limits := range map[string]*outputLimits{"written by the connection": {}, "written by the goroutine": {{soft: 1 << 30, softFor: time.Hour}}} {
		s, addr := serve(t, Options{}, nil, tightly)
		s.outputs.Store(limits)
		c, conn := dialed(t, s, addr)
		c.ask("SETRANGE long 9999999 v")
		if _, err := io.WriteString(c, "GET long\r\n"); err != nil {
			t.Fatal(err)
		}
		testutil.Eventually(t, "a reply waits", func() bool { return conn.box.pending.Load() > 1<<20 })
		for i := range 100 {
			if !conn.box.deliver(push(1, i, 100)) {
				t.Fatalf("push %d is refused", i)
			}
		}
		s.setTimeout(20 * time.Millisecond)
		testutil.Eventually(t, "the client is closed", func() bool { return s.Clients() == 0 })
		got, _ := io.ReadAll(c.r)
		if rest := bytes.Trim(got, "\x00"); len(got) > 9_999_000 || string(rest) != "$10000000\r\n" {
			t.Errorf("%s: %d bytes, with %.100q", name, len(got), rest)
		}
	}
}

// TestIdleTimeoutByClass: who is there to be pushed to is not idle, nor is who
// takes pushes.
func TestIdleTimeoutByClass(t *testing.T) {
	s, addr := serve(t, Options{}, nil, nil)
	subscriber, conn := dialed(t, s, addr)
	conn.box.class.Store(int32(command.ClientPubSub))
	tracker, tracking := dialed(t, s, addr)
	tracking.box.posted.Store(time.Now().Add(time.Hour).UnixNano())
	idle := dial(t, addr)
	idle.ask("PING")
	s.setTimeout(20 * time.Millisecond)
	if got := idle.rest(); got != "" {
		t.Errorf("an idle client gets %q", got)
	}
	for name, c := range map[string]*client{"a subscriber": subscriber, "one that takes its pushes": tracker} {
		if got := c.ask("PING"); got != `"PONG"` {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestClientTypes: CLIENT LIST and KILL know clients by type.
func TestClientTypes(t *testing.T) {
	s, addr := serve(t, Options{}, nil, nil)
	me := dial(t, addr)
	me.ask("PING")
	for _, class := range []command.ClientType{command.ClientReplica, command.ClientPubSub} {
		c, conn := dialed(t, s, addr)
		conn.box.class.Store(int32(class))
		for _, typ := range []string{"normal", "slave", "REPLICA", "pubsub", "master"} {
			of, _ := command.ClientTypeNamed(typ)
			list := me.ask("CLIENT LIST TYPE " + typ)
			if got := strings.Contains(list, fmt.Sprintf("id=%d ", conn.ID())); got != (of == class) {
				t.Errorf("a client of type %s: CLIENT LIST TYPE %s is %s", class, typ, list)
			}
		}
		for skip, want := range map[string]int{"": 2, " SKIPME no": 2, " SKIPME yes": 1} {
			if list := me.ask("CLIENT LIST NOT-TYPE master" + skip); strings.Count(list, "id=") != want {
				t.Errorf("CLIENT LIST%s is %s", skip, list)
			}
		}
		if got := me.ask("CLIENT KILL TYPE master"); got != "0" {
			t.Errorf("CLIENT KILL TYPE master: %s", got)
		}
		if got := me.ask("CLIENT KILL TYPE " + class.String()); got != "1" {
			t.Errorf("CLIENT KILL TYPE %s: %s", class, got)
		}
		c.wantClosed("CLIENT KILL TYPE")
	}
}

// slow is a socket that takes a write when the test takes it.
type slow struct {
	net.Conn
	taken  chan string
	closed chan struct{}
}

func (n *slow) Write(p []byte) (int, error) {
	select {
	case n.taken <- string(p):
		return len(p), nil
	case <-n.closed:
		return 0, net.ErrClosed
	}
}

func (n *slow) Close() error { close(n.closed); return nil }

// TestWhoWrites: what enters while somebody writes is written next, without
// anybody's asking, and once all is written no memory is held.
func TestWhoWrites(t *testing.T) {
	s, _ := serve(t, Options{}, nil, nil)
	nc := &slow{taken: make(chan string), closed: make(chan struct{})}
	conn := newConn(s, nc)
	take := func(want string) {
		t.Helper()
		select {
		case got := <-nc.taken:
			if got != want {
				t.Fatalf("%q is written, want %q", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("nothing is written, want %q", want)
		}
	}
	deliver := func(msg string) {
		if !conn.box.deliver([]byte(msg)) {
			t.Errorf("%s is refused", msg)
		}
	}
	sent := make(chan bool)
	send := func(msg string) {
		out := resp.Writer{Buf: []byte(msg)}
		before := conn.box.pending.Load() // nothing is taken meanwhile
		go func() { sent <- conn.box.send(&out, &conn.long) }()
		testutil.Eventually(t, msg+" has entered", func() bool {
			conn.box.mu.Lock()
			defer conn.box.mu.Unlock()
			return conn.box.writing && conn.box.pending.Load() == before+int64(len(msg))
		})
	}
	for range 3 {
		send("reply")
		deliver("one ")
		deliver("two")
		take("reply")
		if !<-sent {
			t.Fatal("the connection ends")
		}
		take("one two") // by the goroutine, for whom there is nothing else to do
		testutil.Eventually(t, "the mailbox is idle and holds nothing", func() bool {
			conn.box.mu.Lock()
			defer conn.box.mu.Unlock()
			return !conn.box.writing && conn.box.mem.Load() == 0 && conn.box.pending.Load() == 0
		})
		deliver("three")
		testutil.Eventually(t, "it is being written", func() bool {
			conn.box.mu.Lock()
			defer conn.box.mu.Unlock()
			return conn.box.next.size() == 0
		})
		deliver("four")
		send("reply")
		take("three")
		take("fourreply")
		if !<-sent { // which was not to return before the reply was taken
			t.Fatal("the connection ends")
		}
		testutil.Eventually(t, "the mailbox is idle and holds nothing", func() bool {
			conn.box.mu.Lock()
			defer conn.box.mu.Unlock()
			return !conn.box.writing && conn.box.mem.Load() == 0 && conn.box.pending.Load() == 0
		})
	}
}

// nowhere is a socket that takes everything.
type nowhere struct {
	net.Conn
	deadlines int
}

func (n *nowhere) Write(p []byte) (int, error)      { return len(p), nil }
func (n *nowhere) SetWriteDeadline(time.Time) error { n.deadlines++; return nil }
func (n *nowhere) Close() error                     { return nil }

// TestSendDirectly: a reply to a client that reads costs no memory, no goroutine
// and, without limits, no deadline.
func TestSendDirectly(t *testing.T) {
	s, _ := serve(t, Options{}, nil, nil)
	nc := &nowhere{}
	conn := newConn(s, nc)
	allocs := testing.AllocsPerRun(1000, func() {
		conn.out.OK()
		if !conn.box.send(&conn.out, &conn.long) || conn.box.writing {
			t.Fatal("not written")
		}
		conn.out.Taken()
	})
	if allocs != 0 || nc.deadlines != 0 {
		t.Errorf("%v allocations, %d deadlines", allocs, nc.deadlines)
	}
}
