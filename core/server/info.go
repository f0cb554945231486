package server

import (
	"fmt"
	"hash/crc64"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spillwaydb/spillway/core/command"
)

// registerInfo adds the sections whose facts the server has.
func (s *Server) registerInfo() {
	s.db.Admin().Info().Register(
		command.InfoSection{Name: "Server", Default: true, Fill: s.infoServer},
		command.InfoSection{Name: "Clients", Default: true, Fill: s.infoClients},
		command.InfoSection{Name: "Memory", Default: true, Fill: s.infoMemory},
		command.InfoSection{Name: "Stats", Default: true, Fill: s.infoStats},
		command.InfoSection{Name: "Replication", Default: true, Fill: s.infoReplication},
		command.InfoSection{Name: "CPU", Default: true, Fill: infoCPU},
		command.InfoSection{Name: "Modules", Default: true, Fill: func(*command.InfoWriter) {}},
		command.InfoSection{Name: "Cluster", Default: true, Fill: s.infoCluster},
	)
}

func (s *Server) infoCluster(w *command.InfoWriter) {
	n := 0
	if s.db.Cluster() {
		n = 1
	}
	w.Field("cluster_enabled", n)
}

func (s *Server) infoServer(w *command.InfoWriter) {
	now, up := s.db.Clock().Now(), s.db.Uptime()
	w.Field("redis_version", command.RedisVersion)
	w.Field("redis_git_sha1", "00000000")
	w.Field("redis_git_dirty", 0)
	w.Field("redis_build_id", fmt.Sprintf("%x", crc64.Checksum([]byte(s.db.Version()), crc64.MakeTable(crc64.ECMA))))
	w.Field("spillway_version", s.db.Version())
	w.Field("redis_mode", map[bool]string{true: "cluster", false: "standalone"}[s.db.Cluster()])
	w.Field("os", machineName())
	w.Field("arch_bits", strconv.IntSize)
	w.Field("monotonic_clock", "POSIX clock_gettime")
	w.Field("multiplexing_api", "epoll")
	w.Field("atomicvar_api", "go-builtin")
	w.Field("gcc_version", "0.0.0")
	w.Field("go_version", runtime.Version())
	w.Field("process_id", os.Getpid())
	w.Field("process_supervised", "no")
	w.Field("run_id", s.db.RunID())
	s.db.Admin().Config().Show(w, "port")
	w.Field("server_time_usec", now.UnixMicro())
	w.Field("uptime_in_seconds", int64(up.Seconds()))
	w.Field("uptime_in_days", int64(up.Hours()/24))
	w.Field("hz", 10)
	w.Field("configured_hz", 10)
	w.Field("lru_clock", now.Unix()&(1<<24-1))
	program, _ := os.Executable() // "" where that cannot be known
	w.Field("executable", program)
	w.Field("shards", s.db.Keyspace().NumShards())
	w.Field("config_file", s.opt.ConfigFile)
	w.Field("io_threads_active", 0)
}

func (s *Server) infoClients(w *command.InfoWriter) {
	timed, in, out, listening := 0, 0, 0, 0
	for _, c := range s.snapshot() {
		if !c.Deadline().IsZero() {
			timed++
		}
		i := c.Info()
		in, out = max(in, i.QueryBuf+i.ArgvMem), max(out, i.OutputBuf+i.OutputMem)
		if c.Subscribed() {
			listening++
		}
	}
	w.Field("connected_clients", s.Clients())
	w.Field("cluster_connections", 0)
	s.db.Admin().Config().Show(w, "maxclients")
	w.Field("client_recent_max_input_buffer", in)
	w.Field("client_recent_max_output_buffer", out)
	w.Field("blocked_clients", s.db.BlockedClients())
	w.Field("clients_in_timeout_table", timed)
	w.Field("tracking_clients", s.db.TrackedClients())
	w.Field("pubsub_clients", listening)
}

// infoMemory is what is known of the process: the engine knows of its keys.
func (s *Server) infoMemory(w *command.InfoWriter) {
	resident, machine := residentBytes(), machineBytes()
	objects, held := goMemory()
	keys := s.db.Keyspace().UsedBytes()
	allocated, active := keys+objects, keys+held
	ratio := func(a, b int64) string { return strconv.FormatFloat(float64(a)/float64(max(b, 1)), 'f', 2, 64) }
	w.Field("used_memory_rss", resident)
	w.Field("used_memory_rss_human", command.HumanBytes(resident))
	w.Field("allocator_allocated", allocated)
	w.Field("allocator_active", active)
	w.Field("allocator_resident", active)
	w.Field("total_system_memory", machine)
	w.Field("total_system_memory_human", command.HumanBytes(machine))
	w.Field("allocator_frag_ratio", ratio(active, allocated))
	w.Field("allocator_frag_bytes", active-allocated)
	w.Field("allocator_rss_ratio", ratio(active, active))
	w.Field("allocator_rss_bytes", 0)
	w.Field("rss_overhead_ratio", ratio(resident, active))
	w.Field("rss_overhead_bytes", resident-active)
	w.Field("mem_fragmentation_ratio", ratio(resident, allocated))
	w.Field("mem_fragmentation_bytes", resident-allocated)
	w.Field("mem_clients_slaves", 0)
	w.Field("mem_clients_normal", s.memHeld.Load())
}

func (s *Server) infoStats(w *command.InfoWriter) {
	w.Field("total_connections_received", s.accepted.Load())
	w.Field("rejected_connections", s.rejected.Load())
	w.Field("total_net_input_bytes", s.bytesIn.Load())
	w.Field("total_net_output_bytes", s.bytesOut.Load())
	w.Field("total_reads_processed", s.reads.Load())
	w.Field("total_writes_processed", s.writes.Load())
	w.Field("instantaneous_input_kbps", kilobytes(s.inRate))
	w.Field("instantaneous_output_kbps", kilobytes(s.outRate))
	w.Field("evicted_clients", s.memEvicted.Load())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loops.fill(w)
}

func kilobytes(r *command.Rate) string {
	return strconv.FormatFloat(float64(r.PerSecond())/1024, 'f', 2, 64)
}

// resetStats zeroes what the server counts (CONFIG RESETSTAT).
func (s *Server) resetStats() {
	for _, n := range []*atomic.Int64{&s.accepted, &s.rejected, &s.bytesIn, &s.bytesOut, &s.reads, &s.writes, &s.memEvicted} {
		n.Store(0)
	}
}

func (s *Server) infoReplication(w *command.InfoWriter) {
	id, offset := s.db.RunID(), int64(0)
	if r := s.db.Replica(); r == nil {
		w.Field("role", "master")
	} else {
		infoReplica(w, r)
		id, offset = r.ID, r.Offset
	}
	w.Field("connected_slaves", 0)
	w.Field("master_failover_state", "no-failover")
	w.Field("master_replid", id)
	w.Field("master_replid2", strings.Repeat("0", 40))
	w.Field("master_repl_offset", offset)
	w.Field("second_repl_offset", -1)
	w.Field("repl_backlog_active", 0)
	w.Field("repl_backlog_size", 1<<20)
	w.Field("repl_backlog_first_byte_offset", 0)
	w.Field("repl_backlog_histlen", 0)
}

// infoReplica is what Redis says of a replica, and why the link is down.
func infoReplica(w *command.InfoWriter, r *command.Replica) {
	flag := func(on bool) int {
		if on {
			return 1
		}
		return 0
	}
	w.Field("role", "slave")
	w.Field("master_host", r.Host)
	w.Field("master_port", r.Port)
	link := "up"
	if r.Down > 0 {
		link = "down"
	}
	w.Field("master_link_status", link)
	w.Field("master_last_io_seconds_ago", int64(r.Heard.Seconds()))
	w.Field("master_sync_in_progress", flag(r.Syncing))
	w.Field("slave_read_repl_offset", r.Offset)
	w.Field("slave_repl_offset", r.Offset)
	if r.Syncing {
		left, percent := int64(-1), "0.00"
		if r.Total > 0 {
			left = r.Total - r.Received
			percent = strconv.FormatFloat(100*float64(r.Received)/float64(r.Total), 'f', 2, 64)
		}
		w.Field("master_sync_total_bytes", max(r.Total, 0))
		w.Field("master_sync_read_bytes", r.Received)
		w.Field("master_sync_left_bytes", left)
		w.Field("master_sync_perc", percent)
		w.Field("master_sync_last_io_seconds_ago", int64(r.Heard.Seconds()))
	}
	if r.Down > 0 {
		w.Field("master_link_down_since_seconds", int64(r.Down.Seconds()))
		w.Field("master_link_error", r.Err)
	}
	w.Field("master_link_stopped", flag(r.State == "stopped"))
	w.Field("slave_priority", 0)
	w.Field("slave_read_only", flag(r.ReadOnly))
	w.Field("replica_announced", 1)
	w.Field("spillway_migration_state", r.State)
	w.Field("spillway_migration_links", r.Links)
	w.Field("spillway_migration_waiting_bytes", r.Waiting)
}

func infoCPU(w *command.InfoWriter) {
	for _, of := range []struct {
		who  int
		name string
	}{{syscall.RUSAGE_SELF, ""}, {syscall.RUSAGE_CHILDREN, "_children"}} {
		var u syscall.Rusage
		if err := syscall.Getrusage(of.who, &u); err != nil {
			continue // the fields are left out rather than wrong
		}
		w.Field("used_cpu_sys"+of.name, strconv.FormatFloat(float64(u.Stime.Nano())/1e9, 'f', 6, 64))
		w.Field("used_cpu_user"+of.name, strconv.FormatFloat(float64(u.Utime.Nano())/1e9, 'f', 6, 64))
	}
}
