package server

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// longModel is strings by key, and what a batch of commands is to reply.
type longModel struct {
	rnd    *rand.Rand
	values map[string]string
	req    []byte
	edges  []int // of arguments in req
	want   []string
	queued []string // of a transaction, nil outside
}

// command adds a command to the batch.
func (m *longModel) command(want string, args ...string) {
	m.req = fmt.Appendf(m.req, "*%d\r\n", len(args))
	for _, a := range args {
		m.req = fmt.Appendf(m.req, "$%d\r\n", len(a))
		m.edges = append(m.edges, len(m.req))
		m.req = append(m.req, a...)
		m.edges = append(m.edges, len(m.req))
		m.req = append(m.req, "\r\n"...)
	}
	if m.queued != nil {
		m.queued = append(m.queued, want)
		want = `"QUEUED"`
	}
	m.want = append(m.want, want)
}

// value is one of a length around one at which something changes.
func (m *longModel) value() string {
	at := []int{10, readBuffer, heapBuffer, 512 << 10, announced, 2 * announced}
	n := max(1, at[m.rnd.IntN(len(at))]+m.rnd.IntN(200)-100)
	b := make([]byte, n)
	x := m.rnd.Uint32()
	for i := range b {
		b[i] = 'a' + byte((uint32(i)*2654435761+x)>>13)%26 // readable, and no two pages are alike
	}
	return string(b)
}

func (m *longModel) quoted(key string) string {
	if v, ok := m.values[key]; ok {
		return strconv.Quote(v)
	}
	return "(nil)"
}

// step adds one command about a long value to the batch.
func (m *longModel) step() {
	key := fmt.Sprint("key:", m.rnd.IntN(3))
	old, has := m.values[key]
	switch v := m.value(); m.rnd.IntN(15) {
	default:
		m.values[key] = v
		m.command(`"OK"`, "set", key, v)
	case 0:
		m.values[key] = v
		m.command(`"OK"`, "SET", key, v, "EX", "100000")
	case 1:
		m.command(m.quoted(key), "SET", key, v, "GET", "KEEPTTL")
		m.values[key] = v
	case 2:
		want := "(nil)"
		if !has {
			want, m.values[key] = `"OK"`, v
		}
		m.command(want, "SET", key, v, "NX")
	case 3:
		m.command(m.quoted(key), "GETSET", key, v)
		m.values[key] = v
	case 4:
		if len(old) < 4<<20 {
			m.values[key] += v
			m.command(strconv.Itoa(len(m.values[key])), "APPEND", key, v)
		}
	case 5:
		if has {
			at := m.rnd.IntN(len(old))
			m.values[key] = old[:at] + "!" + old[at+1:]
			m.command(strconv.Itoa(len(old)), "SETRANGE", key, strconv.Itoa(at), "!")
		}
	case 6:
		m.values[key] = v
		m.command(`"OK"`, "EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", key, v)
	case 7:
		m.values[key], m.values["other"] = v, v[:len(v)/2]
		m.command(`"OK"`, "MSET", key, v, "other", v[:len(v)/2])
	case 8:
		m.values[key] = v
		m.command(`"OK"`, "SETEX", key, "100000", v)
	case 9:
		m.command("(error) ERR syntax error", "SET", key, v, "NONSENSE")
	case 10:
		if has {
			delete(m.values, key)
			m.command("1", "DEL", key)
		}
	case 11, 12:
		m.command(m.quoted(key), "GET", key)
	}
}

// batch makes a request of some commands, some of them in a transaction.
func (m *longModel) batch() {
	m.req, m.edges, m.want = m.req[:0], m.edges[:0], m.want[:0]
	tx := m.rnd.IntN(6) == 0
	if tx {
		m.command(`"OK"`, "MULTI")
		m.queued = []string{}
	}
	for range 1 + m.rnd.IntN(3) {
		m.step()
	}
	if tx {
		queued := m.queued
		m.queued = nil
		m.command("["+strings.Join(queued, " ")+"]", "EXEC")
	}
	m.command(m.quoted("key:0"), "GET", "key:0")
}

// cuts is where the request is cut: nowhere, or around where something begins or ends.
func (m *longModel) cuts() []int {
	at := []int{len(m.req)}
	for range m.rnd.IntN(4) {
		n := m.rnd.IntN(len(m.req))
		switch m.rnd.IntN(3) {
		case 0:
			n = m.edges[m.rnd.IntN(len(m.edges))] + m.rnd.IntN(7) - 3
		case 1:
			n = n&^(readBuffer-1) + m.rnd.IntN(3) - 1
		}
		if n > 0 && n < len(m.req) {
			at = append(at, n)
		}
	}
	slices.Sort(at)
	return at
}

// TestLongValues: what is set is what was sent, whether it stays where it was received or is
// copied, however reads cut it and whatever comes with it, and the log has the same. The
// memory of clients and of keys is back at the end.
func TestLongValues(t *testing.T) {
	for _, secured := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "TLS"}[secured], func(t *testing.T) {
			seed := rand.Uint64()
			m := &longModel{rnd: rand.New(rand.NewPCG(seed, 0)), values: map[string]string{}}
			var s *Server
			var c *client
			fs := memfs.New()
			with := func(o *core.Options) { o.FS = fs }
			if secured {
				a := testutil.NewAuthority(t)
				a.Issue("server", "server.pem", "server.key")
				var addr string
				s, addr = serveTLS(t, a, Options{}, TLSOptions{}, with)
				nc, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: a.Pool})
				if err != nil {
					t.Fatal(err)
				}
				c = clientOn(t, nc)
			} else {
				var addr string
				s, addr = serve(t, Options{}, with, nil)
				c = dial(t, addr)
			}
			used := s.db.Keyspace().UsedBytes()
			for round := range testutil.Rounds(120) {
				m.batch()
				req := bytes.Clone(m.req)
				cuts := m.cuts()
				go func() {
					from, base := 0, s.bytesIn.Load()
					for _, to := range cuts {
						_, _ = c.Write(req[from:to])
						from = to
						testutil.Eventually(t, "it is received", func() bool { return s.bytesIn.Load() >= base+int64(to) })
					}
				}()
				for i, want := range m.want {
					v, err := resp.ReadReply(c.r)
					if err != nil {
						t.Fatalf("seed %d, round %d: %v", seed, round, err)
					}
					if got := v.String(); got != want {
						t.Fatalf("seed %d, round %d, cut at %d of %d: reply %d is %.60s of %d bytes, want %.60s of %d",
							seed, round, cuts, len(req), i, got, len(got), want, len(want))
					}
				}
			}
			m.wantAfter(t, fs.CrashClone(memfs.LoseAll))
			if got := c.ask("FLUSHALL"); got != `"OK"` {
				t.Fatal(got)
			}
			_ = c.Close()
			wantNothingHeld(t, s)
			used += int64(s.db.Keyspace().NumShards() * 2 * arena.PageSize) // an index that is empty stays
			if got := s.db.Keyspace().UsedBytes(); got > used {
				t.Errorf("%d bytes are used, %d before, seed %d", got, used, seed)
			}
		})
	}
}

// wantAfter wants an engine that is started on a disk to have all values.
func (m *longModel) wantAfter(t *testing.T, disk *memfs.FS) {
	t.Helper()
	db, err := core.Open(core.Options{FS: disk, Shards: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for key := range m.values {
		v, err := db.Session().Do("GET", key)
		if got := v.String(); err != nil || got != m.quoted(key) {
			t.Errorf("after a start %s is %.40s of %d bytes, want %d: %v", key, got, len(got), len(m.values[key]), err)
		}
	}
}

// TestBehindLongValue: commands that came with the end of a long value are executed at once,
// though the memory in which they came is another's by then, and half a one when it is whole.
func TestBehindLongValue(t *testing.T) {
	s, addr := serve(t, Options{}, nil, nil)
	c := dial(t, addr)
	val := strings.Repeat("v", 600<<10)
	req := fmt.Sprintf("*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n$2\r\nEX\r\n$3\r\n100\r\nECHO one\r\nECHO two\r\nECHO th", len(val), val)
	half := len(req) / 2
	base := s.bytesIn.Load()
	_, _ = io.WriteString(c, req[:half])
	testutil.Eventually(t, "half of it has come", func() bool { return s.bytesIn.Load() == base+int64(half) })
	_, _ = io.WriteString(c, req[half:])
	c.want("all that is whole", `"OK"`, `"one"`, `"two"`)
	dial(t, addr).ask("APPEND k " + strings.Repeat("w", 500)) // to where the rest came
	_, _ = io.WriteString(c, "ree\r\n")
	c.want("the rest", `"three"`)
	if got := c.ask("GETRANGE k -501 -500"); got != `"vw"` {
		t.Error(got)
	}
}

// TestLongValueIsShown: MONITOR and SLOWLOG show what the client has sent, though part of it is
// no longer where it was received.
func TestLongValueIsShown(t *testing.T) {
	_, addr := serve(t, Options{}, nil, nil)
	m, c := dial(t, addr), dial(t, addr)
	c.ask("CONFIG SET slowlog-log-slower-than 0")
	m.ask("MONITOR")
	val := strings.Repeat("v", 600<<10)
	for _, before := range []string{"set a:key", "SeTeX a:key 1234", "SETNX a:key", "getset a:key"} {
		c.ask("DEL a:key")
		c.ask("SLOWLOG RESET")
		words := append(strings.Fields(before), val)
		var args [][]byte
		for _, w := range words {
			args = append(args, []byte(w))
		}
		c.pipeline(resp.AppendCommand(nil, args...), 1)
		want := strings.ReplaceAll(fmt.Sprintf("%q", words[:len(words)-1]), `" "`, " ") // as words
		want = strings.Trim(want, `["]`)
		if got := c.ask("SLOWLOG GET 1"); !strings.Contains(strings.ReplaceAll(got, `" "`, " "), `["`+want+" "+val[:10]) {
			t.Errorf("%s: SLOWLOG shows %.200s", before, got)
		}
		for {
			line := m.line()
			if _, shown, ok := strings.Cut(line, "] "); ok && strings.Contains(line, val) {
				if got := strings.ReplaceAll(strings.Trim(shown, `"`), `" "`, " "); got != want+" "+val {
					t.Errorf("%s: MONITOR shows %.100s", before, shown)
				}
				break
			}
		}
	}
}

// TestHalfLongValue: a client that goes away in the middle of a long value leaves nothing behind,
// and one that sends too much of it is closed.
func TestHalfLongValue(t *testing.T) {
	s, addr := serve(t, Options{}, nil, nil)
	other := dial(t, addr)
	other.set("key", "old")
	used := s.db.Keyspace().UsedBytes()
	const size = 3 << 20
	head := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$%d\r\n", size)
	for _, part := range []int{1, readBuffer, readBuffer + 1, heapBuffer, 600 << 10, announced, size, size + 1} {
		c, conn := dialed(t, s, addr)
		if _, err := io.WriteString(c, head+strings.Repeat("v", part)); err != nil {
			t.Fatal(err)
		}
		testutil.Eventually(t, "it has come", func() bool { return conn.inLen.Load() == int64(len(head)+part) })
		if held := conn.mem.Load(); held < int64(part) || held > 2*int64(part)+announced+readBuffer {
			t.Errorf("%d bytes have come, and %d are held", part, held)
		}
		_ = c.Close()
		testutil.Eventually(t, "it is gone", func() bool { return s.Clients() == 1 })
		if got := other.ask("GET key"); got != `"old"` {
			t.Fatalf("half a SET has set %.40s", got)
		}
	}
	other.ask("CONFIG SET client-query-buffer-limit 2mb")
	c := dial(t, addr)
	go func() { _, _ = io.WriteString(c, head+strings.Repeat("v", size)) }()
	c.wantClosed("a request beyond the limit")
	testutil.Eventually(t, "it is gone", func() bool { return s.Clients() == 1 })
	if got := s.db.Keyspace().UsedBytes(); got != used {
		t.Errorf("%d bytes are used, %d before", got, used)
	}
	_ = other.Close()
	wantNothingHeld(t, s)
}

// TestLongValuesTogether: several clients set, append to, and read one key, beside snapshots:
// each value is one that somebody has set, from its first byte to its last.
func TestLongValuesTogether(t *testing.T) {
	_, addr := serve(t, Options{}, nil, nil)
	const size = 700_000
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			c := dial(t, addr)
			for range testutil.Rounds(60) {
				v := strings.Repeat(string(rune('a'+i)), size)
				if got := c.pipeline(resp.AppendCommand(resp.AppendCommand(nil, []byte("SET"), []byte("key"), []byte(v)),
					[]byte("APPEND"), []byte("key"), []byte{'a' + byte(i)}), 2); got[0] != `"OK"` {
					t.Errorf("SET: %s", got[0])
				}
			}
		})
	}
	wg.Go(func() {
		c := dial(t, addr)
		for i := range testutil.Rounds(60) {
			if i%10 == 0 {
				c.ask("BGSAVE")
			}
			got := c.ask("GET key")
			if got == "(nil)" {
				continue
			}
			// What is appended may be to another's value.
			if v := got[1 : size+1]; strings.Count(v, v[:1]) != size {
				t.Errorf("a value of several clients, %d bytes", len(got))
			}
		}
	})
	wg.Wait()
}

// pipeline sends commands and reads so many replies.
func (c *client) pipeline(req []byte, replies int) (got []string) {
	c.t.Helper()
	go func() { _, _ = c.Write(req) }()
	for range replies {
		got = append(got, c.get())
	}
	return got
}
