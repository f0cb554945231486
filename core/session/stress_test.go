package session_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/server"
)

// TestNoneLostNoneDoubled has many clients push and wait over TCP, while workers are
// killed and blocked commands are told to give up. Every element ends up in one place:
// with a consumer, in the list of a worker (which takes by BLMOVE, so that none is lost
// with the worker), or still in its queue.
func TestNoneLostNoneDoubled(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	h := coretest.New(t, func(o *core.Options) { o.Clock, o.NoLog, o.Shards = nil, true, 4 })
	dial := listen(t, h)
	const producers, each, consumers, workers = 4, 500, 6, 6
	queues := []string{"q0", "q1", "q2", "q3", "q4"}
	var ends atomic.Bool
	var produce, consume sync.WaitGroup
	for p := range producers {
		rng := rand.New(rand.NewPCG(seed, uint64(p)))
		c := dial()
		produce.Go(func() {
			for i := 0; i < each; {
				args := []string{[]string{"RPUSH", "LPUSH"}[rng.IntN(2)], queues[rng.IntN(len(queues))]}
				for n := 1 + rng.IntN(3); n > 0 && i < each; n-- {
					args = append(args, fmt.Sprintf("%d-%d", p, i))
					i++
				}
				if v, err := c.do(args...); err != nil || v.Err() != nil {
					t.Error(v, err)
					return
				}
			}
		})
	}
	var mu sync.Mutex
	got := map[string]int{}
	var ids sync.Map // of consumers and workers, to be unblocked or killed
	for n := range consumers {
		rng := rand.New(rand.NewPCG(seed, uint64(100+n)))
		c := dial()
		ids.Store(c.id, false)
		consume.Go(func() {
			for !ends.Load() {
				args := append([]string{[]string{"BLPOP", "BRPOP"}[rng.IntN(2)]}, queues[rng.IntN(3):]...)
				v, err := c.do(append(args, []string{"0.001", "0.05", "0"}[rng.IntN(3)])...)
				if err != nil {
					t.Error(err)
					return
				}
				if len(v.Elems) == 2 {
					mu.Lock()
					got[string(v.Elems[1].Str)]++
					mu.Unlock()
				}
			}
		})
	}
	var killed atomic.Int64
	for n := range workers {
		rng := rand.New(rand.NewPCG(seed, uint64(200+n)))
		consume.Go(func() {
			for !ends.Load() {
				c := dial()
				ids.Store(c.id, true)
				for !ends.Load() {
					_, err := c.do("BLMOVE", queues[rng.IntN(len(queues))], fmt.Sprint("work", n), "LEFT", "RIGHT", "0.05")
					if err != nil {
						killed.Add(1)
						break
					}
				}
				ids.Delete(c.id)
				_ = c.Close()
			}
		})
	}
	// Somebody who gets in the way.
	admin := dial()
	rng := rand.New(rand.NewPCG(seed, 1000))
	meddle := func() {
		ids.Range(func(id, worker any) bool {
			switch n := rng.IntN(8); {
			case worker.(bool) && n == 0:
				_, _ = admin.do("CLIENT", "KILL", "ID", id.(string))
			case n < 3:
				_, _ = admin.do("CLIENT", "UNBLOCK", id.(string), []string{"TIMEOUT", "ERROR"}[n%2])
			}
			return true
		})
	}
	produced := make(chan struct{})
	go func() { produce.Wait(); close(produced) }()
	for over := false; !over; {
		meddle()
		select {
		case <-produced:
			over = true
		default:
		}
	}
	for killed.Load() == 0 && !t.Failed() {
		meddle()
	}
	ends.Store(true)
	idle := make(chan struct{})
	go func() { consume.Wait(); close(idle) }()
	for over := false; !over; {
		ids.Range(func(id, _ any) bool {
			_, _ = admin.do("CLIENT", "UNBLOCK", id.(string))
			return true
		})
		select {
		case <-idle:
			over = true
		default:
		}
	}
	left := 0
	for _, key := range append([]string{"work0", "work1", "work2", "work3", "work4", "work5"}, queues...) {
		for _, v := range h.Value("LRANGE", key, "0", "-1").Elems {
			got[string(v.Str)]++
			left++
		}
	}
	if len(got) != producers*each {
		t.Errorf("%d different elements, want %d", len(got), producers*each)
	}
	for v, n := range got {
		if n != 1 {
			t.Errorf("%s is in %d places", v, n)
		}
	}
	t.Logf("%d workers killed, %d elements with them and in the queues", killed.Load(), left)
	if n := h.DB.BlockedClients(); n != 0 {
		t.Errorf("%d clients are said to be blocked", n)
	}
}

// wire is a connection that waits for each reply, for as long as it takes.
type wire struct {
	net.Conn
	r  *bufio.Reader
	id string
}

func (c *wire) do(args ...string) (resp.Value, error) {
	var words [][]byte
	for _, a := range args {
		words = append(words, []byte(a))
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(resp.AppendCommand(nil, words...)); err != nil {
		return resp.Value{}, err
	}
	return resp.ReadReply(c.r)
}

// listen serves an engine and returns what connects to it.
func listen(t *testing.T, h *coretest.Harness) func() *wire {
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
	return func() *wire {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			panic(err) // not on the test's goroutine
		}
		c := &wire{nc, bufio.NewReader(nc), ""}
		v, err := c.do("CLIENT", "ID")
		if err != nil {
			panic(err)
		}
		c.id = fmt.Sprint(v.Int)
		return c
	}
}

// TestKilledClientIsNotServed: once a client is killed, nothing is taken for it, even
// if its connection has not noticed yet.
func TestKilledClientIsNotServed(t *testing.T) {
	_, dial := serve(t)
	for range 50 {
		a, b := dial(), dial()
		a.send("CLIENT ID", "BLPOP k 0")
		v, err := resp.ReadReply(a.r)
		if err != nil {
			t.Fatal(err)
		}
		for info := ""; !strings.Contains(info, "blocked_clients:1\r\n"); {
			b.send("INFO clients")
			v, err := resp.ReadReply(b.r)
			if err != nil {
				t.Fatal(err)
			}
			info = string(v.Str)
		}
		b.send(fmt.Sprint("CLIENT KILL ID ", v.Int), "RPUSH k v", "LLEN k", "INFO clients", "DEL k")
		b.wants("1", "1", "1")
		if v, err := resp.ReadReply(b.r); err != nil || !strings.Contains(string(v.Str), "blocked_clients:0") {
			t.Fatal(v, err)
		}
		b.wants("1")
		_ = b.Close()
	}
}
