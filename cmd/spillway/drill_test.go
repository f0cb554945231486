package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
)

// drillOf runs a drill and returns its evidence, and what it said besides.
func drillOf(t *testing.T, code int, args ...string) (*evidence, string) {
	t.Helper()
	scratch, file := t.TempDir(), filepath.Join(t.TempDir(), "evidence.json")
	out, got := spillway(t, append([]string{"drill", "--quiet", "--scratch", scratch, "--evidence", file}, args...)...)
	if got != code {
		t.Fatalf("exit status %d, want %d:\n%s", got, code, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	var e struct {
		evidence
		Moments []struct {
			rehearsal
			Checkpoint struct{ Backup, Engine shownSums } `json:"checkpoint"`
			Restored   shownSums                          `json:"restored"`
		} `json:"moments"`
	}
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatalf("%v:\n%s", err, b)
	}
	out2 := e.evidence
	for _, m := range e.Moments {
		r := m.rehearsal
		r.Checkpoint = sums2{m.Checkpoint.Backup.sums(), m.Checkpoint.Engine.sums()}
		r.Restored = m.Restored.sums()
		out2.Moments = append(out2.Moments, &r)
		if r.OK && code == 0 && !strings.Contains(string(b), `"digest"`) {
			t.Errorf("no digest:\n%s", b)
		}
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("the scratch directory is left behind: %v %v", left, err)
	}
	return &out2, out + string(b)
}

// shownSums are sums as the evidence has them.
type shownSums struct {
	Keys   map[string]int64
	Digest string
}

func (s shownSums) sums() *sums { return &sums{keys: s.Keys} }

// fillTypes writes keys of every type, some with deadlines.
func (d *daemon) fillTypes(prefix string) {
	d.t.Helper()
	d.do("SET", prefix+"s", "v", "EX", 100000)
	d.do("SET", prefix+"gone", "v", "PX", 1)
	d.do("HSET", prefix+"h", "f", "v", "g", "w")
	d.do("RPUSH", prefix+"l", "a", "b")
	d.do("SADD", prefix+"m", "x", "y", 1)
	d.do("ZADD", prefix+"z", 1.5, "a", "inf", "b")
	d.do("XADD", prefix+"x", "1-1", "f", "v")
	d.do("XGROUP", "CREATE", prefix+"x", "g", "0")
}

// TestDrill: what a daemon has written is restored and compared, the latest moment and
// another one, from a checkpoint of either kind with the log behind it; a moment that is
// asked for is the only one; a byte that is another one is found.
func TestDrill(t *testing.T) {
	t.Parallel()
	var mirror, vault string
	for _, save := range []string{"SAVE", "BGREWRITEAOF"} {
		dir := t.TempDir()
		mirror, vault = filepath.Join(dir, "mirror"), filepath.Join(dir, "vault")
		hcl := mirrored(filepath.Join(dir, "data"), mirror, `stage "zstd" {}`, true) + fmt.Sprintf(`
filesystem "os" "vault" { root = %q }
pipeline "archive" {
  seal_after = "100ms"
  sink "filesystem" "vault" { uses = filesystem.os.vault }
}
`, vault)
		d := startConfig(t, hcl, "--save", "", "--shards", "2")
		d.fillTypes("before:")
		if save == "SAVE" {
			saveBeside(d)
		} else {
			d.do(save)
			d.waitFor("the rewrite", func() bool { return d.info("aof_rewrite_in_progress") == "0" && d.info("aof_rewrites") != "0" })
		}
		d.fillTypes("after:")
		d.do("INCR", "counter")
		d.waitFor("the archive", func() bool { return d.info("archive_waiting") == "0" && d.info("archive_lag_sec") == "0" })
		d.stop()
		e, out := drillOf(t, 0, "--from", mirror, "--from", vault)
		if !e.OK || len(e.Moments) != 2 || e.Moments[0].Chosen != "latest" || e.Moments[1].Chosen != "by chance" || e.RTO <= 0 || e.Seconds < e.RTO {
			t.Fatalf("%+v\n%s", e, out)
		}
		latest := e.Moments[0]
		if got := fmt.Sprint(latest.Restored.keys); got != "map[hash:2 list:2 set:2 stream:2 string:3 zset:2]" {
			t.Errorf("%s: restored %s\n%s", save, got, out)
		}
		if got := latest.Checkpoint.Backup.keys; got["hash"] < 1 || fmt.Sprint(got) != fmt.Sprint(latest.Checkpoint.Engine.keys) {
			t.Errorf("%s: the checkpoint has %v, the engine %v", save, got, latest.Checkpoint.Engine.keys)
		}
		if c := latest.Commands; c.Backup == 0 || c.Backup != c.Engine || latest.Segments == 0 {
			t.Errorf("%s: the log: %+v in %d segments", save, c, latest.Segments)
		}
		again, _ := drillOf(t, 0, "--from", mirror, "--from", vault, "--at", e.Moments[1].At)
		if len(again.Moments) != 1 || again.Moments[0].Set != e.Moments[1].Set || fmt.Sprint(again.Moments[0].Restored.keys) != fmt.Sprint(e.Moments[1].Restored.keys) {
			t.Errorf("the same moment again: %+v, and before %+v", again.Moments[0], e.Moments[1])
		}
	}
	part := mustGlob(t, filepath.Join(filepath.Dir(newest(t, filepath.Join(mirror, "checkpoints", "*", "SET.json"))), "shard-*"))[0]
	edit(t, part, flip(0.5))
	e, out := drillOf(t, 1, "--from", mirror, "--from", vault)
	if e.OK || len(e.Moments) != 1 || e.Moments[0].OK || !strings.Contains(e.Problem, filepath.Base(part)) || !strings.Contains(out, "FAILED") {
		t.Errorf("%+v\n%s", e, out)
	}
	for _, args := range [][]string{{"--from", "nowhere"}, {"--from", mirror, "--at", "some day"}} {
		if out, code := spillway(t, append([]string{"drill"}, args...)...); code != 2 {
			t.Errorf("%v: %d\n%s", args, code, out)
		}
	}
}

// TestDrillFinds: what differs is told, value by value.
func TestDrillFinds(t *testing.T) {
	t.Parallel()
	a, b := newSums(), newSums()
	for i := range 4 {
		a.keys["string"]++
		b.keys["string"]++
		a.lanes[i%4] += uint64(i)
		b.lanes[i%4] += uint64(i)
	}
	if got := (sums2{a, b}).differs(); got != "" {
		t.Errorf("equal ones differ: %s", got)
	}
	b.lanes[1]++
	if got := (sums2{a, b}).differs(); !strings.Contains(got, "values") {
		t.Errorf("a value: %q", got)
	}
	b.keys["list"]++
	if got := (sums2{a, b}).differs(); !strings.Contains(got, "1 list key") {
		t.Errorf("a key: %q", got)
	}
	if err := roomFor(t.TempDir(), 1<<62); err == nil || !strings.Contains(err.Error(), "--scratch") {
		t.Errorf("no room: %v", err)
	}
}

// TestScheduledDrill: a drill runs when it is time, leaves evidence, and is known.
func TestScheduledDrill(t *testing.T) {
	defer func(was func() (string, error)) { ownProgram = was }(ownProgram)
	ownProgram = func() (string, error) { return binary, nil }
	dir := t.TempDir()
	mirror, proofs := filepath.Join(dir, "mirror"), filepath.Join(dir, "proofs")
	c := newClockwork(t, mirrored(filepath.Join(dir, "data"), mirror, "", true)+fmt.Sprintf("drill {\n schedule = \"@monthly\"\n scratch = %q\n evidence = %q\n}\n", dir, proofs))
	c.run(config.DrillJob)
	if s := c.report()[0]; s.LastOK || !strings.Contains(s.LastError, "no checkpoint") {
		t.Errorf("of nothing: %+v\n%s", s, c.log)
	}
	if _, err := c.db.Session().Do("SET", "a", "b"); err != nil {
		t.Fatal(err)
	}
	if err := c.db.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.run(config.DrillJob)
	d := c.history.drills()
	if len(d) != 1 || !d[0].OK || d[0].Source != "sink mirror" || d[0].RestoreSeconds <= 0 {
		t.Errorf("%+v\n%s", d, c.log)
	}
	if n := len(mustGlob(t, filepath.Join(proofs, "drill-*.json"))); n != 2 {
		t.Errorf("%d files of evidence", n)
	}
	if left := mustGlob(t, filepath.Join(dir, ".spillway-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDrillTold: a drill by hand tells the daemon, whose metrics and report have it.
func TestDrillTold(t *testing.T) {
	t.Parallel()
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	d := startConfig(t, watchedConfig(t, address))
	d.do("SET", "k", "v")
	saveBeside(d)
	path := d.cmd.Args[len(d.cmd.Args)-1]
	for i, a := range d.cmd.Args {
		if a == "-config" {
			path = d.cmd.Args[i+1]
		}
	}
	spillwayOut(t, "drill", "--quiet", "--config", path, "--from", "mirror", "--tell", "--addr", d.addr, "--scratch", t.TempDir())
	r := reportOf(t, 0, "--addr", d.addr)
	if len(r.Drills) != 1 || !r.Drills[0].OK || r.Drills[0].Source != "sink mirror" || r.Drills[0].RestoreSeconds <= 0 {
		t.Errorf("%+v", r.Drills)
	}
	_, metrics := get(t, "http://"+address+"/metrics")
	if !strings.Contains(metrics, `spillway_last_drill_ok{source="sink mirror"} 1`) {
		t.Errorf("no metric:\n%s", metrics)
	}
	d.do("SPILLWAY.STATUS", "DRILLED", "sink mirror", "failed", "1.5", "broken")
	if r := reportOf(t, 1, "--addr", d.addr); len(r.Problems) == 0 || !strings.Contains(r.Problems[0].What, "drill") {
		t.Errorf("%+v", r.Problems)
	}
	for _, words := range [][]any{{"x", "failed", "-1", "text"}, {"x", "fine", "1", "text"}, {"x", "ok", "NaN", "text"}, {"x"}} {
		if err := d.rdb.Do(t.Context(), append([]any{"SPILLWAY.STATUS", "DRILLED"}, words...)...).Err(); err == nil {
			t.Errorf("%v is accepted", words)
		}
	}
}
