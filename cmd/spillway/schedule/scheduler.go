package schedule

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Clock is where a Scheduler takes time from. That of an engine is one.
type Clock interface {
	// Now is the wall-clock time.
	Now() time.Time
	// NewTicker delivers ticks every d until stop is called.
	NewTicker(d time.Duration) (ticks <-chan time.Time, stop func())
}

const (
	// every is how often the clock is looked at. It is looked at, and not waited for
	// with one timer: a clock that is set, and a machine that slept, do not matter.
	every = time.Second
	// setBack is how far a clock has to go back for all next times to be found anew.
	setBack = time.Minute
)

// Job is what is done at set times.
type Job struct {
	// Name tells jobs apart.
	Name     string
	Schedule *Schedule
	// Jitter is by how much a run may be late at most, by chance: so that many
	// daemons of one schedule do not all begin at once.
	Jitter time.Duration
	// Run does it. It ends soon after ctx. The context's cause is a shutdown's.
	Run func(ctx context.Context) error
}

// same tells whether a job's next time may stay what it is.
func (j *Job) same(o *Job) bool { return j.Schedule.Same(o.Schedule) && j.Jitter == o.Jitter }

// State is how a job stands.
type State struct {
	Name, Schedule, Zone string
	Next                 time.Time // with its jitter
	Since                time.Time // it has been running, zero: it does not run

	Last     time.Time     // the last run began, zero: there was none
	Took     time.Duration // the last run
	Err      error         // of the last run
	Runs     int64         // that have ended
	Failures int64         // of those
	Skipped  int64         // times that came while the run before went on
}

// Scheduler runs jobs. It is safe for concurrent use.
type Scheduler struct {
	clock  Clock
	log    hclog.Logger
	chance func(time.Duration) time.Duration // up to that much

	mu   sync.Mutex
	seen time.Time // the clock was last looked at
	jobs []*job
	runs sync.WaitGroup
}

// job is a Job and how it stands.
type job struct {
	Job
	State
	base time.Time // of the next run, without its jitter
}

// NewScheduler returns one without jobs. The log is told of every run.
func NewScheduler(clock Clock, log hclog.Logger) *Scheduler {
	return &Scheduler{clock: clock, log: log, chance: rand.N[time.Duration]}
}

// Put makes these the jobs. One that there was keeps what is known of it, and, if its
// schedule is the same, its next time. A run that goes on goes on, also of a job that
// there is no more.
func (s *Scheduler) Put(jobs ...Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	var next []*job
	for _, n := range jobs {
		i := slices.IndexFunc(s.jobs, func(o *job) bool { return o.Job.Name == n.Name })
		if i < 0 {
			j := &job{Job: n, State: State{Name: n.Name}}
			s.plan(j, now)
			next = append(next, j)
			continue
		}
		j := s.jobs[i]
		same := j.same(&n)
		if j.Job = n; !same {
			s.plan(j, now)
		}
		next = append(next, j)
	}
	s.jobs = next
}

// plan finds the next time of a job.
func (s *Scheduler) plan(j *job, after time.Time) {
	j.State.Schedule, j.Zone = j.Job.Schedule.String(), j.Job.Schedule.Zone()
	j.base = j.Job.Schedule.Next(after)
	if j.Next = j.base; j.Jitter > 0 && !j.base.IsZero() {
		j.Next = j.base.Add(s.chance(j.Jitter))
	}
}

// Run runs the jobs until ctx ends, and returns when the last run has.
func (s *Scheduler) Run(ctx context.Context) {
	ticks, stop := s.clock.NewTicker(every)
	defer stop()
	defer s.runs.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			s.look(ctx)
		}
	}
}

// look begins what is due.
func (s *Scheduler) look(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	back := now.Before(s.seen.Add(-setBack))
	s.seen = now
	for _, j := range s.jobs {
		switch {
		case back:
			s.plan(j, now) // what was next may be far ahead
		case j.Next.IsZero() || now.Before(j.Next):
		case !j.Since.IsZero():
			j.Skipped++
			s.log.Warn("a scheduled run was skipped: the one before has not ended", "job", j.State.Name, "since", j.Since)
			s.plan(j, now)
		default:
			s.plan(j, now)
			j.Since = now
			s.runs.Go(func() { s.run(ctx, j, j.Run) })
		}
	}
}

// run is one run of a job.
func (s *Scheduler) run(ctx context.Context, j *job, do func(context.Context) error) {
	s.mu.Lock()
	name, next, began := j.State.Name, j.Next, j.Since
	s.mu.Unlock()
	s.log.Info("a scheduled run begins", "job", name, "next", next)
	err := do(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	took := s.clock.Now().Sub(began)
	j.Last, j.Since, j.Took, j.Err = began, time.Time{}, took, err
	j.Runs++
	if err != nil {
		j.Failures++
		s.log.Error("a scheduled run has failed", "job", name, "took", took, "error", err)
		return
	}
	s.log.Info("a scheduled run has ended", "job", name, "took", took)
}

// States are the jobs, in the order in which Put has them.
func (s *Scheduler) States() []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]State, len(s.jobs))
	for i, j := range s.jobs {
		out[i] = j.State
	}
	return out
}
