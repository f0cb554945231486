package rdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// The tests in this file ask a real Redis 7 whether it understands the same
// as we do. They fail without one.

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed to judge this package: apt-get install redis-server redis-tools (%v)", name, err)
	}
	return path
}

// startRedis runs a redis-server on a socket; dump, if any, is what it loads.
func startRedis(t *testing.T, dump []byte, args ...string) (c *redis.Client, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rdb") // t.TempDir is too long for a socket path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if dump != nil {
		if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), dump, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(tool(t, "redis-server"), append([]string{"--port", "0", "--unixsocket", socket, "--dir", dir,
		"--save", "", "--appendonly", "no", "--sanitize-dump-payload", "yes", "--enable-debug-command", "yes"}, args...)...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := func() { cmd.Process.Kill(); cmd.Wait() }
	t.Cleanup(end)
	c = redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
	t.Cleanup(func() { c.Close() })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if err = c.Ping(context.Background()).Err(); err == nil {
			return c, dir
		}
		if time.Now().After(deadline) {
			end() // so that the log is whole
			t.Fatalf("redis-server does not answer: %v\n%s", err, log.String())
		}
	}
}

// ask reads the whole dataset through commands, 16 databases at most.
func ask(t *testing.T, c *redis.Client) contents {
	t.Helper()
	ctx := context.Background()
	var objs []Object
	conn := c.Conn()
	defer conn.Close()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for db := range 16 {
		check(conn.Select(ctx, db).Err())
		keys, err := conn.Keys(ctx, "*").Result()
		check(err)
		for _, key := range keys {
			o := Object{DB: db, Key: []byte(key)}
			at, err := conn.Do(ctx, "PEXPIRETIME", key).Int64()
			check(err)
			if at > 0 {
				o.ExpireMS = at
			}
			kind, err := conn.Type(ctx, key).Result()
			check(err)
			var items []string
			switch kind {
			case "string":
				v, err := conn.Get(ctx, key).Result()
				check(err)
				o.Str = []byte(v)
			case "list":
				o.Type = TypeList
				items, err = conn.LRange(ctx, key, 0, -1).Result()
			case "set":
				o.Type = TypeSet
				items, err = conn.SMembers(ctx, key).Result()
			case "hash":
				o.Type = TypeHash
				m, err := conn.HGetAll(ctx, key).Result()
				check(err)
				for f, v := range m {
					items = append(items, f, v)
				}
			case "zset":
				o.Type = TypeZSet
				zs, err := conn.ZRangeWithScores(ctx, key, 0, -1).Result()
				check(err)
				for _, z := range zs {
					items = append(items, z.Member.(string))
					o.Scores = append(o.Scores, z.Score)
				}
			case "stream":
				dump, err := conn.Dump(ctx, key).Bytes()
				check(err)
				payload, err := OpenDump(dump)
				check(err)
				value, err := DecodeObject(payload)
				check(err)
				o.Type, o.Stream = TypeStream, value.Stream
			default:
				t.Fatalf("key %q is a %s", key, kind)
			}
			check(err)
			o.Items = byteItems(items...)
			objs = append(objs, o)
		}
	}
	return toContents(objs)
}

func TestRedisLoadsOurFile(t *testing.T) {
	objs := append(slices.Concat(sample(), streamSample()), randomObjects(rand.New(rand.NewPCG(11, 11)), 300)...)
	data := writeFile(t, objs)
	path := filepath.Join(t.TempDir(), "ours.rdb")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool(t, "redis-check-rdb"), path).CombinedOutput(); err != nil || !strings.Contains(string(out), "RDB looks OK") {
		t.Fatalf("redis-check-rdb: %v\n%s", err, out)
	}
	c, dir := startRedis(t, data)
	sameContents(t, "what redis-server loaded", toContents(objs), ask(t, c))
	if err := c.Save(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	sameContents(t, "what redis-server saved", toContents(objs), mustRead(t, theirs))
}

// Redis 7.0 still loads every encoding of its past and checks it deeply, so
// it judges both our reader and the test's builders.
func TestRedisUnderstandsLegacyAsWeDo(t *testing.T) {
	data, want := legacyFile(false)
	c, _ := startRedis(t, data)
	sameContents(t, "legacy encodings in redis-server", want, ask(t, c))
}

func TestWeReadRedisFiles(t *testing.T) {
	ctx := context.Background()
	for name, args := range map[string][]string{
		"defaults":      nil,
		"all packed":    {"--hash-max-listpack-entries", "100000", "--hash-max-listpack-value", "100000", "--zset-max-listpack-entries", "100000", "--zset-max-listpack-value", "100000", "--list-max-listpack-size", "-5", "--list-compress-depth", "1", "--set-max-intset-entries", "100000"},
		"nothing small": {"--hash-max-listpack-entries", "0", "--zset-max-listpack-entries", "0", "--list-max-listpack-size", "1", "--set-max-intset-entries", "0", "--rdbcompression", "no", "--rdbchecksum", "no"},
		"lfu":           {"--maxmemory-policy", "allkeys-lfu"},
		"lru":           {"--maxmemory-policy", "allkeys-lru"},
	} {
		t.Run(name, func(t *testing.T) {
			c, dir := startRedis(t, nil, args...)
			objs := randomObjects(rand.New(rand.NewPCG(5, 23)), 200)
			var many Object // long enough for several quicklist nodes
			many.Key, many.Type = []byte("many"), TypeList
			for i := range 20_000 {
				many.Items = append(many.Items, fmt.Appendf(nil, "item %d", i))
			}
			objs = append(objs, many)
			populate(t, c, objs)
			if err := c.Save(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
			if err != nil {
				t.Fatal(err)
			}
			sameContents(t, "dump.rdb", toContents(objs), mustRead(t, data))
		})
	}
}

func populate(t *testing.T, c *redis.Client, objs []Object) {
	t.Helper()
	ctx := context.Background()
	conn := c.Conn()
	defer conn.Close()
	for _, o := range objs {
		pipe := conn.Pipeline()
		pipe.Select(ctx, o.DB)
		verb := map[Type]string{TypeString: "SET", TypeList: "RPUSH", TypeSet: "SADD", TypeHash: "HSET", TypeZSet: "ZADD"}[o.Type]
		args := []any{verb, o.Key}
		if o.Type == TypeString {
			args = append(args, o.Str)
		}
		for i, it := range o.Items {
			if o.Type == TypeZSet {
				args = append(args, o.Scores[i])
			}
			args = append(args, it)
		}
		pipe.Do(ctx, args...)
		if o.ExpireMS != 0 {
			pipe.Do(ctx, "PEXPIREAT", o.Key, o.ExpireMS)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatalf("%s %q: %v", verb, o.Key, err)
		}
	}
}

func TestDumpAndRestoreWithRedis(t *testing.T) {
	ctx := context.Background()
	c, _ := startRedis(t, nil)
	objs := randomObjects(rand.New(rand.NewPCG(8, 8)), 200)
	for i := range objs {
		o := &objs[i]
		o.DB, o.ExpireMS = 0, 0
		payload, err := EncodeObject(nil, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Restore(ctx, string(o.Key), 0, string(SealDump(payload))).Err(); err != nil {
			t.Fatalf("RESTORE %q: %v", o.Key, err)
		}
		dump, err := c.Dump(ctx, string(o.Key)).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := OpenDump(dump)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeObject(theirs)
		if err != nil {
			t.Fatalf("DUMP %q: %v", o.Key, err)
		}
		got.Key = o.Key
		sameContents(t, "DUMP", toContents([]Object{*o}), toContents([]Object{*got}))
	}
	sameContents(t, "after RESTORE", toContents(objs), ask(t, c))
}

func TestRedisContentWeRefuse(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		cmds [][]any
		want UnsupportedError
	}{
		"function": {[][]any{{"FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() end)"}}, UnsupportedError{Name: "function library"}},
	} {
		client, dir := startRedis(t, nil)
		for _, cmd := range c.cmds {
			if err := client.Do(ctx, cmd...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.Save(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = readAll(data)
		var u *UnsupportedError
		if !errors.As(err, &u) || u.Name != c.want.Name || u.Key != c.want.Key || u.Offset < 9 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Scores are compared bit for bit where a decimal detour could lose some.
func TestScoresKeepEveryBit(t *testing.T) {
	o := Object{Key: []byte("z"), Type: TypeZSet}
	for i, f := range []float64{math.Pi, 0.1, 1 / 3.0, math.MaxFloat64, math.SmallestNonzeroFloat64, -math.MaxFloat64, 1<<53 + 2} {
		o.Items = append(o.Items, fmt.Append(nil, i))
		o.Scores = append(o.Scores, f)
	}
	c, dir := startRedis(t, writeFile(t, []Object{o}))
	if err := c.Save(context.Background()).Err(); err != nil { // as a listpack: decimal text
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	sameContents(t, "scores", toContents([]Object{o}), mustRead(t, data))
}

// TestFunctionsWithRedis has function libraries go to a real Redis and come back from
// it, in a file and as FUNCTION DUMP has them.
func TestFunctionsWithRedis(t *testing.T) {
	ctx := context.Background()
	codes := [][]byte{
		[]byte("#!lua name=a\nredis.register_function('fa', function() return 'from a' end)"),
		fmt.Appendf(nil, "#!lua name=b\nredis.register_function('fb', function() return 'from b' end) -- %s", strings.Repeat("long ", 20_000)),
	}
	var file bytes.Buffer
	w := NewWriter(&file)
	w.Header(nil)
	for _, code := range codes {
		w.Function(code)
	}
	w.SelectDB(0)
	w.String([]byte("k"), []byte("v"))
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	c, dir := startRedis(t, file.Bytes())
	for _, name := range []string{"a", "b"} {
		if got, err := c.FCall(ctx, "f"+name, nil).Text(); err != nil || got != "from "+name {
			t.Errorf("FCALL f%s: %q, %v", name, got, err)
		}
	}
	list, err := c.FunctionList(ctx, redis.FunctionListQuery{WithCode: true}).Result()
	if err != nil || len(list) != 2 {
		t.Fatalf("FUNCTION LIST: %v, %v", list, err)
	}
	if err := c.Save(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	read := func(data []byte) (got []string) {
		err := Read(bytes.NewReader(data), Handler{Function: func(code []byte) error {
			got = append(got, string(code))
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		return got
	}
	want := []string{string(codes[0]), string(codes[1])}
	for what, got := range map[string][]string{"our file": read(file.Bytes()), "Redis's file": read(theirs)} {
		if !slices.Equal(got, want) {
			t.Errorf("%s has %.300q", what, got)
		}
	}

	if err := c.FunctionFlush(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.FunctionRestore(ctx, string(SealDump(EncodeFunctions(codes)))).Err(); err != nil {
		t.Fatal(err)
	}
	dump, err := c.FunctionDump(ctx).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	payload, err := OpenDump(dump)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeFunctions(payload)
	if err != nil || len(got) != 2 || len(got[0])+len(got[1]) != len(codes[0])+len(codes[1]) {
		t.Errorf("FUNCTION DUMP has %d libraries, %v", len(got), err)
	}
	for n := 1; n < len(payload); n++ {
		if cut, err := DecodeFunctions(payload[:n]); err == nil && len(cut) == 2 {
			t.Fatalf("cut at %d of %d it is read", n, len(payload))
		}
	}
}
