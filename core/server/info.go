package server

import (
	"os"
	"runtime"
	"strconv"
	"syscall"

	"github.com/spillwaydb/spillway/core/command"
)

// registerInfo adds the sections whose facts the server has.
func (s *Server) registerInfo() {
	s.db.Admin().Info().Register(
		command.InfoSection{Name: "Server", Default: true, Fill: s.infoServer},
		command.InfoSection{Name: "Clients", Default: true, Fill: s.infoClients},
		command.InfoSection{Name: "Stats", Default: true, Fill: s.infoStats},
		command.InfoSection{Name: "Replication", Default: true, Fill: infoReplication},
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
	up := s.db.Uptime()
	w.Field("redis_version", command.RedisVersion)
	w.Field("spillway_version", s.db.Version())
	w.Field("redis_mode", map[bool]string{true: "cluster", false: "standalone"}[s.db.Cluster()])
	w.Field("os", runtime.GOOS+" "+runtime.GOARCH)
	w.Field("arch_bits", strconv.IntSize)
	w.Field("go_version", runtime.Version())
	w.Field("process_id", os.Getpid())
	w.Field("run_id", s.db.RunID())
	s.db.Admin().Config().Show(w, "port")
	w.Field("server_time_usec", s.db.Clock().Now().UnixMicro())
	w.Field("uptime_in_seconds", int64(up.Seconds()))
	w.Field("uptime_in_days", int64(up.Hours()/24))
	w.Field("hz", 10)
	w.Field("shards", s.db.Keyspace().NumShards())
	w.Field("config_file", s.opt.ConfigFile)
}

func (s *Server) infoClients(w *command.InfoWriter) {
	blocked, listening := 0, 0
	for _, c := range s.snapshot() {
		if c.Blocked() {
			blocked++
		}
		if c.Subscribed() {
			listening++
		}
	}
	w.Field("connected_clients", s.Clients())
	s.db.Admin().Config().Show(w, "maxclients")
	w.Field("blocked_clients", blocked)
	w.Field("tracking_clients", s.db.TrackedClients())
	w.Field("pubsub_clients", listening)
	w.Field("mem_clients_normal", s.memHeld.Load())
}

func (s *Server) infoStats(w *command.InfoWriter) {
	w.Field("total_connections_received", s.accepted.Load())
	w.Field("rejected_connections", s.rejected.Load())
	w.Field("total_net_input_bytes", s.bytesIn.Load())
	w.Field("total_net_output_bytes", s.bytesOut.Load())
	w.Field("evicted_clients", s.memEvicted.Load())
}

func infoReplication(w *command.InfoWriter) {
	w.Field("role", "master")
	w.Field("connected_slaves", 0)
}

func infoCPU(w *command.InfoWriter) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return // the fields are left out rather than wrong
	}
	w.Field("used_cpu_sys", strconv.FormatFloat(float64(u.Stime.Nano())/1e9, 'f', 6, 64))
	w.Field("used_cpu_user", strconv.FormatFloat(float64(u.Utime.Nano())/1e9, 'f', 6, 64))
}
