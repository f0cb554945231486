package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// What clients do that mean harm or know no better, and what it costs: memory at
// its most, how long others wait, and what is left. A real redis-server goes
// through the same. The short version is CI's; SPILLWAY_LAB=long takes the sizes
// that were once found to hurt, several GB. With -v the figures are printed.

// target is a server that is abused.
type target struct {
	t             *testing.T
	name          string
	network, addr string
	pid           int
	c             *redis.Client
}

// abuse is something done to a server. It returns when the server has what it
// takes; what it opened it closes by end.
type abuse struct {
	name string
	size int // MB that it is about
	// do returns what ends it.
	do func(s *target, mb int) (end func())
	// most is how much the server may take for it, in MB, when Redis took so much.
	most func(mb, redis int) int
	// config is sent to both before.
	config []string
}

func labLong() bool { return os.Getenv("SPILLWAY_LAB") == "long" }

// sized picks the size for CI or for the laboratory.
func sized(short, long int) int {
	if labLong() {
		return long
	}
	return short
}

var abuses = []abuse{
	{
		name: "EXEC unread", size: sized(100, 3000), do: unread(func(w *wire, n int) {
			w.send("MULTI\r\n" + strings.Repeat("GET mb\r\n", n) + "EXEC\r\n")
		}),
		most: func(mb, redis int) int { return max(mb, redis) + mb/8 + 48 },
	},
	{
		name: "MGET unread", size: sized(100, 1000), do: unread(func(w *wire, n int) {
			w.send("MGET" + strings.Repeat(" mb", n) + "\r\n")
		}),
		most: func(mb, redis int) int { return max(mb, redis) + mb/8 + 48 },
	},
	{
		name: "GETs unread", size: sized(100, 1000), do: func(s *target, n int) func() {
			w := s.dial()
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				_, _ = io.WriteString(w, strings.Repeat("GET mb\r\n", n)) // which may not take them all
			}()
			s.waitFor("a client that asks and does not read", func() bool {
				return strings.Contains(s.text("CLIENT", "LIST"), "cmd=get")
			})
			return func() { _ = w.Close(); <-gone }
		},
		most: func(int, int) int { return 48 }, // it waits for the client
	},
	{
		name: "SET, and UNLINK", size: sized(100, 400), do: func(s *target, mb int) func() {
			w := s.dial()
			w.send(fmt.Sprintf("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n", mb<<20))
			s.pour(w, mb)
			w.send("\r\n")
			if got := w.reply(); got != `"OK"` {
				s.t.Fatalf("%s: SET: %s", s.name, got)
			}
			return func() {
				if got := w.ask("UNLINK big"); got != "1" {
					s.t.Fatalf("%s: UNLINK: %s", s.name, got)
				}
				_ = w.Close()
			}
		},
		most: func(mb, redis int) int { return max(mb, redis) + mb/8 + 48 },
	},
	{
		name: "half a SET", size: sized(100, 400), do: func(s *target, mb int) func() {
			w := s.dial()
			w.send(fmt.Sprintf("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n", mb<<20))
			s.pour(w, mb/2)
			s.waitHeld(mb << 20 / 2)
			return func() { _ = w.Close() }
		},
		most: func(mb, redis int) int { return mb/2 + mb/8 + 48 },
	},
	{
		name: "MULTI without EXEC", size: sized(50, 400), do: func(s *target, mb int) func() {
			w := s.dial()
			w.send("MULTI\r\n")
			for range mb {
				w.send(fmt.Sprintf("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", 1<<20))
				s.pour(w, 1)
				w.send("\r\n")
			}
			for range mb + 1 {
				w.reply()
			}
			return func() { _ = w.Close() }
		},
		// A large heap may hold as much again before it is collected.
		most: func(mb, redis int) int { return 2*max(mb, redis) + 64 },
	},
	{
		name: "claims and multiplies", size: sized(200, 2000), do: func(s *target, n int) func() {
			var ws []*wire
			for range n {
				w := s.dial()
				w.send("*2147483647\r\n$4\r\nMSET\r\n$536870912\r\nx")
				ws = append(ws, w)
			}
			return func() {
				for _, w := range ws {
					_ = w.Close()
				}
			}
		},
		most: func(n, redis int) int { return redis + 64 },
	},
	{
		name: "many unread, maxmemory-clients 64mb", size: sized(20, 100), config: []string{"maxmemory-clients", "64mb"},
		do: func(s *target, n int) func() {
			var ws []*wire
			for range n {
				w := s.dial()
				_, _ = io.WriteString(w, "MULTI\r\n"+strings.Repeat("GET mb\r\n", 10)+"EXEC\r\n")
				ws = append(ws, w)
			}
			s.waitFor("clients to be evicted", func() bool {
				n, _ := strconv.Atoi(infoField(s.text("INFO", "stats"), "evicted_clients"))
				return n > 0
			})
			return func() {
				for _, w := range ws {
					_ = w.Close()
				}
			}
		},
		most: func(_, redis int) int { return max(64, redis) + 64 },
	},
}

// TestAbuse runs every abuse against the daemon, with redis-server beside it.
func TestAbuse(t *testing.T) {
	for _, a := range abuses {
		t.Run(a.name, func(t *testing.T) {
			theirs := measure(t, a, redisTarget(t))
			ours := measure(t, a, spillwayTarget(t))
			t.Logf("%-40s at most %d MB, redis-server %d MB; left %d MB; others waited %.1f times as long as beside an idle server, redis-server's %.1f times",
				fmt.Sprintf("%s (%d)", a.name, a.size), ours.peak, theirs.peak, ours.left, ours.waited, theirs.waited)
			if most := a.most(a.size, theirs.peak); ours.peak > most {
				t.Errorf("it took %d MB, of which %d were to be expected; redis-server took %d", ours.peak, most, theirs.peak)
			}
			// Twenty times what Redis does is nobody's noise.
			if limit := 20 * max(theirs.waited, 20); ours.waited > limit {
				t.Errorf("others waited %.1f times as long as beside an idle server; beside redis-server it is %.1f times", ours.waited, theirs.waited)
			}
		})
	}
}

// cost is what an abuse has cost a server.
type cost struct {
	peak   int     // MB more than before, at the most
	left   int     // MB more than before, afterwards
	waited float64 // the longest that another client had to wait, in longest waits of an idle server's at the same time
}

// measure abuses a server.
func measure(t *testing.T, a abuse, s *target) (c cost) {
	t.Helper()
	s.do("SET", "mb", strings.Repeat("v", 1<<20-16))
	s.do("SET", "victim", "alive")
	if a.config != nil {
		s.do("CONFIG", "SET", a.config[0], a.config[1])
	}
	before, clients := s.resetPeak(), strings.Count(s.text("CLIENT", "LIST"), "id=")
	idle := redisTarget(t)
	idle.do("SET", "victim", "alive")
	stop, waits := make(chan struct{}), make(chan float64, 1)
	over := sync.OnceFunc(func() { close(stop) })
	defer over()
	go func() { waits <- s.probe(stop, idle) }()
	end := a.do(s, a.size)
	c.peak = s.anon("VmHWM")>>10 - before
	end()
	if s.name == "spillway" {
		// Redis gives memory back too, by its allocator's clock.
		s.waitFor("memory to come back", func() bool { return s.anon("VmRSS")>>10-before < 24+c.peak/16 })
	}
	over()
	c.waited = <-waits
	c.left = s.anon("VmRSS")>>10 - before
	if got := s.do("GET", "victim"); got != "alive" {
		t.Errorf("%s: afterwards GET victim says %v", s.name, got)
	}
	s.waitFor("the clients to be gone", func() bool {
		return strings.Count(s.text("CLIENT", "LIST"), "id=") <= clients+1 // and the one that waited
	})
	return c
}

// probe asks a server and an idle one until stop is closed, and returns how many
// times as long the slowest answer took.
func (s *target) probe(stop chan struct{}, idle *target) float64 {
	slowest := func(s *target, to chan<- time.Duration) {
		var worst time.Duration
		for {
			began := time.Now()
			if err := s.c.Get(context.Background(), "victim").Err(); err != nil {
				s.t.Errorf("%s: another client: %v", s.name, err)
				to <- worst
				return
			}
			worst = max(worst, time.Since(began))
			select {
			case <-stop:
				to <- worst
				return
			default:
			}
		}
	}
	abused, calm := make(chan time.Duration, 1), make(chan time.Duration, 1)
	go slowest(s, abused)
	go slowest(idle, calm)
	return float64(<-abused) / float64(<-calm)
}

// unread has a client ask for n MB in one reply and not read it.
func unread(ask func(w *wire, n int)) func(s *target, n int) func() {
	return func(s *target, n int) func() {
		w := s.dial()
		ask(w, n)
		s.waitHeld(n << 20 * 9 / 10)
		return func() { _ = w.Close() }
	}
}

var totMem = regexp.MustCompile(`tot-mem=(\d+)`)

// waitHeld waits until the server says that some client holds so many bytes.
func (s *target) waitHeld(bytes int) {
	s.t.Helper()
	s.waitFor(fmt.Sprintf("a client that holds %d bytes", bytes), func() bool {
		for _, m := range totMem.FindAllStringSubmatch(s.text("CLIENT", "LIST"), -1) {
			if n, _ := strconv.Atoi(m[1]); n >= bytes {
				return true
			}
		}
		return false
	})
}

// pour sends so many MB.
func (s *target) pour(w *wire, mb int) {
	s.t.Helper()
	b := make([]byte, 1<<20)
	for range mb {
		if _, err := w.Write(b); err != nil {
			s.t.Fatalf("%s: %v", s.name, err)
		}
	}
}

func spillwayTarget(t *testing.T) *target {
	d := startDaemon(t, t.TempDir(), "--save", "", "--appendonly", "no")
	return &target{t, "spillway", "tcp", d.addr, d.cmd.Process.Pid, d.client(func(o *redis.Options) { o.PoolSize = 2 })}
}

func redisTarget(t *testing.T) *target {
	socket, _ := redisServer(t, t.TempDir())
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, MaxRetries: -1, DisableIdentity: true, PoolSize: 2, ReadTimeout: patience})
	t.Cleanup(func() { _ = c.Close() })
	s := &target{t: t, name: "redis-server", network: "unix", addr: socket, c: c}
	s.pid, _ = strconv.Atoi(infoField(s.text("INFO", "server"), "process_id"))
	return s
}

func (s *target) dial() *wire { s.t.Helper(); return dialWire(s.t, s.network, s.addr) }

func (s *target) do(args ...any) any {
	s.t.Helper()
	v, err := s.c.Do(context.Background(), args...).Result()
	if err != nil {
		s.t.Fatalf("%s: %v: %v", s.name, args[0], err)
	}
	return v
}

func (s *target) text(args ...any) string { s.t.Helper(); return fmt.Sprint(s.do(args...)) }

func (s *target) waitFor(what string, cond func() bool) {
	s.t.Helper()
	(&daemon{t: s.t}).waitFor(s.name+": "+what, cond)
}

// anon is a size in the process's status, in KiB, without its program's pages.
func (s *target) anon(field string) int {
	s.t.Helper()
	return procStatus(s.t, s.pid, field) - procStatus(s.t, s.pid, "RssFile")
}

// resetPeak has the kernel measure VmHWM anew and returns what is there now, in MB.
func (s *target) resetPeak() int {
	s.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.pid), []byte("5"), 0); err != nil {
		s.t.Fatal(err)
	}
	return s.anon("VmRSS") >> 10
}

// TestHTTPIsNotSpoken: what a web page can make a browser send executes nothing
// behind the first line that is HTTP's, however it is cut into packets.
func TestHTTPIsNotSpoken(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--save", "")
	socket, _ := redisServer(t, t.TempDir())
	body := "\r\nDEL victim\r\nCONFIG SET requirepass attacker\r\n"
	for _, in := range []string{
		"POST / HTTP/1.1\r\nHost: 127.0.0.1:6380\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nContent-Length: 49\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n" + body,
		"GET / HTTP/1.1\r\nHost: 127.0.0.1:6380\r\n\r\n" + body,
		"PUT /x HTTP/1.1\r\nhOsT: 127.0.0.1:6380\r\n\r\n" + body,
		"post\r\n" + body,
		"*1\r\n$4\r\nPOST\r\n" + body,
		"PING\r\nPOST /\r\n" + body,
	} {
		for _, step := range []int{len(in), 1, 7} {
			d.do("SET", "victim", "alive")
			w := d.dial()
			_ = w.Conn.(*net.TCPConn).SetNoDelay(true)
			for at := 0; at < len(in); at += step {
				if _, err := io.WriteString(w, in[at:min(at+step, len(in))]); err != nil {
					break // it is closed already
				}
			}
			got, err := io.ReadAll(w.r)
			if err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Fatalf("%.30q: %v", in, err)
			}
			if strings.Contains(string(got), "+OK") || strings.Contains(string(got), ":1") {
				t.Errorf("%.30q in steps of %d is answered %q", in, step, got)
			}
			if v := d.do("GET", "victim"); v != "alive" {
				t.Errorf("%.30q in steps of %d: the victim is %v", in, step, v)
			}
		}
		// The same ends a connection to Redis, and what it says first is the same.
		if want, got := talk(t, "unix", socket, in), talk(t, "tcp", d.addr, in); got != want {
			t.Errorf("%.30q: got %q, want %q", in, got, want)
		}
	}
	if got := d.do("CONFIG", "GET", "requirepass"); fmt.Sprint(got) != fmt.Sprint(map[any]any{"requirepass": ""}) && fmt.Sprint(got) != "[requirepass ]" {
		t.Errorf("requirepass: %v", got)
	}
	if n := strings.Count(d.log.String(), "Possible SECURITY ATTACK detected"); n != 1 {
		t.Errorf("%d lines about it, want one a minute:\n%s", n, d.log.String())
	}
}

// TestStrangersAreToldSo: TLS and other binary protocols get an error and the end
// of the connection at their first byte, and one line in the log.
func TestStrangersAreToldSo(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--save", "")
	for in, want := range map[string]string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": "-ERR Protocol error: expected a RESP request, got a TLS handshake\r\n",
		"\x16":            "-ERR Protocol error: expected a RESP request, got a TLS handshake\r\n",
		"\x00\x00\x00":    "-ERR Protocol error: expected a RESP request, got binary data\r\n",
		"\x80\x2e\x01":    "-ERR Protocol error: expected a RESP request, got binary data\r\n",
		"\xffSMB\r\nPING": "-ERR Protocol error: expected a RESP request, got binary data\r\n",
	} {
		w := d.dial()
		w.send(in)
		if got := w.rest(); got != want {
			t.Errorf("%q is answered %q, want %q", in, got, want)
		}
	}
	if n := strings.Count(d.log.String(), "it does not speak RESP"); n != 1 {
		t.Errorf("%d lines about it, want one a minute:\n%s", n, d.log.String())
	}
	if got := d.dial().ask("PING"); got != `"PONG"` {
		t.Errorf("a client that does: %s", got)
	}
}

// TestSecretsAreNotShown: SLOWLOG keeps no password, and shows what Redis shows.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--save", "")
	_, r := redisServer(t, t.TempDir())
	var seen [2]string
	for i, c := range []*redis.Client{d.rdb, r} {
		ctx := context.Background()
		for _, cmd := range [][]any{
			{"CONFIG", "SET", "slowlog-log-slower-than", "0"}, {"SLOWLOG", "RESET"},
			{"AUTH", "user", "geheim"}, {"HELLO", "3", "AUTH", "user", "geheim", "SETNAME", "x"},
			{"CONFIG", "SET", "requirepass", "geheim"}, {"CONFIG", "SET", "maxmemory", "0", "RequirePass", "geheim"},
			{"CONFIG", "SET", "requirepass", "geheim", "maxmemory", "0"}, {"CONFIG", "SET", "requirepass", ""},
		} {
			c.Do(ctx, cmd...) // some are refused
		}
		entries, err := c.SlowLogGet(ctx, 100).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Args[0] != "hello" && e.Args[0] != "client" { // the client library's own
				seen[i] += strings.Join(e.Args, " ") + "\n"
			}
		}
	}
	if strings.Contains(seen[0], "geheim") || seen[0] != seen[1] {
		t.Errorf("SLOWLOG shows\n%s\nredis-server's\n%s", seen[0], seen[1])
	}
}

// TestLargeValue: a value whose request gives up its memory while it is stored is
// what was sent: in memory, over an older one, in what other commands of the
// same read do, and after a kill.
func TestLargeValue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startDaemon(t, dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always")
	value := func(seed, size int) string {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte((i + seed) * 2654435761 >> 13)
		}
		return string(b)
	}
	var last string
	w := d.dial()
	for seed, size := range []int{16<<20 - 1, 16 << 20, 40<<20 + 17, 41 << 20} {
		last = value(seed, size)
		w.send(fmt.Sprintf("SET before %d\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\nSET after %d\r\nGET k\r\nGET after\r\n", seed, size, last, seed))
		want := []string{`"OK"`, `"OK"`, `"OK"`, strconv.Quote(last), strconv.Quote(strconv.Itoa(seed))}
		for i := range want {
			if got := w.reply(); got != want[i] {
				t.Fatalf("%d bytes, reply %d: %.40s of %d bytes, want %.40s of %d", size, i, got, len(got), want[i], len(want[i]))
			}
		}
	}
	d.kill()
	d = startDaemon(t, dir, "--save", "", "--appendonly", "yes")
	if got := d.do("GET", "k"); got != last {
		t.Errorf("after a kill %d bytes are there, want %d", len(fmt.Sprint(got)), len(last))
	}
	if got := d.do("GET", "after"); got != "3" {
		t.Errorf("after a kill: after is %v", got)
	}
}
