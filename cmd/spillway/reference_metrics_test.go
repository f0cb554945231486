package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// guide is what to do with each metric, in the order in which they are documented: a
// heading, or a metric and its sentence.
var guide = [][2]string{
	{"", "How it stands"},
	{"spillway_build_info", "Join it to others to see what an upgrade has changed."},
	{"spillway_uptime_seconds", "A fall is a restart; the end of the log before it says why."},
	{"spillway_loading", "Wait: clients get `LOADING` meanwhile. `spillway status` says how far it is."},

	{"", "Clients"},
	{"spillway_connected_clients", "Compare it with `maxclients`. A steady climb is a client that does not close what it opens."},
	{"spillway_connections_received_total", "A high rate is clients without a pool."},
	{"spillway_rejected_connections_total", "Raise `maxclients` and the limit of open files, or find who holds the connections (`CLIENT LIST`)."},
	{"spillway_net_input_bytes_total", "What the network has to carry."},
	{"spillway_net_output_bytes_total", "What the network has to carry; far above what comes in it is large replies."},
	{"spillway_pubsub_clients", "Each may be owed messages: see `client-output-buffer-limit`."},
	{"spillway_pubsub_channels", "Growth without end is names of channels that are made up for each message."},
	{"spillway_pubsub_patterns", "Each is compared with every message: keep them few."},
	{"spillway_tracking_clients", "What `spillway_tracking_keys` is for."},
	{"spillway_tracking_keys", "Near `tracking-table-max-keys` clients are told to drop what has not changed: raise that."},

	{"", "Commands"},
	{"spillway_commands_processed_total", "The rate is the load."},
	{"spillway_error_replies_total", "INFO `errorstats` says which errors; [their meaning](reference-errors.md)."},
	{"spillway_command_duration_seconds", "The time of execution, without network and log. A tail that grows is large keys or slow commands: `SLOWLOG GET`."},
	{"spillway_command_calls_total", "Which commands the load is made of."},
	{"spillway_command_failures_total", "Clients that expect another type, or a script with a mistake: INFO `errorstats`."},
	{"spillway_command_rejections_total", "Refused before they ran: permissions, memory, `MISCONF`, a wrong number of arguments."},
	{"spillway_command_seconds_total", "Its rate says which command the time goes to."},

	{"", "Keys and memory"},
	{"spillway_db_keys", "Growth without end where keys are to expire is a time to live that was forgotten."},
	{"spillway_db_expires", "Compare it with `spillway_db_keys`."},
	{"spillway_keyspace_hits_total", "Hits divided by hits and misses is how good a cache is."},
	{"spillway_keyspace_misses_total", "See `spillway_keyspace_hits_total`."},
	{"spillway_expired_keys_total", "What a cache does; a burst is many keys with one deadline."},
	{"spillway_expired_subkeys_total", "As of keys, of fields of hashes."},
	{"spillway_evicted_keys_total", "A cache may evict; a store that does needs more `maxmemory`, or keys that expire."},
	{"spillway_memory_used_bytes", "What `maxmemory` bounds; the machine also has to hold clients, Go's heap and a checkpoint's copies: watch `process_resident_memory_bytes`."},
	{"spillway_memory_max_bytes", "Used divided by this says when writes are refused, or keys evicted."},

	{"", "Checkpoints"},
	{"spillway_last_bgsave_ok", "At 0, `spillway status` has the error. It is tried again by itself; writes are refused meanwhile unless `stop-writes-on-bgsave-error` is `no`."},
	{"spillway_last_rewrite_ok", "As `spillway_last_bgsave_ok`, of a rewrite."},
	{"spillway_last_save_timestamp_seconds", "Its age is what a start has to replay from the log or, without one, what a crash loses."},
	{"spillway_changes_since_last_save", "With no log: how many writes a crash loses."},
	{"spillway_last_bgsave_duration_seconds", "What grows is the dataset, or a slower sink: see `spillway_pipeline_seconds_total`."},
	{"spillway_last_freeze_seconds", "Writers wait so long at each checkpoint. It does not depend on the number of keys."},
	{"spillway_bgsave_in_progress", "At 1 for hours: a sink or the disk does not answer."},
	{"spillway_rewrite_in_progress", "At 1 for hours: a sink or the disk does not answer."},
	{"spillway_current_save_keys", "What the one below is compared with."},
	{"spillway_current_save_keys_processed", "How far a snapshot is."},
	{"spillway_checkpoints_committed_total", "No growth over a day with writes: look at the save points."},
	{"spillway_checkpoint_generation", "The number that `spillway restore --at` and `backups list` name."},

	{"", "The log"},
	{"spillway_log_ok", "At 0 writes are refused: look at the disk of the data directory, its space, and the kernel's log. A checkpoint that commits ends it."},
	{"spillway_log_enabled", "At 0, what was not saved is lost with the process."},
	{"spillway_log_state", "`starting` for long: the base of the log cannot be committed."},
	{"spillway_log_size_bytes", "What a start replays; rewrites keep it small (`auto-aof-rewrite-percentage`)."},
	{"spillway_log_base_size_bytes", "The next rewrite by growth is reckoned from it."},
	{"spillway_log_pending_bytes", "Growth is a disk that is slower than the writes."},
	{"spillway_log_delayed_fsyncs_total", "The disk takes longer than a second to flush: writes wait, under `everysec` too."},
	{"spillway_log_blocks_total", "Commands divided by this is how many share one block."},
	{"spillway_log_fsyncs_total", "Under `always`, writes divided by this is how many share one flush."},

	{"", "Pipelines and sinks"},
	{"spillway_pipeline_seconds_total", "The member with the highest rate is what a checkpoint waits for."},
	{"spillway_pipeline_bytes_in_total", "Together with the seconds, a member's throughput."},
	{"spillway_pipeline_bytes_out_total", "Divided by what goes in, a stage's compression."},
	{"spillway_pipeline_errors_total", "The daemon's log has each."},
	{"spillway_sink_pending_sets", "Fed by itself once the sink answers; above 0 for an hour the copy elsewhere is old."},
	{"spillway_sink_lag_seconds", "What a loss of the machine now costs, by this sink alone."},
	{"spillway_sink_other_lineages", "Above 0, another daemon writes there too: give each its own prefix ([backups](backup.md#whose-backup-it-is))."},
	{"spillway_sink_requests_total", "`transient` comes and goes and is repeated; `permanent` is a permission, a bucket, a password."},
	{"spillway_sink_request_seconds_total", "Divided by the requests, how long the sink takes."},
	{"spillway_sink_rate_limit_bytes", "What `rate` says. Divided by it, the rate of the one below says how much is left."},
	{"spillway_sink_limited_bytes_total", "The throughput of a sink that has a rate."},
	{"spillway_sink_limited_seconds_total", "Growth together with a lag: the rate is too low for what is written."},

	{"", "The archive of the log"},
	{"spillway_archive_lag_seconds", "What the loss of the machine now costs. Above `seal_after` for long: look at the sink."},
	{"spillway_archive_lag_bytes", "What has to go through the network before it has caught up."},
	{"spillway_archive_waiting_segments", "They stay in the data directory meanwhile: watch its space."},
	{"spillway_archive_last_segment", "It grows as long as the archive works."},
	{"spillway_archive_gap_segment", "A step is a segment that was given up: no moment across it can be restored. A checkpoint behind it follows by itself."},
	{"spillway_archive_sink_pending_segments", "As `spillway_archive_waiting_segments`, of one sink."},
	{"spillway_archive_sink_lag_seconds", "As `spillway_archive_lag_seconds`, of one sink."},
	{"spillway_archive_sink_bytes_total", "What the archive costs in transfer."},
	{"spillway_archive_sink_errors_total", "The daemon's log has each."},

	{"", "What can be brought back"},
	{"spillway_restore_windows", "0: no sink holds a checkpoint; above 1: there are gaps, which `spillway inspect` shows."},
	{"spillway_restore_newest_timestamp_seconds", "Its age is what a restore elsewhere would lack."},
	{"spillway_restore_oldest_timestamp_seconds", "What `keep` of the sinks leaves. It is how far back a mistake can be undone."},
	{"spillway_last_verification_ok", "At 0, `spillway verify --from` that source says what is damaged; take a checkpoint at once."},
	{"spillway_last_verification_timestamp_seconds", "Older than a week: nobody knows whether the backup can be read. `schedule` in the block `verify`, or `spillway verify --tell` in a timer."},
	{"spillway_last_drill_ok", "At 0, the evidence, `spillway status` and the log say what was compared and differed. Trust no restore until it is 1 again."},
	{"spillway_last_drill_timestamp_seconds", "Older than its schedule: nobody knows whether a restore still works. `spillway drill`."},
	{"spillway_last_drill_restore_seconds", "How long users wait when the machine is lost. It grows with the dataset and with the log behind the checkpoint."},

	{"", "Jobs by the clock"},
	{"spillway_schedule_next_timestamp_seconds", "In the past while nothing runs: the daemon's clock has jumped, or it hangs."},
	{"spillway_schedule_running", "At 1 for hours: the sink does not answer, or has a low rate."},
	{"spillway_schedule_last_ok", "At 0, the daemon's log has the error, and `spillway status` what to do."},
	{"spillway_schedule_last_timestamp_seconds", "0 behind a restart says nothing: what was before is not kept."},
	{"spillway_schedule_last_seconds", "Near the time between two runs the next ones are skipped: run it more rarely."},
	{"spillway_schedule_runs_total", "No growth over a period of the schedule: see `spillway_schedule_next_timestamp_seconds`."},
	{"spillway_schedule_failures_total", "As `spillway_schedule_last_ok`, for an alert that is not to miss one."},
	{"spillway_schedule_skipped_total", "A run takes longer than the time between two: run it more rarely."},
	{"spillway_hook_events_total", "`failed` and `dropped`: somebody who waits for a sign of life gets none. The daemon's log has why."},
	{"spillway_trace_spans_total", "`failed` and `dropped`: the collector does not take them; the daemon's log has why. No checkpoint waits for it."},

	{"", "Moving in"},
	{"spillway_migration_state", "`connected` is what a cut-over wants; `stopped` needs a new start, and the log says why."},
	{"spillway_migration_links_total", "Growth is a link that breaks: look at the source's `client-output-buffer-limit` of replicas, and at the network."},
	{"spillway_migration_waiting_bytes", "Growth is a disk that is slower than the source's writes."},
	{"spillway_migration_offset_bytes", "Less than the source's `master_repl_offset` by what the migration is behind."},
	{"spillway_migration_dataset_left_bytes", "How far the first part is, before the stream."},
	{"spillway_migration_silence_seconds", "Above `repl-timeout` of the source, the link is dead and is made anew."},

	{"", "Plugins"},
	{"spillway_plugin_pid", "0: it does not run; `spillway plugins logs NAME`."},
	{"spillway_plugin_starts_total", "More than one since the daemon's start: it crashes."},
	{"spillway_plugin_failures", "Above 2, `spillway plugins logs NAME` has its last lines."},
	{"spillway_plugin_calls_total", "What the process is used for."},
	{"spillway_plugin_call_errors_total", "The daemon's log has each."},
	{"spillway_plugin_calls_running", "Above 0 for hours: it hangs, or the sink behind it does."},
	{"spillway_plugin_bytes_in_total", "The throughput of the process."},
	{"spillway_plugin_bytes_out_total", "The throughput of the process."},

	{"", "Certificates"},
	{"spillway_certificate_expiry_timestamp_seconds", "Replace the files in time; they are read again without a restart."},
}

// TestMetricsReference: docs/reference-metrics.md has every metric that the collectors
// give, with what to do with it and the alerts that watch it.
// go test ./cmd/spillway -run TestMetricsReference -rewrite writes it.
func TestMetricsReference(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join(filepath.FromSlash(monitoring), "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	alerts := alertsBy(string(rules))
	gathered := make(map[string]*dto.MetricFamily)
	for _, f := range gatherAll(t) {
		gathered[f.GetName()] = f
	}
	fields := make(map[string]string)
	for field, m := range metrics {
		fields[descName(m)] = field
	}
	var b strings.Builder
	for _, g := range guide {
		if g[0] == "" {
			fmt.Fprintf(&b, "\n## %s\n\n| metric | | | what to do with it |\n|---|---|---|---|\n", g[1])
			continue
		}
		f := gathered[g[0]]
		if f == nil {
			t.Errorf("%s is explained, and is no metric or was explained before", g[0])
			continue
		}
		delete(gathered, g[0])
		kind := strings.ToLower(f.GetType().String())
		var labels []string
		for _, l := range f.Metric[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		if len(labels) > 0 {
			kind += " by " + strings.Join(labels, ", ")
		}
		help := f.GetHelp()
		if field := fields[g[0]]; field != "" {
			help += " INFO: `" + field + "`."
		}
		advice := g[1]
		if names := alerts[g[0]]; len(names) > 0 {
			advice += " Alert: " + strings.Join(names, ", ") + "."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", g[0], kind, help, advice)
	}
	for name := range gathered {
		t.Errorf("the guide says nothing of %s", name)
	}
	testutil.Document(t, "../../docs/reference-metrics.md", "metrics", b.String())
}

// descName is the name of a metric, which its description only shows as text.
func descName(m metric) string {
	_, rest, _ := strings.Cut(m.desc.String(), `fqName: "`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// alertsBy are the names of the alerts, by the metrics that they ask for.
func alertsBy(rules string) map[string][]string {
	out := make(map[string][]string)
	name, alert := regexp.MustCompile(`spillway_[a-z_]+`), ""
	for line := range strings.Lines(rules) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "- alert":
			alert = strings.TrimSpace(value)
		case "expr":
			for _, m := range name.FindAllString(value, -1) {
				if !slices.Contains(out[m], alert) {
					out[m] = append(out[m], alert)
				}
			}
		}
	}
	return out
}
