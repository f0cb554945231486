package schedule

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// world is a Scheduler whose clock the test moves.
type world struct {
	t     *testing.T
	clock *testutil.Clock
	*Scheduler
	log testutil.Buffer
}

func newWorld(t *testing.T, now string) *world {
	t.Helper()
	at, err := time.Parse(time.RFC3339, now)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, clock: testutil.NewClock(at)}
	w.Scheduler = NewScheduler(w.clock, hclog.New(&hclog.LoggerOptions{Output: &w.log}))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	w.clock.AwaitTicker(1)
	t.Cleanup(func() { cancel(); <-ended })
	return w
}

// to moves the clock to a moment, and waits until the Scheduler has looked at it.
func (w *world) to(moment string) {
	w.t.Helper()
	at, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		w.t.Fatal(err)
	}
	w.clock.Set(at.Add(-every))
	w.clock.Advance(every)
	testutil.Eventually(w.t, "the Scheduler to look", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.seen.Equal(at)
	})
}

func (w *world) state(name string) State {
	w.t.Helper()
	for _, s := range w.States() {
		if s.Name == name {
			return s
		}
	}
	w.t.Fatalf("there is no job %s: %+v", name, w.States())
	return State{}
}

// ended waits for the end of the nth run.
func (w *world) ended(name string, n int64) State {
	w.t.Helper()
	testutil.Eventually(w.t, "the run to end", func() bool { s := w.state(name); return s.Runs == n && s.Since.IsZero() })
	return w.state(name)
}

func daily(t *testing.T, expr string) *Schedule {
	t.Helper()
	s, err := Parse(expr, zone(t, "Europe/Berlin"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestScheduler: jobs run when it is time and not before, across a change of the clocks,
// and what they return is known.
func TestScheduler(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2026-10-24T00:00:00Z")
	var fail error
	w.Put(Job{Name: "a", Schedule: daily(t, "30 2 * * *"), Run: func(context.Context) error { return fail }},
		Job{Name: "b", Schedule: daily(t, "@yearly"), Run: func(context.Context) error { t.Error("b ran"); return nil }})
	w.to("2026-10-24T00:29:59Z")
	if s := w.state("a"); s.Runs != 0 || !s.Since.IsZero() || s.Next.UTC().Format(time.RFC3339) != "2026-10-24T00:30:00Z" {
		t.Errorf("before its time: %+v", s)
	}
	w.to("2026-10-24T00:30:00Z")
	if s := w.ended("a", 1); s.Err != nil || s.Failures != 0 || s.Last.UTC().Format(time.RFC3339) != "2026-10-24T00:30:00Z" ||
		s.Next.UTC().Format(time.RFC3339) != "2026-10-25T00:30:00Z" || s.Schedule != "30 2 * * *" || s.Zone != "Europe/Berlin" {
		t.Errorf("after the first run: %+v", s)
	}
	w.to("2026-10-24T23:00:00Z")
	fail = errors.New("broken")
	w.to("2026-10-25T00:30:00Z") // 02:30 for the first time
	if s := w.ended("a", 2); s.Err == nil || s.Failures != 1 || s.Next.UTC().Format(time.RFC3339) != "2026-10-26T01:30:00Z" {
		t.Errorf("after a failure: %+v", s)
	}
	w.to("2026-10-25T01:30:00Z") // for the second
	if s := w.state("a"); s.Runs != 2 || !s.Since.IsZero() {
		t.Errorf("it ran twice in a night: %+v", s)
	}
	if w.log.Count("broken") != 1 {
		t.Errorf("the log:\n%s", w.log.String())
	}
}

// TestNoOverlap: while a run goes on the next ones are skipped, and counted; another job
// runs meanwhile.
func TestNoOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2026-01-01T00:00:30Z")
	begun, end := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(end) }) // before the Scheduler is waited for
	w.Put(Job{Name: "slow", Schedule: daily(t, "* * * * *"), Run: func(ctx context.Context) error {
		select {
		case begun <- struct{}{}:
			<-end
		case <-ctx.Done():
		}
		return nil
	}},
		Job{Name: "quick", Schedule: daily(t, "* * * * *"), Run: func(context.Context) error { return nil }})
	w.to("2026-01-01T00:01:00Z")
	<-begun
	w.ended("quick", 1)
	w.to("2026-01-01T00:02:00Z")
	w.ended("quick", 2)
	w.to("2026-01-01T00:03:00Z")
	w.ended("quick", 3)
	if s := w.state("slow"); s.Skipped != 2 || s.Runs != 0 || s.Since.UTC().Minute() != 1 {
		t.Errorf("while it runs: %+v", s)
	}
	end <- struct{}{}
	w.ended("slow", 1)
	w.to("2026-01-01T00:04:00Z")
	<-begun
	end <- struct{}{}
	if s := w.ended("slow", 2); s.Skipped != 2 {
		t.Errorf("afterwards: %+v", s)
	}
}

// TestClockIsSet: what a sleeping machine has missed runs once; a clock that was far
// ahead does not hold a job up for ever.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2026-01-01T00:00:00Z")
	w.Put(Job{Name: "a", Schedule: daily(t, "0 12 * * *"), Run: func(context.Context) error { return nil }})
	w.to("2026-01-01T00:00:01Z")
	w.to("2031-06-01T00:00:00Z")
	if s := w.ended("a", 1); s.Next.Year() != 2031 {
		t.Errorf("ahead: %+v", s)
	}
	w.clock.Set(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
	w.look(t.Context()) // the ticker of the test's clock would wait for 2031
	if s := w.state("a"); s.Runs != 1 || s.Next.UTC().Format(time.RFC3339) != "2026-01-02T11:00:00Z" {
		t.Errorf("set back: %+v", s)
	}
	w.clock.Set(time.Date(2026, 1, 2, 11, 0, 0, 0, time.UTC))
	w.look(t.Context())
	w.ended("a", 2)
}

// TestPut: a job whose schedule is the same keeps its next time, its jitter included, and
// what is known of its runs; another schedule counts from now on; one that is gone runs no
// more.
func TestPut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2026-01-01T00:00:00Z")
	w.chance = func(most time.Duration) time.Duration { return most / 2 }
	run := func(context.Context) error { return nil }
	a := Job{Name: "a", Schedule: daily(t, "0 12 * * *"), Jitter: time.Hour, Run: run}
	w.Put(a, Job{Name: "b", Schedule: daily(t, "0 12 * * *"), Run: run})
	next := w.state("a").Next
	if got := next.UTC().Format(time.RFC3339); got != "2026-01-01T11:30:00Z" {
		t.Errorf("with jitter: %s", got)
	}
	w.to("2026-01-01T11:00:00Z")
	w.ended("b", 1)
	w.to("2026-01-01T11:29:59Z")
	w.chance = func(time.Duration) time.Duration { return 0 }
	w.Put(a)
	if s := w.state("a"); !s.Next.Equal(next) || s.Runs != 0 {
		t.Errorf("the same again: %+v", s)
	}
	w.to("2026-01-01T11:30:00Z")
	w.ended("a", 1)
	a.Schedule = daily(t, "0 13 * * *")
	w.Put(a)
	if s := w.state("a"); s.Next.UTC().Format(time.RFC3339) != "2026-01-01T12:00:00Z" || s.Runs != 1 || s.Schedule != "0 13 * * *" {
		t.Errorf("another schedule: %+v", s)
	}
	w.Put()
	w.to("2026-01-01T12:00:00Z")
	if got := w.States(); len(got) != 0 || w.log.Count("begins") != 2 {
		t.Errorf("gone: %+v\n%s", got, w.log.String())
	}
}

// TestShutdown: Run tells the job that goes on, and waits for it.
func TestShutdown(t *testing.T) {
	t.Parallel()
	clock := testutil.NewClock(time.Date(2026, 1, 1, 0, 0, 30, 0, time.UTC))
	s := NewScheduler(clock, hclog.NewNullLogger())
	begun, over := make(chan struct{}), false
	s.Put(Job{Name: "a", Schedule: daily(t, "* * * * *"), Run: func(ctx context.Context) error {
		close(begun)
		<-ctx.Done()
		over = true
		return ctx.Err()
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	clock.AwaitTicker(1)
	clock.Advance(time.Minute)
	<-begun
	cancel()
	<-ended
	if !over {
		t.Error("Run has not waited")
	}
}
