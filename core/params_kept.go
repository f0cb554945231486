package core

import (
	"errors"
	"math"

	"github.com/spillwaydb/spillway/core/param"
)

// Kept is a parameter of Redis that changes nothing here. Programs set it, or
// look it up, and get what a redis-server would tell them.
type Kept struct {
	param.Param
	// Why says in a few words why there is nothing to change.
	Why string
}

// Reasons why parameters are only kept.
const (
	keptReplication = "there are no replicas"
	keptC           = "Go manages memory and threads"
	keptAside       = "large values are always given back aside"
	keptFiles       = "checkpoints and the log are built differently"
	keptProcess     = "how the process runs is chosen elsewhere"
	keptCluster     = "there is no cluster bus"
	keptTLS         = "Go's crypto/tls chooses ciphers, and clients keep the keys of their sessions"
)

var (
	natural  = param.Int{Min: 0, Max: math.MaxInt32}
	positive = param.Int{Min: 1, Max: math.MaxInt32}
	share    = param.Int{Min: 1, Max: 99}
	port     = param.Int{Min: 0, Max: math.MaxUint16}
)

// kept are those parameters, with their types and defaults in Redis 7.0.
var kept = []Kept{
	keep("replicaof", param.Text{}, "", keptReplication).fixed().alias("slaveof"),
	keep("masteruser", param.Text{}, "", keptReplication).secret(),
	keep("masterauth", param.Text{}, "", keptReplication).secret(),
	keep("replica-announce-ip", param.Text{}, "", keptReplication).alias("slave-announce-ip"),
	keep("replica-announce-port", port, "0", keptReplication).alias("slave-announce-port"),
	keep("replica-announced", param.Bool{}, "yes", keptReplication),
	keep("replica-priority", natural, "100", keptReplication).alias("slave-priority"),
	keep("replica-read-only", param.Bool{}, "yes", keptReplication).alias("slave-read-only"),
	keep("replica-serve-stale-data", param.Bool{}, "yes", keptReplication).alias("slave-serve-stale-data"),
	keep("replica-lazy-flush", param.Bool{}, "no", keptReplication).alias("slave-lazy-flush"),
	keep("replica-ignore-maxmemory", param.Bool{}, "yes", keptReplication).alias("slave-ignore-maxmemory"),
	keep("replica-ignore-disk-write-errors", param.Bool{}, "no", keptReplication),
	keep("propagation-error-behavior", param.OneOf{"ignore", "panic", "panic-on-replicas"}, "ignore", keptReplication),
	keep("repl-ping-replica-period", positive, "10", keptReplication).alias("repl-ping-slave-period"),
	keep("repl-backlog-size", param.Memory{Min: 1}, "1048576", keptReplication),
	keep("repl-backlog-ttl", param.Int{Min: 0, Max: math.MaxInt64}, "3600", keptReplication),
	keep("repl-disable-tcp-nodelay", param.Bool{}, "no", keptReplication),
	keep("repl-diskless-sync", param.Bool{}, "yes", keptReplication),
	keep("repl-diskless-sync-delay", natural, "5", keptReplication),
	keep("repl-diskless-sync-max-replicas", natural, "0", keptReplication),
	keep("repl-diskless-load", param.OneOf{"disabled", "on-empty-db", "swapdb"}, "disabled", keptReplication),

	keep("hz", natural, "10", keptC),
	keep("dynamic-hz", param.Bool{}, "yes", keptC),
	keep("active-expire-effort", param.Int{Min: 1, Max: 10}, "1", keptC),
	keep("activerehashing", param.Bool{}, "yes", keptC),
	keep("jemalloc-bg-thread", param.Bool{}, "yes", keptC),
	keep("active-defrag-cycle-min", share, "1", keptC),
	keep("active-defrag-cycle-max", share, "25", keptC),
	keep("active-defrag-threshold-lower", param.Int{Min: 0, Max: 1000}, "10", keptC),
	keep("active-defrag-threshold-upper", param.Int{Min: 0, Max: 1000}, "100", keptC),
	keep("active-defrag-max-scan-fields", param.Int{Min: 1, Max: math.MaxInt64}, "1000", keptC),
	keep("active-defrag-ignore-bytes", param.Memory{Min: 1}, "104857600", keptC),
	keep("io-threads", param.Int{Min: 1, Max: 128}, "1", keptC).fixed(),
	keep("io-threads-do-reads", param.Bool{}, "no", keptC).fixed(),
	keep("disable-thp", param.Bool{}, "yes", "no fork copies large pages, and the kernel's own setting decides about them").fixed(),
	keep("list-compress-depth", natural, "0", "lists are not compressed"),
	keep("maxmemory-eviction-tenacity", param.Int{Min: 0, Max: 100}, "10", "a write evicts as much as it needs"),

	keep("lazyfree-lazy-eviction", param.Bool{}, "no", keptAside),
	keep("lazyfree-lazy-expire", param.Bool{}, "no", keptAside),
	keep("lazyfree-lazy-server-del", param.Bool{}, "no", keptAside),
	keep("lazyfree-lazy-user-del", param.Bool{}, "no", keptAside),
	keep("lazyfree-lazy-user-flush", param.Bool{}, "no", keptAside),

	keep("rdbcompression", param.Bool{}, "yes", keptFiles),
	keep("rdbchecksum", param.Bool{}, "yes", keptFiles).fixed(),
	keep("rdb-del-sync-files", param.Bool{}, "no", keptFiles),
	keep("rdb-save-incremental-fsync", param.Bool{}, "yes", keptFiles),
	keep("rdb-key-save-delay", param.Int{Min: math.MinInt32, Max: math.MaxInt32}, "0", keptFiles).hidden(),
	keep("key-load-delay", param.Int{Min: math.MinInt32, Max: math.MaxInt32}, "0", keptFiles).hidden(),
	keep("loading-process-events-interval-bytes", param.Int{Min: 1024, Max: math.MaxInt32}, "2097152", keptFiles).hidden(),
	keep("appendfilename", param.Text{}, "appendonly.aof", keptFiles).fixed(),
	keep("no-appendfsync-on-rewrite", param.Bool{}, "no", keptFiles),
	keep("aof-rewrite-incremental-fsync", param.Bool{}, "yes", keptFiles),
	keep("aof-load-truncated", param.Bool{}, "yes", keptFiles),
	keep("aof-use-rdb-preamble", param.Bool{}, "yes", keptFiles),
	keep("aof-timestamp-enabled", param.Bool{}, "no", keptFiles),
	keep("aof-disable-auto-gc", param.Bool{}, "no", keptFiles),

	keep("proto-max-bulk-len", param.Memory{Min: 1 << 20}, "536870912", "a string has 512 MB at most"),
	keep("sanitize-dump-payload", param.OneOf{"no", "yes", "clients"}, "no", "what RESTORE and an import are given is always checked"),
	keep("enable-protected-configs", param.OneOf{"no", "yes", "local"}, "no", "where the data is stays as long as the daemon runs").fixed(),
	keep("enable-module-command", param.OneOf{"no", "yes", "local"}, "no", "there are no modules").fixed(),

	keep("daemonize", param.Bool{}, "no", keptProcess).fixed(),
	keep("supervised", param.OneOf{"upstart", "systemd", "auto", "no"}, "no", keptProcess).fixed(),
	keep("pidfile", param.Text{}, "", keptProcess).fixed(),
	keep("logfile", param.Text{}, "", keptProcess).fixed(),
	keep("syslog-enabled", param.Bool{}, "no", keptProcess).fixed(),
	keep("syslog-ident", param.Text{}, "redis", keptProcess).fixed(),
	keep("syslog-facility", param.OneOf{"user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}, "local0", keptProcess).fixed(),
	keep("always-show-logo", param.Bool{}, "no", keptProcess).fixed(),
	keep("set-proc-title", param.Bool{}, "yes", keptProcess).fixed(),
	keep("proc-title-template", param.Text{}, "{title} {listen-addr} {server-mode}", keptProcess),
	keep("crash-log-enabled", param.Bool{}, "yes", keptProcess),
	keep("crash-memcheck-enabled", param.Bool{}, "yes", keptProcess),
	keep("use-exit-on-panic", param.Bool{}, "no", keptProcess).hidden(),
	keep("watchdog-period", natural, "0", keptProcess).hidden(),
	keep("ignore-warnings", param.Text{}, "", keptProcess),
	keep("server_cpulist", param.Text{}, "", keptProcess).fixed(),
	keep("bio_cpulist", param.Text{}, "", keptProcess).fixed(),
	keep("aof_rewrite_cpulist", param.Text{}, "", keptProcess).fixed(),
	keep("bgsave_cpulist", param.Text{}, "", keptProcess).fixed(),
	keep("unixsocketperm", param.Text{}, "0", keptProcess).fixed(),
	keep("socket-mark-id", param.Int{Min: 0, Max: math.MaxUint32}, "0", keptProcess).fixed(),
	keep("tcp-backlog", natural, "511", keptProcess).fixed(),
	keep("bind-source-addr", param.Text{}, "", keptProcess),
	keep("shutdown-timeout", natural, "10", keptReplication),

	keep("tls-ciphers", param.Text{}, "", keptTLS),
	keep("tls-ciphersuites", param.Text{}, "", keptTLS),
	keep("tls-prefer-server-ciphers", param.Bool{}, "no", keptTLS),
	keep("tls-dh-params-file", param.Text{}, "", keptTLS),
	keep("tls-session-cache-size", natural, "20480", keptTLS),
	keep("tls-session-cache-timeout", natural, "300", keptTLS),
	keep("tls-client-cert-file", param.Text{}, "", keptReplication),
	keep("tls-client-key-file", param.Text{}, "", keptReplication),
	keep("tls-client-key-file-pass", param.Text{}, "", keptReplication).secret(),
	keep("tls-replication", param.Bool{}, "no", keptReplication),
	keep("tls-cluster", param.Bool{}, "no", keptCluster),

	keep("cluster-config-file", param.Text{}, "nodes.conf", keptCluster).fixed(),
	keep("cluster-port", port, "0", keptCluster).fixed(),
	keep("cluster-node-timeout", param.Int{Min: 0, Max: math.MaxInt64}, "15000", keptCluster),
	keep("cluster-replica-validity-factor", natural, "10", keptCluster).alias("cluster-slave-validity-factor"),
	keep("cluster-migration-barrier", natural, "1", keptCluster),
	keep("cluster-require-full-coverage", param.Bool{}, "yes", keptCluster),
	keep("cluster-replica-no-failover", param.Bool{}, "no", keptCluster).alias("cluster-slave-no-failover"),
	keep("cluster-allow-reads-when-down", param.Bool{}, "no", keptCluster),
	keep("cluster-allow-pubsubshard-when-down", param.Bool{}, "yes", keptCluster),
	keep("cluster-allow-replica-migration", param.Bool{}, "yes", keptCluster),
	keep("cluster-link-sendbuf-limit", param.Memory{}, "0", keptCluster),
	keep("cluster-announce-bus-port", port, "0", keptCluster),
}

func keep(name string, t param.Type, value, why string) Kept {
	return Kept{param.Param{Name: name, Type: t, Default: value}, why}
}

func (k Kept) fixed() Kept            { k.Fixed = true; return k }
func (k Kept) hidden() Kept           { k.Hidden = true; return k }
func (k Kept) secret() Kept           { k.Secret = true; return k }
func (k Kept) alias(name string) Kept { k.Aliases = append(k.Aliases, name); return k }

// KeptParams are the parameters of Redis that change nothing here.
func KeptParams() []Kept { return append([]Kept(nil), kept...) }

// keepParams registers them with CONFIG.
func (db *DB) keepParams() {
	for i := range kept {
		p := &kept[i].Param
		value := p.Default // guarded by the lock of the table
		db.config.Register(p, param.TextVar(&value))
	}
	db.config.Register(&param.Param{Name: "activedefrag", Type: param.Bool{}, Default: "no"}, param.Func{
		Get: func() string { return "no" },
		Put: func(text string) error {
			if text == "no" {
				return nil
			}
			return errors.New("Active defragmentation cannot be enabled: it requires a Redis server compiled with a modified Jemalloc like the one " +
				"shipped by default with the Redis source distribution") // Redis's wording
		},
	})
}
