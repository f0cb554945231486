package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// acked is what one writer knows to be durable: the counter's value, the
// list's length, and whether one more write was under way when it ended.
type acked struct {
	counter, list int64
	unsure        bool
}

// TestKillRounds is the promise of appendfsync always: concurrent writers,
// checkpoints at random moments, kill -9, restart, now and then killed while
// it starts. Every acknowledged write is
// there and none twice: INCR and RPUSH betray a lost write and a double
// replay. Then again after a second, clean restart.
func TestKillRounds(t *testing.T) {
	t.Parallel()
	rounds := 8
	if n, err := strconv.Atoi(os.Getenv("SPILLWAY_ROUNDS")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	const writers = 6
	state := make([]acked, writers)
	for round := range rounds {
		shards := []string{"1", "2", "3", "16"}[round%4]
		for range rng.IntN(3) { // killed while it recovers, which must change nothing
			d := launch(t, "--dir", dir, "--appendfsync", "always", "--shards", shards, "--save", "")
			time.Sleep(time.Duration(rng.IntN(5000)) * time.Microsecond)
			d.kill()
		}
		d := startDaemon(t, dir, "--appendfsync", "always", "--shards", shards, "--save", "")
		verify(t, d, state, round)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				write(d.rdb, w, &state[w], nil)
			}()
		}
		jobs := make(chan struct{})
		go func() {
			defer close(jobs)
			checkpoints(d, rand.New(rand.NewPCG(seed, uint64(round))))
		}()
		time.Sleep(time.Duration(20+rng.IntN(180)) * time.Millisecond)
		d.kill()
		wg.Wait()
		<-jobs
	}
	d := startDaemon(t, dir, "--appendfsync", "always", "--save", "")
	verify(t, d, state, rounds)
	d.stop()
	d = startDaemon(t, dir, "--appendfsync", "always", "--save", "")
	verify(t, d, state, rounds+1)
	for w := range state {
		if state[w].counter == 0 {
			t.Errorf("writer %d never got a write acknowledged: the test shows nothing", w)
		}
	}
}

// write increments and pushes until the server is gone or stop is closed; an
// answer that comes after that leaves its write unsure. The transaction spans
// two keys that live on different shards.
func write(rdb *redis.Client, w int, s *acked, stop <-chan struct{}) {
	ctx := context.Background()
	for {
		s.unsure = true
		_, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Incr(ctx, fmt.Sprintf("counter:%d", w))
			p.RPush(ctx, fmt.Sprintf("list:%d", w), s.list)
			return nil
		})
		if err != nil {
			return
		}
		select {
		case <-stop:
			return
		default:
		}
		s.unsure = false
		s.counter++
		s.list++
	}
}

// checkpoints asks for BGSAVE and BGREWRITEAOF until the server is gone.
func checkpoints(d *daemon, rng *rand.Rand) {
	ctx := context.Background()
	for d.rdb.Ping(ctx).Err() == nil {
		if rng.IntN(2) == 0 {
			d.rdb.BgSave(ctx)
		} else {
			d.rdb.BgRewriteAOF(ctx)
		}
		time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
	}
}

// verify compares the server with what was acknowledged and takes over what it
// says about the one write whose outcome was unknown.
func verify(t *testing.T, d *daemon, state []acked, round int) {
	t.Helper()
	ctx := context.Background()
	for w := range state {
		s := &state[w]
		n, err := d.rdb.Get(ctx, fmt.Sprintf("counter:%d", w)).Int64()
		if err == redis.Nil {
			n, err = 0, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		items, err := d.rdb.LRange(ctx, fmt.Sprintf("list:%d", w), 0, -1).Result()
		if err != nil {
			t.Fatal(err)
		}
		most := s.counter
		if s.unsure {
			most++
		}
		if n < s.counter || n > most || int64(len(items)) != n {
			t.Fatalf("round %d, writer %d: counter %d and %d items, acknowledged %d (one more possible: %v)\n%s",
				round, w, n, len(items), s.counter, s.unsure, d.log.String())
		}
		for i, v := range items {
			if v != strconv.Itoa(i) {
				t.Fatalf("round %d, writer %d: item %d is %q", round, w, i, v)
			}
		}
		s.counter, s.list, s.unsure = n, n, false
	}
}
