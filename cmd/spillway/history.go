package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	verify      map[string]status.Verification // the last, by source

	drill map[string]status.Drill // the last, by source

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
		LogFailed:    func(e core.LogEvent) { h.failed("the log failed", e.Err, status.AdviceLog) },
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

// maxVerified bounds how many sources are remembered.
const maxVerified = 64

// verified notes what the last verification of a source has found.
func (h *history) verified(v status.Verification) {
	if !v.OK {
		h.failed("backup "+v.Source+" is damaged", errors.New(v.Text), status.AdviceDamaged)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.verify == nil {
		h.verify = make(map[string]status.Verification)
	}
	if _, ok := h.verify[v.Source]; ok || len(h.verify) < maxVerified {
		h.verify[v.Source] = v
	}
}

// verifications are the last ones, by the names of their sources.
func (h *history) verifications() []status.Verification {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.SortedFunc(maps.Values(h.verify), func(a, b status.Verification) int { return strings.Compare(a.Source, b.Source) })
}

// drilled notes how the last drill of a source has ended.
func (h *history) drilled(d status.Drill) {
	if !d.OK {
		h.failed("the restore drill of "+d.Source+" failed", errors.New(d.Text), status.AdviceDrill)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.drill == nil {
		h.drill = make(map[string]status.Drill)
	}
	if _, ok := h.drill[d.Source]; ok || len(h.drill) < maxVerified {
		h.drill[d.Source] = d
	}
}

// drills are the last ones, by the names of their sources.
func (h *history) drills() []status.Drill {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.SortedFunc(maps.Values(h.drill), func(a, b status.Drill) int { return strings.Compare(a.Source, b.Source) })
}

func last[E any](s []E) []E { return s[max(0, len(s)-historyLength):] }

// fill adds what is remembered to a report, newest first.
func (h *history) fill(r *status.Report) {
	r.Drills = append([]status.Drill{}, h.drills()...)
	r.Verified = append([]status.Verification{}, h.verifications()...)
	h.mu.Lock()
	defer h.mu.Unlock()
	r.Checkpoints.History = slices.Clone(h.checkpoints)
	r.Errors = slices.Clone(h.errors)
	slices.Reverse(r.Checkpoints.History)
	slices.Reverse(r.Errors)
}
