package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
	"github.com/spillwaydb/spillway/cmd/spillway/status"
	"github.com/spillwaydb/spillway/core"
)

// historyLength is how many checkpoints, and how many errors, are remembered.
const historyLength = 32

// history remembers what has happened to persistence since the start.
type history struct {
	mu          sync.Mutex
	checkpoints []status.Checkpoint // newest last
	errors      []status.Error
	verified    bySource[status.Verification]
	drilled     bySource[status.Drill]

	hooks *hooks.Runner // told of the end of jobs; nil: nobody is
}

// events are what the engine tells it.
func (h *history) events() core.Events {
	return core.Events{
		CheckpointCommitted: h.checkpoint,
		CheckpointFailed:    h.checkpoint,
		SinkBehind: func(e core.SinkEvent) {
			h.failed("sink "+e.Sink+" is behind", e.Err, status.AdviceSink)
			h.archive(e, hooks.Failure, "is behind")
		},
		SinkCaughtUp: func(e core.SinkEvent) { h.archive(e, hooks.Success, "has caught up") },
		LogFailed: func(e core.LogEvent) {
			h.failed("the log failed", e.Err, status.AdviceLog)
			text := "the log failed: writes are refused"
			if e.Err != nil {
				text += ": " + e.Err.Error()
			}
			h.hooks.Tell(hooks.Event{Event: config.LogJob, Result: hooks.Failure, Time: time.Now(), Text: text})
		},
		LogHealed: func(e core.LogEvent) {
			h.hooks.Tell(hooks.Event{
				Event: config.LogJob, Result: hooks.Success, Time: time.Now(), Text: "the log is healed: writes are taken again",
				Details: map[string]any{"refused_seconds": e.Refused.Seconds()},
			})
		},
	}
}

func (h *history) checkpoint(e core.CheckpointEvent) {
	c := status.Checkpoint{
		At: time.Now(), Kind: string(e.Kind), Generation: e.Generation, Keys: e.Keys, Bytes: e.Bytes, Seconds: e.Took.Seconds(),
	}
	told := hooks.Event{Event: config.CheckpointJob, Result: hooks.Success, Time: c.At, Retried: true, Details: map[string]any{
		"kind": c.Kind, "generation": c.Generation, "keys": c.Keys, "bytes": c.Bytes, "seconds": c.Seconds,
	}}
	told.Text = fmt.Sprintf("%s %d: %s, %s", c.Kind, c.Generation, count(c.Keys, "key"), size(c.Bytes))
	if e.Err != nil {
		c.Error = e.Err.Error()
		told.Result, told.Text = hooks.Failure, c.Error
		h.failed("a checkpoint failed", e.Err, status.AdviceCheckpoint)
	}
	h.hooks.Tell(told)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checkpoints = last(append(h.checkpoints, c))
}

// archive tells hooks how a sink of the archive stands.
func (h *history) archive(e core.SinkEvent, result, text string) {
	if !e.Archive {
		return
	}
	text = "sink " + e.Sink + " " + text
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	h.hooks.Tell(hooks.Event{Event: config.ArchiveJob, Result: result, Time: time.Now(), Text: text, Details: map[string]any{"sink": e.Sink}})
}

// failed remembers an error. One that repeats the last of its kind takes its place.
func (h *history) failed(what string, err error, todo string) {
	e := status.Error{At: time.Now(), What: what, Todo: todo}
	if err != nil {
		e.Text = err.Error()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errors = slices.DeleteFunc(h.errors, func(o status.Error) bool { return o.What == e.What && o.Text == e.Text })
	h.errors = last(append(h.errors, e))
}

// maxSources bounds how many sources are remembered.
const maxSources = 64

// bySource is the last of what was found of each source.
type bySource[T any] map[string]T

// note takes in what was found of a source.
func (m *bySource[T]) note(source string, found T) {
	if *m == nil {
		*m = make(bySource[T])
	}
	if _, ok := (*m)[source]; ok || len(*m) < maxSources {
		(*m)[source] = found
	}
}

// all is what was found, by the names of the sources.
func (m bySource[T]) all() []T {
	out := make([]T, 0, len(m))
	for _, source := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[source])
	}
	return out
}

// noteVerified notes what the last verification of a source has found.
func (h *history) noteVerified(v status.Verification) {
	if !v.OK {
		h.failed("backup "+v.Source+" is damaged", errors.New(v.Text), status.AdviceDamaged)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.verified.note(v.Source, v)
}

// noteDrilled notes how the last drill of a source has ended.
func (h *history) noteDrilled(d status.Drill) {
	if !d.OK {
		h.failed("the restore drill of "+d.Source+" failed", errors.New(d.Text), status.AdviceDrill)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drilled.note(d.Source, d)
}

// verifications are the last ones, by the names of their sources.
func (h *history) verifications() []status.Verification {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.verified.all()
}

// drills are the last ones, by the names of their sources.
func (h *history) drills() []status.Drill {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.drilled.all()
}

func last[E any](s []E) []E { return s[max(0, len(s)-historyLength):] }

// fill adds what is remembered to a report, newest first.
func (h *history) fill(r *status.Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.Verified, r.Drills = h.verified.all(), h.drilled.all()
	r.Checkpoints.History = slices.Clone(h.checkpoints)
	r.Errors = slices.Clone(h.errors)
	slices.Reverse(r.Checkpoints.History)
	slices.Reverse(r.Errors)
}
