package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestSignalsBackToBack: whatever a supervisor delivers twice, or with a hang-up,
// ends the daemon once, with its save.
func TestSignalsBackToBack(t *testing.T) {
	t.Parallel()
	const (
		term = syscall.SIGTERM
		hup  = syscall.SIGHUP
		intr = syscall.SIGINT
	)
	for name, signals := range map[string][]syscall.Signal{
		"TERM TERM":       {term, term},
		"TERM TERM TERM":  {term, term, term},
		"HUP TERM HUP":    {hup, term, hup},
		"INT TERM":        {intr, term},
		"TERM INT":        {term, intr},
		"HUP HUP INT HUP": {hup, hup, intr, hup},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for round := range 8 {
				dir := t.TempDir()
				d := startDaemon(t, dir, "--save", "3600 1", "--appendonly", "no", "--shards", "2")
				d.do("SET", "k", round)
				for _, s := range signals {
					_ = d.cmd.Process.Signal(s) // it may have ended: that is the test
				}
				d.wantExit(0)
				if n := sets(t, dir); n != 1 {
					t.Fatalf("round %d: %d checkpoints, want the one of the shutdown\n%s", round, n, d.log.String())
				}
			}
		})
	}
}

// TestSIGHUP: hang-ups, those of a terminal that goes away too, end nothing: without a
// configuration file there is nothing to be changed. One that comes while the data is
// loaded is carried out afterwards.
func TestSIGHUP(t *testing.T) {
	t.Parallel()
	d := launch(t, "--dir", t.TempDir())
	for range 20 {
		d.signal(syscall.SIGHUP) // while it loads, too
	}
	d.waitReady()
	d.waitLog(logReloaded)
	for i := range 100 {
		d.signal(syscall.SIGHUP)
		d.do("SET", fmt.Sprint("k", i), i)
	}
	if said := d.log.String(); strings.Contains(said, logRefused) || strings.Contains(said, "configuration changed") {
		t.Errorf("a hang-up has changed something:\n%s", said)
	}
	d.stop()
}

// TestInsisting: while a shutdown saves, further signals wait for it, and only
// the second SIGINT does not.
func TestInsisting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startConfig(t, fmt.Sprintf(slowSaves, dir), "--save", "3600 1", "--appendonly", "no", "--shards", "1")
	d.fill(24)
	d.signal(syscall.SIGTERM)
	d.waitLog("shutting down")
	for i, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM} {
		d.signal(s)
		d.waitFor("the signal to be taken note of", func() bool { return d.ended() || strings.Count(d.log.String(), "already shutting down") == i+1 })
	}
	if d.ended() {
		t.Fatalf("signals that are not a second SIGINT have ended it:\n%s", d.log.String())
	}
	d.signal(syscall.SIGINT)
	d.wantExit(1)
	if n := sets(t, dir); n != 0 {
		t.Errorf("%d checkpoints of a daemon that was told to hurry", n)
	}
}
