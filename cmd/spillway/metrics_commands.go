package main

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spillwaydb/spillway/core/command"
)

// family is the commands of one group, as COMMAND DOCS has them: string, hash, …
type family struct {
	name      string
	took      time.Duration // all calls together
	durations command.Durations
}

// byFamily adds the commands up by their groups, in the order of names.
func byFamily(calls []command.CallStats) (out []*family) {
	of := make(map[string]*family)
	for _, c := range calls {
		if c.Durations == nil {
			continue
		}
		name := c.Command.Doc.Group
		f := of[name]
		if f == nil {
			f = &family{name: name}
			of[name] = f
			out = append(out, f)
		}
		f.took += c.Took
		f.durations.Merge(c.Durations)
	}
	slices.SortFunc(out, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	return out
}

// latencyBounds are the bounds of the buckets of latency histograms, about 2 µs to
// half a second. Sessions count finer, and any power of two is exact.
var latencyBounds = func() (out []time.Duration) {
	for d := 2048 * time.Nanosecond; d <= command.MostWithin; d *= 2 {
		out = append(out, d)
	}
	return out
}()

// commandCollector turns what sessions count of commands into metrics. It is asked at
// a scrape; a command that runs pays nothing for it.
type commandCollector struct{ calls func() []command.CallStats }

var (
	commandLatency  = prometheus.NewDesc("spillway_command_duration_seconds", "How long commands took to execute, by family.", []string{"family"}, nil)
	commandCalls    = prometheus.NewDesc("spillway_command_calls_total", "Calls of a command.", []string{"command"}, nil)
	commandFailures = prometheus.NewDesc("spillway_command_failures_total", "Calls of a command that were executed and answered with an error.", []string{"command"}, nil)
	commandRejected = prometheus.NewDesc("spillway_command_rejections_total", "Calls of a command that were refused before it was executed.", []string{"command"}, nil)
	commandSeconds  = prometheus.NewDesc("spillway_command_seconds_total", "Time that a command was executed, all calls together.", []string{"command"}, nil)
)

// Describe implements prometheus.Collector.
func (commandCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{commandLatency, commandCalls, commandFailures, commandRejected, commandSeconds} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c commandCollector) Collect(ch chan<- prometheus.Metric) {
	calls := c.calls()
	for _, f := range byFamily(calls) {
		buckets := make(map[float64]uint64, len(latencyBounds))
		for i, n := range f.durations.Within(latencyBounds) {
			buckets[latencyBounds[i].Seconds()] = uint64(n)
		}
		ch <- prometheus.MustNewConstHistogram(commandLatency, uint64(f.durations.Count), f.took.Seconds(), buckets, f.name)
	}
	for _, s := range calls {
		for _, m := range []struct {
			desc  *prometheus.Desc
			value float64
		}{
			{commandCalls, float64(s.Calls)},
			{commandFailures, float64(s.Failed)},
			{commandRejected, float64(s.Rejected)},
			{commandSeconds, s.Took.Seconds()},
		} {
			ch <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, m.value, s.Command.Name)
		}
	}
}
