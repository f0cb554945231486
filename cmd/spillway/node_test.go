package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// nodeScript is a script of testdata/node, with the packages that its lock file names.
func nodeScript(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	modules := mustAbs(t, "../../bin/node-clients/node_modules")
	for _, pkg := range []string{"bullmq", "ioredis", "redis"} {
		if _, err := os.Stat(filepath.Join(modules, pkg, "package.json")); err != nil {
			t.Fatalf("%v; run: make deps", err)
		}
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("%v; run: make deps", err)
	}
	cmd := exec.Command(node, append([]string{filepath.Join("testdata", "node", script)}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	return cmd
}

// outcome is the last line of a script: what it found wrong, and what it counted.
type outcome struct {
	Wrong  []string       `json:"wrong"`
	Counts map[string]int `json:"counts"`
}

// want fails the test for what a script found wrong, and for a count that is another.
func (o outcome) want(t *testing.T, counts map[string]int) {
	t.Helper()
	for i, w := range o.Wrong {
		if t.Error(w); i == 20 {
			t.Errorf("and %d more", len(o.Wrong)-i-1)
			break
		}
	}
	for name, n := range counts {
		if o.Counts[name] != n {
			t.Errorf("%s: %d, want %d; all: %v", name, o.Counts[name], n, o.Counts)
		}
	}
}

// drive runs a script to its end and returns what it says there. It hands every line to each
// before it reads the next. Whatever goes by is the hang guard's.
func drive(t *testing.T, cmd *exec.Cmd, guard time.Duration, each func(line string)) outcome {
	t.Helper()
	var errors testutil.Buffer
	cmd.Stderr = &errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(guard, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	last := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		last = lines.Text()
		each(last)
	}
	err = cmd.Wait()
	if !late.Stop() {
		t.Fatalf("%v does not end; its last line: %s\n%s", cmd.Args, last, errors.String())
	}
	var o outcome
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, errors.String())
	}
	if err := json.Unmarshal([]byte(last), &o); err != nil {
		t.Fatalf("%v: %v; its last line: %s\n%s", cmd.Args, err, last, errors.String())
	}
	return o
}

// killedAt returns what drive hands the lines "completed N" of a script to: the daemon is
// killed and started again when so many are reached. Both listen at one Unix socket, which
// nobody else can take meanwhile. The number of kills is counted in kills.
func killedAt(t *testing.T, start func() *daemon, kills *int, at ...int) func(line string) {
	t.Helper()
	d := start()
	return func(line string) {
		var n int
		if _, err := fmt.Sscanf(line, "completed %d", &n); err != nil || *kills == len(at) || n < at[*kills] {
			return
		}
		d.kill()
		*kills++
		d = start()
	}
}

// TestBullMQ: a queue of BullMQ, whose jobs wait, fail at first and have priorities, loses none of them
// while the daemon is killed in the middle of it. What was acknowledged under appendfsync
// always is there afterwards; a job whose acknowledgement was lost may be carried out again.
// SPILLWAY_LAB=long has 10,000 jobs.
func TestBullMQ(t *testing.T) {
	t.Parallel()
	jobs := 2000
	if labLong() {
		jobs = 10_000
	}
	dir, sock := t.TempDir(), filepath.Join(t.TempDir(), "s.sock")
	kills, shards := 0, []string{"4", "1", "7"}
	each := killedAt(t, func() *daemon {
		return startDaemon(t, dir, "--unixsocket", sock, "--appendfsync", "always", "--shards", shards[kills%3])
	}, &kills, jobs/4, jobs/2, jobs*3/4)
	began := time.Now()
	o := drive(t, nodeScript(t, "bullmq.js", sock, fmt.Sprint(jobs)), 10*patience, each)
	o.want(t, map[string]int{"completed": jobs, "failed": 0, "waiting": 0, "active": 0, "delayed": 0, "prioritized": 0, "ran": jobs, "announced": jobs})
	if kills != 3 {
		t.Errorf("%d kills: the test shows nothing", kills)
	}
	t.Logf("%d jobs in %v, carried out %d times, %d completions acknowledged", jobs, time.Since(began).Round(time.Millisecond), o.Counts["executions"], o.Counts["acknowledged"])
}

// TestNodeClients: ioredis and node-redis, with what they have of their own: scripts by name,
// pipelines, subscriptions that outlive a connection, blocked consumers of streams, iterators,
// and a cache in the client.
func TestNodeClients(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--notify-keyspace-events", "KEA")
	host, port, _ := strings.Cut(d.addr, ":")
	for _, name := range []string{"ioredis", "node-redis"} {
		t.Run(name, func(t *testing.T) {
			o := drive(t, nodeScript(t, name+".js", host, port), patience, func(string) {})
			o.want(t, nil)
			if o.Counts["checks"] == 0 {
				t.Error("nothing was looked at")
			}
		})
	}
}
