package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// slowSaves makes every snapshot take seconds: much incompressible data
// through the slowest compression. The test never waits for one to end.
const slowSaves = `
filesystem "os" "data" { root = %q }
pipeline "checkpoint" {
  stage "zstd" { level = 22 }
  sink "filesystem" "local" { uses = filesystem.os.data }
}
`

// fill writes n values of a MiB that no compressor likes.
func (d *daemon) fill(n int) {
	d.t.Helper()
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 1<<20)
	for i := range n {
		for j := range b {
			b[j] = "abcdefghijklmnopqrstuvwxyz"[rng.IntN(26)]
		}
		if err := d.rdb.Set(ctx, fmt.Sprint("big:", i), b, 0).Err(); err != nil {
			d.t.Fatal(err)
		}
	}
}

// sets counts the committed checkpoints in a data directory.
func sets(t *testing.T, dir string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*", "SET.json"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// TestShutdown: every way to end a daemon, what it saves, and its exit status.
func TestShutdown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		flags []string
		end   func(d *daemon)
		saved int
	}{
		{"SHUTDOWN with save points", nil, shutdown("SHUTDOWN"), 1},
		{"SHUTDOWN without", []string{"--save", ""}, shutdown("SHUTDOWN"), 0},
		{"SHUTDOWN SAVE", []string{"--save", ""}, shutdown("SHUTDOWN SAVE"), 1},
		{"SHUTDOWN NOSAVE", nil, shutdown("SHUTDOWN NOSAVE"), 0},
		{"SHUTDOWN NOW FORCE", []string{"--save", ""}, shutdown("shutdown now force"), 0},
		{"SIGTERM with save points", nil, func(d *daemon) { d.signal(syscall.SIGTERM) }, 1},
		{"SIGINT without", []string{"--save", ""}, func(d *daemon) { d.signal(syscall.SIGINT) }, 0},
		// The command comes with a BGSAVE in flight: that gives way.
		{"BGSAVE, SHUTDOWN SAVE", []string{"--save", ""}, shutdown("BGSAVE\r\nSHUTDOWN SAVE"), 1},
		{"BGREWRITEAOF, SHUTDOWN SAVE", []string{"--save", ""}, shutdown("BGREWRITEAOF\r\nSHUTDOWN SAVE"), 1},
		{"BGSAVE, SHUTDOWN NOSAVE", []string{"--save", ""}, shutdown("BGSAVE\r\nSHUTDOWN NOSAVE"), 0},
		{"SHUTDOWN SAVE, log off", []string{"--save", "", "--appendonly", "no"}, shutdown("SHUTDOWN SAVE"), 1},
		{"BGSAVE, SHUTDOWN SAVE, log off", []string{"--save", "", "--appendonly", "no"}, shutdown("BGSAVE\r\nSHUTDOWN SAVE"), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d := startDaemon(t, dir, c.flags...)
			for i := range 1000 {
				d.do("SET", fmt.Sprint("k", i), i)
			}
			c.end(d)
			d.wantExit(0)
			if got := sets(t, dir); got != c.saved {
				t.Errorf("%d checkpoints, want %d\n%s", got, c.saved, d.log.String())
			}
			d = startDaemon(t, dir, c.flags...)
			if got := d.do("DBSIZE"); got != int64(1000) {
				t.Errorf("%v keys after the restart, want 1000\n%s", got, d.log.String())
			}
		})
	}
}

// shutdown sends commands, the last of which ends the daemon and is answered
// by the end of the connection alone.
func shutdown(cmds string) func(d *daemon) {
	return func(d *daemon) {
		w := d.dial()
		w.send(cmds + "\r\n")
		if got := w.rest(); strings.Count(got, "\r\n") != strings.Count(cmds, "\r\n") || strings.Contains(got, "-") {
			d.t.Errorf("%q is answered %q", cmds, got)
		}
	}
}

// TestShutdownWhileWriting: with the log off, what was acknowledged before the
// end of SHUTDOWN SAVE is in its snapshot. Nothing may slip in behind it.
func TestShutdownWhileWriting(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	d := startDaemon(t, dir, "--save", "", "--appendonly", "no", "--shards", "3")
	const writers = 4
	var acked [writers]atomic.Int64
	done := make(chan struct{})
	for i := range writers {
		go func() {
			defer func() { done <- struct{}{} }()
			c := d.client(func(o *redis.Options) { o.PoolSize = 1 })
			for {
				if i%2 == 0 {
					if c.Incr(ctx, fmt.Sprint("n", i)).Err() != nil {
						return
					}
				} else if _, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
					p.Incr(ctx, fmt.Sprint("n", i))
					p.MSet(ctx, "a", i, "b", i, "c", i)
					return nil
				}); err != nil {
					return
				}
				acked[i].Add(1)
			}
		}()
	}
	d.waitFor("some writes", func() bool { return acked[0].Load() > 200 && acked[1].Load() > 200 })
	shutdown("SHUTDOWN SAVE")(d)
	d.wantExit(0)
	for range writers {
		<-done
	}
	d = startDaemon(t, dir, "--save", "", "--appendonly", "no")
	for i := range writers {
		if got, _ := d.rdb.Get(ctx, fmt.Sprint("n", i)).Int64(); got != acked[i].Load() {
			t.Errorf("writer %d: %d after the restart, %d acknowledged", i, got, acked[i].Load())
		}
	}
}

// TestShutdownGivesWay: while a shutdown saves, reads go on, writes wait,
// ABORT calls it off, NOSAVE and a second SIGINT do not wait for it.
func TestShutdownGivesWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func() *daemon {
		return startConfig(t, fmt.Sprintf(slowSaves, dir), "--save", "3600 1", "--appendonly", "no", "--shards", "1")
	}
	saving := func(d *daemon) *wire {
		t.Helper()
		w := d.dial()
		w.send("SHUTDOWN SAVE\r\n")
		d.waitFor("the save", func() bool { return d.info("rdb_bgsave_in_progress") == "1" })
		return w
	}
	const size = 24
	d := start()
	d.fill(size)
	w := saving(d)
	if got := d.do("DBSIZE"); got != int64(size) {
		t.Fatalf("a read while the shutdown saves: %v", got)
	}
	writer := d.dial()
	writer.send("SET late 1\r\n")
	d.waitFor("the writer", func() bool { return strings.Contains(fmt.Sprint(d.do("CLIENT", "LIST")), "cmd=set") })
	if got := d.do("SHUTDOWN", "ABORT"); got != "OK" {
		t.Fatalf("SHUTDOWN ABORT: %v", got)
	}
	if got := w.reply(); got != "(error) ERR Errors trying to SHUTDOWN. Check logs." {
		t.Errorf("the shutdown that was aborted: %s", got)
	}
	if got := writer.reply(); got != `"OK"` {
		t.Errorf("the write that waited: %s", got)
	}
	if err := d.rdb.Do(context.Background(), "SHUTDOWN", "ABORT").Err(); err == nil || err.Error() != "ERR No shutdown in progress." {
		t.Errorf("another ABORT: %v", err)
	}
	if n := sets(t, dir); n != 0 {
		t.Errorf("%d checkpoints of an aborted shutdown", n)
	}

	// A signal begins anew; the second SIGINT ends it, saved or not.
	d.signal(syscall.SIGINT)
	d.waitLog("shutting down")
	d.signal(syscall.SIGINT)
	d.wantExit(1)
	if n := sets(t, dir); n != 0 {
		t.Errorf("%d checkpoints of a daemon that was told to hurry", n)
	}

	// SHUTDOWN NOSAVE overtakes SHUTDOWN SAVE.
	d = start()
	d.fill(size)
	w = saving(d)
	shutdown("SHUTDOWN NOSAVE")(d)
	d.wantExit(0)
	if got := w.rest(); got != "" && !strings.HasPrefix(got, "-ERR Errors trying to SHUTDOWN") {
		t.Errorf("the save that was overtaken: %q", got)
	}
	if n := sets(t, dir); n != 0 {
		t.Errorf("%d checkpoints after SHUTDOWN NOSAVE", n)
	}
}

// TestShutdownFails: a snapshot that cannot be written calls the shutdown off,
// by command and by signal; FORCE and NOSAVE do not mind.
func TestShutdownFails(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"SHUTDOWN SAVE FORCE", "SHUTDOWN NOSAVE", "a second SIGINT"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d := startDaemon(t, dir, "--save", "3600 1", "--appendfsync", "always")
			d.do("SET", "a", 1)
			// Nothing can be made below a file.
			if err := os.WriteFile(filepath.Join(dir, "checkpoints"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := d.dial().ask("SHUTDOWN"); got != "(error) ERR Errors trying to SHUTDOWN. Check logs." {
				t.Errorf("SHUTDOWN: %s", got)
			}
			d.signal(syscall.SIGTERM)
			d.waitLog("not shutting down")
			if got := d.do("GET", "a"); got != "1" {
				t.Errorf("after the shutdowns that failed: a is %v", got)
			}
			code := 0
			if how == "a second SIGINT" {
				d.signal(syscall.SIGTERM) // tries again
				d.waitFor("a second failure", func() bool { return strings.Count(d.log.String(), "not shutting down") == 2 })
				d.signal(syscall.SIGINT)
				d.waitFor("a third failure", func() bool { return strings.Count(d.log.String(), "not shutting down") == 3 })
				d.signal(syscall.SIGINT)
				code = 1
			} else {
				shutdown(how)(d)
			}
			d.wantExit(code)
			if err := os.Remove(filepath.Join(dir, "checkpoints")); err != nil {
				t.Fatal(err)
			}
			if got := startDaemon(t, dir).do("GET", "a"); got != "1" {
				t.Errorf("after the restart: a is %v", got)
			}
		})
	}
}
