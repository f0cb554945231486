package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
	"github.com/spillwaydb/spillway/cmd/spillway/status"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/command"
)

// everyField is an engine that has every field which a metric reads.
type everyField struct{}

func (everyField) Healthy() error { return nil }

func (everyField) InfoFields() (out []command.InfoField) {
	for name := range metrics {
		out = append(out, command.InfoField{Name: name, Value: 2_500_000})
	}
	for _, name := range []string{"db0", "spillway_pipeline0", "sink_a", "archive_sink_a", "schedule_a", "plugin_stage_a", "plugin_p"} {
		for _, family := range families {
			if family.name.MatchString(name) {
				list := "name=a,role=b,plugin=p"
				for item := range family.items {
					list += "," + item + "=1"
				}
				out = append(out, command.InfoField{Name: name, Value: list})
				break
			}
		}
	}
	return out
}

// gatherAll has every metric there is, but Go's and the process's.
func gatherAll(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	stats := command.NewStats()
	var tally command.Tally
	tally.Ended(stats, 1, command.Lookup([]byte("get")), time.Millisecond, true, true)
	tally.Rejected(stats, 1, command.Lookup([]byte("set")))
	tally.Flush(stats, 1)
	now := time.Now()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(infoCollector{everyField{}}, commandCollector{stats.Calls}, backupCollector{
		stores: func() []status.Store {
			return []status.Store{{Pipeline: "p", Sink: "s", Operation: "put", Result: "ok"}}
		},
		rates: func() []status.Rate { return []status.Rate{{Sink: "s", BytesPerSecond: 1, Bytes: 1, WaitedSeconds: 1}} },
		restore: func() status.Restore {
			return status.Restore{Sinks: true, Oldest: now, Newest: now, Windows: make([]backup.Window, 1)}
		},
		verified:     func() []status.Verification { return []status.Verification{{Source: "s", OK: true}} },
		drills:       func() []status.Drill { return []status.Drill{{Source: "s", OK: true}} },
		hooks:        func() []hooks.Count { return []hooks.Count{{Event: "checkpoint", Result: "failure"}} },
		spans:        func() map[string]int64 { return map[string]int64{"sent": 1} },
		certificates: func() []status.Certificate { return []status.Certificate{{Listener: "l"}} },
	})
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return gathered
}

func countDescs(c prometheus.Collector) int {
	ch := make(chan *prometheus.Desc, 100)
	c.Describe(ch)
	return len(ch)
}

// TestMetricNames: every metric is as Prometheus's conventions want it (base
// units, counters that end in _total), and its help says of what it is without
// the line before it: nobody sees them in order.
func TestMetricNames(t *testing.T) {
	gathered := gatherAll(t)
	want := len(metrics) + countDescs(commandCollector{}) + countDescs(backupCollector{})
	for _, f := range families {
		want += len(f.items)
	}
	if len(gathered) != want {
		t.Errorf("%d metrics are gathered of %d", len(gathered), want)
	}
	var text bytes.Buffer
	help := make(map[string]string)
	neighbour := regexp.MustCompile(`(?i)^(their|these|those|they|it)\b|\b(in|of) (them|it|these)\b`)
	for _, f := range gathered {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
		if other := help[f.GetHelp()]; other != "" {
			t.Errorf("%s and %s have one help", other, f.GetName())
		}
		help[f.GetHelp()] = f.GetName()
		if neighbour.MatchString(f.GetHelp()) || len(strings.Fields(f.GetHelp())) < 3 {
			t.Errorf("%s does not say of what it is: %s", f.GetName(), f.GetHelp())
		}
		if f.GetName() == "spillway_last_freeze_seconds" && f.Metric[0].GetGauge().GetValue() != 2.5 {
			t.Errorf("2,500,000 µs are told as %v s", f.Metric[0].GetGauge().GetValue())
		}
	}
	problems, err := promlint.New(&text).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
