package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestGoRedisLive: what go-redis has for work that goes on: subscriptions, consumer groups, scripts
// and functions, blocking reads, in both protocols.
func TestGoRedisLive(t *testing.T) {
	t.Parallel()
	for _, proto := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", proto), func(t *testing.T) {
			d := startDaemon(t, t.TempDir(), "--save", "", "--notify-keyspace-events", "K$")
			c := d.client(func(o *redis.Options) { o.Protocol = proto })
			ctx, stop := context.WithTimeout(t.Context(), patience)
			defer stop()
			goRedisMessages(ctx, t, c)
			goRedisGroup(ctx, t, c)
			goRedisScripts(ctx, t, c)
		})
	}
}

func goRedisMessages(ctx context.Context, t *testing.T, c *redis.Client) {
	t.Helper()
	sub := c.PSubscribe(ctx, "news.*", "__keyspace@0__:seen")
	defer func() { _ = sub.Close() }()
	for range 2 { // a message of a pattern that is not subscribed to yet is lost
		if _, err := sub.Receive(ctx); err != nil {
			t.Fatal(err)
		}
	}
	messages := sub.Channel()
	for i := range 1000 {
		if n := c.Publish(ctx, "news.today", i).Val(); n != 1 {
			t.Fatalf("PUBLISH: %d receivers", n)
		}
		if i == 500 {
			c.Set(ctx, "seen", "v", 0)
		}
	}
	next := 0
	for range 1001 {
		m := receive(ctx, t, messages)
		if m.Channel == "__keyspace@0__:seen" {
			equal(t, "a notification", m.Payload, "set")
			continue
		}
		if m.Payload != fmt.Sprint(next) || m.Pattern != "news.*" {
			t.Fatalf("message %d: %v", next, m)
		}
		next++
	}
	equal(t, "messages", next, 1000)
	// The connection is lost: go-redis subscribes again.
	equal(t, "CLIENT KILL", c.Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub").Val(), 1)
	for c.Publish(ctx, "news.again", "x").Val() == 0 && ctx.Err() == nil {
	}
	equal(t, "a message on the new connection", receive(ctx, t, messages).Channel, "news.again")

	shard := c.SSubscribe(ctx, "shard")
	defer func() { _ = shard.Close() }()
	if _, err := shard.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	equal(t, "SPUBLISH", c.SPublish(ctx, "shard", "x").Val(), 1)
	equal(t, "a shard's message", receive(ctx, t, shard.Channel()).Payload, "x")
}

func receive(ctx context.Context, t *testing.T, messages <-chan *redis.Message) *redis.Message {
	t.Helper()
	select {
	case m := <-messages:
		return m
	case <-ctx.Done():
		t.Fatal("no message comes")
		return nil
	}
}

// goRedisGroup: three consumers, one of which never acknowledges and whose entries another claims.
func goRedisGroup(ctx context.Context, t *testing.T, c *redis.Client) {
	t.Helper()
	const entries = 500
	if err := c.XGroupCreateMkStream(ctx, "stream", "group", "$").Err(); err != nil {
		t.Fatal(err)
	}
	var seen sync.Map
	var acked, taken atomic.Int64
	var consumers sync.WaitGroup
	work, stop := context.WithCancel(ctx)
	for i := range 3 {
		consumers.Go(func() {
			for work.Err() == nil {
				streams, err := c.XReadGroup(work, &redis.XReadGroupArgs{Group: "group", Consumer: fmt.Sprint(i), Streams: []string{"stream", ">"}, Count: 10, Block: -1}).Result()
				if err != nil && err != redis.Nil {
					if work.Err() == nil {
						t.Error(err)
					}
					return
				}
				for _, s := range streams {
					for _, m := range s.Messages {
						taken.Add(1)
						seen.Store(m.Values["n"], true)
						if i > 0 {
							acked.Add(c.XAck(ctx, "stream", "group", m.ID).Val())
						}
					}
				}
			}
		})
	}
	for i := range entries {
		if err := c.XAdd(ctx, &redis.XAddArgs{Stream: "stream", Values: []any{"n", i}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for taken.Load() < entries && ctx.Err() == nil {
		if n, err := c.XLen(ctx, "stream").Result(); err != nil || n != entries {
			t.Fatalf("XLEN: %d, %v", n, err)
		}
	}
	stop()
	consumers.Wait()
	for i := range entries {
		if _, ok := seen.Load(fmt.Sprint(i)); !ok {
			t.Fatalf("nobody got entry %d", i)
		}
	}
	pending := c.XPending(ctx, "stream", "group").Val()
	equal(t, "XPENDING", pending.Count, entries-acked.Load())
	claimed, start := int64(0), "0-0"
	for {
		messages, next, err := c.XAutoClaim(ctx, &redis.XAutoClaimArgs{Stream: "stream", Group: "group", Consumer: "heir", Start: start, Count: 7}).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			claimed += c.XAck(ctx, "stream", "group", m.ID).Val()
		}
		if start = next; next == "0-0" {
			break
		}
	}
	equal(t, "what the heir claimed", claimed, pending.Count)
	groups := c.XInfoGroups(ctx, "stream").Val()
	if len(groups) != 1 || groups[0].Pending != 0 || groups[0].Lag != 0 || groups[0].EntriesRead != entries {
		t.Errorf("XINFO GROUPS: %+v", groups)
	}
	if full := c.XInfoStreamFull(ctx, "stream", 2).Val(); full == nil || full.Length != entries || len(full.Groups) != 1 || len(full.Entries) != 2 {
		t.Errorf("XINFO STREAM FULL: %+v", full)
	}
}

func goRedisScripts(ctx context.Context, t *testing.T, c *redis.Client) {
	t.Helper()
	s := redis.NewScript(`return redis.call('INCRBY', KEYS[1], ARGV[1])`)
	equal(t, "EVAL behind EVALSHA", s.Run(ctx, c, []string{"total"}, 4).Val(), 4)
	equal(t, "SCRIPT EXISTS", s.Exists(ctx, c).Val(), []bool{true})
	equal(t, "EVALSHA", s.EvalSha(ctx, c, []string{"total"}, 3).Val(), 7)
	equal(t, "SCRIPT FLUSH", c.ScriptFlush(ctx).Val(), "OK")
	if err := s.EvalSha(ctx, c, []string{"total"}, 3).Err(); !redis.HasErrorPrefix(err, "NOSCRIPT") {
		t.Errorf("EVALSHA of nothing: %v", err)
	}
	equal(t, "EVAL_RO", redis.NewScript(`return redis.call('GET', KEYS[1])`).RunRO(ctx, c, []string{"total"}).Val(), "7")
	equal(t, "FUNCTION LOAD", c.FunctionLoad(ctx, "#!lua name=lib\nredis.register_function('f', function(k, a) return {k[1], a[1]} end)").Val(), "lib")
	equal(t, "FCALL", c.FCall(ctx, "f", []string{"key"}, "argument").Val(), "[key argument]")
	libs, err := c.FunctionList(ctx, redis.FunctionListQuery{WithCode: true}).Result()
	if err != nil || len(libs) != 1 || libs[0].Name != "lib" || len(libs[0].Functions) != 1 || libs[0].Code == "" {
		t.Errorf("FUNCTION LIST: %+v, %v", libs, err)
	}
	got := make(chan []string, 1)
	go func() { got <- c.BLPop(ctx, 0, "first", "second").Val() }()
	for c.Do(ctx, "INFO", "clients").Err() == nil && infoField(c.Info(ctx, "clients").Val(), "blocked_clients") != "1" {
	}
	c.RPush(ctx, "second", "x")
	equal(t, "BLPOP", <-got, []string{"second", "x"})
}
