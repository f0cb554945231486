package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/cmd/spillway/status"
)

// fields are what INFO says, by name.
type fields map[string]string

func (f fields) int(name string) int64 {
	n, _ := strconv.ParseInt(f[name], 10, 64) // 0 for what is not there
	return n
}

// list is a field that holds a list, as "keys=1,expires=0".
func (f fields) list(name string) fields { return parseList(f[name]) }

// bytesPerSecond is a field of INFO that is in KiB.
func (f fields) bytesPerSecond(name string) int64 {
	kilobytes, _ := strconv.ParseFloat(f[name], 64)
	return int64(kilobytes * 1024)
}

func (f fields) traffic(r *status.Report) {
	r.Traffic = status.Traffic{
		CommandsPerSecond: f.int("instantaneous_ops_per_sec"), InputBytesPerSecond: f.bytesPerSecond("instantaneous_input_kbps"),
		OutputBytesPerSecond: f.bytesPerSecond("instantaneous_output_kbps"), Commands: f.int("total_commands_processed"),
		Errors: f.int("total_error_replies"), Hits: f.int("keyspace_hits"), Misses: f.int("keyspace_misses"),
		Clients: f.int("connected_clients"), MaxClients: f.int("maxclients"), BlockedClients: f.int("blocked_clients"),
		RejectedConnections: f.int("rejected_connections"),
	}
}

func (f fields) memory(r *status.Report) {
	r.Memory = status.Memory{
		UsedBytes: f.int("used_memory"), PeakBytes: f.int("used_memory_peak"), MaxBytes: f.int("maxmemory"), Policy: f["maxmemory_policy"],
		ResidentBytes: f.int("used_memory_rss"), ClientBytes: f.int("mem_clients_normal"), Expired: f.int("expired_keys"), Evicted: f.int("evicted_keys"),
	}
	for name := range f {
		if number, ok := strings.CutPrefix(name, "db"); ok {
			if _, err := strconv.Atoi(number); err == nil {
				db := f.list(name)
				r.Memory.Keys += db.int("keys")
				r.Memory.Expires += db.int("expires")
			}
		}
	}
}

func (f fields) persistence(r *status.Report) {
	c := &r.Checkpoints
	c.Generation, c.Unsaved, c.Committed = uint64(f.int("spillway_checkpoint_generation")), f.int("rdb_changes_since_last_save"), f.int("rdb_saves")
	if c.Generation > 0 {
		c.LastAt = time.Unix(f.int("rdb_last_save_time"), 0)
	}
	c.LastOK, c.LastError = f["rdb_last_bgsave_status"] != "err", f["spillway_last_bgsave_error"]
	c.RewriteOK, c.RewriteError = f["aof_last_bgrewrite_status"] != "err", f["spillway_last_bgrewrite_error"]
	r.Log = status.Log{
		State: f["aof_state"], OK: f["aof_last_write_status"] != "err", Bytes: f.int("aof_current_size"), PendingBytes: f.int("aof_buffer_length"),
		Error: f["spillway_log_error"], StartError: f["spillway_log_start_error"],
	}
	if phase, ok := f["spillway_job_phase"]; ok {
		r.Job = &status.Job{
			Kind: "snapshot", Phase: phase, Keys: f.int("current_save_keys_processed"), TotalKeys: f.int("current_save_keys_total"),
			RawBytes: f.int("spillway_job_raw_bytes"), StoredBytes: f.int("spillway_job_stored_bytes"),
		}
		if f.int("aof_rewrite_in_progress") == 1 {
			r.Job.Kind = "rewrite"
		}
	}
}

// pipeline fills in the members of the checkpoint pipeline, in its order.
func (f fields) pipeline(r *status.Report) {
	r.Pipeline = []status.Member{}
	for i := 0; ; i++ {
		name := fmt.Sprintf("spillway_pipeline%d", i)
		if _, ok := f[name]; !ok {
			return
		}
		l := f.list(name)
		m := status.Member{
			Name: l["name"], Role: l["role"], BytesIn: l.int("bytes_in"), BytesOut: l.int("bytes_out"), BytesPerSecond: l.int("bytes_per_sec"),
			BusySeconds: float64(l.int("busy_usec")) / 1e6, Errors: l.int("errors"),
		}
		if s := f.list("sink_" + m.Name); s["role"] == m.Role {
			m.Pending, m.LagSeconds, m.OtherLineages = s.int("pending"), s.int("lag_sec"), s.int("other_lineages")
		}
		r.Pipeline = append(r.Pipeline, m)
	}
}

func (f fields) archive(r *status.Report) {
	if _, ok := f["archive_last_segment"]; !ok {
		return
	}
	r.Archive = &status.Archive{
		LastSegment: uint64(f.int("archive_last_segment")), WaitingSegments: f.int("archive_waiting"), WaitingBytes: f.int("archive_lag_bytes"),
		LagSeconds: f.int("archive_lag_sec"), Gap: uint64(f.int("archive_gap")), Error: f["archive_last_error"], Sinks: []status.ArchiveSink{},
	}
	for _, name := range sortedNames(f, "archive_sink_") {
		l := f.list("archive_sink_" + name)
		r.Archive.Sinks = append(r.Archive.Sinks, status.ArchiveSink{
			Name: name, Pending: l.int("pending"), LagSeconds: l.int("lag_sec"), Bytes: l.int("bytes"), Errors: l.int("errors"),
		})
	}
}

// sortedNames are what follows prefix in the names of fields, in order.
func sortedNames(f fields, prefix string) (out []string) {
	for name := range f {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			out = append(out, rest)
		}
	}
	slices.Sort(out)
	return out
}
