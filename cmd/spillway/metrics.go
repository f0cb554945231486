package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/status"
	"github.com/spillwaydb/spillway/core/command"
)

// observed is the engine as monitoring sees it; a *core.DB.
type observed interface {
	InfoFields() []command.InfoField
	Healthy() error
}

// startMetrics serves, at address, the status page with /status.json behind it,
// /metrics in Prometheus's format, and /healthz: 200 when the engine does its work, 503
// with the reason when it does not. front says who may read.
func startMetrics(address string, front config.MetricsFront, w *overview, log hclog.Logger) (*metricsFront, error) {
	db := w.db
	registry := prometheus.NewRegistry()
	registry.MustRegister(infoCollector{db}, w.commandCollector(), w.backupCollector(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /", status.Handler(w.report))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := db.Healthy(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return serveMetrics(address, front, mux, log)
}

// infoCollector turns INFO into metrics at every scrape, so that the two never
// disagree. metrics says which field becomes which.
type infoCollector struct{ db observed }

// metric is how one field of INFO, or one item of a field that is a list as
// db0's "keys=…,expires=…" is, is exported.
type metric struct {
	kind prometheus.ValueType
	desc *prometheus.Desc
	// labels are the items of the list, and groups of the name, that tell one
	// field from the next.
	labels []string
	// scale is what a value is multiplied with to be in Prometheus's base unit.
	scale float64
	// states are what the field can say, if it is a word: each is exported,
	// with the label state, and the one it says is 1.
	states []string
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.CounterValue, prometheus.NewDesc("spillway_"+name, help, labels, nil), labels, 1, nil}
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.GaugeValue, prometheus.NewDesc("spillway_"+name, help, labels, nil), labels, 1, nil}
}

// microseconds is a metric of a field that holds those, in seconds.
func microseconds(m metric) metric {
	m.scale = 1e-6
	return m
}

// milliseconds is a metric of a field that holds those, in seconds.
func milliseconds(m metric) metric {
	m.scale = 1e-3
	return m
}

func stateSet(name, help string, states ...string) metric {
	m := gauge(name, help, "state")
	m.states = states
	return m
}

// metrics are the fields that hold one value.
var metrics = map[string]metric{
	"uptime_in_seconds":                gauge("uptime_seconds", "Time since the start."),
	"connected_clients":                gauge("connected_clients", "Clients that are connected."),
	"pubsub_clients":                   gauge("pubsub_clients", "Clients that have subscribed to anything."),
	"tracking_clients":                 gauge("tracking_clients", "Clients that are told when keys change."),
	"total_connections_received":       counter("connections_received_total", "Connections that were accepted."),
	"rejected_connections":             counter("rejected_connections_total", "Connections refused because of maxclients."),
	"total_net_input_bytes":            counter("net_input_bytes_total", "Bytes read from clients."),
	"total_net_output_bytes":           counter("net_output_bytes_total", "Bytes written to clients."),
	"total_commands_processed":         counter("commands_processed_total", "Commands that were executed."),
	"total_error_replies":              counter("error_replies_total", "Commands that were answered with an error."),
	"keyspace_hits":                    counter("keyspace_hits_total", "Reads of a key that was there."),
	"keyspace_misses":                  counter("keyspace_misses_total", "Reads of a key that was not there."),
	"pubsub_channels":                  gauge("pubsub_channels", "Channels that have subscribers."),
	"pubsub_patterns":                  gauge("pubsub_patterns", "Patterns that have subscribers."),
	"tracking_total_keys":              gauge("tracking_keys", "Keys that are remembered for clients that may have them cached."),
	"expired_keys":                     counter("expired_keys_total", "Keys that expired."),
	"expired_subkeys":                  counter("expired_subkeys_total", "Fields of hashes that expired."),
	"evicted_keys":                     counter("evicted_keys_total", "Keys that were evicted because of maxmemory."),
	"used_memory":                      gauge("memory_used_bytes", "Memory of keys, values and their index."),
	"maxmemory":                        gauge("memory_max_bytes", "maxmemory; 0 is no bound."),
	"loading":                          gauge("loading", "1 while the data is loaded."),
	"rdb_changes_since_last_save":      gauge("changes_since_last_save", "Writes that the last checkpoint does not hold."),
	"rdb_bgsave_in_progress":           gauge("bgsave_in_progress", "1 while a snapshot is written."),
	"rdb_last_save_time":               gauge("last_save_timestamp_seconds", "When the last checkpoint was cut."),
	"rdb_last_bgsave_status":           gauge("last_bgsave_ok", "1 unless the last snapshot failed."),
	"rdb_last_bgsave_time_sec":         gauge("last_bgsave_duration_seconds", "How long the last snapshot took; -1: none was taken."),
	"rdb_saves":                        counter("checkpoints_committed_total", "Checkpoints committed since the start."),
	"current_save_keys_processed":      gauge("current_save_keys_processed", "Keys that the snapshot in progress has written."),
	"current_save_keys_total":          gauge("current_save_keys", "Keys that the snapshot in progress has to write."),
	"aof_enabled":                      gauge("log_enabled", "1 while the log is on, and keeps what the policy promises."),
	"aof_state":                        stateSet("log_state", "1 for what the log is: off, starting (its base is not committed yet), on, stopping.", "off", "starting", "on", "stopping"),
	"aof_rewrite_in_progress":          gauge("rewrite_in_progress", "1 while a rewrite is written."),
	"aof_last_bgrewrite_status":        gauge("last_rewrite_ok", "1 unless the last rewrite failed."),
	"aof_last_write_status":            gauge("log_ok", "1 unless the log has failed and writes are refused."),
	"aof_current_size":                 gauge("log_size_bytes", "Size of the log."),
	"aof_base_size":                    gauge("log_base_size_bytes", "Size of the log from which its growth is measured."),
	"aof_buffer_length":                gauge("log_pending_bytes", "Bytes on their way to the log."),
	"aof_delayed_fsync":                counter("log_delayed_fsyncs_total", "Flushes of the log that were late."),
	"spillway_log_blocks":              counter("log_blocks_total", "Blocks written to the log."),
	"spillway_log_fsyncs":              counter("log_fsyncs_total", "Flushes of the log."),
	"spillway_checkpoint_generation":   gauge("checkpoint_generation", "Generation of the checkpoint that a start loads."),
	"spillway_migration_state":         stateSet("migration_state", "1 for how a migration stands (serve --migrate-from): connect, connecting, sync (the dataset comes), connected, stopped (given up).", "connect", "connecting", "sync", "connected", "stopped"),
	"spillway_migration_links":         counter("migration_links_total", "Links to the source of a migration that were made; more than 1: it was connected to again."),
	"spillway_migration_waiting_bytes": gauge("migration_waiting_bytes", "Bytes of a migration's stream that are applied and not durable yet; the source is told of what is."),
	"slave_repl_offset":                gauge("migration_offset_bytes", "Offset in the source's stream up to which a migration has applied everything; the source's own is its master_repl_offset."),
	"master_sync_left_bytes":           gauge("migration_dataset_left_bytes", "Bytes of the source's dataset that a migration has still to take over; -1: nobody knows."),
	"master_last_io_seconds_ago":       gauge("migration_silence_seconds", "Time since the source of a migration has last said something; it says something every ten seconds."),
	"archive_last_segment":             gauge("archive_last_segment", "The newest log segment that every archive has."),
	"archive_waiting":                  gauge("archive_waiting_segments", "Sealed log segments that an archive lacks."),
	"archive_lag_bytes":                gauge("archive_lag_bytes", "Size of the sealed log segments that an archive lacks."),
	"archive_lag_sec":                  gauge("archive_lag_seconds", "Age of the oldest write that an archive lacks: what a loss of the machine costs now."),
	"archive_gap":                      gauge("archive_gap_segment", "The newest log segment that was given up; nothing is restored across it."),
	"spillway_last_freeze_usec":        microseconds(gauge("last_freeze_seconds", "How long the last cut of a checkpoint held writers up.")),
}

// families are the fields that hold a list, and the metrics that its items
// become. The first whose pattern fits a field's name has it; the pattern's
// named groups are labels, as the list's own items can be.
var families = []struct {
	name  *regexp.Regexp
	items map[string]metric
}{
	{regexp.MustCompile(`^db(?P<db>\d+)$`), map[string]metric{
		"keys":    gauge("db_keys", "Keys of the database.", "db"),
		"expires": gauge("db_expires", "Keys of the database with a time to live.", "db"),
	}},
	{regexp.MustCompile(`^spillway_pipeline\d+$`), map[string]metric{
		"bytes_in":  counter("pipeline_bytes_in_total", "Bytes that a stage or sink has read.", "name", "role"),
		"bytes_out": counter("pipeline_bytes_out_total", "Bytes that a stage has written.", "name", "role"),
		"busy_usec": microseconds(counter("pipeline_seconds_total", "Time that a stage or sink has worked, without waiting for its neighbours.", "name", "role")),
		"errors":    counter("pipeline_errors_total", "Parts and publications of checkpoints that failed at a stage or sink.", "name", "role"),
	}},
	{regexp.MustCompile(`^sink_(?P<sink>.+)$`), map[string]metric{
		"pending":        gauge("sink_pending_sets", "Checkpoints that a best-effort sink is owed.", "sink"),
		"lag_sec":        gauge("sink_lag_seconds", "Age of the oldest checkpoint that a best-effort sink is owed.", "sink"),
		"other_lineages": gauge("sink_other_lineages", "Data directories other than this one whose checkpoints are on a sink, found since the start.", "sink"),
	}},
	{regexp.MustCompile(`^archive_sink_(?P<sink>.+)$`), map[string]metric{
		"pending": gauge("archive_sink_pending_segments", "Sealed log segments that the archive lacks.", "sink"),
		"lag_sec": gauge("archive_sink_lag_seconds", "Age of the oldest write in the sealed log segments that the archive lacks.", "sink"),
		"bytes":   counter("archive_sink_bytes_total", "Bytes that were sent to an archive.", "sink"),
		"errors":  counter("archive_sink_errors_total", "Attempts to store a log segment in an archive that failed.", "sink"),
	}},
	{regexp.MustCompile(`^schedule_(?P<task>.+)$`), map[string]metric{
		"next":      gauge("schedule_next_timestamp_seconds", "When a scheduled job runs next.", "task"),
		"running":   gauge("schedule_running", "1 while a scheduled job runs.", "task"),
		"last":      gauge("schedule_last_timestamp_seconds", "When the last run of a scheduled job began; 0: none since the start.", "task"),
		"last_ok":   gauge("schedule_last_ok", "1 if the last run of a scheduled job succeeded.", "task"),
		"last_msec": milliseconds(gauge("schedule_last_seconds", "How long the last run of a scheduled job took.", "task")),
		"runs":      counter("schedule_runs_total", "Runs of a scheduled job that have ended.", "task"),
		"failures":  counter("schedule_failures_total", "Runs of a scheduled job that failed.", "task"),
		"skipped":   counter("schedule_skipped_total", "Times of a scheduled job that came while the run before went on.", "task"),
	}},
	{regexp.MustCompile(`^plugin_(?P<kind>stage|sink)_(?P<name>.+)$`), map[string]metric{
		"calls":     counter("plugin_calls_total", "Calls of a stage or sink in a process of its own.", "plugin", "kind", "name"),
		"errors":    counter("plugin_call_errors_total", "Calls of a stage or sink in a process of its own that failed.", "plugin", "kind", "name"),
		"running":   gauge("plugin_calls_running", "Calls of a stage or sink in a process of its own that are under way.", "plugin", "kind", "name"),
		"bytes_in":  counter("plugin_bytes_in_total", "Bytes that went to a stage or sink in a process of its own.", "plugin", "kind", "name"),
		"bytes_out": counter("plugin_bytes_out_total", "Bytes that came from a stage or sink in a process of its own.", "plugin", "kind", "name"),
	}},
	{regexp.MustCompile(`^plugin_(?P<plugin>.+)$`), map[string]metric{
		"pid":      gauge("plugin_pid", "Process of the plugin; 0: it does not run.", "plugin"),
		"starts":   counter("plugin_starts_total", "Starts of the plugin's process.", "plugin"),
		"failures": gauge("plugin_failures", "Failures of the plugin in a row, without a success between.", "plugin"),
	}},
}

// Describe implements prometheus.Collector.
func (infoCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range metrics {
		ch <- m.desc
	}
	for _, family := range families {
		for _, m := range family.items {
			ch <- m.desc
		}
	}
}

// Collect implements prometheus.Collector.
func (c infoCollector) Collect(ch chan<- prometheus.Metric) {
	for _, f := range c.db.InfoFields() {
		if m, ok := metrics[f.Name]; ok {
			for _, s := range m.states {
				v := 0.0
				if s == fmt.Sprint(f.Value) {
					v = 1
				}
				ch <- prometheus.MustNewConstMetric(m.desc, m.kind, v, s)
			}
			if v, ok := number(f.Value); ok && m.states == nil {
				ch <- prometheus.MustNewConstMetric(m.desc, m.kind, v*m.scale)
			}
			continue
		}
		for _, family := range families {
			groups := family.name.FindStringSubmatch(f.Name)
			if groups == nil {
				continue
			}
			list := parseList(fmt.Sprint(f.Value))
			for i, name := range family.name.SubexpNames() {
				if name != "" {
					list[name] = groups[i]
				}
			}
			collectList(ch, family.items, list)
			break
		}
	}
}

func collectList(ch chan<- prometheus.Metric, items map[string]metric, list map[string]string) {
	for item, m := range items {
		text, ok := list[item]
		if !ok {
			continue // plugin_NAME_last_error looks like a plugin's name
		}
		v, ok := number(text)
		if !ok {
			continue
		}
		labels := make([]string, len(m.labels))
		for i, l := range m.labels {
			labels[i] = list[l]
		}
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, v*m.scale, labels...)
	}
}

// parseList reads "keys=1,expires=0".
func parseList(s string) map[string]string {
	list := make(map[string]string)
	for item := range strings.SplitSeq(s, ",") {
		if k, v, ok := strings.Cut(item, "="); ok {
			list[k] = v
		}
	}
	return list
}

// number is a field's value; "ok" is 1 and "err" is 0, as INFO words a status.
func number(v any) (float64, bool) {
	switch s := fmt.Sprint(v); s {
	case "ok":
		return 1, true
	case "err":
		return 0, true
	default:
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil
	}
}
