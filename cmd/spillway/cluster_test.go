package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestClusterClient: clients that are made for clusters connect to a daemon that is
// the only node of one, and find every key where they look for it.
func TestClusterClient(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	d := startDaemon(t, dir, "--cluster-enabled", "yes")
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{d.addr}})
	defer func() { _ = c.Close() }()
	for i := range 200 {
		if err := c.Set(ctx, fmt.Sprint("key:", i), i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	pipe := c.Pipeline()
	for i := range 200 {
		pipe.Get(ctx, fmt.Sprint("key:", i))
	}
	replies, err := pipe.Exec(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range replies {
		if got, ok := r.(*redis.StringCmd); !ok || got.Val() != fmt.Sprint(i) {
			t.Fatalf("key:%d: %v", i, r)
		}
	}
	equal(t, "MGET of one slot", c.MSet(ctx, "{s}1", "a", "{s}2", "b").Err(), nil)
	equal(t, "MGET of one slot", c.MGet(ctx, "{s}1", "{s}2").Val(), "[a b]")

	for _, args := range [][]any{{"MGET", "a", "b"}, {"SELECT", "1"}, {"MOVE", "a", "1"}, {"SWAPDB", "0", "1"}, {"COPY", "{a}", "{a}x", "DB", "1"}} {
		if err := d.rdb.Do(ctx, args...).Err(); err == nil || !strings.Contains(err.Error(), "CROSSSLOT") && !strings.Contains(err.Error(), "not allowed in cluster mode") {
			t.Errorf("%v: %v", args, err)
		}
	}
	slot := d.do("CLUSTER", "KEYSLOT", "{s}")
	equal(t, "COUNTKEYSINSLOT", d.do("CLUSTER", "COUNTKEYSINSLOT", slot), 2)
	equal(t, "GETKEYSINSLOT", len(d.do("CLUSTER", "GETKEYSINSLOT", slot, 1).([]any)), 1)

	conn := d.plain()
	for _, cmd := range [][]string{{"MULTI"}, {"SET", "a", "1"}, {"SET", "b", "1"}} {
		if v, err := conn.Do(cmd...); err != nil || v.Err() != nil {
			t.Fatal(v, err)
		}
	}
	if v, err := conn.Do("EXEC"); err != nil || !strings.HasPrefix(v.Text(), "CROSSSLOT") {
		t.Errorf("EXEC over two slots: %v, %v", v, err)
	}
	equal(t, "a", d.rdb.Get(ctx, "a").Err(), redis.Nil)

	if path, err := exec.LookPath("redis-cli"); err == nil {
		host, port, _ := strings.Cut(d.addr, ":")
		out, err := exec.Command(path, "-c", "-h", host, "-p", port, "get", "key:7").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "7" {
			t.Errorf("redis-cli -c: %s, %v", out, err)
		}
		out, err = exec.Command(path, "--cluster", "check", d.addr).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "All 16384 slots covered") {
			t.Errorf("redis-cli --cluster check: %s, %v", out, err)
		}
	}

	id := fmt.Sprint(d.do("CLUSTER", "MYID"))
	d.stop()
	d = startDaemon(t, dir, "--cluster-enabled", "yes")
	if again := d.do("CLUSTER", "MYID"); len(id) != 40 || again != id {
		t.Errorf("CLUSTER MYID: %v, and %v after a restart", id, again)
	}
}

// TestNoCluster: without cluster-enabled keys of all slots go together.
func TestNoCluster(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := startDaemon(t, t.TempDir())
	equal(t, "MSET", d.do("MSET", "a", "1", "b", "2"), "OK")
	for _, args := range [][]any{{"CLUSTER", "INFO"}, {"READONLY"}, {"ASKING"}, {"CLUSTER", "KEYSLOT", "x"}} {
		if err := d.rdb.Do(ctx, args...).Err(); err == nil || err.Error() != "ERR This instance has cluster support disabled" {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// TestClusterOfOneNode: what would change the cluster of a node that has all slots is answered
// as a redis-server does that has them, where that does not do it.
func TestClusterOfOneNode(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--cluster-enabled", "yes", "--save", "")
	port := freePort(t)
	_, real := redisServer(t, t.TempDir(), "--port", port, "--cluster-port", freePort(t), "--bind", "127.0.0.1", "--cluster-enabled", "yes")
	ctx := t.Context()
	if err := real.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	ask := func(c *redis.Client, line string) string {
		var args []any
		for _, a := range strings.Fields(line) {
			args = append(args, a)
		}
		v, err := c.Do(ctx, args...).Result()
		return fmt.Sprint(v, err)
	}
	for line := range strings.Lines(`CLUSTER ADDSLOTS 0
		CLUSTER ADDSLOTS 7 7
		CLUSTER ADDSLOTS x
		CLUSTER ADDSLOTS 16384
		CLUSTER ADDSLOTSRANGE 0 16383
		CLUSTER ADDSLOTSRANGE 3 9 2 4
		CLUSTER ADDSLOTSRANGE 5 1
		CLUSTER ADDSLOTSRANGE 5 6 7
		CLUSTER ADDSLOTSRANGE -1 6
		CLUSTER DELSLOTS 5 5
		CLUSTER DELSLOTS 16384
		CLUSTER DELSLOTSRANGE 1 3 2 4
		CLUSTER DELSLOTSRANGE 5 1
		CLUSTER DELSLOTSRANGE 5
		CLUSTER DELSLOTSRANGE a b
		CLUSTER SETSLOT 0 STABLE
		CLUSTER SETSLOT 0 MIGRATING abc
		CLUSTER SETSLOT 0 IMPORTING abc
		CLUSTER SETSLOT 0 NODE abc
		CLUSTER SETSLOT 0 FOO
		CLUSTER SETSLOT 16384 STABLE
		CLUSTER COUNTKEYSINSLOT 16384
		CLUSTER GETKEYSINSLOT 0 -1
		CLUSTER FORGET abc
		CLUSTER REPLICAS abc
		CLUSTER REPLICATE abc
		CLUSTER COUNT-FAILURE-REPORTS abc
		CLUSTER FAILOVER
		CLUSTER FAILOVER X
		CLUSTER MEET a
		CLUSTER MEET a 1234
		CLUSTER MEET 127.0.0.1 99999
		CLUSTER MEET 127.0.0.1 60000
		CLUSTER MEET 127.0.0.1 x
		CLUSTER MEET 127.0.0.1 1234 x
		CLUSTER MEET 127.0.0.1 1234 0
		CLUSTER SET-CONFIG-EPOCH x
		CLUSTER SET-CONFIG-EPOCH -1
		CLUSTER RESET X
		CLUSTER NOSUCH
		CLUSTER SAVECONFIG`) {
		line = strings.TrimSpace(line)
		if got, want := ask(d.rdb, line), ask(real, line); got != want {
			t.Errorf("%s: %s, a redis-server says %s", line, got, want)
		}
	}
}
