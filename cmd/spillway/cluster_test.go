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
