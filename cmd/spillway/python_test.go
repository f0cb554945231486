package main

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// pythonScript is a script of testdata/python, run by the system's Python, which has the packages
// that internal/deps.sh installs.
func pythonScript(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import redis, rq").CombinedOutput(); err != nil {
		t.Fatalf("%v; run: make deps\n%s", err, out)
	}
	return exec.Command(python, append([]string{"-B", filepath.Join("testdata", "python", script)}, args...)...)
}

// TestPythonClient: Python's redis: pipelines, WATCH, scripts, locks between threads, messages,
// consumer groups, tracking, asyncio.
func TestPythonClient(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir())
	host, port, _ := strings.Cut(d.addr, ":")
	o := drive(t, pythonScript(t, "client.py", host, port), patience, func(string) {})
	o.want(t, nil)
	if o.Counts["checks"] < 300 {
		t.Errorf("looked at %d things only", o.Counts["checks"])
	}
}

// TestPythonCluster: Python's redis for clusters.
func TestPythonCluster(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--cluster-enabled", "yes")
	host, port, _ := strings.Cut(d.addr, ":")
	o := drive(t, pythonScript(t, "cluster.py", host, port), patience, func(string) {})
	o.want(t, map[string]int{"checks": 5})
}

// TestRQ: a queue of RQ and its worker go on over kill -9 of the daemon, and each job is completed. What a
// worker takes from the list with BLPOP or LPOP and never hears of is RQ's to lose, one a kill; so is what it
// had begun. No other job may have to be put back.
func TestRQ(t *testing.T) {
	t.Parallel()
	const jobs = 150
	dir, sock := t.TempDir(), filepath.Join(t.TempDir(), "s.sock")
	kills := 0
	each := killedAt(t, func() *daemon {
		return startDaemon(t, dir, "--unixsocket", sock, "--appendfsync", "always")
	}, &kills, jobs/3, jobs*2/3)
	o := drive(t, pythonScript(t, "rqueue.py", sock, strconv.Itoa(jobs)), 10*patience, each)
	o.want(t, map[string]int{"checks": jobs + 1})
	if kills != 2 || o.Counts["lost"] > kills || o.Counts["executions"] < jobs+jobs/7 {
		t.Errorf("%d kills: %v", kills, o.Counts)
	}
}
