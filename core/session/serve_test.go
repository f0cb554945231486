package session_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
)

// farKeys are keys of as many different shards.
func farKeys(t *testing.T, h *coretest.Harness, n int) (keys []string) {
	t.Helper()
	seen := map[int]bool{}
	for i := 0; len(keys) < n; i++ {
		key := fmt.Sprint("key", i)
		if shard := h.DB.Keyspace().ShardOf([]byte(key)); !seen[shard] {
			seen[shard] = true
			keys = append(keys, key)
		}
		if i > 10_000 {
			t.Fatal("too few shards")
		}
	}
	return keys
}

// TestServedAcrossShards: a push serves a BLMOVE whose destination is in another
// shard, and whoever waits there, in one go: the next command sees it all. Nothing
// of it is lost, or happens twice, when the power fails.
func TestServedAcrossShards(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards = 8 })
	k := farKeys(t, h, 4)
	a, b, c := newClient(t, h), newClient(t, h), newClient(t, h)
	a.mustBlock("BLMOVE " + k[0] + " " + k[1] + " LEFT RIGHT 0")
	b.mustBlock("BLMOVE " + k[1] + " " + k[2] + " LEFT RIGHT 0")
	c.mustBlock("BLPOP " + k[3] + " " + k[2] + " 0")
	w := newClient(t, h)
	w.run("RPUSH " + k[0] + " x")
	for _, other := range []*client{a, b, c} {
		if !other.Ready() {
			t.Fatal("a client was not served")
		}
	}
	for _, key := range k {
		if got := h.Do("EXISTS", key); got != "0" {
			t.Errorf("%s is there", key)
		}
	}
	a.resumed("$1\r\nx\r\n")
	b.resumed("$1\r\nx\r\n")
	c.resumed("*2\r\n$" + fmt.Sprint(len(k[2])) + "\r\n" + k[2] + "\r\n$1\r\nx\r\n")

	a.mustBlock("BLMOVE " + k[0] + " " + k[1] + " LEFT RIGHT 0")
	w.run("RPUSH " + k[0] + " y z")
	a.resumed("$1\r\ny\r\n")
	h.Crash(0)
	if got := h.Do("LRANGE", k[0], "0", "-1") + h.Do("LRANGE", k[1], "0", "-1"); got != `["z"]["y"]` {
		t.Errorf("after a crash: %s", got)
	}
}

// TestServedUnforeseen: where the unit has not had the locks that serving needs, it is
// done right after it, in the same order.
func TestServedUnforeseen(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
	k := farKeys(t, h, 2)
	a, b := newClient(t, h), newClient(t, h)
	a.mustBlock("BLMOVE " + k[0] + " " + k[1] + " LEFT RIGHT 0")
	b.mustBlock("BLPOP " + k[0] + " 0")
	w := newClient(t, h)
	w.PushUnforeseen(k[0], "x")
	if !a.Ready() || b.Ready() {
		t.Errorf("the first is served: %v, the second: %v", a.Ready(), b.Ready())
	}
	w.PushUnforeseen(k[0], "y")
	a.resumed("$1\r\nx\r\n")
	b.resumed("*2\r\n$" + fmt.Sprint(len(k[0])) + "\r\n" + k[0] + "\r\n$1\r\ny\r\n")
	h.Crash(0)
	if got := h.Do("LRANGE", k[1], "0", "-1"); got != `["x"]` {
		t.Errorf("after a crash: %s", got)
	}
}

// TestServedByTick: what happens to a key without a command serves those who wait
// for it at the next tick, or with the next command of the shard.
func TestServedByTick(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
	a, w := newClient(t, h), newClient(t, h)
	a.mustBlock("BLPOP k 0")
	w.PushUnseen("k", "x")
	if a.Ready() {
		t.Error("it was served by nobody")
	}
	h.DB.Tick()
	a.resumed("*2\r\n$1\r\nk\r\n$1\r\nx\r\n")
	a.mustBlock("BLPOP k 0")
	w.PushUnseen("k", "y")
	w.run("GET k2")
	w.run("LLEN k")
	a.resumed("*2\r\n$1\r\nk\r\n$1\r\ny\r\n")
}

// TestServedInTheOrderTheyCame: of many clients each gets the element that is its turn,
// whichever of them has given up in between.
func TestServedInTheOrderTheyCame(t *testing.T) {
	h := coretest.New(t)
	var clients []*client
	for i := range 30 {
		c := newClient(t, h)
		clients = append(clients, c)
		timeout := "0"
		if i%5 == 4 {
			timeout = "1"
		}
		c.mustBlock("BLPOP k other " + timeout)
	}
	for i, c := range clients {
		switch i % 5 {
		case 0:
			c.Unblock(true)
		case 1:
			c.Close()
		case 2:
			c.Withdraw()
		}
	}
	h.Clock.Advance(time.Second)
	args := []string{"RPUSH", "k"}
	for i := range 10 {
		args = append(args, fmt.Sprint(i))
	}
	h.Do(args...)
	for i, c := range clients {
		switch i % 5 {
		case 0:
			c.resumed("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")
		case 3:
			c.resumed(fmt.Sprintf("*2\r\n$1\r\nk\r\n$1\r\n%d\r\n", i/5))
		case 4:
			c.resumed("*-1\r\n")
		}
	}
	if got := h.Do("LRANGE", "k", "0", "-1"); got != `["6" "7" "8" "9"]` {
		t.Errorf("%s is left", got)
	}
	if n := h.DB.BlockedClients(); n != 0 {
		t.Errorf("%d clients are said to be blocked", n)
	}
}

// TestServedOnce: a client that waits in several lines is served in one of them, and
// what comes to another before it has seen that is left to those behind it.
func TestServedOnce(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards = 8 })
	k := farKeys(t, h, 2)
	a, b := newClient(t, h), newClient(t, h)
	a.mustBlock("BLPOP " + k[0] + " " + k[1] + " 0")
	b.mustBlock("BLPOP " + k[1] + " 0")
	h.Do("RPUSH", k[0], "x")
	h.Do("RPUSH", k[1], "y")
	h.Do("RPUSH", k[1], "z")
	a.resumed("*2\r\n$4\r\n" + k[0] + "\r\n$1\r\nx\r\n")
	b.resumed("*2\r\n$4\r\n" + k[1] + "\r\n$1\r\ny\r\n")
	if got := h.Do("LRANGE", k[1], "0", "-1"); got != `["z"]` {
		t.Errorf("%s is left", got)
	}
}

// TestServedNotDurable: what a client is served is as durable as its reply says.
func TestServedNotDurable(t *testing.T) {
	h := coretest.New(t)
	var disk *faultfs.FS
	h.Wrap(func(fs vfs.FS) vfs.FS {
		disk = faultfs.New(fs, nil)
		return disk
	})
	h.Reopen()
	a, w := newClient(t, h), newClient(t, h)
	a.mustBlock("BLPOP k 0")
	disk.SetInject(func(op faultfs.Op) error {
		if strings.HasPrefix(op.Path, "log/") && op.Kind == faultfs.OpSync {
			return syscall.EIO
		}
		return nil
	})
	w.run("RPUSH k v")
	if got := string(w.out.Buf); !strings.HasPrefix(got, "-NOTDURABLE") {
		t.Errorf("the client that pushed: %q", got)
	}
	a.Resume(&a.out)
	a.Finish(&a.out)
	if got := string(a.out.Buf); !strings.HasPrefix(got, "-NOTDURABLE") || strings.Count(got, "\r\n") != 1 {
		t.Errorf("the client that was served: %q", got)
	}
}

// TestForeseen: a push, of one key as nearly all are, has the locks beforehand that a
// BLMOVE to another shard needs which it serves, so that nothing comes in between.
func TestForeseen(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards = 3 })
	waits, push := newClient(t, h), newClient(t, h)
	keys := farKeys(t, h, 2)
	from, to := keys[0], keys[1]
	var served []int
	push.OnKeyEvent(func(_, key string, shards []int) {
		if key == to {
			served = slices.Clone(shards)
		}
	})
	for _, line := range []string{"RPUSH " + from + " x", "LPUSH " + from + " x"} {
		served = nil
		waits.mustBlock("BLMOVE " + from + " " + to + " LEFT RIGHT 0")
		push.says(line, ":1\r\n")
		waits.resumed("$1\r\nx\r\n")
		want := []int{h.DB.Keyspace().ShardOf([]byte(from)), h.DB.Keyspace().ShardOf([]byte(to))}
		if slices.Sort(want); !slices.Equal(served, want) {
			t.Errorf("%s: served with the locks of %v, want %v", line, served, want)
		}
	}
}
