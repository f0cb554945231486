package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildFaulty builds the daemon with --fault-script, once for all tests.
var buildFaulty = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "spillway-faults")
	out, err := exec.Command("go", "build", "-ldflags=-s", "-tags", "spillway_faults", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the daemon with faults: %w\n%s", err, out)
	}
	return path, nil
})

func faultyBinary(t *testing.T) string {
	t.Helper()
	path, err := buildFaulty()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// faultyDaemon is a daemon whose disk fails by a script.
type faultyDaemon struct {
	*daemon
	script  string
	changes int
}

// writeFaults writes a script for --fault-script.
func writeFaults(t *testing.T, rules string) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "faults")
	if err := os.WriteFile(script, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return script
}

func startFaulty(t *testing.T, dir, rules string, flags ...string) *faultyDaemon {
	t.Helper()
	script := writeFaults(t, rules)
	d := launchBinary(t, faultyBinary(t), append([]string{"--dir", dir, "--fault-script", script}, flags...)...)
	d.waitReady()
	return &faultyDaemon{daemon: d, script: script}
}

// faults replaces the rules and waits until the daemon goes by the new ones.
func (d *faultyDaemon) faults(rules string) {
	d.t.Helper()
	// The number makes every script another one.
	d.changes++
	next := d.script + ".next"
	if err := os.WriteFile(next, fmt.Appendf(nil, "# %d\n%s", d.changes, rules), 0o600); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(next, d.script); err != nil {
		d.t.Fatal(err)
	}
	d.waitFor("the new fault script", func() bool {
		return strings.Count(d.log.String(), "fault script changed") == d.changes
	})
}

// set writes n keys and returns how many were acknowledged before an error.
func (d *daemon) set(prefix string, n int) (int, error) {
	for i := range n {
		if err := d.rdb.Set(context.Background(), fmt.Sprint(prefix, i), i, 0).Err(); err != nil {
			return i, err
		}
	}
	return n, nil
}

// has checks that the keys of set are there.
func (d *daemon) has(prefix string, n int) {
	d.t.Helper()
	for i := range n {
		key := fmt.Sprint(prefix, i)
		if v := d.rdb.Get(context.Background(), key).Val(); v != fmt.Sprint(i) {
			d.t.Fatalf("%s is %q, want %d\n%s", key, v, i, d.log.String())
		}
	}
}

// TestFaultScriptFlag: a release does not have it, and a test build refuses what
// it does not understand.
func TestFaultScriptFlag(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "faults")
	if err := os.WriteFile(script, []byte("# oops\non wriet fail EIO\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for bin, want := range map[string]string{
		binary:          "unknown flag: --fault-script",
		faultyBinary(t): script + `:2:4: unknown operation "wriet"; did you mean "write"?`,
	} {
		dir := t.TempDir()
		cmd := exec.Command(bin, "serve", "--dir", dir, "--port", freePort(t), "--fault-script", script)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(string(out), want) {
			t.Errorf("exit status %d, output %q; want 2 and %q", code, out, want)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("the data directory was touched: %v, %v", left, err)
		}
	}
}

// TestDiskFullDuringBgsave: the save fails and says so, nothing is lost and
// nothing is left behind, and with room again the next one succeeds.
func TestDiskFullDuringBgsave(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	d := startFaulty(t, dir, "", "--appendfsync", "always", "--save", "", "--shards", "2")
	if _, err := d.set("a", 300); err != nil {
		t.Fatal(err)
	}
	if err := d.rdb.Do(ctx, "SAVE").Err(); err != nil {
		t.Fatal(err)
	}
	good := checkpointsIn(t, dir)
	d.faults(`on write path "checkpoints/**" nth 2 short 20 then ENOSPC` + "\n" + `on write path "checkpoints/**" after 2 fail ENOSPC`)
	if err := d.rdb.BgSave(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	d.waitFor("the save to fail", func() bool { return d.info("rdb_last_bgsave_status") == "err" })
	if why := d.info("spillway_last_bgsave_error"); !strings.Contains(why, "no space left") {
		t.Errorf("the error is told as %q", why)
	}
	if n, err := d.set("b", 300); err != nil {
		t.Fatalf("the log has room, but after %d writes: %v", n, err)
	}
	if now := checkpointsIn(t, dir); now != good {
		t.Errorf("the failed save left %q beside %q", now, good)
	}
	d.faults("")
	if err := d.rdb.BgSave(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	d.waitFor("a save to succeed", func() bool { return d.info("rdb_last_bgsave_status") == "ok" })
	d.kill()
	again := startDaemon(t, dir, "--save", "")
	again.has("a", 300)
	again.has("b", 300)
}

// checkpointsIn names the files under checkpoints.
func checkpointsIn(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(files, " ")
}

// TestLogFsyncFails: the write whose fsync fails is refused, so are those after
// it, reads go on; a fresh checkpoint heals it, and no acknowledged write is lost.
func TestLogFsyncFails(t *testing.T) {
	dir := t.TempDir()
	d := startFaulty(t, dir, "", "--appendfsync", "always", "--save", "")
	if _, err := d.set("a", 100); err != nil {
		t.Fatal(err)
	}
	// The checkpoint that heals is kept from happening while we look.
	d.faults(`on sync path "log/**" nth 1 fail EIO` + "\n" + `on write path "checkpoints/**" fail EIO`)
	if n, err := d.set("b", 1); n != 0 || err == nil {
		t.Fatal("a write was acknowledged although its fsync failed")
	}
	for range 2 {
		if _, err := d.set("b", 1); err == nil || !strings.HasPrefix(err.Error(), "MISCONF") {
			t.Fatalf("a write after it: %v, want MISCONF", err)
		}
		d.has("a", 100)
	}
	if s := d.info("aof_last_write_status"); s != "err" {
		t.Errorf("aof_last_write_status is %q", s)
	}
	d.faults("")
	d.waitFor("a checkpoint to heal the log", func() bool { return d.info("aof_last_write_status") == "ok" })
	if _, err := d.set("c", 100); err != nil {
		t.Fatal(err)
	}
	d.kill()
	again := startDaemon(t, dir, "--save", "")
	again.has("a", 100)
	again.has("c", 100)
}

// TestSlowDisk: under everysec writes wait for an fsync when it takes longer than
// a second, and reads do not; under always everybody waits at once who is told of
// what it should make durable.
func TestSlowDisk(t *testing.T) {
	for _, policy := range []string{"everysec", "always"} {
		d := startFaulty(t, t.TempDir(), "", "--appendfsync", policy, "--save", "")
		d.faults(`on sync path "log/**" hang`)
		fsyncs := d.info("spillway_log_fsyncs")
		if policy == "everysec" {
			if _, err := d.set("a", 100); err != nil { // they do not wait yet
				t.Fatal(err)
			}
			d.waitLog("takes longer than a second")
		}
		done := make(chan error, 1)
		go func() { _, err := d.set("b", 1); done <- err }()
		if policy == "everysec" {
			d.has("a", 100)
			if now := d.info("spillway_log_fsyncs"); now != fsyncs {
				t.Fatalf("an fsync has ended (%s, then %s): it should hang", fsyncs, now)
			}
		} else if err := d.rdb.Ping(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Fatalf("%s: a write was answered (%v) while its fsync hung", policy, err)
		case <-time.After(200 * time.Millisecond):
		}
		d.faults("")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		d.waitFor("the log to be synced again", func() bool { return d.info("spillway_log_fsyncs") != fsyncs })
		d.stop()
	}
}

// TestHungDisk: when the disk answers nothing at all, reads go on and so do,
// under everysec and for a second, writes; INFO tells how much waits; a save that was asked for
// keeps running; the daemon can be ended, and what was durable is there.
func TestHungDisk(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	d := startFaulty(t, dir, "", "--appendfsync", "everysec", "--save", "")
	if _, err := d.set("a", 100); err != nil {
		t.Fatal(err)
	}
	if err := d.rdb.Do(ctx, "SAVE").Err(); err != nil {
		t.Fatal(err)
	}
	d.faults("on any hang")
	if err := d.rdb.BgSave(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.set("b", 100); err != nil {
		t.Fatal(err)
	}
	d.has("a", 100)
	d.has("b", 100)
	if n := d.info("aof_buffer_length"); n == "(missing)" || n == "0" {
		t.Errorf("aof_buffer_length is %q, with 100 writes that nobody has written", n)
	}
	if s := d.info("rdb_bgsave_in_progress"); s != "1" {
		t.Errorf("rdb_bgsave_in_progress is %q", s)
	}
	if err := d.rdb.BgSave(ctx).Err(); err == nil {
		t.Error("a second save was begun")
	}
	d.waitLog("takes longer than a second")
	done := make(chan error, 1)
	go func() { _, err := d.set("c", 1); done <- err }()
	d.has("b", 100)
	// SIGTERM wants to save first, and cannot; the second SIGINT insists.
	d.signal(syscall.SIGTERM)
	d.waitLog("shutting down")
	select {
	case <-d.done:
		t.Fatalf("the daemon has ended without its save:\n%s", d.log.String())
	case <-time.After(100 * time.Millisecond):
	}
	d.signal(syscall.SIGINT)
	d.waitLog("already shutting down")
	d.signal(syscall.SIGINT)
	d.wantExit(1)
	if err := <-done; err == nil {
		t.Error("a write was acknowledged while the disk hung")
	}
	again := startDaemon(t, dir, "--save", "")
	again.has("a", 100)
	if n := again.rdb.DBSize(ctx).Val(); n < 100 || n > 200 {
		t.Errorf("%d keys", n)
	}
}
