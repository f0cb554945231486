package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
	"github.com/spillwaydb/spillway/cmd/spillway/status"
)

// backupCollector turns what is known of sinks and certificates beside INFO into
// metrics.
type backupCollector struct {
	stores       func() []status.Store
	rates        func() []status.Rate
	restore      func() status.Restore
	verified     func() []status.Verification
	drills       func() []status.Drill
	certificates func() []status.Certificate
	hooks        func() []hooks.Count
	spans        func() map[string]int64 // by what became of them
}

var (
	sinkRequests = prometheus.NewDesc("spillway_sink_requests_total", "Requests to a sink, by operation and result: ok, transient (another attempt may succeed) or permanent.",
		[]string{"pipeline", "sink", "operation", "result"}, nil)
	sinkSeconds = prometheus.NewDesc("spillway_sink_request_seconds_total", "Time that requests to a sink took, waiting for the pipeline included.",
		[]string{"pipeline", "sink", "operation", "result"}, nil)
	rateBound     = prometheus.NewDesc("spillway_sink_rate_limit_bytes", "Bytes a second that a sink, or the archive as a whole, may take and give.", []string{"sink"}, nil)
	rateBytes     = prometheus.NewDesc("spillway_sink_limited_bytes_total", "Bytes that have passed to and from a sink under its rate.", []string{"sink"}, nil)
	rateSeconds   = prometheus.NewDesc("spillway_sink_limited_seconds_total", "Time that parts have waited for the rate of a sink, all together.", []string{"sink"}, nil)
	restoreOldest = prometheus.NewDesc("spillway_restore_oldest_timestamp_seconds", "The oldest moment that the sinks can bring back.", nil, nil)
	restoreNewest = prometheus.NewDesc("spillway_restore_newest_timestamp_seconds", "The last write that the sinks can bring back.", nil, nil)
	restoreParts  = prometheus.NewDesc("spillway_restore_windows", "Stretches of time that the sinks can bring back whole; more than 1: there are gaps between.", nil, nil)
	verifiedAt    = prometheus.NewDesc("spillway_last_verification_timestamp_seconds", "When a backup was last read to its last byte.", []string{"source"}, nil)
	verifiedOK    = prometheus.NewDesc("spillway_last_verification_ok", "1 unless the last verification of a backup found damage.", []string{"source"}, nil)
	drillAt       = prometheus.NewDesc("spillway_last_drill_timestamp_seconds", "When a restore of a backup was last drilled.", []string{"source"}, nil)
	drillOK       = prometheus.NewDesc("spillway_last_drill_ok", "1 if the last restore drill of a backup succeeded.", []string{"source"}, nil)
	drillSeconds  = prometheus.NewDesc("spillway_last_drill_restore_seconds", "How long the last restore drill of a backup took until the data was ready, of the slowest moment.", []string{"source"}, nil)
	hookEvents    = prometheus.NewDesc("spillway_hook_events_total", "Ends of jobs that hooks were to be told of, by what became of that: delivered, failed or dropped.",
		[]string{"task", "event", "result"}, nil)
	traceSpans  = prometheus.NewDesc("spillway_trace_spans_total", "Spans that traces of checkpoints consist of, by result: sent, failed or dropped.", []string{"result"}, nil)
	certExpiry  = prometheus.NewDesc("spillway_certificate_expiry_timestamp_seconds", "When the certificate of a listener expires.", []string{"listener"}, nil)
	buildMetric = prometheus.NewDesc("spillway_build_info", "What runs, as labels; the value is 1.", []string{"version", "commit", "goversion"}, nil)
)

// Describe implements prometheus.Collector.
func (backupCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sinkRequests, sinkSeconds, rateBound, rateBytes, rateSeconds, restoreOldest, restoreNewest, restoreParts, verifiedAt, verifiedOK, certExpiry, buildMetric, hookEvents, traceSpans, drillAt, drillOK, drillSeconds} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. What cannot be restored at all has no
// oldest and no newest moment, and no metric of them.
func (c backupCollector) Collect(ch chan<- prometheus.Metric) {
	b := buildInfo()
	ch <- prometheus.MustNewConstMetric(buildMetric, prometheus.GaugeValue, 1, b.Version, b.commit(), b.GoVersion)
	for _, s := range c.stores() {
		labels := []string{s.Pipeline, s.Sink, s.Operation, s.Result}
		ch <- prometheus.MustNewConstMetric(sinkRequests, prometheus.CounterValue, float64(s.Requests), labels...)
		ch <- prometheus.MustNewConstMetric(sinkSeconds, prometheus.CounterValue, s.Seconds, labels...)
	}
	for _, r := range c.rates() {
		ch <- prometheus.MustNewConstMetric(rateBound, prometheus.GaugeValue, float64(r.BytesPerSecond), r.Sink)
		ch <- prometheus.MustNewConstMetric(rateBytes, prometheus.CounterValue, float64(r.Bytes), r.Sink)
		ch <- prometheus.MustNewConstMetric(rateSeconds, prometheus.CounterValue, r.WaitedSeconds, r.Sink)
	}
	if r := c.restore(); r.Sinks {
		ch <- prometheus.MustNewConstMetric(restoreParts, prometheus.GaugeValue, float64(len(r.Windows)))
		if len(r.Windows) > 0 {
			ch <- prometheus.MustNewConstMetric(restoreOldest, prometheus.GaugeValue, unixSeconds(r.Oldest))
			ch <- prometheus.MustNewConstMetric(restoreNewest, prometheus.GaugeValue, unixSeconds(r.Newest))
		}
	}
	for _, v := range c.verified() {
		ch <- prometheus.MustNewConstMetric(verifiedAt, prometheus.GaugeValue, unixSeconds(v.At), v.Source)
		ch <- prometheus.MustNewConstMetric(verifiedOK, prometheus.GaugeValue, truth(v.OK), v.Source)
	}
	for _, d := range c.drills() {
		ch <- prometheus.MustNewConstMetric(drillAt, prometheus.GaugeValue, unixSeconds(d.At), d.Source)
		ch <- prometheus.MustNewConstMetric(drillOK, prometheus.GaugeValue, truth(d.OK), d.Source)
		ch <- prometheus.MustNewConstMetric(drillSeconds, prometheus.GaugeValue, d.RestoreSeconds, d.Source)
	}
	for _, n := range c.hooks() {
		for result, times := range map[string]int64{"delivered": n.Delivered, "failed": n.Failed, "dropped": n.Dropped} {
			ch <- prometheus.MustNewConstMetric(hookEvents, prometheus.CounterValue, float64(times), n.Event, n.Result, result)
		}
	}
	for result, n := range c.spans() {
		ch <- prometheus.MustNewConstMetric(traceSpans, prometheus.CounterValue, float64(n), result)
	}
	for _, cert := range c.certificates() {
		ch <- prometheus.MustNewConstMetric(certExpiry, prometheus.GaugeValue, unixSeconds(cert.Expires), cert.Listener)
	}
}

// truth is 1 for true.
func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
