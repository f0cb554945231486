package core_test

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// askRedis returns what sends a redis-server a command over a connection, and returns
// the reply.
func askRedis(t *testing.T, conn net.Conn) func(words ...string) resp.Value {
	r := bufio.NewReader(conn)
	return func(words ...string) resp.Value {
		t.Helper()
		args := make([][]byte, len(words))
		for i := range words {
			args[i] = []byte(words[i])
		}
		if _, err := conn.Write(resp.AppendCommand(nil, args...)); err != nil {
			t.Fatal(err)
		}
		v, err := resp.ReadReply(r)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// askRedisLine is askRedis for lines as redis-cli takes them.
func askRedisLine(t *testing.T, conn net.Conn) func(line string) resp.Value {
	ask := askRedis(t, conn)
	return func(line string) resp.Value {
		t.Helper()
		return ask(lineWords(t, line)...)
	}
}

// lineWords is the words of a line as redis-cli takes it.
func lineWords(t *testing.T, line string) []string {
	t.Helper()
	args, ok := resp.SplitArgs([]byte(line), nil)
	if !ok {
		t.Fatalf("bad command line %q", line)
	}
	words := make([]string, len(args))
	for i := range args {
		words[i] = string(args[i])
	}
	return words
}

// clustersOfOne is a redis-server and an engine that are each the one node of a cluster
// with all slots, and what the nodes are called.
func clustersOfOne(t *testing.T) (ask func(line string) resp.Value, h *coretest.Harness, theirs, ours string) {
	t.Helper()
	ask = askRedisLine(t, testutil.Redis(t, "--cluster-enabled", "yes", "--port", "0")())
	if v := ask("CLUSTER ADDSLOTSRANGE 0 16383"); v.Err() != nil {
		t.Fatal(v)
	}
	testutil.Eventually(t, "the cluster is up", func() bool { return ask("SET k v").Err() == nil })
	ask("CLUSTER BUMPEPOCH") // ours has an epoch from its start
	h = coretest.New(t, func(o *core.Options) { o.Cluster = true })
	return ask, h, string(ask("CLUSTER MYID").Str), string(h.Value("CLUSTER", "MYID").Str)
}

// TestClusterOfOneAgainstRedis: what would change a cluster of one node that has all
// slots, and is refused or changes nothing, is answered as a redis-server in the same
// state answers it.
func TestClusterOfOneAgainstRedis(t *testing.T) {
	ask, h, theirs, ours := clustersOfOne(t)
	for _, line := range []string{
		"CLUSTER ADDSLOTS 1", "CLUSTER ADDSLOTS 1 x", "CLUSTER ADDSLOTS 16384", "CLUSTER ADDSLOTS", "CLUSTER ADDSLOTS 7 8",
		"CLUSTER ADDSLOTSRANGE 1 2", "CLUSTER ADDSLOTSRANGE 2 1", "CLUSTER ADDSLOTSRANGE 1 2 3", "CLUSTER ADDSLOTSRANGE 1 x", "CLUSTER DELSLOTSRANGE 2 1",
		"CLUSTER DELSLOTS x", "CLUSTER BUMPEPOCH", "CLUSTER BUMPEPOCH x", "CLUSTER SET-CONFIG-EPOCH x", "CLUSTER SET-CONFIG-EPOCH -1", "CLUSTER SET-CONFIG-EPOCH 0",
		"CLUSTER COUNT-FAILURE-REPORTS nosuch", "CLUSTER COUNT-FAILURE-REPORTS $ME", "CLUSTER FAILOVER", "CLUSTER FAILOVER FORCE", "CLUSTER FAILOVER NOSUCH", "CLUSTER FAILOVER FORCE x",
		"CLUSTER FORGET nosuch", "CLUSTER FORGET $ME", "CLUSTER MEET 127.0.0.1 x", "CLUSTER MEET 127.0.0.1 1 x", "CLUSTER MEET 127.0.0.1 1 1 1", "CLUSTER REPLICATE nosuch", "CLUSTER REPLICATE $ME",
		"CLUSTER RESET NOSUCH", "CLUSTER RESET HARD x", "CLUSTER SAVECONFIG",
		"CLUSTER SETSLOT x STABLE", "CLUSTER SETSLOT 1 STABLE", "CLUSTER SETSLOT 1 STABLE x", "CLUSTER SETSLOT 1 NODE nosuch", "CLUSTER SETSLOT 1 NODE $ME", "CLUSTER SETSLOT 1 MIGRATING nosuch",
		"CLUSTER SETSLOT 1 MIGRATING $ME", "CLUSTER SETSLOT 1 IMPORTING nosuch", "CLUSTER SETSLOT 1 NOSUCH", "CLUSTER SETSLOT 1",
		"REPLICAOF NO ONE", "SLAVEOF h 1", "FAILOVER", "SET k v", "CLUSTER FLUSHSLOTS", "CLUSTER RESET", "CLUSTER RESET HARD", "DEL k", "RESTORE-ASKING k 0 x", "CLUSTER NOSUCH",
	} {
		want := ask(strings.ReplaceAll(line, "$ME", theirs))
		if got := h.Do(strings.Fields(strings.ReplaceAll(line, "$ME", ours))...); got != want.String() {
			t.Errorf("%s\n  ours  %s\n  redis %s", line, got, want)
		}
	}
	for line, want := range map[string]string{ // Redis gives its slots up
		"CLUSTER RESET SOFT": `"OK"`, "CLUSTER DELSLOTS 1": "only one of its cluster", "CLUSTER FLUSHSLOTS": "only one of its cluster", "CLUSTER MEET 127.0.0.1 1": "only one of its cluster",
		"CLUSTER MYID": ours,
	} {
		if got := h.Do(strings.Fields(line)...); !strings.Contains(got, want) {
			t.Errorf("%s: %s", line, got)
		}
	}
}

// TestAnnouncedAgainstRedis: what a node is to announce is told as a redis-server tells it,
// in CLUSTER SLOTS, SHARDS and NODES, in RESP2 and RESP3.
func TestAnnouncedAgainstRedis(t *testing.T) {
	ask, h, theirs, ours := clustersOfOne(t)
	for _, set := range []string{
		"PING", "CONFIG SET cluster-announce-ip 192.0.2.7", "CONFIG SET cluster-announce-port 7777", "CONFIG SET cluster-preferred-endpoint-type hostname",
		"CONFIG SET cluster-announce-hostname a_b", "CONFIG SET cluster-announce-hostname node-1.example", "CONFIG SET cluster-preferred-endpoint-type unknown-endpoint", "HELLO 3",
		"CONFIG SET cluster-preferred-endpoint-type ip", "CONFIG SET cluster-announce-tls-port 7778", "CONFIG SET cluster-announce-port 65536", "CONFIG SET cluster-announce-hostname ''", "CONFIG GET cluster-announce-ip",
		"CONFIG SET cluster-announce-hostname " + strings.Repeat("a", 256), "CONFIG SET cluster-preferred-endpoint-type none", "CONFIG SET cluster-announce-ip ''",
	} {
		lines := []string{set, "CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER NODES"}
		if set == "HELLO 3" { // what it tells has the server's name
			ask(set)
			h.Do("HELLO", "3")
			lines = lines[1:]
		}
		for _, line := range lines {
			want := strings.ReplaceAll(ask(line).String(), theirs, "ME")
			if got := strings.ReplaceAll(h.Do(lineWords(t, line)...), ours, "ME"); got != want {
				t.Errorf("after %s: %s\n  ours  %s\n  redis %s", set, line, got, want)
			}
		}
	}
}

// TestMemoryStatsAgainstRedis: MEMORY STATS has the fields of a redis-server, in its
// order and of its types.
func TestMemoryStatsAgainstRedis(t *testing.T) {
	ask := askRedisLine(t, testutil.Redis(t)())
	h := coretest.New(t)
	for _, line := range []string{"MSET a 1 b 2", "SELECT 3", "SET c 1", "SELECT 0", "HELLO 3"} {
		ask(line)
		h.Do(strings.Fields(line)...)
	}
	shape := func(v resp.Value) string {
		var b strings.Builder
		var add func(v resp.Value)
		add = func(v resp.Value) {
			b.WriteByte(byte(v.Kind))
			for i, e := range v.Elems {
				if i%2 == 0 {
					b.WriteString(" " + string(e.Str) + " ")
				} else {
					add(e)
				}
			}
		}
		add(v)
		return b.String()
	}
	ours := h.Value("MEMORY", "STATS")
	if got, want := shape(ours), shape(ask("MEMORY STATS")); got != want {
		t.Errorf("ours  %s\nredis %s", got, want)
	}
	if got := ours.String(); !strings.Contains(got, `"keys.count" 3`) {
		t.Errorf("three keys: %s", got)
	}
	if got := h.Do("MEMORY", "DOCTOR"); !strings.Contains(got, "hardly anything") {
		t.Error(got)
	}
	h.Do("DEBUG", "POPULATE", "1000", "big", "10000")
	if got := h.Do("MEMORY", "DOCTOR"); !strings.Contains(got, "Nothing is wrong") {
		t.Error(got)
	}
	h.Do("FLUSHALL")
	h.Do("DEBUG", "POPULATE", "600", "big", "10000")
	if got := h.Do("MEMORY", "DOCTOR"); !strings.Contains(got, "Peak:") {
		t.Error(got)
	}
}

// TestDebugWrites: DEBUG POPULATE is refused where writes are, is in the log, and can
// be a part of a transaction; DEBUG RELOAD cannot.
func TestDebugWrites(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
	for _, line := range []string{"MULTI", "DEBUG POPULATE 20 p", "DEBUG OBJECT p:7", "DEBUG SLEEP 0", "EXEC", "MULTI", "DEBUG RELOAD", "EXEC", "DEBUG POPULATE 3"} {
		t.Log(line, h.Do(strings.Fields(line)...))
	}
	digest := h.Do("DEBUG", "DIGEST")
	h.Crash(1)
	if got := h.Do("DBSIZE"); got != "23" {
		t.Errorf("%s keys after a crash", got)
	}
	if got := h.Do("DEBUG", "DIGEST"); got != digest {
		t.Errorf("%s after a crash, %s before", got, digest)
	}
}
