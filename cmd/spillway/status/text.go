package status

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Text writes the report for a person at a terminal.
func (r *Report) Text(out io.Writer) error {
	w := &printer{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	s := &r.Server
	w.line("spillway %s, %s: process %d, up %s, %s", s.Version, r.State, s.PID, rough(lag(s.UptimeSeconds)), s.Directory)
	if l := r.Loading; l != nil {
		w.line("loading\t%s of %s (%.0f %%), about %s to go", sizeOf(l.Bytes), sizeOf(l.TotalBytes), l.Percent, rough(lag(l.ETASeconds)))
	}
	for _, p := range r.Problems {
		w.line("%s\t%s", strings.ToUpper(string(p.Severity)), p.What)
		w.line("\t→ %s", p.Todo)
	}
	t := &r.Traffic
	w.line("throughput\t%s commands/s, in %s/s, out %s/s, %s of %s clients, %s rejected", number(t.CommandsPerSecond), sizeOf(t.InputBytesPerSecond),
		sizeOf(t.OutputBytesPerSecond), number(t.Clients), number(t.MaxClients), number(t.RejectedConnections))
	for _, l := range r.Latency {
		w.line("latency\t%s: p50 %s, p99 %s, p99.9 %s, %s calls", l.Family, micros(l.P50), micros(l.P99), micros(l.P999), number(l.Calls))
	}
	w.memory(&r.Memory)
	w.persistence(r)
	w.restore(r)
	for _, v := range r.Verified {
		w.line("verified\t%s: %s, %s", v.Source, ago(r.At, v.At), map[bool]string{true: "whole", false: "DAMAGED: " + v.Text}[v.OK])
	}
	for _, d := range r.Drills {
		w.line("drill\t%s: %s, %s", d.Source, ago(r.At, d.At), map[bool]string{true: d.Text, false: "FAILED: " + d.Text}[d.OK])
	}
	for _, s := range r.Schedules {
		w.line("schedule\t%s: %s", s.Job, s.words(r.At))
	}
	for _, p := range r.Plugins {
		w.line("plugin\t%s: %s, started %d times, %d failures in a row %s", p.Name, p.State, p.Starts, p.Failures, p.Error)
	}
	for _, e := range r.Errors[:min(len(r.Errors), 3)] {
		w.line("last error\t%s, %s: %s", ago(r.At, e.At), e.What, e.Text)
		w.line("\t→ %s", e.Todo)
	}
	if w.err != nil {
		return w.err
	}
	return w.w.Flush()
}

// words say when a job runs and how its last run ended.
func (s *Schedule) words(now time.Time) string {
	last := "none yet"
	if !s.Last.IsZero() {
		last = fmt.Sprintf("%s, %s", ago(now, s.Last), map[bool]string{true: "took " + seconds(s.LastSeconds), false: "FAILED: " + s.LastError}[s.LastOK])
	}
	next := "next " + moment(s.Next)
	if !s.RunningSince.IsZero() {
		next = "running since " + moment(s.RunningSince) + ", " + next
	}
	return fmt.Sprintf("%s (%s, %s), last run %s", next, s.Schedule, s.Timezone, last)
}

// printer writes lines of two columns. An error stays.
type printer struct {
	w   *tabwriter.Writer
	err error
}

func (w *printer) line(format string, args ...any) {
	if w.err == nil {
		// What a terminal shows is one line, whatever an error's text has in it.
		_, w.err = fmt.Fprintln(w.w, oneLine(fmt.Sprintf(format, args...)))
	}
}

// oneLine has no line ends and no other control characters but the tab between columns.
func oneLine(s string) string {
	return strings.TrimRight(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r':
			return ' '
		case r < ' ' && r != '\t', r == 0x7f, r >= 0x80 && r < 0xa0:
			return -1
		}
		return r
	}, s), " ")
}

func (w *printer) memory(m *Memory) {
	bound := "no bound"
	if m.MaxBytes > 0 {
		bound = fmt.Sprintf("%.0f %% of %s, then %s", percent(m.UsedBytes, m.MaxBytes), sizeOf(m.MaxBytes), m.Policy)
	}
	w.line("memory\t%s in %s keys (%s), process %s, %s expired, %s evicted", sizeOf(m.UsedBytes), number(m.Keys), bound, sizeOf(m.ResidentBytes), number(m.Expired), number(m.Evicted))
}

func (w *printer) persistence(r *Report) {
	c := &r.Checkpoints
	w.line("checkpoint\tgeneration %d, %s, %s changes since, %s committed", c.Generation, ago(r.At, c.LastAt), number(c.Unsaved), number(c.Committed))
	if j := r.Job; j != nil {
		w.line("in flight\t%s, %s: %s of %s keys, %s stored", j.Kind, j.Phase, number(j.Keys), number(j.TotalKeys), sizeOf(j.StoredBytes))
	}
	w.line("log\t%s, appendfsync %s, %s to read at a start, %s pending", r.Log.State, r.Log.Fsync, sizeOf(r.Log.Bytes), sizeOf(r.Log.PendingBytes))
	for _, m := range r.Pipeline {
		behind := ""
		if m.Pending > 0 {
			behind = fmt.Sprintf(", %d checkpoints behind (%s)", m.Pending, rough(lag(m.LagSeconds)))
		}
		w.line("pipeline\t%s (%s): %s in, %s out, %s/s, %s errors%s", m.Name, m.Role, sizeOf(m.BytesIn), sizeOf(m.BytesOut), sizeOf(m.BytesPerSecond), number(m.Errors), behind)
	}
	for _, l := range r.Rates {
		w.line("rate\t%s: at most %s/s, %s passed, parts waited %s for it", l.Sink, sizeOf(l.BytesPerSecond), sizeOf(l.Bytes), seconds(l.WaitedSeconds))
	}
	if a := r.Archive; a != nil {
		w.line("archive\tlag %s, %d segments wait (%s)", rough(lag(a.LagSeconds)), a.WaitingSegments, sizeOf(a.WaitingBytes))
	}
}

func (w *printer) restore(r *Report) {
	switch {
	case !r.Restore.Sinks:
		w.line("restore\tno sink beside the data directory: what its disk loses is lost")
	case len(r.Restore.Windows) == 0:
		w.line("restore\tnothing yet: no checkpoint is in a sink")
	}
	for _, win := range r.Restore.Windows {
		if win.From.Equal(win.To) {
			w.line("restore\tthe moment %s", moment(win.From))
		} else {
			w.line("restore\tevery moment from %s to %s", moment(win.From), moment(win.To))
		}
		if win.Gap != "" {
			w.line("\tgap: %s", win.Gap)
		}
	}
}

// Line is the report in one line, for a log of them.
func (r *Report) Line() string {
	p99 := 0.0
	for _, l := range r.Latency {
		p99 = max(p99, l.P99)
	}
	line := fmt.Sprintf("%s %s ops/s=%d in=%d/s out=%d/s clients=%d keys=%d used=%d slowest-p99=%s generation=%d unsaved=%d",
		r.At.Format("15:04:05"), r.State, r.Traffic.CommandsPerSecond, r.Traffic.InputBytesPerSecond, r.Traffic.OutputBytesPerSecond, r.Traffic.Clients,
		r.Memory.Keys, r.Memory.UsedBytes, strings.ReplaceAll(micros(p99), " ", ""), r.Checkpoints.Generation, r.Checkpoints.Unsaved)
	if r.Archive != nil {
		line += fmt.Sprintf(" archive-lag=%ds", r.Archive.LagSeconds)
	}
	return oneLine(line)
}
