package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestGoRedis drives the daemon with go-redis v9 in both protocols: plain
// commands of every type, pipelines, transactions, WATCH.
func TestGoRedis(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--requirepass", "pw")
	for _, proto := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", proto), func(t *testing.T) {
			ctx := context.Background()
			c := d.client(func(o *redis.Options) {
				o.Protocol, o.Password, o.ClientName, o.DB = proto, "pw", "tester", proto
				o.DisableIdentity = false // it sends CLIENT SETINFO
			})
			if err := c.Ping(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			line := c.Do(ctx, "CLIENT", "INFO").String()
			for _, want := range []string{"name=tester", fmt.Sprintf("resp=%d", proto), fmt.Sprintf("db=%d", proto), "lib-name=go-redis"} {
				if !strings.Contains(line, want) {
					t.Errorf("CLIENT INFO lacks %q: %s", want, line)
				}
			}
			goRedisCommands(ctx, t, c)
			goRedisTransactions(ctx, t, c)
		})
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func goRedisCommands(ctx context.Context, t *testing.T, c *redis.Client) {
	t.Helper()
	equal(t, "SET EX", c.Set(ctx, "s", "v", time.Minute).Val(), "OK")
	equal(t, "GET", c.Get(ctx, "s").Val(), "v")
	equal(t, "GET of nothing", c.Get(ctx, "none").Err(), redis.Nil)
	if ttl := c.TTL(ctx, "s").Val(); ttl <= 0 || ttl > time.Minute {
		t.Errorf("TTL: %v", ttl)
	}
	equal(t, "INCRBYFLOAT", c.IncrByFloat(ctx, "f", 1.5).Val(), 1.5)
	equal(t, "HSET", c.HSet(ctx, "h", "a", 1, "b", "x y").Val(), 2)
	equal(t, "HGETALL", c.HGetAll(ctx, "h").Val(), map[string]string{"a": "1", "b": "x y"})
	equal(t, "HMGET", c.HMGet(ctx, "h", "a", "no").Val(), []any{"1", nil})
	equal(t, "RPUSH", c.RPush(ctx, "l", "a", "b", "c").Val(), 3)
	equal(t, "LRANGE", c.LRange(ctx, "l", 0, -1).Val(), []string{"a", "b", "c"})
	equal(t, "SADD", c.SAdd(ctx, "set", "x", "y").Val(), 2)
	equal(t, "SMEMBERS", c.SMembersMap(ctx, "set").Val(), map[string]struct{}{"x": {}, "y": {}})
	equal(t, "SMISMEMBER", c.SMIsMember(ctx, "set", "x", "z").Val(), []bool{true, false})
	equal(t, "ZADD", c.ZAdd(ctx, "z", redis.Z{Score: 1.5, Member: "a"}, redis.Z{Score: 3, Member: "b"}).Val(), 2)
	equal(t, "ZSCORE", c.ZScore(ctx, "z", "a").Val(), 1.5)
	equal(t, "ZRANGE WITHSCORES", c.ZRangeWithScores(ctx, "z", 0, -1).Val(), []redis.Z{{Score: 1.5, Member: "a"}, {Score: 3, Member: "b"}})
	equal(t, "ZPOPMAX", c.ZPopMax(ctx, "z").Val(), []redis.Z{{Score: 3, Member: "b"}})
	equal(t, "TYPE", c.Type(ctx, "z").Val(), "zset")
	equal(t, "CONFIG GET", c.ConfigGet(ctx, "appendonly").Val(), map[string]string{"appendonly": "yes"})
	equal(t, "WRONGTYPE", c.LPush(ctx, "s", "x").Err(), "WRONGTYPE Operation against a key holding the wrong kind of value")
	var keys []string
	for it := c.Scan(ctx, 0, "*", 2).Iterator(); it.Next(ctx); {
		keys = append(keys, it.Val())
	}
	slices.Sort(keys)
	equal(t, "SCAN", slices.Compact(keys), []string{"f", "h", "l", "s", "set", "z"})
	if info, err := c.Command(ctx).Result(); err != nil || info["mset"] == nil || info["mset"].StepCount != 2 || info["get"].ReadOnly != true {
		t.Errorf("COMMAND: %v, mset %+v", err, info["mset"])
	}
	// A pipeline keeps each command's own outcome.
	cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "n")
		p.LPush(ctx, "s", "x")
		p.HGetAll(ctx, "h")
		p.Get(ctx, "none")
		return nil
	})
	equal(t, "the pipeline's error", err, "WRONGTYPE Operation against a key holding the wrong kind of value")
	equal(t, "pipelined INCR", cmds[0].(*redis.IntCmd).Val(), 1)
	equal(t, "pipelined HGETALL", cmds[2].(*redis.MapStringStringCmd).Val(), map[string]string{"a": "1", "b": "x y"})
	equal(t, "pipelined GET of nothing", cmds[3].Err(), redis.Nil)
}

func goRedisTransactions(ctx context.Context, t *testing.T, c *redis.Client) {
	t.Helper()
	cmds, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "tx", 1, 0)
		p.IncrBy(ctx, "tx", 41)
		p.ZAdd(ctx, "txz", redis.Z{Score: 2, Member: "m"})
		p.ZRangeWithScores(ctx, "txz", 0, -1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "INCRBY in EXEC", cmds[1].(*redis.IntCmd).Val(), 42)
	equal(t, "ZRANGE in EXEC", cmds[3].(*redis.ZSliceCmd).Val(), []redis.Z{{Score: 2, Member: "m"}})
	// Somebody else touches the watched key between WATCH and EXEC.
	touched := false
	err = c.Watch(ctx, func(tx *redis.Tx) error {
		n, err := tx.Get(ctx, "tx").Int()
		if err != nil {
			return err
		}
		if !touched {
			touched = true
			c.Set(ctx, "tx", 100, 0)
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Set(ctx, "tx", n+1, 0); return nil })
		return err
	}, "tx")
	equal(t, "EXEC after a touch", err, redis.TxFailedErr)
	equal(t, "what stands", c.Get(ctx, "tx").Val(), "100")
	// A key that is watched while missing, and created.
	err = c.Watch(ctx, func(tx *redis.Tx) error {
		c.Set(ctx, "fresh", 1, 0)
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Set(ctx, "fresh", 2, 0); return nil })
		return err
	}, "fresh")
	equal(t, "EXEC after a creation", err, redis.TxFailedErr)
	// A command that is refused while queuing aborts the whole.
	_, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "tx", 7, 0)
		p.Do(ctx, "NOSUCH")
		return nil
	})
	if err == nil || !strings.HasPrefix(err.Error(), "EXECABORT") && !strings.HasPrefix(err.Error(), "ERR unknown command") {
		t.Errorf("EXEC after a refused command: %v", err)
	}
	equal(t, "what stands", c.Get(ctx, "tx").Val(), "100")
}

// TestContention: optimistic increments and transfers between accounts on
// different shards by many clients at once, checkpoints meanwhile. No increment
// is lost, no money made, and readers in transactions never see a transfer in
// halves; a clean restart finds the same.
func TestContention(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	d := startDaemon(t, dir, "--shards", "4", "--save", "", "--appendfsync", "everysec")
	const clients, rounds, accounts = 12, 40, 8
	account := func(i int) string { return fmt.Sprint("account:", i%accounts) }
	for i := range accounts {
		d.do("SET", account(i), 1000)
	}
	var wg sync.WaitGroup
	for i := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := d.client(func(o *redis.Options) { o.PoolSize = 1; o.Protocol = 2 + i%2 })
			for r := range rounds {
				if err := increment(ctx, c); err != nil {
					t.Error(err)
					return
				}
				if _, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
					p.DecrBy(ctx, account(i+r), 5)
					p.IncrBy(ctx, account(i+3*r+1), 5)
					return nil
				}); err != nil {
					t.Error(err)
					return
				}
				sum := int64(0)
				cmds, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
					for a := range accounts {
						p.Get(ctx, account(a))
					}
					return nil
				})
				for _, cmd := range cmds {
					n, _ := cmd.(*redis.StringCmd).Int64()
					sum += n
				}
				if err != nil || sum != accounts*1000 {
					t.Errorf("a transaction sees %d in all accounts, want %d (%v)", sum, accounts*1000, err)
					return
				}
				if r%10 == i%10 {
					c.BgSave(ctx) // refused when one is in flight
				}
				cn := c.Conn() // DISCARD leaves nothing behind
				for _, cmd := range [][]any{{"WATCH", "counter"}, {"MULTI"}, {"SET", "counter", "never"}, {"DISCARD"}} {
					if err := cn.Do(ctx, cmd...).Err(); err != nil {
						t.Error(cmd, err)
					}
				}
				_ = cn.Close()
			}
		}()
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	check := func(d *daemon) {
		t.Helper()
		equal(t, "the counter", d.do("GET", "counter"), clients*rounds)
		sum := int64(0)
		for i := range accounts {
			n, err := d.rdb.Get(ctx, account(i)).Int64()
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		equal(t, "the sum of all accounts", sum, accounts*1000)
	}
	check(d)
	d.stop()
	check(startDaemon(t, dir, "--shards", "3", "--save", ""))
}

// increment reads, adds and writes under WATCH until nobody interferes.
func increment(ctx context.Context, c *redis.Client) error {
	for {
		err := c.Watch(ctx, func(tx *redis.Tx) error {
			n, err := tx.Get(ctx, "counter").Int()
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Set(ctx, "counter", n+1, 0); return nil })
			return err
		}, "counter")
		if !errors.Is(err, redis.TxFailedErr) {
			return err
		}
	}
}
