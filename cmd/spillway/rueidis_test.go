package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// rueidisClient is a client that speaks RESP3, pipelines what goroutines send and keeps what it
// has read.
func rueidisClient(t *testing.T, d *daemon) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{d.addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestRueidis: the client that caches: what it has read it does not ask for again, until somebody
// changes it. And what many goroutines ask on one connection.
func TestRueidis(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--save", "")
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	c, other := rueidisClient(t, d), rueidisClient(t, d)
	set := func(c rueidis.Client, key, value string) {
		t.Helper()
		if err := c.Do(ctx, c.B().Set().Key(key).Value(value).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	cached := func(key string) (string, bool) {
		t.Helper()
		r := c.DoCache(ctx, c.B().Get().Key(key).Cache(), time.Hour)
		s, err := r.ToString()
		if err != nil && !rueidis.IsRedisNil(err) {
			t.Fatal(err)
		}
		return s, r.IsCacheHit()
	}
	set(other, "key", "old")
	for i := range 10 {
		if v, hit := cached("key"); v != "old" || hit != (i > 0) {
			t.Errorf("GET %d: %q, from the cache: %v", i, v, hit)
		}
	}
	for round := range 100 {
		for _, writer := range []rueidis.Client{other, c} { // its own writes too
			want := fmt.Sprint("round ", round, writer == c)
			set(writer, "key", want)
			for v, _ := cached("key"); v != want; v, _ = cached("key") {
				if ctx.Err() != nil {
					t.Fatalf("%q is never invalidated", v)
				}
			}
		}
	}
	var all []rueidis.CacheableTTL
	for i := range 100 {
		set(other, fmt.Sprint("many:", i), fmt.Sprint(i))
		all = append(all, rueidis.CT(c.B().Get().Key(fmt.Sprint("many:", i)).Cache(), time.Hour))
	}
	for i, r := range c.DoMultiCache(ctx, all...) {
		if v, err := r.ToString(); err != nil || v != fmt.Sprint(i) {
			t.Errorf("many:%d: %q, %v", i, v, err)
		}
	}
	if err := other.Do(ctx, other.B().Flushall().Build()).Error(); err != nil {
		t.Fatal(err)
	}
	for v, _ := cached("many:1"); v != "" && ctx.Err() == nil; v, _ = cached("many:1") {
	}

	var clients sync.WaitGroup
	for i := range 50 {
		clients.Go(func() {
			key := fmt.Sprint("client:", i)
			for n := int64(1); n <= 100; n++ {
				if got, err := c.Do(ctx, c.B().Incr().Key(key).Build()).AsInt64(); err != nil || got != n {
					t.Errorf("%s: %d, %v; want %d", key, got, err, n)
					return
				}
			}
		})
	}
	clients.Wait()
	rueidisRest(ctx, t, c, other)
}

// rueidisRest: messages, transactions, scripts, and an entry that is waited for.
func rueidisRest(ctx context.Context, t *testing.T, c, other rueidis.Client) {
	t.Helper()
	hear, stop := context.WithCancel(ctx)
	defer stop()
	heard := make(chan string, 10)
	go func() {
		_ = c.Receive(hear, c.B().Subscribe().Channel("news").Build(), func(m rueidis.PubSubMessage) { heard <- m.Message })
	}()
	for {
		if n, err := other.Do(ctx, other.B().Publish().Channel("news").Message("x").Build()).AsInt64(); err != nil {
			t.Fatal(err)
		} else if n == 1 {
			break
		}
	}
	equal(t, "a message", <-heard, "x")

	// RESP3 lets the same connection ask meanwhile.
	if v, err := c.Do(ctx, c.B().Zadd().Key("z").ScoreMember().ScoreMember(1.5, "a").Build()).AsInt64(); err != nil || v != 1 {
		t.Errorf("ZADD: %d, %v", v, err)
	}
	scores, err := c.Do(ctx, c.B().Zrange().Key("z").Min("0").Max("-1").Withscores().Build()).AsZScores()
	if err != nil || len(scores) != 1 || scores[0].Score != 1.5 {
		t.Errorf("ZRANGE: %v, %v", scores, err)
	}
	err = c.Dedicated(func(own rueidis.DedicatedClient) error {
		own.Do(ctx, own.B().Watch().Key("watched").Build())
		other.Do(ctx, other.B().Set().Key("watched").Value("changed").Build())
		replies := own.DoMulti(ctx, own.B().Multi().Build(), own.B().Get().Key("watched").Build(), own.B().Exec().Build())
		return replies[2].Error()
	})
	if !rueidis.IsRedisNil(err) {
		t.Errorf("EXEC of a changed key: %v", err)
	}
	script := rueidis.NewLuaScript("return {KEYS[1], redis.call('INCRBY', KEYS[1], ARGV[1])}")
	for i := range 2 {
		if got, err := script.Exec(ctx, c, []string{"total"}, []string{"4"}).ToArray(); err != nil || len(got) != 2 {
			t.Errorf("run %d of a script: %v, %v", i, got, err)
		}
	}
	id, err := other.Do(ctx, other.B().Xadd().Key("stream").Id("*").FieldValue().FieldValue("f", "v").Build()).ToString()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := c.Do(ctx, c.B().Xread().Block(0).Streams().Key("stream").Id("0").Build()).AsXRead()
	if err != nil || len(entries["stream"]) != 1 || entries["stream"][0].ID != id {
		t.Errorf("XREAD: %v, %v", entries, err)
	}
	var wrong *rueidis.RedisError
	if err := c.Do(ctx, c.B().Lpush().Key("total").Element("x").Build()).Error(); !errors.As(err, &wrong) || !strings.HasPrefix(wrong.Error(), "WRONGTYPE") {
		t.Errorf("LPUSH to a string: %v", err)
	}
}

// TestRueidisCluster: rueidis finds out by itself that it talks to a cluster, and caches there too.
func TestRueidisCluster(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := startDaemon(t, t.TempDir(), "--cluster-enabled", "yes")
	c := rueidisClient(t, d)
	equal(t, "the mode", c.Mode(), rueidis.ClientModeCluster)
	for i := range 100 {
		if err := c.Do(ctx, c.B().Set().Key(fmt.Sprint("key:", i)).Value(fmt.Sprint(i)).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for i := range 100 {
			if v, err := c.DoCache(ctx, c.B().Get().Key(fmt.Sprint("key:", i)).Cache(), time.Hour).ToString(); err != nil || v != fmt.Sprint(i) {
				t.Fatalf("key:%d: %q, %v", i, v, err)
			}
		}
	}
}
