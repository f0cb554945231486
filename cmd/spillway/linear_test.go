package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest/linear"
	"github.com/spillwaydb/spillway/core/resp"
)

// plainClient is a connection that does one command after the other.
type plainClient struct {
	conn net.Conn
	in   *bufio.Reader
}

// Do implements linear.Doer.
func (c *plainClient) Do(args ...string) (resp.Value, error) {
	words := make([][]byte, len(args))
	for i, a := range args {
		words[i] = []byte(a)
	}
	if _, err := c.conn.Write(resp.AppendCommand(nil, words...)); err != nil {
		return resp.Value{}, err
	}
	return resp.ReadReply(c.in)
}

func (d *daemon) plain() *plainClient {
	d.t.Helper()
	conn, err := net.Dial("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.Close() })
	return &plainClient{conn, bufio.NewReader(conn)}
}

// TestLinearizable: what the clients of a daemon are told under appendfsync
// always is linearizable, through kill -9 in the middle of it, checkpoints and
// other numbers of shards. core/coretest has the same with power losses, and the
// control that is not.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	lives := 4
	if os.Getenv("SPILLWAY_LAB") == "long" {
		lives = 200
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	h := linear.New()
	for range lives {
		d := startDaemon(t, dir, "--appendfsync", "always", "--save", "", "--shards", fmt.Sprint(1+rng.IntN(5)))
		if err := h.Look(d.plain()); err != nil {
			t.Fatal(err)
		}
		var done atomic.Int64
		var clients sync.WaitGroup
		enough, reached := int64(100+rng.IntN(300)), make(chan struct{})
		for id := range 5 {
			c, crng := d.plain(), rand.New(rand.NewPCG(rng.Uint64(), 0))
			clients.Go(func() {
				h.Client(id, c, crng, func() {
					if done.Add(1) == enough {
						close(reached)
					}
				})
			})
		}
		if rng.IntN(2) == 0 {
			d.do("BGSAVE")
		}
		<-reached
		lost := h.Power(d.kill)
		clients.Wait()
		lost.Settle()
	}
	d := startDaemon(t, dir)
	if err := h.Look(d.plain()); err != nil {
		t.Fatal(err)
	}
	h.Check(t)
	all, unknown := h.Len()
	t.Logf("%d lives: %d operations, %d of them in flight at a kill", lives, all, unknown)
}
