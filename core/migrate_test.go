package core_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// relay is a TCP address behind which another server is. pass is called with what it
// replies, before that is passed on.
type relay struct {
	host, port string
	mu         sync.Mutex
	pass       func(reply string) bool // false cuts the connection
}

func newRelay(t *testing.T, dial func() net.Conn) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{}
	r.host, r.port, _ = net.SplitHostPort(l.Addr().String())
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	conns := make(chan net.Conn, 64)
	for range cap(conns) {
		conns <- dial()
	}
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			to := <-conns
			all.Go(func() { _, _ = io.Copy(to, in); _ = to.Close() })
			all.Go(func() {
				defer func() { _ = in.Close() }()
				for from := bufio.NewReader(to); ; {
					line, err := from.ReadString('\n')
					if err != nil {
						return
					}
					r.mu.Lock()
					pass := r.pass
					r.mu.Unlock()
					if pass != nil && !pass(line) {
						return
					}
					if _, err := io.WriteString(in, line); err != nil {
						return
					}
				}
			})
		}
	})
	return r
}

func (r *relay) onReply(pass func(reply string) bool) {
	r.mu.Lock()
	r.pass = pass
	r.mu.Unlock()
}

// TestMigrateToRedis moves keys of every type to a real redis-server, and says what
// Redis says where it cannot.
func TestMigrateToRedis(t *testing.T) {
	dial := testutil.Redis(t)
	ask, to := askRedisLine(t, dial()), newRelay(t, dial)
	h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
	migrate := func(words string) string {
		t.Helper()
		args, _ := resp.SplitArgs([]byte(strings.ReplaceAll(words, "TO", "MIGRATE "+to.host+" "+to.port)), nil)
		line := make([]string, len(args))
		for i, a := range args {
			line[i] = string(a)
		}
		return h.Do(line...)
	}
	want := func(line, what string) {
		t.Helper()
		if got := migrate(line); got != what {
			t.Errorf("%s: %s, want %s", line, got, what)
		}
	}
	for _, line := range []string{
		"SET s v", "SET d v EX 1000", "RPUSH l a b c", "SADD set a b c", "SADD ints 1 2 3", "ZADD z 1 a 2 b", "HSET h f v g 5", "XADD x 1-1 f v", "XGROUP CREATE x g 0", "PFADD pf a b",
	} {
		h.Do(strings.Fields(line)...)
	}
	digest := h.Do("DEBUG", "DIGEST")
	want("TO s 0 5000 COPY", `"OK"`)
	want("TO s 0 5000", "(error) ERR Target instance replied with error: BUSYKEY Target key name already exists.")
	if got := h.Do("GET", "s"); got != `"v"` {
		t.Errorf("a key that the target refuses is %s", got)
	}
	want(`TO "" 0 5000 REPLACE KEYS s d l set ints nosuch z h x pf s`, `"OK"`)
	if got := ask("DEBUG DIGEST"); "\""+string(got.Str)+"\"" != digest && got.Err() == nil {
		t.Errorf("the target has %s, want %s", got, digest)
	}
	if got := ask("DBSIZE").String(); got != "9" || h.Do("DBSIZE") != "0" {
		t.Errorf("%s keys there, %s here", got, h.Do("DBSIZE"))
	}
	if ttl := ask("TTL d").Int; ttl < 990 || ttl > 1000 {
		t.Errorf("the deadline is %d seconds away", ttl)
	}
	if got := ask("XINFO GROUPS x").String(); !strings.Contains(got, `"g"`) {
		t.Errorf("groups of x: %s", got)
	}
	want("TO s 0 5000", `"NOKEY"`)
	want(`TO "" 0 5000 KEYS s nosuch`, `"NOKEY"`)
	h.Do("SET", "k", "v")
	want("TO k 9999 5000", "(error) ERR Target instance replied with error: ERR DB index is out of range")
	want("TO k 3 5000 AUTH secret", "(error) ERR Target instance replied with error: ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
	ask("ACL SETUSER mover on >secret ~* +@all")
	want("TO k 3 5000 AUTH2 mover wrong", "(error) ERR Target instance replied with error: WRONGPASS invalid username-password pair or user is disabled.")
	want("TO k 3 5000 REPLACE AUTH2 mover secret", `"OK"`)
	ask("SELECT 3")
	if got := ask("GET k").String(); got != `"v"` {
		t.Errorf("database 3 has %s", got)
	}
	for line, msg := range map[string]string{
		"TO k 0 5000 KEYS k": "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string", "TO k 0 5000 NOSUCH": "ERR syntax error",
		"TO k 0 5000 AUTH": "ERR syntax error", "TO k 0 5000 AUTH2 a": "ERR syntax error", "TO k x 5000": "ERR value is not an integer or out of range", "TO k 0 x": "ERR value is not an integer or out of range",
	} {
		want(line, "(error) "+msg)
		if theirs := ask(strings.ReplaceAll(line, "TO", "MIGRATE h 1")).String(); theirs != "(error) "+msg {
			t.Errorf("%s: Redis says %s", line, theirs)
		}
	}
	h.Crash(1)
	if got := h.Do("DBSIZE"); got != "0" {
		t.Errorf("%s keys have come back", got)
	}
}

// TestMigrateLosesNothing: a key that is changed while it is on its way is sent again;
// one whose arrival is not known stays; inside MULTI and scripts it is the same.
func TestMigrateLosesNothing(t *testing.T) {
	dial := testutil.Redis(t)
	ask, to := askRedisLine(t, dial()), newRelay(t, dial)
	h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
	other := h.DB.Session()
	move := func(key string) string { return h.Do("MIGRATE", to.host, to.port, key, "0", "5000") }

	h.Do("SET", "n", "1")
	var once sync.Once
	to.onReply(func(string) bool {
		once.Do(func() { _, _ = other.Do("INCR", "n") }) // which no lock keeps waiting
		return true
	})
	if got := move("n"); got != `"OK"` || ask("GET n").String() != `"2"` || h.Do("EXISTS", "n") != "0" {
		t.Errorf("%s, there %s, here %s", got, ask("GET n"), h.Do("GET", "n"))
	}

	h.Do("SET", "gone", "1")
	once = sync.Once{}
	to.onReply(func(string) bool {
		once.Do(func() { _, _ = other.Do("DEL", "gone") })
		return true
	})
	if got := move("gone"); got != `"OK"` {
		t.Errorf("a key that is gone meanwhile: %s", got)
	}

	h.Do("SET", "lost", "1")
	to.onReply(func(reply string) bool { return false })
	if got := move("lost"); got != "(error) IOERR error or timeout reading to target instance" || h.Do("GET", "lost") != `"1"` {
		t.Errorf("%s, here %s", got, h.Do("GET", "lost"))
	}
	replies := 0
	to.onReply(func(string) bool { replies++; return replies < 3 })
	h.Do("MSET", "a", "1", "b", "2")
	if got := h.Do("MIGRATE", to.host, to.port, "", "0", "5000", "KEYS", "a", "b"); got != "(error) IOERR error or timeout reading to target instance" || h.Do("EXISTS", "a", "b") != "1" {
		t.Errorf("of two keys one has arrived: %s, %s are here", got, h.Do("EXISTS", "a", "b"))
	}
	to.onReply(nil)
	h.Do("SET", "m", "1")
	h.Do("MULTI")
	move("m")
	h.Do("EXISTS", "m")
	if got := h.Do("EXEC"); got != `["OK" 0]` || ask("GET m").String() != `"1"` {
		t.Errorf("in a transaction: %s", got)
	}
	h.Do("SET", "e", "1")
	if got := h.Do("EVAL", "return redis.call('migrate', ARGV[1], ARGV[2], KEYS[1], 0, 5000)", "1", "e", to.host, to.port); got != `"OK"` || ask("GET e").String() != `"1"` {
		t.Errorf("in a script: %s", got)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	if got := h.Do("MIGRATE", host, port, "lost", "0", "5000"); got != "(error) IOERR error or timeout connecting to the client" {
		t.Errorf("nobody listens: %s", got)
	}
	h.Crash(1)
	if got := h.Do("KEYS", "*"); got != `["lost" "b"]` && got != `["b" "lost"]` {
		t.Errorf("after a crash there are %s", got)
	}
}
