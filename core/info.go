package core

import (
	"fmt"
	"math"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/persist"
	"github.com/spillwaydb/spillway/core/pubsub"
	"github.com/spillwaydb/spillway/core/sink"
)

// registerInfo registers the sections of INFO whose facts the engine has:
// Memory, Persistence, Stats and Keyspace. The server adds its own.
func (db *DB) registerInfo() {
	db.info.Register(
		command.InfoSection{Name: "Memory", Default: true, Fill: db.infoMemory},
		command.InfoSection{Name: "Persistence", Default: true, Fill: db.infoPersistence},
		command.InfoSection{Name: "Stats", Default: true, Fill: db.infoStats},
		command.InfoSection{Name: "Keyspace", Default: true, Fill: db.infoKeyspace},
	)
}

func (db *DB) infoMemory(w *command.InfoWriter) {
	used := db.ks.UsedBytes()
	w.Field("used_memory", used)
	w.Field("used_memory_human", humanBytes(used))
	w.Field("used_memory_dataset", used)
	db.config.Show(w, "maxmemory")
	w.Field("maxmemory_human", humanBytes(db.MaxMemory()))
	db.config.Show(w, "maxmemory-policy")
	w.Field("mem_allocator", keyspace.Allocator)
}

func (db *DB) infoPersistence(w *command.InfoWriter) {
	st := db.persist.Stats()
	now := db.clock.Now()
	j, log := st.Job, db.persist.Log()
	saving := j != nil && j.Kind == sink.KindSnapshot
	rewriting := j != nil && j.Kind == sink.KindRewrite

	load := db.loading.Load()
	w.Field("loading", bit(load != nil))
	w.Field("async_loading", 0)
	w.Field("spillway_read_only", bit(db.opts.ReadOnly))
	processed, total := int64(0), int64(0)
	if j != nil {
		processed, total = j.Keys, j.Total
	}
	w.Field("current_save_keys_processed", processed)
	w.Field("current_save_keys_total", total)
	w.Field("rdb_changes_since_last_save", st.Unsaved)
	w.Field("rdb_bgsave_in_progress", bit(saving))
	w.Field("rdb_last_save_time", st.LastSave.Unix())
	w.Field("rdb_last_bgsave_status", status(st.Snapshot.Err))
	w.Field("rdb_last_bgsave_time_sec", seconds(st.Snapshot))
	w.Field("rdb_current_bgsave_time_sec", elapsed(j, saving, now))
	w.Field("rdb_saves", st.Saves)
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
		w.Field(fmt.Sprintf("spillway_pipeline%d", i), fmt.Sprintf("name=%s,role=%s,bytes_in=%d,bytes_out=%d,bytes_per_sec=%d,errors=%d",
			s.Name, s.Role, s.BytesIn, s.BytesOut, int64(s.Throughput()), s.Errors))
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
	w.Field("total_commands_processed", s.Commands.Load())
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
	w.Field("total_error_replies", s.Errors.Load())
}

// keyspaceFacts sums one logical database over the shards, whose locks the
// caller holds: INFO runs with all of them.
func (db *DB) keyspaceFacts(n int, now int64) (keys, expires int, avgTTL int64) {
	var ttlSum int64
	for i := range db.ks.NumShards() {
		d := db.ks.Shard(i).DB(n)
		k, e := d.Len(), d.Expires()
		if e > 0 {
			ttlSum += d.AvgTTL(now) * int64(e)
		}
		keys += k
		expires += e
	}
	if expires > 0 {
		avgTTL = ttlSum / int64(expires)
	}
	return keys, expires, avgTTL
}

func (db *DB) infoKeyspace(w *command.InfoWriter) {
	now := db.clock.Now().UnixMilli()
	for n := range db.opts.Databases {
		if keys, expires, ttl := db.keyspaceFacts(n, now); keys > 0 {
			w.Field(fmt.Sprintf("db%d", n), fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", keys, expires, ttl))
		}
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func humanBytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%dB", n)
	}
	exp := min(int(math.Log2(float64(n))/10), 5)
	return fmt.Sprintf("%.2f%c", float64(n)/math.Pow(1024, float64(exp)), "BKMGTP"[exp])
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
