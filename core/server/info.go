package server

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
)

// registerInfo adds the sections whose facts the server has.
func (s *Server) registerInfo() {
	s.db.Info().Register(
		command.InfoSection{Name: "Server", Default: true, Fill: s.infoServer},
		command.InfoSection{Name: "Clients", Default: true, Fill: s.infoClients},
		command.InfoSection{Name: "Stats", Default: true, Fill: s.infoStats},
		command.InfoSection{Name: "Replication", Default: true, Fill: infoReplication},
		command.InfoSection{Name: "CPU", Default: true, Fill: infoCPU},
		command.InfoSection{Name: "Modules", Default: true, Fill: func(*command.InfoWriter) {}},
		command.InfoSection{Name: "Cluster", Default: true, Fill: func(w *command.InfoWriter) { w.Field("cluster_enabled", 0) }},
	)
}

func (s *Server) infoServer(w *command.InfoWriter) {
	up := s.db.Uptime()
	w.Field("redis_version", command.RedisVersion)
	w.Field("spillway_version", s.db.Version())
	w.Field("redis_mode", "standalone")
	w.Field("os", runtime.GOOS+" "+runtime.GOARCH)
	w.Field("arch_bits", strconv.IntSize)
	w.Field("go_version", runtime.Version())
	w.Field("process_id", os.Getpid())
	w.Field("run_id", s.db.RunID())
	w.Field("tcp_port", s.port())
	w.Field("server_time_usec", s.db.Clock().Now().UnixMicro())
	w.Field("uptime_in_seconds", int64(up.Seconds()))
	w.Field("uptime_in_days", int64(up.Hours()/24))
	w.Field("hz", 10)
	w.Field("shards", s.db.Keyspace().NumShards())
	w.Field("config_file", s.opt.ConfigFile)
}

func (s *Server) infoClients(w *command.InfoWriter) {
	w.Field("connected_clients", s.Clients())
	w.Field("maxclients", s.maxClients.Load())
	w.Field("blocked_clients", 0)
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

// registerConfig adds the parameters the server has.
func (s *Server) registerConfig() {
	s.db.Config().Register(
		command.Param{Name: "maxclients", Get: func() string { return strconv.FormatInt(s.maxClients.Load(), 10) }, Set: between(1, math.MaxUint32, func(n int64) { s.maxClients.Store(n) })},
		command.Param{Name: "timeout", Get: func() string { return strconv.FormatInt(s.timeout.Load()/int64(time.Second), 10) }, Set: between(0, math.MaxInt32, func(n int64) { s.setTimeout(time.Duration(n) * time.Second) })},
		command.Param{Name: "tcp-keepalive", Get: func() string { return strconv.FormatInt(int64(max(0, s.opt.KeepAlive)/time.Second), 10) }},
		command.Param{
			Name: "client-query-buffer-limit", Get: func() string { return strconv.FormatInt(s.queryLimit.Load(), 10) },
			Set: func(v string) error {
				n, err := core.ParseMemory(v)
				if err == nil && n < 1<<20 {
					err = errors.New("argument must be between 1048576 and 9223372036854775807 inclusive")
				}
				if err == nil {
					s.queryLimit.Store(n)
				}
				return err
			},
		},
		command.Param{
			Name: "maxmemory-clients", Get: func() string { return formatMemoryClients(s.memLimit.Load()) },
			Set: func(v string) error {
				n, err := ParseMemoryClients(v)
				if err == nil {
					s.memLimit.Store(n)
					s.evict()
				}
				return err
			},
		},
		command.Param{
			Name: "client-output-buffer-limit", Get: func() string { return s.outputs.Load().String() },
			Set: func(v string) error {
				limits, err := s.outputs.Load().with(v)
				if err == nil {
					s.setOutputLimits(limits)
				}
				return err
			},
		},
		command.Param{
			Name: "protected-mode", Get: func() string { return map[bool]string{true: "yes", false: "no"}[s.protected.Load()] },
			Set: func(v string) error {
				switch strings.ToLower(v) {
				case "yes":
					s.protected.Store(true)
				case "no":
					s.protected.Store(false)
				default:
					return errors.New("argument must be 'yes' or 'no'")
				}
				return nil
			},
		},
		command.Param{Name: "port", Get: s.port},
	)
}

func between(lo, hi int64, set func(int64)) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return errors.New("argument couldn't be parsed into an integer")
		}
		if n < lo || n > hi {
			return fmt.Errorf("argument must be between %d and %d inclusive", lo, hi)
		}
		set(n)
		return nil
	}
}
