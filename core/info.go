package core

import (
	"fmt"
	"math"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
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
	used := db.UsedMemory()
	w.Field("used_memory", used)
	w.Field("used_memory_human", humanBytes(used))
	w.Field("used_memory_dataset", used)
	db.config.Show(w, "maxmemory")
	w.Field("maxmemory_human", humanBytes(db.MaxMemory()))
	db.config.Show(w, "maxmemory-policy")
	w.Field("mem_allocator", keyspace.Allocator)
}

func (db *DB) infoPersistence(w *command.InfoWriter) {
	c := db.ckpt
	now := db.clock.Now()
	c.mu.Lock()
	j, snap, rw, last, freeze, gen := c.job, c.snapshot, c.rewrite, c.lastSave, c.freeze, uint64(0)
	logStart := c.logStarts.err
	scheduledRewrite := c.scheduled == sink.KindRewrite
	if c.manifest.Base != nil {
		gen = c.manifest.Base.ID.Generation
	}
	c.mu.Unlock()
	saving := j != nil && j.kind == sink.KindSnapshot
	rewriting := j != nil && j.kind == sink.KindRewrite
	log := db.log.Load()

	load := db.loading.Load()
	w.Field("loading", bit(load != nil))
	w.Field("async_loading", 0)
	w.Field("spillway_read_only", bit(db.opts.ReadOnly))
	processed, total := int64(0), int64(0)
	if j != nil {
		processed, total = j.progress.Keys.Load(), j.total.Load()
	}
	w.Field("current_save_keys_processed", processed)
	w.Field("current_save_keys_total", total)
	w.Field("rdb_changes_since_last_save", db.dirty.Load()-db.dirtySaved.Load())
	w.Field("rdb_bgsave_in_progress", bit(saving))
	w.Field("rdb_last_save_time", last.Unix())
	w.Field("rdb_last_bgsave_status", snap.status())
	w.Field("rdb_last_bgsave_time_sec", snap.seconds())
	w.Field("rdb_current_bgsave_time_sec", elapsed(j, saving, now))
	w.Field("rdb_saves", c.saves.Load())
	if load == nil {
		w.Field("rdb_last_load_keys_loaded", db.recovered.Keys)
	}
	w.Field("aof_enabled", bit(db.logOn()))
	w.Field("aof_state", db.logState())
	w.Field("aof_rewrite_in_progress", bit(rewriting))
	w.Field("aof_rewrite_scheduled", bit(scheduledRewrite))
	w.Field("aof_last_rewrite_time_sec", rw.seconds())
	w.Field("aof_current_rewrite_time_sec", elapsed(j, rewriting, now))
	w.Field("aof_last_bgrewrite_status", rw.status())
	status := "ok"
	if db.failed.Load() != nil {
		status = "err"
	}
	w.Field("aof_last_write_status", status)
	if log != nil {
		st := log.Stats()
		w.Field("aof_current_size", db.LogSize())
		w.Field("aof_base_size", db.growthBase())
		w.Field("aof_buffer_length", st.PendingBytes)
		w.Field("aof_pending_bio_fsync", 0)
		w.Field("aof_delayed_fsync", st.DelayedFsyncs)
		w.Field("spillway_log_blocks", st.Blocks)
		w.Field("spillway_log_fsyncs", st.Fsyncs)
	}
	w.Field("spillway_checkpoint_generation", gen)
	w.Field("spillway_lineage", c.current().Lineage)
	w.Field("spillway_last_freeze_usec", freeze.Microseconds())
	if f := db.failed.Load(); f != nil {
		w.Field("spillway_log_error", f.err)
	}
	if logStart != nil && db.logState() == logStarting {
		w.Field("spillway_log_start_error", logStart)
	}
	if snap.err != nil {
		w.Field("spillway_last_bgsave_error", snap.err)
	}
	if rw.err != nil {
		w.Field("spillway_last_bgrewrite_error", rw.err)
	}
	if j != nil {
		w.Field("spillway_job_phase", *j.phase.Load())
		w.Field("spillway_job_raw_bytes", j.progress.RawBytes.Load())
		w.Field("spillway_job_stored_bytes", j.progress.StoredBytes.Load())
	}
	if load != nil {
		load.info(w, now)
	}
	others := make(map[string]int)
	for _, g := range c.guards[:len(db.opts.Targets)] {
		others[g.name] = g.strangers()
	}
	for _, s := range c.pipe.Stats() {
		if s.Role == sink.RoleRequired || s.Role == sink.RoleBestEffort {
			lag := int64(0)
			if s.Pending > 0 {
				lag = max(0, int64(now.Sub(s.Behind).Seconds()))
			}
			w.Field("sink_"+s.Name, fmt.Sprintf("role=%s,pending=%d,lag_sec=%d,other_lineages=%d", s.Role, s.Pending, lag, others[s.Name]))
		}
	}
	c.archive.info(w)
	for i, s := range c.pipe.Stats() {
		w.Field(fmt.Sprintf("spillway_pipeline%d", i), fmt.Sprintf("name=%s,role=%s,bytes_in=%d,bytes_out=%d,bytes_per_sec=%d,errors=%d",
			s.Name, s.Role, s.BytesIn, s.BytesOut, int64(s.Throughput()), s.Errors))
	}
}

func (db *DB) growthBase() int64 {
	return db.ckpt.current().GrowthBase
}

func (db *DB) infoStats(w *command.InfoWriter) {
	s := db.stats
	w.Field("total_commands_processed", s.Commands.Load())
	w.Field("expired_keys", s.ExpiredKeys.Load())
	w.Field("expired_time_cap_reached_count", s.ExpireTimeCapReached.Load())
	w.Field("evicted_keys", s.EvictedKeys.Load())
	w.Field("keyspace_hits", s.Hits.Load())
	w.Field("keyspace_misses", s.Misses.Load())
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
func elapsed(j *job, is bool, now time.Time) int64 {
	if !is {
		return -1
	}
	return int64(now.Sub(j.began).Seconds())
}
