package core

import (
	"fmt"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/persist"
	"github.com/spillwaydb/spillway/core/pubsub"
	"github.com/spillwaydb/spillway/core/sink"
)

// registerInfo registers the sections of INFO whose facts the engine has. The
// server adds its own.
func (db *DB) registerInfo() {
	db.info.Register(
		command.InfoSection{Name: "Memory", Default: true, Fill: infoNothing("used_memory_lua used_memory_vm_eval " +
			"used_memory_scripts_eval used_memory_vm_functions used_memory_vm_total " +
			"used_memory_functions used_memory_scripts mem_not_counted_for_evict mem_replication_backlog mem_total_replication_buffers " +
			"mem_cluster_links active_defrag_running lazyfree_pending_objects")},
		command.InfoSection{Name: "Clients", Default: true, Fill: infoNothing("tracking_clients")},
		command.InfoSection{Name: "Persistence", Default: true, Fill: infoNothing("async_loading current_cow_peak current_cow_size current_cow_size_age " +
			"rdb_last_cow_size rdb_last_load_keys_expired aof_last_cow_size module_fork_in_progress module_fork_last_cow_size")},
		command.InfoSection{Name: "Stats", Default: true, Fill: infoNothing("total_net_repl_input_bytes total_net_repl_output_bytes sync_full sync_partial_ok " +
			"sync_partial_err latest_fork_usec total_forks migrate_cached_sockets slave_expires_tracked_keys active_defrag_hits active_defrag_misses " +
			"active_defrag_key_hits active_defrag_key_misses total_active_defrag_time current_active_defrag_time unexpected_error_replies " +
			"io_threaded_reads_processed io_threaded_writes_processed reply_buffer_shrinks reply_buffer_expands pubsub_channels pubsub_patterns " +
			"pubsubshard_channels tracking_total_keys tracking_total_items tracking_total_prefixes dump_payload_sanitizations " +
			"total_eviction_exceeded_time current_eviction_exceeded_time")},
		command.InfoSection{Name: "Memory", Default: true, Fill: db.infoMemory},
		command.InfoSection{Name: "Persistence", Default: true, Fill: db.infoPersistence},
		command.InfoSection{Name: "Stats", Default: true, Fill: db.infoStats},
		command.InfoSection{Name: "Commandstats", Fill: db.infoCommands},
		command.InfoSection{Name: "Errorstats", Default: true, Fill: db.infoErrors},
		command.InfoSection{Name: "Latencystats", Fill: db.infoLatency},
		command.InfoSection{Name: "Keyspace", Default: true, Fill: db.infoKeyspace},
		command.InfoSection{Name: "Keysizes", Named: true, Fill: db.infoKeysizes},
	)
}

// infoNothing fills in what tools ask for and this engine has none of.
func infoNothing(fields string) func(*command.InfoWriter) {
	names := strings.Fields(fields)
	return func(w *command.InfoWriter) {
		for _, name := range names {
			w.Field(name, 0)
		}
	}
}

// notePeak keeps the most memory that keys and values have taken.
func (db *DB) notePeak() (used, peak int64) {
	used = db.ks.UsedBytes()
	for {
		peak = db.peak.Load()
		if used <= peak || db.peak.CompareAndSwap(peak, used) {
			return used, max(used, peak)
		}
	}
}

func (db *DB) infoMemory(w *command.InfoWriter) {
	used, peak := db.notePeak()
	w.Field("used_memory", used)
	w.Field("lazyfreed_objects", db.stats.LazyFreed.Load())
	w.Field("used_memory_human", command.HumanBytes(used))
	w.Field("used_memory_peak", peak)
	w.Field("used_memory_peak_human", command.HumanBytes(peak))
	w.Field("used_memory_peak_perc", fmt.Sprintf("%.2f%%", float64(used)*100/float64(max(peak, 1))))
	empty := db.ks.EmptyBytes()
	w.Field("used_memory_overhead", empty)
	w.Field("used_memory_startup", empty)
	w.Field("used_memory_dataset", used-empty)
	w.Field("used_memory_dataset_perc", fmt.Sprintf("%.2f%%", float64(used-empty)*100/float64(max(used-empty, 1))))
	for _, name := range []string{"used_memory_lua_human", "used_memory_vm_total_human", "used_memory_scripts_human"} {
		w.Field(name, command.HumanBytes(0))
	}
	db.config.Show(w, "maxmemory")
	w.Field("maxmemory_human", command.HumanBytes(db.MaxMemory()))
	db.config.Show(w, "maxmemory-policy")
	pending := int64(0)
	if log := db.persist.Log(); log != nil {
		pending = log.Stats().PendingBytes
	}
	w.Field("mem_aof_buffer", pending)
	scripts, bytes, libraries, functions := db.runtime.ScriptCounts()
	w.Field("used_memory_scripts", bytes)
	w.Field("number_of_cached_scripts", scripts)
	w.Field("number_of_functions", functions)
	w.Field("number_of_libraries", libraries)
	w.Field("mem_allocator", keyspace.Allocator)
	w.Field("active_defrag_running", bit(db.stats.Compacting.Load()))
}

func (db *DB) infoPersistence(w *command.InfoWriter) {
	st := db.persist.Stats()
	now := db.clock.Now()
	j, log := st.Job, db.persist.Log()
	saving := j != nil && j.Kind == sink.KindSnapshot
	rewriting := j != nil && j.Kind == sink.KindRewrite

	load := db.loading.Load()
	w.Field("loading", bit(load != nil))
	w.Field("spillway_read_only", bit(db.opts.ReadOnly))
	processed, total := int64(0), int64(0)
	if j != nil {
		processed, total = j.Keys, j.Total
	}
	w.Field("current_fork_perc", fmt.Sprintf("%.2f", float64(processed)*100/float64(max(total, 1))))
	w.Field("current_save_keys_processed", processed)
	w.Field("current_save_keys_total", total)
	w.Field("rdb_changes_since_last_save", st.Unsaved)
	w.Field("rdb_bgsave_in_progress", bit(saving))
	w.Field("rdb_last_save_time", st.LastSave.Unix())
	w.Field("rdb_last_bgsave_status", status(st.Snapshot.Err))
	w.Field("rdb_last_bgsave_time_sec", seconds(st.Snapshot))
	w.Field("rdb_current_bgsave_time_sec", elapsed(j, saving, now))
	w.Field("rdb_saves", st.Saves)
	w.Field("aof_rewrites", st.Rewrites)
	w.Field("aof_rewrites_consecutive_failures", st.FailedRewrites)
	if load == nil {
		w.Field("rdb_last_load_keys_loaded", db.recovered.Keys)
	}
	w.Field("aof_enabled", bit(db.persist.LogOn()))
	w.Field("aof_state", db.persist.LogState())
	w.Field("aof_rewrite_in_progress", bit(rewriting))
	w.Field("aof_rewrite_scheduled", bit(st.RewriteScheduled))
	w.Field("aof_last_rewrite_time_sec", seconds(st.Rewrite))
	w.Field("aof_current_rewrite_time_sec", elapsed(j, rewriting, now))
	w.Field("aof_last_bgrewrite_status", status(st.Rewrite.Err))
	w.Field("aof_last_write_status", status(st.Failure))
	if log != nil {
		ls := log.Stats()
		w.Field("aof_current_size", db.LogSize())
		w.Field("aof_base_size", st.GrowthBase)
		w.Field("aof_pending_rewrite", bit(st.RewriteScheduled))
		w.Field("aof_buffer_length", ls.PendingBytes)
		w.Field("aof_pending_bio_fsync", 0)
		w.Field("aof_delayed_fsync", ls.DelayedFsyncs)
		w.Field("spillway_log_blocks", ls.Blocks)
		w.Field("spillway_log_fsyncs", ls.Fsyncs)
	}
	w.Field("spillway_checkpoint_generation", st.Generation)
	w.Field("spillway_lineage", st.Lineage)
	w.Field("spillway_last_freeze_usec", st.Freeze.Microseconds())
	if st.Failure != nil {
		w.Field("spillway_log_error", st.Failure)
	}
	if err := db.persist.LogStartError(); err != nil {
		w.Field("spillway_log_start_error", err)
	}
	if err := st.Snapshot.Err; err != nil {
		w.Field("spillway_last_bgsave_error", err)
	}
	if err := st.Rewrite.Err; err != nil {
		w.Field("spillway_last_bgrewrite_error", err)
	}
	if j != nil {
		w.Field("spillway_job_phase", j.Phase)
		w.Field("spillway_job_raw_bytes", j.Raw)
		w.Field("spillway_job_stored_bytes", j.Bytes)
	}
	if load != nil {
		load.info(w, now)
	}
	for _, t := range st.Targets {
		lag := int64(0)
		if t.Pending > 0 {
			lag = max(0, int64(now.Sub(t.Behind).Seconds()))
		}
		w.Field("sink_"+t.Name, fmt.Sprintf("role=%s,pending=%d,lag_sec=%d,other_lineages=%d", t.Role, t.Pending, lag, t.OtherLineages))
	}
	if len(db.opts.Archive.Targets) > 0 {
		infoArchive(w, db.Archive(), st.ArchiveSinks)
	}
	for i, s := range st.Pipeline {
		w.Field(fmt.Sprintf("spillway_pipeline%d", i), fmt.Sprintf("name=%s,role=%s,bytes_in=%d,bytes_out=%d,bytes_per_sec=%d,errors=%d,busy_usec=%d",
			s.Name, s.Role, s.BytesIn, s.BytesOut, int64(s.Throughput()), s.Errors, s.Nanoseconds/1000))
	}
}

// infoArchive adds the archive's fields to INFO persistence.
func infoArchive(w *command.InfoWriter, s ArchiveStats, sinks []persist.ArchiveSinkStats) {
	w.Field("archive_last_segment", s.LastSegment)
	w.Field("archive_waiting", s.Waiting)
	w.Field("archive_lag_bytes", s.WaitingBytes)
	w.Field("archive_lag_sec", int64(s.Lag.Seconds()))
	w.Field("archive_gap", s.Gap)
	if s.Err != nil {
		w.Field("archive_last_error", s.Err)
	}
	for _, t := range sinks {
		w.Field("archive_sink_"+t.Name, fmt.Sprintf("pending=%d,lag_sec=%d,bytes=%d,errors=%d", t.Pending, int64(t.Lag.Seconds()), t.Bytes, t.Errors))
	}
}

func (db *DB) infoStats(w *command.InfoWriter) {
	s := db.stats
	w.Field("total_commands_processed", s.Commands())
	w.Field("instantaneous_ops_per_sec", db.opsRate.PerSecond())
	for _, name := range []string{"instantaneous_input_repl_kbps", "instantaneous_output_repl_kbps", "expired_stale_perc"} {
		w.Field(name, "0.00")
	}
	w.Field("expire_cycle_cpu_milliseconds", time.Duration(s.ExpireTime.Load()).Milliseconds())
	w.Field("active_defrag_hits", s.MovedKeys.Load())
	w.Field("active_defrag_key_hits", s.MovedKeys.Load())
	w.Field("total_active_defrag_time", time.Duration(s.CompactTime.Load()).Milliseconds())
	w.Field("expired_subkeys", s.ExpiredSubkeys.Load())
	w.Field("expired_keys", s.ExpiredKeys.Load())
	w.Field("expired_time_cap_reached_count", s.ExpireTimeCapReached.Load())
	w.Field("evicted_keys", s.EvictedKeys.Load())
	w.Field("keyspace_hits", s.Hits.Load())
	w.Field("keyspace_misses", s.Misses.Load())
	w.Field("pubsub_channels", db.hub.Topics(pubsub.Channel))
	w.Field("pubsub_patterns", db.hub.Topics(pubsub.Pattern))
	w.Field("pubsubshard_channels", db.hub.Topics(pubsub.ShardChannel))
	t := db.tracking.Stats()
	w.Field("tracking_total_keys", t.Keys)
	w.Field("tracking_total_items", t.Items)
	w.Field("tracking_total_prefixes", t.Prefixes)
	w.Field("total_error_replies", s.Errors())
}

func (db *DB) infoCommands(w *command.InfoWriter) {
	for _, c := range db.stats.Calls() {
		usec := c.Took.Microseconds()
		w.Field("cmdstat_"+c.Command.Name, fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			c.Calls, usec, float64(usec)/float64(max(c.Calls, 1)), c.Rejected, c.Failed))
	}
}

func (db *DB) infoErrors(w *command.InfoWriter) {
	for _, e := range db.stats.ErrorCounts() {
		w.Field("errorstat_"+e.Code, fmt.Sprintf("count=%d", e.Count))
	}
}

func (db *DB) infoLatency(w *command.InfoWriter) {
	if !db.stats.Latency.Load() {
		return
	}
	percentiles := *db.percentiles.Load()
	for _, c := range db.stats.Calls() {
		if c.Durations == nil {
			continue
		}
		var values []string
		for _, p := range percentiles {
			values = append(values, fmt.Sprintf("p%s=%.3f", formatPercentile(p), float64(c.Durations.Percentile(p))/1e3))
		}
		w.Field("latency_percentiles_usec_"+c.Command.Name, strings.Join(values, ","))
	}
}

// infoKeyspace sums up the databases, each shard at its own moment.
func (db *DB) infoKeyspace(w *command.InfoWriter) {
	type facts struct{ keys, expires, ttls, dated int64 }
	now, all := db.clock.Now().UnixMilli(), make([]facts, db.opts.Databases)
	for i := range db.ks.NumShards() {
		if !w.Visit(i, func() {
			for n := range all {
				d, f := db.ks.Shard(i).DB(n), &all[n]
				f.keys += int64(d.Len())
				f.expires += int64(d.Expires())
				f.ttls += d.AvgTTL(now) * int64(d.Expires())
				f.dated += int64(d.Dated())
			}
		}) {
			return
		}
	}
	for n, f := range all {
		if f.keys > 0 {
			w.Field(fmt.Sprintf("db%d", n), fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d,subexpiry=%d", f.keys, f.expires, f.ttls/max(f.expires, 1), f.dated))
		}
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// elapsed is how long the job has run, in seconds, or -1 when it is not the kind asked for.
func elapsed(j *persist.JobStats, is bool, now time.Time) int64 {
	if !is {
		return -1
	}
	return int64(now.Sub(j.Began).Seconds())
}

func status(err error) string {
	if err != nil {
		return "err"
	}
	return "ok"
}

// seconds is how long the last job of a kind took, -1 if there was none.
func seconds(o persist.Outcome) int64 {
	if !o.Ran {
		return -1
	}
	return int64(o.Took.Seconds())
}
