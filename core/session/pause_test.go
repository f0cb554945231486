package session_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
)

// says runs a command that does not wait.
func (c *client) says(line, want string) {
	c.t.Helper()
	if got := c.run(line); got == command.Blocked || string(c.out.Buf) != want {
		c.t.Fatalf("%s: outcome %v, reply %q; want %q", line, got, c.out.Buf, want)
	}
	c.out.Taken()
}

// TestPauseWrites: CLIENT PAUSE WRITE holds back what may write, and nothing else,
// until it is called off.
func TestPauseWrites(t *testing.T) {
	h := coretest.New(t)
	admin, a, b, tx, read := newClient(t, h), newClient(t, h), newClient(t, h), newClient(t, h), newClient(t, h)
	tx.says("MULTI", "+OK\r\n")
	tx.says("SET k 2", "+QUEUED\r\n")
	read.says("MULTI", "+OK\r\n")
	read.says("GET k", "+QUEUED\r\n")
	admin.says("CLIENT PAUSE 1000000 WRITE", "+OK\r\n")
	a.mustBlock("SET k 1")
	b.mustBlock("BLPOP list 0")
	tx.mustBlock("EXEC")
	read.says("EXEC", "*1\r\n$-1\r\n")
	read.says("GET k", "$-1\r\n")
	read.says("MULTI", "+OK\r\n")
	read.mustBlock("SET k 3")
	admin.says("SET k", "-ERR wrong number of arguments for 'set' command\r\n")
	admin.says(fmt.Sprint("CLIENT UNBLOCK ", a.ID()), ":0\r\n")
	if n := h.DB.BlockedClients(); n != 4 || a.Info().Flags != "b" {
		t.Errorf("%d clients are blocked, flags %q", n, a.Info().Flags)
	}
	admin.says("CLIENT UNPAUSE", "+OK\r\n")
	a.resumed("+OK\r\n")
	tx.resumed("*1\r\n+OK\r\n")
	read.resumed("+QUEUED\r\n")
	if !b.Ready() || b.Resume(&b.out) != command.Blocked || b.Ready() {
		t.Error("BLPOP does not wait for its key now")
	}
	b.Finish(&b.out)
	admin.says("RPUSH list x", ":1\r\n")
	b.resumed("*2\r\n$4\r\nlist\r\n$1\r\nx\r\n")
}

// TestPauseFunctions: of functions, CLIENT PAUSE WRITE holds back those that do not
// declare that they do not write, even if nobody has called one since the start.
func TestPauseFunctions(t *testing.T) {
	h := coretest.New(t)
	h.Do("FUNCTION", "LOAD", `#!lua name=l
redis.register_function{function_name='r', callback=function() return 'read' end, flags={'no-writes'}}
redis.register_function{function_name='w', callback=function(k) return redis.call('SET', k[1], 'x') end}`)
	for _, restarted := range []bool{false, true} {
		if restarted {
			h.Reopen()
		}
		admin, read, write, tx, none := newClient(t, h), newClient(t, h), newClient(t, h), newClient(t, h), newClient(t, h)
		admin.says("CLIENT PAUSE 1000000 WRITE", "+OK\r\n")
		read.says("FCALL r 0", "$4\r\nread\r\n")
		read.says("FCALL_RO r 1 k", "$4\r\nread\r\n")
		read.says("MULTI", "+OK\r\n")
		read.says("FCALL r 0", "+QUEUED\r\n")
		read.says("EXEC", "*1\r\n$4\r\nread\r\n")
		write.mustBlock("FCALL w 1 k")
		none.mustBlock("FCALL nosuch 0")
		tx.says("MULTI", "+OK\r\n")
		tx.says("FCALL r 0", "+QUEUED\r\n")
		tx.mustBlock("FCALL w 1 k")
		read.says("EXISTS k", map[bool]string{false: ":0\r\n", true: ":1\r\n"}[restarted])
		admin.says("CLIENT UNPAUSE", "+OK\r\n")
		write.resumed("+OK\r\n")
		none.resumed("-ERR Function not found\r\n")
		tx.resumed("+QUEUED\r\n")
		tx.says("EXEC", "*2\r\n$4\r\nread\r\n+OK\r\n")
	}
}

// TestPauseAll: CLIENT PAUSE holds everything back, the client that has called it
// included, and ends by itself. Another can only make it longer and stricter.
func TestPauseAll(t *testing.T) {
	h := coretest.New(t)
	admin, a := newClient(t, h), newClient(t, h)
	admin.says("CLIENT PAUSE 0", "+OK\r\n")
	a.says("PING", "+PONG\r\n")
	admin.says("CLIENT PAUSE 1000 WRITE", "+OK\r\n")
	admin.says("CLIENT PAUSE 500", "+OK\r\n")
	admin.mustBlock("CLIENT UNPAUSE")
	a.mustBlock("PING")
	h.Clock.Advance(time.Second)
	if a.Ready() {
		t.Error("the pause is too short")
	}
	h.Clock.Advance(time.Millisecond)
	a.resumed("+PONG\r\n")
	admin.resumed("+OK\r\n")
	admin.says("CLIENT PAUSE 9223372036854775807 WRITE", "+OK\r\n")
	a.mustBlock("SET k 1")
	if !a.Deadline().IsZero() {
		t.Errorf("it ends at %v", a.Deadline())
	}
	a.Withdraw()
	a.resumed("")
}

// TestPauseFreezes: while clients are paused, no key expires and none is evicted, but
// nobody sees one that should have.
func TestPauseFreezes(t *testing.T) {
	h := coretest.New(t)
	admin := newClient(t, h)
	admin.says("MULTI", "+OK\r\n")
	admin.says("SET a 1 PX 10", "+QUEUED\r\n")
	admin.says("CLIENT PAUSE 1000 WRITE", "+QUEUED\r\n")
	admin.says("SET b 1 PX 10", "+QUEUED\r\n")
	admin.says("SET c 1", "+QUEUED\r\n")
	admin.says("EXEC", "*4\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n")
	h.Clock.Advance(20 * time.Millisecond)
	h.DB.Tick()
	admin.says("MGET a b c", "*3\r\n$-1\r\n$-1\r\n$1\r\n1\r\n")
	admin.says("DBSIZE", ":3\r\n")
	admin.says("CONFIG SET maxmemory 1 maxmemory-policy allkeys-random", "+OK\r\n")
	a := newClient(t, h)
	a.mustBlock("SET d 1")
	admin.says("DBSIZE", ":3\r\n")
	if n := h.DB.Stats().ExpiredKeys.Load() + h.DB.Stats().EvictedKeys.Load(); n != 0 {
		t.Errorf("%d keys have gone", n)
	}
	admin.says("CONFIG SET maxmemory 0", "+OK\r\n")
	admin.says("CLIENT UNPAUSE", "+OK\r\n")
	a.resumed("+OK\r\n")
	admin.says("MGET a b c d", "*4\r\n$-1\r\n$-1\r\n$1\r\n1\r\n$1\r\n1\r\n")
	if n := h.DB.Stats().ExpiredKeys.Load(); n != 2 {
		t.Errorf("%d keys have expired", n)
	}
}

// TestPauseIsABarrier: once CLIENT PAUSE has replied nothing is written, however
// many clients are at it.
func TestPauseIsABarrier(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.NoLog, o.Clock = true, nil })
	var done atomic.Bool
	var wg sync.WaitGroup
	for i := range 4 {
		s := h.DB.Session()
		wg.Go(func() {
			for n := 0; !done.Load(); n++ {
				if _, err := s.Do("INCR", fmt.Sprint("n", (i+n)%8)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	keys := strings.Fields("MGET n0 n1 n2 n3 n4 n5 n6 n7")
	for i := range 50 {
		if i%2 == 0 {
			h.Do("CLIENT", "PAUSE", "1000000", "WRITE")
		} else {
			h.Do("MULTI")
			h.Do("CLIENT", "PAUSE", "1000000", "WRITE")
			h.Do("INCR", "n0")
			h.Do("EXEC")
		}
		before := h.Do(keys...)
		for range 20 {
			if after := h.Do(keys...); after != before {
				t.Fatalf("%s, and then %s", before, after)
			}
		}
		h.Do("CLIENT", "UNPAUSE")
	}
	done.Store(true)
	wg.Wait()
}
