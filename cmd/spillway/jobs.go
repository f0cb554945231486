package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
	"github.com/spillwaydb/spillway/cmd/spillway/schedule"
	"github.com/spillwaydb/spillway/cmd/spillway/status"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
)

// jobs is what a daemon does by the clock, from the moment on that its data is loaded.
type jobs struct {
	*schedule.Scheduler
	log     hclog.Logger
	db      *core.DB
	history *history

	mu     sync.Mutex
	cfg    *config.Config
	end    context.CancelFunc // nil before start
	over   chan struct{}
	inInfo bool
}

func newJobs(clock schedule.Clock, cfg *config.Config, db *core.DB, h *history, log hclog.Logger) *jobs {
	j := &jobs{Scheduler: schedule.NewScheduler(clock, log), log: log, db: db, history: h}
	j.become(cfg)
	return j
}

// become puts the jobs of a configuration in force.
func (j *jobs) become(cfg *config.Config) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cfg = cfg
	if cfg.ReadOnly {
		return
	}
	var list []schedule.Job
	for _, c := range cfg.Jobs() {
		list = append(list, schedule.Job{Name: c.Name, Schedule: c.Schedule, Jitter: c.Jitter, Run: map[string]func(context.Context) error{
			config.CheckpointJob: j.checkpoint, config.VerificationJob: j.verify, config.DrillJob: j.drill,
		}[c.Name]})
	}
	j.Put(list...)
	j.history.hooks.Put(cfg.Hooks()...)
	if len(list) > 0 && !j.inInfo {
		j.inInfo = true
		j.db.Admin().Info().Register(command.InfoSection{Name: "Schedule", Default: true, Fill: j.info})
	}
}

// config is the configuration in force.
func (j *jobs) config() *config.Config {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cfg
}

// start begins to look at the clock.
func (j *jobs) start() {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	j.mu.Lock()
	j.end, j.over = cancel, over
	j.mu.Unlock()
	go func() { defer close(over); j.Run(ctx) }()
}

// stop calls off what runs, and returns when nothing does.
func (j *jobs) stop() {
	j.mu.Lock()
	end, over := j.end, j.over
	j.mu.Unlock()
	if end != nil {
		end()
		<-over
	}
}

// checkpoint takes a snapshot, behind the checkpoint in flight if there is one. The engine
// tells how one has ended that has begun, see history.checkpoint.
func (j *jobs) checkpoint(ctx context.Context) error {
	err := j.db.SaveNext(ctx)
	if errors.Is(err, core.ErrNotBegun) && ctx.Err() == nil {
		j.history.failed("a checkpoint was refused", err, status.AdviceCheckpoint)
		j.tell(config.CheckpointJob, err, err.Error(), nil)
	}
	return err
}

// verify reads every sink that is to be verified, one after the other.
func (j *jobs) verify(ctx context.Context) error {
	cfg := j.config()
	var errs []error
	for _, from := range cfg.Verification.From {
		f, err := background(ctx, cfg, "verify", "--from", from, fmt.Sprintf("--deep=%v", cfg.Verification.Deep))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			err = fmt.Errorf("sink %s could not be verified: %w", from, err)
			j.history.failed("a verification failed", err, status.AdviceVerification)
			j.tell(config.VerificationJob, err, err.Error(), map[string]any{"source": "sink " + from})
		default:
			if !f.OK {
				err = fmt.Errorf("%s is damaged: %s", f.Source, f.Text)
			}
			j.history.noteVerified(status.Verification{Source: f.Source, At: time.Now(), OK: f.OK, Text: f.Text})
			j.tell(config.VerificationJob, err, f.Source+": "+f.Text, map[string]any{"source": f.Source})
			j.log.Info("verified", "source", f.Source, "whole", f.OK, "found", f.Text)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// drill restores what the sinks hold, for practice.
func (j *jobs) drill(ctx context.Context) error {
	cfg := j.config()
	v := cfg.Drill
	args := []string{"drill"}
	for _, from := range v.From {
		args = append(args, "--from", from)
	}
	if v.Scratch != "" {
		args = append(args, "--scratch", v.Scratch)
	}
	if v.Evidence != "" {
		if err := os.MkdirAll(v.Evidence, 0o700); err != nil {
			j.log.Error("a drill keeps no evidence", "error", err)
		} else {
			args = append(args, "--evidence", v.Evidence)
		}
	}
	f, err := background(ctx, cfg, args...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		f = &finding{Source: "sink " + strings.Join(v.From, " and sink "), Text: err.Error()}
	}
	j.history.noteDrilled(status.Drill{Source: f.Source, At: time.Now(), OK: f.OK, RestoreSeconds: f.Seconds, Text: f.Text})
	if !f.OK {
		err = errors.New(f.Text)
	}
	j.log.Info("a restore was drilled", "source", f.Source, "ok", f.OK, "found", f.Text)
	j.tell(config.DrillJob, err, f.Text, map[string]any{"source": f.Source, "restore_seconds": f.Seconds})
	return err
}

// tell tells hooks how a job has ended.
func (j *jobs) tell(job string, err error, text string, details map[string]any) {
	e := hooks.Event{Event: job, Result: hooks.Success, Time: time.Now(), Text: text, Details: details}
	if err != nil {
		e.Result = hooks.Failure
	}
	j.history.hooks.Tell(e)
}

// info fills the section Schedule of INFO.
func (j *jobs) info(w *command.InfoWriter) {
	for _, s := range j.States() {
		w.Field("schedule_"+s.Name, fmt.Sprintf("next=%d,running=%d,runs=%d,failures=%d,skipped=%d,%s",
			unixOf(s.Next), map[bool]int{false: 1}[s.Since.IsZero()], s.Runs, s.Failures, s.Skipped, lastOf(s)))
	}
}

// lastOf is what INFO has of the last run.
func lastOf(s schedule.State) string {
	if s.Last.IsZero() {
		return "last=0"
	}
	return fmt.Sprintf("last=%d,last_ok=%d,last_msec=%d", unixOf(s.Last), map[bool]int{true: 1}[s.Err == nil], s.Took.Milliseconds())
}

func unixOf(t time.Time) int64 { return max(t.Unix(), 0) }

// report is how the jobs stand.
func (j *jobs) report() []status.Schedule {
	out := []status.Schedule{}
	for _, s := range j.States() {
		r := status.Schedule{
			Job: s.Name, Schedule: s.Schedule, Timezone: s.Zone, Next: s.Next, RunningSince: s.Since,
			Last: s.Last, LastOK: s.Err == nil, LastSeconds: s.Took.Seconds(), Runs: s.Runs, Failures: s.Failures, Skipped: s.Skipped,
		}
		if s.Err != nil {
			r.LastError = strings.Join(strings.Fields(s.Err.Error()), " ")
		}
		out = append(out, r)
	}
	return out
}

// diffJobs finds what is to be done at other times.
func (x *reloading) diffJobs() {
	of := func(c *config.Config, name string) string {
		jobs := c.Jobs()
		if i := slices.IndexFunc(jobs, func(j config.NamedJob) bool { return j.Name == name }); i >= 0 {
			return jobs[i].String()
		}
		return ""
	}
	for _, name := range []string{config.CheckpointJob, config.VerificationJob, config.DrillJob} {
		if from, to := of(x.old, name), of(x.next, name); from != to {
			x.changed("schedule of the "+name, from, to)
		}
	}
	if v, w := x.old.Verification, x.next.Verification; v != nil && w != nil && (v.Deep != w.Deep || !slices.Equal(v.From, w.From)) {
		x.changed("verify", "", "other settings")
	}
	if v, w := x.old.Drill, x.next.Drill; v != nil && w != nil && (v.Scratch != w.Scratch || v.Evidence != w.Evidence || !slices.Equal(v.From, w.From)) {
		x.changed("drill", "", "other settings")
	}
	if !reflect.DeepEqual(x.old.Hooks(), x.next.Hooks()) {
		x.changed("hooks", "", "others")
	}
	x.applies = append(x.applies, func() { x.r.jobs.become(x.next) }) // with the sinks that there are now
}
