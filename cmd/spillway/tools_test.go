package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/redis/go-redis/v9"
)

// populate writes keys of every type, small and large, into two databases, with
// transactions, expiry, and verbs whose effect is not what they say.
func populate(t *testing.T, client *redis.Client) {
	t.Helper()
	ctx := context.Background()
	c := client.Conn() // SELECT is the connection's
	defer c.Close()
	for _, db := range []int{0, 5} {
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Do(ctx, "SELECT", db)
			p.Set(ctx, "empty", "", 0)
			p.Set(ctx, "int", -12345678901, 0)
			p.Set(ctx, "binary \x00\r\n\xff", "\x00\r\n\xff"+fmt.Sprint(db), 0)
			p.Set(ctx, "long", strings.Repeat("compress me ", 5000), 0)
			p.Set(ctx, "expires", "x", time.Hour)
			p.Set(ctx, "gone", "x", 0)
			p.PExpire(ctx, "gone", time.Millisecond)
			p.IncrByFloat(ctx, "float", 0.1)
			p.IncrByFloat(ctx, "float", 0.2)
			p.Append(ctx, "appended", "abc")
			p.SetRange(ctx, "appended", 5, "z")
			p.MSet(ctx, "{m}1", "a", "m2", "b", "m3", "c")
			for i := range 40 {
				p.RPush(ctx, "list:small", i)
				p.SAdd(ctx, "set:int", i*1000)
				p.SAdd(ctx, "set:small", fmt.Sprint("member-", i))
				p.HSet(ctx, "hash:small", fmt.Sprint("f", i), i)
				p.ZAdd(ctx, "zset:small", redis.Z{Score: float64(i) / 3, Member: fmt.Sprint("m", i)})
			}
			for i := range 600 {
				p.RPush(ctx, "list:large", fmt.Sprint("item ", i))
				p.SAdd(ctx, "set:large", fmt.Sprint("member ", i))
				p.HSet(ctx, "hash:large", fmt.Sprint("f", i), strings.Repeat("v", i%90))
				p.ZAdd(ctx, "zset:large", redis.Z{Score: float64(i%100) * 1e15, Member: fmt.Sprint("m", i)})
			}
			p.Do(ctx, "ZADD", "zset:small", "-inf", "low", "+inf", "high")
			p.SPopN(ctx, "set:large", 100)
			p.SPop(ctx, "set:small")
			p.LTrim(ctx, "list:large", 100, -100)
			p.LMove(ctx, "list:small", "list:other", "left", "right")
			p.ExpireAt(ctx, "hash:small", time.Now().Add(2*time.Hour))
			p.Rename(ctx, "{m}1", "renamed")
			p.Copy(ctx, "zset:small", "zset:copy", db, false)
			p.Del(ctx, "m3")
			populateStreams(ctx, p)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Do(ctx, "SELECT", db)
			p.HIncrByFloat(ctx, "hash:small", "f0", 1.25)
			p.ZIncrBy(ctx, "zset:large", 3, "m7")
			p.LPush(ctx, "list:large", "first")
			p.Do(ctx, "GETEX", "long", "EX", 7200)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for c.Exists(ctx, "gone").Val() != 0 {
			time.Sleep(time.Millisecond)
		}
	}
	c.Do(ctx, "SELECT", 0)
}

// populateStreams makes streams, with groups and what is pending of them.
func populateStreams(ctx context.Context, p redis.Pipeliner) {
	for i := range 250 {
		p.XAdd(ctx, &redis.XAddArgs{Stream: "stream", ID: fmt.Sprint("7-", i+1), Values: []any{"n", i, "text", strings.Repeat("x", i%40)}})
	}
	p.XAdd(ctx, &redis.XAddArgs{Stream: "stream", Values: []any{"other", "field"}})
	p.XDel(ctx, "stream", "7-5", "7-130")
	p.XTrimMaxLen(ctx, "stream", 240)
	p.XGroupCreate(ctx, "stream", "readers", "0")
	p.XGroupCreate(ctx, "stream", "idle \xff", "$")
	for _, consumer := range []string{"one", "two"} {
		p.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "readers", Consumer: consumer, Streams: []string{"stream", ">"}, Count: 60, Block: -1})
	}
	p.XAck(ctx, "stream", "readers", "7-20", "7-21")
	p.XClaim(ctx, &redis.XClaimArgs{Stream: "stream", Group: "readers", Consumer: "three", Messages: []string{"7-30", "7-31"}})
	p.XGroupCreateConsumer(ctx, "stream", "readers", "none")
	// How many entries a group has read, Redis's own log does not say.
	p.Do(ctx, "XGROUP", "SETID", "stream", "readers", "7-130", "ENTRIESREAD", 130)
	p.XGroupCreateMkStream(ctx, "stream:empty", "g", "0")
}

// streamText is what XINFO tells of a stream, but for its layout and when consumers
// were seen and active, which Redis's own log does not say.
func streamText(v any) string {
	switch v := v.(type) {
	case map[any]any:
		var lines []string
		for name, e := range v {
			if name != "radix-tree-keys" && name != "radix-tree-nodes" && name != "seen-time" && name != "active-time" {
				lines = append(lines, fmt.Sprintf("%s=%s", name, streamText(e)))
			}
		}
		sort.Strings(lines)
		return strings.Join(lines, " ")
	case []any:
		var b strings.Builder
		for _, e := range v {
			b.WriteString("[" + streamText(e) + "]")
		}
		return b.String()
	default:
		return fmt.Sprint(v)
	}
}

// dataset is all of a server's data: "db key" → type, deadline and value.
func dataset(t *testing.T, c *redis.Client) map[string]string {
	t.Helper()
	ctx := context.Background()
	conn := c.Conn()
	defer conn.Close()
	out := make(map[string]string)
	for db := range 16 {
		conn.Do(ctx, "SELECT", db)
		keys, err := conn.Keys(ctx, "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		if size := conn.DBSize(ctx).Val(); size != int64(len(keys)) {
			t.Errorf("database %d: DBSIZE %d, %d keys", db, size, len(keys))
		}
		for _, k := range keys {
			typ := conn.Type(ctx, k).Val()
			var v any
			switch typ {
			case "string":
				v = conn.Get(ctx, k).Val()
			case "list":
				v = conn.LRange(ctx, k, 0, -1).Val()
			case "set":
				members := conn.SMembers(ctx, k).Val()
				sort.Strings(members)
				v = members
			case "hash":
				v = conn.HGetAll(ctx, k).Val() // fmt sorts it
			case "zset":
				v = conn.ZRangeWithScores(ctx, k, 0, -1).Val()
			case "stream":
				v = streamText(conn.Do(ctx, "XINFO", "STREAM", k, "FULL", "COUNT", 0).Val())
			default:
				t.Fatalf("key %q is a %s", k, typ)
			}
			out[fmt.Sprintf("%d %q", db, k)] = fmt.Sprintf("%s until %d: %q", typ, conn.Do(ctx, "PEXPIRETIME", k).Val(), fmt.Sprint(v))
		}
	}
	conn.Do(ctx, "SELECT", 0)
	return out
}

func sameDataset(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if len(want) < 30 {
		t.Fatalf("%s: only %d keys: the test shows nothing", what, len(want))
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if got[k] != want[k] {
			at := 0 // where they part
			for at < min(len(got[k]), len(want[k])) && got[k][at] == want[k][at] {
				at++
			}
			at = max(at-100, 0)
			t.Errorf("%s: %s is, from byte %d on,\n  %.200s, want\n  %.200s", what, k, at, got[k][min(at, len(got[k])):], want[k][at:])
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s: %s is too many", what, k)
		}
	}
}

// tool runs a program that a missing package may lack.
func tool(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v (apt-get install redis-server redis-tools zstd age)\n%s%s", name, args, err, out.Bytes(), errs.Bytes())
	}
	return out.Bytes()
}

// TestRealToolsReadCheckpoints: every part, undone by the zstd and age
// programs, is a file that redis-check-rdb accepts and redis-server loads, and
// all parts together are the data.
func TestRealToolsReadCheckpoints(t *testing.T) {
	t.Parallel()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "backup.key")
	if err := os.WriteFile(key, []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const zstdStage = `stage "zstd" { level = 3 }`
	ageStage := fmt.Sprintf("stage \"age\" {\n recipients = [%q]\n identities = [file(%q)]\n}", identity.Recipient(), key)
	for name, stages := range map[string]string{"plain": "", "zstd": zstdStage, "age": ageStage, "zstd and age": zstdStage + "\n" + ageStage} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			dir := t.TempDir()
			hcl := fmt.Sprintf("filesystem \"os\" \"data\" { root = %q }\npipeline \"checkpoint\" {\n%s\nverify_decode = true\nsink \"filesystem\" \"local\" { uses = filesystem.os.data }\n}\n", dir, stages)
			flags := []string{"--shards", "3", "--save", "", "--appendonly", "no"}
			d := startConfig(t, hcl, flags...)
			populate(t, d.rdb)
			want := dataset(t, d.rdb)
			d.do("SAVE")
			d.stop()

			parts, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*", "shard-*"))
			if err != nil || len(parts) != 3 {
				t.Fatal(parts, err)
			}
			got := make(map[string]string)
			for _, part := range parts {
				stored, err := os.ReadFile(part)
				if err != nil {
					t.Fatal(err)
				}
				raw := stored
				if rest, ok := strings.CutSuffix(part, ".age"); ok {
					part, raw = rest, tool(t, raw, "age", "-d", "-i", key)
				}
				if rest, ok := strings.CutSuffix(part, ".zst"); ok {
					part, raw = rest, tool(t, raw, "zstd", "-d", "-c")
				}
				if !strings.HasSuffix(part, ".rdb") || !bytes.HasPrefix(raw, []byte("REDIS0010")) {
					t.Fatalf("%s begins with %q", part, raw[:min(9, len(raw))])
				}
				at := t.TempDir()
				if err := os.WriteFile(filepath.Join(at, "dump.rdb"), raw, 0o600); err != nil {
					t.Fatal(err)
				}
				if out := tool(t, nil, "redis-check-rdb", filepath.Join(at, "dump.rdb")); !bytes.Contains(out, []byte("\\o/ RDB looks OK! \\o/")) {
					t.Errorf("redis-check-rdb: %s", out)
				}
				_, c := redisServer(t, at)
				maps.Copy(got, dataset(t, c))
			}
			sameDataset(t, "redis-server", got, want)

			// And the daemon itself, with another number of shards.
			d = startConfig(t, hcl, append(flags, "--shards", "2")...)
			sameDataset(t, "the next start", dataset(t, d.rdb), want)
			if n := d.rdb.DBSize(ctx).Val(); n < 20 {
				t.Errorf("DBSIZE %d", n)
			}
		})
	}
}

// TestRealRedisLoadsTheLog: a real redis-server takes the segments of the log,
// and the parts of a rewrite before them, for its own append-only files.
func TestRealRedisLoadsTheLog(t *testing.T) {
	t.Parallel()
	for _, rewrite := range []bool{false, true} {
		t.Run(fmt.Sprint("rewrite=", rewrite), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d := startDaemon(t, dir, "--shards", "2", "--save", "", "--appendfsync", "everysec")
			populate(t, d.rdb)
			if rewrite {
				d.do("BGREWRITEAOF")
				d.waitFor("the rewrite", func() bool { return d.info("aof_rewrite_in_progress") == "0" })
				if got := d.info("aof_last_bgrewrite_status"); got != "ok" {
					t.Fatalf("the rewrite: %s\n%s", got, d.log.String())
				}
				for i := range 100 {
					d.do("HSET", "hash:large", fmt.Sprint("f", i), "after the rewrite")
				}
			}
			want := dataset(t, d.rdb)
			d.stop()

			at := t.TempDir()
			if err := os.Mkdir(filepath.Join(at, "appendonlydir"), 0o700); err != nil {
				t.Fatal(err)
			}
			var files []string
			for _, pattern := range []string{"checkpoints/*/shard-*.aof", "log/*.aof"} {
				found, err := filepath.Glob(filepath.Join(dir, pattern))
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, found...)
			}
			if wantFiles := map[bool]int{false: 1, true: 3}[rewrite]; len(files) != wantFiles {
				t.Fatalf("files %v, want %d", files, wantFiles)
			}
			manifest := ""
			for i, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("appendonly.aof.%d.incr.aof", i+1)
				if err := os.WriteFile(filepath.Join(at, "appendonlydir", name), b, 0o600); err != nil {
					t.Fatal(err)
				}
				manifest += fmt.Sprintf("file %s seq %d type i\n", name, i+1)
			}
			if err := os.WriteFile(filepath.Join(at, "appendonlydir", "appendonly.aof.manifest"), []byte(manifest), 0o600); err != nil {
				t.Fatal(err)
			}
			tool(t, nil, "redis-check-aof", filepath.Join(at, "appendonlydir", "appendonly.aof.manifest"))
			_, c := redisServer(t, at, "--appendonly", "yes")
			sameDataset(t, "redis-server", dataset(t, c), want)
		})
	}
}
