package server

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// get reads one reply or push.
func (c *client) get() string {
	c.t.Helper()
	v, err := resp.ReadReply(c.r)
	if err != nil {
		c.t.Fatal(err)
	}
	return v.String()
}

func (c *client) want(what string, replies ...string) {
	c.t.Helper()
	for _, want := range replies {
		if got := c.get(); got != want {
			c.t.Fatalf("%s: %s, want %s", what, got, want)
		}
	}
}

func (c *client) send(lines string) {
	c.t.Helper()
	if _, err := io.WriteString(c, strings.ReplaceAll(lines, "\n", "\r\n")); err != nil {
		c.t.Fatal(err)
	}
}

// TestPublishersOrder: two publishers race, and all subscribers, of which some
// publish themselves, get what was published to a channel in one order.
func TestPublishersOrder(t *testing.T) {
	const each = 2000
	_, addr := serve(t, Options{}, nil, nil)
	var clients []*client
	for range 4 {
		c := dial(t, addr)
		c.ask("HELLO 3")
		if got := c.ask("SUBSCRIBE x"); got != `["subscribe" "x" 1]` {
			t.Fatal(got)
		}
		clients = append(clients, c)
	}
	var wg sync.WaitGroup
	got := make([][]string, len(clients))
	for i, c := range clients {
		if i < 2 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				var b strings.Builder
				for n := range each {
					fmt.Fprintf(&b, "PUBLISH x %d-%d\r\n", i, n)
				}
				_, _ = io.WriteString(c, b.String())
			}()
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			for len(got[i]) < 2*each {
				v, err := resp.ReadReply(c.r)
				if err != nil {
					t.Errorf("client %d after %d messages: %v", i, len(got[i]), err)
					return
				}
				if v.Kind == resp.KindPush {
					got[i] = append(got[i], string(v.Elems[2].Str))
				}
			}
		}()
	}
	wg.Wait()
	for i := range got {
		next := [2]int{}
		for n, m := range got[i] {
			var p, k int
			if _, err := fmt.Sscanf(m, "%d-%d", &p, &k); err != nil || k != next[p] {
				t.Fatalf("client %d: message %d is %s, and %d of that publisher was due", i, n, m, next[p])
			}
			next[p]++
			if got[0][n] != m {
				t.Fatalf("message %d: client 0 got %s, client %d %s", n, got[0][n], i, m)
			}
		}
	}
}

// TestSlowSubscriberIsCut: one who reads nothing is closed at the limit of its
// class, and what it was owed is given back; others lose nothing.
func TestSlowSubscriberIsCut(t *testing.T) {
	const messages, size = 400, 10 << 10
	var log lines
	s, addr := serve(t, Options{Logger: log.logger()}, nil, tightly)
	ask := dial(t, addr)
	if got := ask.ask("CONFIG SET client-output-buffer-limit 'pubsub 1mb 0 0'"); got != `"OK"` {
		t.Fatal(got)
	}
	slow, conn := dialed(t, s, addr)
	reader := dial(t, addr)
	for _, c := range []*client{slow, reader} {
		c.send("SUBSCRIBE x\n")
		c.want("SUBSCRIBE", `["subscribe" "x" 1]`)
	}
	testutil.Eventually(t, "the class of its limit", func() bool { return conn.Info().Type.String() == "pubsub" })
	message := strings.Repeat("m", size)
	cut := false
	for range messages {
		n := ask.ask("PUBLISH x " + message)
		reader.want("the one who reads", `["message" "x" "`+message+`"]`)
		cut = cut || n == "1"
	}
	slow.wantClosed("it is owed more than its limit")
	if !strings.Contains(log.String(), "client-output-buffer-limit") || !strings.Contains(log.String(), "class=pubsub") {
		t.Errorf("logged: %s", log.String())
	}
	testutil.Eventually(t, "only the reader has subscribed", func() bool { return ask.ask("PUBSUB NUMSUB x") == `["x" 1]` })
	testutil.Eventually(t, "its memory is back", func() bool { return s.Clients() == 2 && s.memHeld.Load() < 1<<20 })
	if !cut && ask.ask("PUBLISH x last") != "1" {
		t.Error("it still counts")
	}
	_, _, _ = slow.Close(), reader.Close(), ask.Close()
	wantNothingHeld(t, s)
}

// TestConfirmationComesFirst: what is published while a SUBSCRIBE is executed in a
// batch comes behind its confirmation, and none behind the one of UNSUBSCRIBE.
func TestConfirmationComesFirst(t *testing.T) {
	_, addr := serve(t, Options{}, nil, nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		publisher := dial(t, addr)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := io.WriteString(publisher, "PUBLISH x m\r\n"); err != nil {
					return
				}
				if _, err := resp.ReadReply(publisher.r); err != nil {
					return
				}
			}
		}()
	}
	defer func() { close(stop); wg.Wait() }()
	c := dial(t, addr)
	messages := 0
	for i := 0; i < 300 || messages == 0; i++ {
		c.send("SUBSCRIBE x\nPING a\nUNSUBSCRIBE x\nPING b\n")
		on, pinged := false, 0
		for pinged < 2 {
			switch got := c.get(); got {
			case `["subscribe" "x" 1]`:
				on = true
			case `["unsubscribe" "x" 0]`:
				on = false
			case `["message" "x" "m"]`:
				messages++
				if !on {
					t.Fatalf("round %d: a message outside of the subscription", i)
				}
			case `["pong" "a"]`, `"b"`:
				pinged++
			default:
				t.Fatal(got)
			}
		}
		if i == 100_000 {
			t.Fatal("no message in any of the rounds")
		}
	}
}

// TestInvalidationFollowsTheReply: of what a client has read and another then
// writes it is told, once, and behind the reply that it makes stale.
func TestInvalidationFollowsTheReply(t *testing.T) {
	_, addr := serve(t, Options{}, nil, nil)
	cached, writer := dial(t, addr), dial(t, addr)
	cached.ask("HELLO 3")
	cached.ask("CLIENT TRACKING on")
	writer.ask("SET k 0") // before anybody reads it
	const writes = 2000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range writes {
			writer.ask(fmt.Sprintf("SET k %d", i+1))
		}
	}()
	last := ""
	for last != fmt.Sprintf("%q", fmt.Sprint(writes)) {
		if last = cached.ask("GET k"); last != fmt.Sprintf("%q", fmt.Sprint(writes)) {
			cached.want("a write behind "+last, `["invalidate" ["k"]]`)
		}
	}
	<-done
}

// TestServedClientIsTold: what a client's own command changes when another's serves it, it is told of
// behind the reply, or not at all if it says NOLOOP, as by a redis-server.
func TestServedClientIsTold(t *testing.T) {
	for mode, told := range map[string][]string{
		"on":              {`"foo"`, `["invalidate" ["to"]]`},
		"on NOLOOP":       {`"foo"`},
		"on BCAST NOLOOP": {`"foo"`},
	} {
		t.Run(mode, func(t *testing.T) {
			_, addr := serve(t, Options{}, nil, nil)
			waiting, other, all := dial(t, addr), dial(t, addr), dial(t, addr)
			all.ask("HELLO 3")
			all.ask("CLIENT TRACKING on BCAST PREFIX to")
			waiting.ask("HELLO 3")
			waiting.ask("CLIENT TRACKING " + mode)
			other.ask("RPUSH to x")
			all.want("RPUSH", `["invalidate" ["to"]]`)
			if strings.Contains(mode, "BCAST") {
				waiting.want("RPUSH", `["invalidate" ["to"]]`)
			}
			waiting.ask("LRANGE to 0 -1")
			waiting.send("BLMOVE from to LEFT LEFT 0\n")
			for !strings.Contains(other.ask("INFO clients"), "blocked_clients:1") {
				runtime.Gosched()
			}
			other.ask("RPUSH from foo")
			if strings.Contains(mode, "BCAST") { // of from, which is not its own doing, before or behind its reply
				got := []string{waiting.get(), waiting.get()}
				slices.Sort(got)
				if fmt.Sprint(got) != `["foo" ["invalidate" ["from"]]]` {
					t.Errorf("it is told %s", got)
				}
			} else {
				waiting.want("BLMOVE", told...)
			}
			if got := waiting.ask("PING"); got != `"PONG"` {
				t.Errorf("then %s", got)
			}
			all.want("BLMOVE", `["invalidate" ["to"]]`)
		})
	}
}

// TestEvictionFirst: the command behind one that took more memory than there may be makes
// room, whatever it does, and its client is told of what that took before the reply.
func TestEvictionFirst(t *testing.T) {
	s, addr := serve(t, Options{}, func(o *core.Options) { o.ManualTick = true }, nil)
	c := dial(t, addr)
	c.ask("HELLO 3")
	c.ask("CLIENT TRACKING on")
	limit := s.db.Admin().Info().Render(nil, "memory")
	used, _, _ := strings.Cut(limit[strings.Index(limit, "used_memory:")+len("used_memory:"):], "\r\n")
	n, err := strconv.Atoi(used)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{fmt.Sprintf("CONFIG SET maxmemory %d maxmemory-policy volatile-random", n+100<<10), "SETEX volatile 10000 x", "GET volatile", "SETBIT big 1600000 0"} {
		c.ask(line)
	}
	c.send("GETBIT big 0\n")
	c.want("a read", `["invalidate" ["volatile"]]`, "0")
}

// TestTrackingLimitLowered: a lower tracking-table-max-keys counts from the client's next command on.
func TestTrackingLimitLowered(t *testing.T) {
	_, addr := serve(t, Options{}, func(o *core.Options) { o.ManualTick = true }, nil)
	c, other := dial(t, addr), dial(t, addr)
	for _, line := range []string{"HELLO 3", "CLIENT TRACKING on", "MGET 1{t} 2{t}", "MULTI"} {
		c.ask(line)
	}
	other.ask("CONFIG SET tracking-table-max-keys 1")
	c.send("PING\n")
	if got := c.get(); got != `["invalidate" ["1{t}"]]` && got != `["invalidate" ["2{t}"]]` {
		t.Errorf("it is told %s", got)
	}
	c.want("PING", `"QUEUED"`)
}

// TestMonitorsSeeOneOrder: two monitors see the commands of racing clients in the
// same order, with the same times.
func TestMonitorsSeeOneOrder(t *testing.T) {
	const each = 500
	_, addr := serve(t, Options{}, nil, nil)
	monitors := []*client{dial(t, addr), dial(t, addr)}
	for _, m := range monitors {
		if got := m.ask("MONITOR"); got != `"OK"` {
			t.Fatal(got)
		}
	}
	var wg sync.WaitGroup
	for i := range 3 {
		c := dial(t, addr)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range each {
				c.ask(fmt.Sprintf("SET k%d %d", i, n))
			}
		}()
	}
	for n := range 3 * each {
		a, b := monitors[0].get(), monitors[1].get()
		if a != b || !strings.Contains(a, `[0 127.0.0.1:`) || !strings.Contains(a, `\"SET\" \"k`) {
			t.Fatalf("line %d: %s and %s", n, a, b)
		}
	}
	wg.Wait()
	_ = net.Conn(monitors[0]).Close()
}

// TestKeysThatGoAreTold: expired and evicted keys are published, and those who have
// them cached are told.
func TestKeysThatGoAreTold(t *testing.T) {
	s, addr := serve(t, Options{}, func(o *core.Options) { o.Shards = 1 }, nil)
	c, w := dial(t, addr), dial(t, addr)
	for _, line := range []string{"CONFIG SET notify-keyspace-events KExe", "SET volatile v EX 1000"} {
		if got := w.ask(line); got != `"OK"` {
			t.Fatalf("%s: %s", line, got)
		}
	}
	c.ask("HELLO 3")
	c.ask("CLIENT TRACKING on")
	c.ask("GET volatile")
	c.send("PSUBSCRIBE __key*\n")
	c.want("PSUBSCRIBE", `["psubscribe" "__key*" 1]`)
	w.ask("SET old v PX 1") // not before: it goes by itself
	c.want("expired",
		`["pmessage" "__key*" "__keyspace@0__:old" "expired"]`, `["pmessage" "__key*" "__keyevent@0__:expired" "old"]`)
	if got := w.ask("CONFIG SET maxmemory-policy volatile-random maxmemory 1"); got != `"OK"` {
		t.Fatal(got)
	}
	w.ask("SET big v") // is refused, after everything has gone that may
	c.want("evicted", `["invalidate" ["volatile"]]`,
		`["pmessage" "__key*" "__keyspace@0__:volatile" "evicted"]`, `["pmessage" "__key*" "__keyevent@0__:evicted" "volatile"]`)
	if info := s.db.Admin().Info().Render(nil, "stats"); !strings.Contains(info, "pubsub_patterns:1\r\n") || !strings.Contains(info, "tracking_total_keys:0\r\n") {
		t.Errorf("INFO stats: %s", info)
	}
}

// TestKilledReceivesNothing: whoever is told that a subscriber was closed does not find it
// among those who receive, though whoever serves it has yet to take that in.
func TestKilledReceivesNothing(t *testing.T) {
	_, addr := serve(t, Options{}, nil, nil)
	me := dial(t, addr)
	for range 20 {
		c := dial(t, addr)
		c.send("SUBSCRIBE a\nPSUBSCRIBE *\nSSUBSCRIBE a\n")
		c.get()
		c.get()
		c.get()
		me.send("CLIENT KILL TYPE pubsub\nPUBLISH a x\nSPUBLISH a x\nPUBSUB NUMPAT\nPUBSUB NUMSUB a\nPUBSUB CHANNELS\n")
		me.want("behind CLIENT KILL", "1", "0", "0", "0", `["a" 0]`, "[]")
	}
}
