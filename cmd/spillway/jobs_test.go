package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// clockwork is an engine with the jobs of a configuration, by a clock that the test moves.
type clockwork struct {
	t     *testing.T
	clock *testutil.Clock
	db    *core.DB
	log   *testutil.Buffer
	*jobs
}

// newClockwork begins at noon of the first of May 2026.
func newClockwork(t *testing.T, hcl string) *clockwork {
	t.Helper()
	cfg, file := config.Parse("test.hcl", []byte(hcl))
	if cfg == nil {
		t.Fatal(file.Err())
	}
	c := &clockwork{t: t, clock: testutil.NewClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)), log: new(testutil.Buffer)}
	log := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: c.log})
	fs, err := config.OpenFS(cfg.Data.URL())
	if err != nil {
		t.Fatal(err)
	}
	plugged, err := plug(cfg, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plugged.close(log) })
	opts := engineOptions(cfg, log)
	through, err := plugged.pipelines(cfg, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	h := &history{hooks: hooks.New(hooks.Options{Logger: log})}
	t.Cleanup(func() { h.hooks.Close(0) })
	opts.FS, opts.Stages, opts.Targets, opts.Archive, opts.Events = fs, through.Stages, through.Targets, through.Archive, h.events()
	if c.db, err = core.Open(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.db.Close(); err != nil {
			t.Error(err)
		}
	})
	c.jobs = newJobs(c.clock, cfg, c.db, h, log)
	c.start()
	t.Cleanup(c.stop)
	c.clock.AwaitTicker(1)
	return c
}

// run moves the clock to when a job is due, and waits for the end of its run.
func (c *clockwork) run(job string) {
	c.t.Helper()
	i := -1
	for n, s := range c.report() {
		if s.Job == job {
			i = n
		}
	}
	if i < 0 {
		c.t.Fatalf("there is no job %s", job)
	}
	before := c.report()[i]
	c.clock.Advance(before.Next.Sub(c.clock.Now()))
	testutil.Eventually(c.t, job+" to run", func() bool { return c.report()[i].Runs > before.Runs })
}

// TestScheduledCheckpoint: a checkpoint is taken when it is time, though nothing has
// changed, and behind the one that is in flight.
func TestScheduledCheckpoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newClockwork(t, `server { save = [] }`+strings.Replace(mirrored(filepath.Join(dir, "data"), filepath.Join(dir, "mirror"), "", true),
		`pipeline "checkpoint" {`, `pipeline "checkpoint" {
  schedule = "0 3 * * *"
  timezone = "Europe/Berlin"`, 1))
	if got := c.report()[0]; got.Next.UTC().Format(time.RFC3339) != "2026-05-02T01:00:00Z" || got.Timezone != "Europe/Berlin" || got.Runs != 0 {
		t.Errorf("before: %+v", got)
	}
	c.run("checkpoint")
	if _, err := c.db.Admin().BGSave(false); err != nil {
		t.Fatal(err)
	}
	c.run("checkpoint")
	if _, committed := c.db.Checkpoints(); committed != 3 {
		t.Errorf("%d checkpoints\n%s", committed, c.log)
	}
	if got := c.report()[0]; !got.LastOK || got.Runs != 2 || got.Failures != 0 || !got.RunningSince.IsZero() {
		t.Errorf("after: %+v\n%s", got, c.log)
	}
}

// TestScheduledCheckpointRefused: one that is refused before it begins, of which the engine
// tells nothing, is told to whom a failure is told.
func TestScheduledCheckpointRefused(t *testing.T) {
	t.Parallel()
	events, at := hookServer(t)
	dir := t.TempDir()
	c := newClockwork(t, strings.Replace(mirrored(filepath.Join(dir, "data"), filepath.Join(dir, "mirror"), "", true),
		`pipeline "checkpoint" {`, `pipeline "checkpoint" {
  schedule = "0 3 * * *"
  on_failure { url = "`+at+`" }`, 1))
	if err := c.db.Close(); err != nil {
		t.Fatal(err)
	}
	c.run("checkpoint")
	if e := <-events; e.Event != "checkpoint" || e.Result != hooks.Failure || !strings.Contains(e.Text, "shutting down") {
		t.Errorf("%+v", e)
	}
}

// TestScheduledVerification: the sinks are read when it is time, by a process of its own,
// and what it finds is known; a damaged part is a failure, and so is a sink that is gone.
func TestScheduledVerification(t *testing.T) {
	defer func(was func() (string, error)) { ownProgram = was }(ownProgram)
	ownProgram = func() (string, error) { return binary, nil }
	dir := t.TempDir()
	mirror := filepath.Join(dir, "mirror")
	c := newClockwork(t, mirrored(filepath.Join(dir, "data"), mirror, `stage "zstd" {}`, true)+`verify { schedule = "@daily" }`)
	if _, err := c.db.Session().Do("SET", "a", "b"); err != nil {
		t.Fatal(err)
	}
	if err := c.db.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.run("verification")
	v := c.history.verifications()
	if len(v) != 1 || !v[0].OK || v[0].Source != "sink mirror" || !strings.Contains(v[0].Text, "part") {
		t.Errorf("%+v\n%s", v, c.log)
	}
	part := mustGlob(t, filepath.Join(mirror, "checkpoints", "*", "shard-*"))[0]
	edit(t, part, flip(0.5))
	c.run("verification")
	s := c.report()[0]
	if v = c.history.verifications(); len(v) != 1 || v[0].OK || !strings.Contains(v[0].Text, filepath.Base(part)) || s.LastOK || !strings.Contains(s.LastError, "damaged") {
		t.Errorf("%+v\n%+v\n%s", v, s, c.log)
	}
	if err := os.RemoveAll(mirror); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mirror, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.run("verification")
	if s = c.report()[0]; s.Failures != 2 || s.LastOK || !strings.Contains(s.LastError, "mirror") {
		t.Errorf("%+v\n%s", s, c.log)
	}
}

// TestReloadSchedule: a reload takes another schedule; check, config dump, INFO, the
// metrics and the report say when the next run is.
func TestReloadSchedule(t *testing.T) {
	t.Parallel()
	dir, address := t.TempDir(), net.JoinHostPort("127.0.0.1", freePort(t))
	hcl := func(expr string) string {
		return fmt.Sprintf("metrics { address = %q }\n", address) + mirrored(filepath.Join(dir, "data"), filepath.Join(dir, "mirror"), "", false) +
			fmt.Sprintf("verify {\n schedule = %q\n timezone = \"UTC\"\n from = \"mirror\"\n}\n", expr)
	}
	path := writeConfig(t, hcl("0 5 29 2 *"))
	d := launch(t, "-config", path)
	d.waitReady()
	next := func() time.Time {
		t.Helper()
		r := reportOf(t, 0, "--addr", d.addr)
		if len(r.Schedules) != 1 || r.Schedules[0].Job != "verification" {
			t.Fatalf("%+v", r.Schedules)
		}
		return r.Schedules[0].Next.UTC()
	}
	if at := next(); at.Month() != time.February || at.Day() != 29 || at.Hour() != 5 {
		t.Errorf("next: %s", at)
	}
	if err := os.WriteFile(path, []byte(hcl("0 6 31 12 *")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := spillway(t, "reload", "--config", path, "--addr", d.addr)
	if code != 0 || !strings.Contains(out, "0 5 29 2 * (UTC) → 0 6 31 12 * (UTC)") {
		t.Fatalf("reload: %d\n%s", code, out)
	}
	at := next()
	if at.Month() != time.December || at.Day() != 31 || at.Hour() != 6 {
		t.Errorf("next: %s", at)
	}
	if want := fmt.Sprintf("next=%d,running=0,runs=0,failures=0,skipped=0,last=0", at.Unix()); d.info("schedule_verification") != want {
		t.Errorf("INFO has %q, want %q", d.info("schedule_verification"), want)
	}
	_, metrics := get(t, "http://"+address+"/metrics")
	if !strings.Contains(metrics, `spillway_schedule_next_timestamp_seconds{task="verification"}`) {
		t.Errorf("no metric in\n%s", metrics)
	}
	_, page := get(t, "http://"+address+"/")
	for where, text := range map[string]string{
		"check":              spillwayOut(t, "check", "--config", path, "--port", freePort(t)),
		"config dump":        spillwayOut(t, "config", "dump", path),
		"config dump --json": spillwayOut(t, "config", "dump", "--json", path),
		"the one in force":   spillwayOut(t, "config", "dump", path, "--addr", d.addr),
		"status":             spillwayOut(t, "status", "--addr", d.addr),
		"the page":           page,
	} {
		if !strings.Contains(text, at.Format("2006-01-02 ")) || !strings.Contains(text, "0 6 31 12 *") {
			t.Errorf("%s does not say when the next run is:\n%s", where, text)
		}
	}
	if err := os.WriteFile(path, []byte(hcl("0 6 31 13 *")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := spillway(t, "reload", "--config", path, "--addr", d.addr); code == 0 {
		t.Errorf("a reload of a schedule that is none:\n%s", out)
	}
	if !next().Equal(at) {
		t.Error("a refused reload has changed the schedule")
	}
}

// spillwayOut is what a tool that succeeds prints.
func spillwayOut(t *testing.T, args ...string) string {
	t.Helper()
	out, code := spillway(t, args...)
	if code != 0 {
		t.Fatalf("spillway %s: %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}
