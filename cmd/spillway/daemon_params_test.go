package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestDaemonParams: CONFIG knows the parameters of Redis that are the process's, and
// they do what they say.
func TestDaemonParams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startDaemon(t, dir, "--save", "", "--shards", "1")
	get := func(name string) string {
		t.Helper()
		v, err := d.rdb.ConfigGet(context.Background(), name).Result()
		if err != nil {
			t.Fatal(err)
		}
		return v[name]
	}
	if got := get("dir"); got != dir {
		t.Errorf("dir is %s, want %s", got, dir)
	}
	if err := d.rdb.ConfigSet(context.Background(), "dir", "/").Err(); err == nil || err.Error() != "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config" {
		t.Errorf("CONFIG SET dir: %v", err)
	}
	for _, level := range []string{"debug", "verbose", "warning", "notice"} {
		d.do("CONFIG", "SET", "loglevel", level)
		if got := get("loglevel"); got != level {
			t.Errorf("loglevel is %s, want %s", got, level)
		}
	}
	before := strings.Count(d.log.String(), "[DEBUG]")
	d.do("CONFIG", "SET", "loglevel", "debug")
	d.do("BGSAVE")
	d.waitFor("more to be logged", func() bool { return strings.Count(d.log.String(), "[DEBUG]") > before })

	score := func() int {
		t.Helper()
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", d.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	base := score()
	more := min(base+7, 1000) // anybody may have it raised
	d.do("CONFIG", "SET", "oom-score-adj-values", fmt.Sprint(more, " 0 0"))
	if got := score(); got != base {
		t.Errorf("the score is %d without oom-score-adj", got)
	}
	d.do("CONFIG", "SET", "oom-score-adj", "absolute")
	if got := score(); got != more {
		t.Errorf("the score is %d, want %d", got, more)
	}
	if more < 1000 {
		d.do("CONFIG", "SET", "oom-score-adj", "relative", "oom-score-adj-values", "9 0 0")
		if got := score(); got != min(base+9, 1000) || get("oom-score-adj") != "yes" {
			t.Errorf("the score is %d with oom-score-adj %s, want %d", got, get("oom-score-adj"), base+9)
		}
	}
}

// TestShutdownOnSignals: a signal ends the daemon as its parameter says, given as a flag
// or by CONFIG SET.
func TestShutdownOnSignals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		flags []string
		set   []any
		sig   syscall.Signal
		saved int
	}{
		{"SIGTERM save", []string{"--save", "", "--shutdown-on-sigterm", "save"}, nil, syscall.SIGTERM, 1},
		{"SIGTERM nosave", nil, []any{"CONFIG", "SET", "shutdown-on-sigterm", "now NOSAVE"}, syscall.SIGTERM, 0},
		{"SIGINT is another", []string{"--shutdown-on-sigterm", "nosave"}, nil, syscall.SIGINT, 1},
		{"SIGINT nosave", nil, []any{"CONFIG", "SET", "shutdown-on-sigint", "nosave force"}, syscall.SIGINT, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d := startDaemon(t, dir, append([]string{"--shards", "1"}, c.flags...)...)
			d.do("SET", "k", "v")
			if c.set != nil {
				d.do(c.set...)
			}
			d.signal(c.sig)
			d.wantExit(0)
			if got := sets(t, dir); got != c.saved {
				t.Errorf("%d checkpoints, want %d\n%s", got, c.saved, d.log.String())
			}
		})
	}
}
