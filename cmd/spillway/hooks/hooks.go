package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// The results of a job.
const (
	Success = "success"
	Failure = "failure"
)

const (
	// waiting is how many events may wait for one hook.
	waiting = 16
	// DefaultTimeout is how long one attempt may take.
	DefaultTimeout = 10 * time.Second
	// repeats is how long a failure is not told again that a job, which is tried
	// again by itself, meets again and again.
	repeats = time.Hour
	// longestText bounds the text of an event.
	longestText = 4 << 10
)

// Hook is whom to tell of one result of one job: a URL or a command.
type Hook struct {
	Event  string // the job
	Result string // Success or Failure

	URL     string // http or https
	Headers map[string]string

	Command []string // a program and its arguments; no shell
	Env     map[string]string

	Timeout time.Duration // of one attempt
}

// Event is how a job has ended. It is what is posted, and what a command reads.
type Event struct {
	Event     string    `json:"event"`
	Result    string    `json:"result"`
	Time      time.Time `json:"time"`
	Text      string    `json:"text"` // the error, or what was done
	Directory string    `json:"directory"`
	Version   string    `json:"version"`
	// Details are facts about it, by name.
	Details map[string]any `json:"details,omitempty"`
	// Retried says that the job is tried again by itself, many times an hour: the
	// same failure is told once an hour then.
	Retried bool `json:"-"`
}

// Count is what became of the events for the hooks of one result of a job.
type Count struct {
	Event, Result              string
	Delivered, Failed, Dropped int64
}

// Options are what a Runner knows of its daemon.
type Options struct {
	Logger             hclog.Logger
	Directory, Version string
	// Failed is told of a hook that has failed for good; nil for nobody.
	Failed func(event string, err error)
}

// Runner tells hooks. It is safe for concurrent use; nil has no hooks.
type Runner struct {
	Options
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	queues []*queue
	counts map[[2]string]*Count
	failed map[string]lastFailure // by job
	closed bool
	over   sync.WaitGroup
}

// lastFailure is the failure of a job that was told last.
type lastFailure struct {
	text string
	at   time.Time
}

// queue is a hook and what waits for it.
type queue struct {
	Hook
	events chan Event
}

// New returns a Runner without hooks. The caller closes it.
func New(o Options) *Runner {
	r := &Runner{Options: o, counts: make(map[[2]string]*Count), failed: make(map[string]lastFailure)}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	return r
}

// Put makes these the hooks. What waits for one that is gone is still told.
func (r *Runner) Put(hooks ...Hook) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	old := r.queues
	r.queues = nil
	for _, h := range hooks {
		if i := slices.IndexFunc(old, func(q *queue) bool { return q != nil && reflect.DeepEqual(q.Hook, h) }); i >= 0 {
			r.queues, old[i] = append(r.queues, old[i]), nil
			continue
		}
		q := &queue{Hook: h, events: make(chan Event, waiting)}
		r.queues = append(r.queues, q)
		r.count(h.Event, h.Result)
		r.over.Go(func() { r.serve(q) })
	}
	for _, q := range old {
		if q != nil {
			close(q.events)
		}
	}
}

// count is that of a job's result. mu is held.
func (r *Runner) count(event, result string) *Count {
	c := r.counts[[2]string{event, result}]
	if c == nil {
		c = &Count{Event: event, Result: result}
		r.counts[[2]string{event, result}] = c
	}
	return c
}

// Tell tells the hooks of an event. It does not wait.
func (r *Runner) Tell(e Event) {
	if r == nil {
		return
	}
	e.Directory, e.Version = r.Directory, r.Version
	e.Text = oneLine(e.Text)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.repeated(e) {
		return
	}
	for _, q := range r.queues {
		if q.Event != e.Event || q.Result != e.Result {
			continue
		}
		select {
		case q.events <- e:
		default:
			r.count(e.Event, e.Result).Dropped++
			r.Logger.Warn("a hook is not told: too much waits for it", "event", e.Event, "result", e.Result, "hook", q.String())
		}
	}
}

// repeated tells whether the hooks know of a failure already. mu is held.
func (r *Runner) repeated(e Event) bool {
	last, was := r.failed[e.Event]
	if e.Result == Success {
		delete(r.failed, e.Event)
		return false
	}
	if e.Retried && was && last.text == e.Text && e.Time.Sub(last.at) < repeats {
		return true
	}
	r.failed[e.Event] = lastFailure{e.Text, e.Time}
	return false
}

// serve tells one hook.
func (r *Runner) serve(q *queue) {
	for e := range q.events {
		body, err := json.Marshal(e)
		if err == nil {
			err = q.tell(r.ctx, &e, append(body, '\n'), r.Logger, r.Version)
		}
		r.mu.Lock()
		c := r.count(e.Event, e.Result)
		if err == nil {
			c.Delivered++
		} else {
			c.Failed++
		}
		r.mu.Unlock()
		if err != nil {
			r.Logger.Error("a hook has failed", "event", e.Event, "result", e.Result, "hook", q.String(), "error", err)
			if r.Failed != nil {
				r.Failed(e.Event, fmt.Errorf("%s: %w", q.String(), err))
			}
		}
	}
}

// tell runs the hook for an event.
func (h *Hook) tell(ctx context.Context, e *Event, body []byte, log hclog.Logger, version string) error {
	if h.URL != "" {
		return h.post(ctx, body, version)
	}
	return h.run(ctx, e, body, log)
}

// Counts are what became of events, in the order of their names.
func (r *Runner) Counts() (out []Count) {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.counts {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Count) int { return strings.Compare(a.Event+" "+a.Result, b.Event+" "+b.Result) })
	return out
}

// Close gives what waits a little time, and ends what is not told by then.
func (r *Runner) Close(patience time.Duration) {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		for _, q := range r.queues {
			close(q.events)
		}
	}
	r.mu.Unlock()
	stop := time.AfterFunc(patience, func() { r.cancel(errors.New("the daemon has ended")) })
	defer stop.Stop()
	r.over.Wait()
}

// oneLine is a text of bounded length that no line end and no NUL is in.
func oneLine(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
	if len(s) > longestText {
		s = strings.ToValidUTF8(s[:longestText], "") + "…"
	}
	return s
}
