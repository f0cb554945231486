package core

import (
	"math"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/param"
	"github.com/spillwaydb/spillway/core/wal"
)

// parameter is an entry of the table: what is declared of a parameter, and where
// its value is, before the start and while the engine runs.
type parameter struct {
	param.Param

	// option is the field of Options for it. A parameter without one is given as
	// text, by way of [Options.Var].
	option func(*Options) param.Var
	// setting is the field of settings for it; or else part is where the part of
	// the engine that it belongs to keeps it. A fixed one has neither.
	setting func(*settings) param.Var
	part    func(*DB) param.Var

	// allow refuses settings that this engine cannot have.
	allow func(*DB, *settings) error
	// applied tells parts of the engine that settings have changed.
	applied func(*DB, *settings)
	// shown is what CONFIG GET says in place of what was asked for.
	shown func(*DB, *settings) string
}

// params are all parameters of the engine, the one place that declares them.
// See ARCHITECTURE.md for how one is added.
var params = []parameter{
	{
		Param: param.Param{
			Name: "shards", HCL: "shards", Type: param.Int{Min: 1, Max: MaxShards}, Auto: "one per CPU", Fixed: true, Hidden: true,
			Doc: "Number of locks that the keyspace is divided into; each is a file of every checkpoint, and it may differ at every start.",
		},
		option: func(o *Options) param.Var { return param.IntVar(&o.Shards) },
	},
	{
		Param: param.Param{
			Name: "databases", HCL: "databases", Type: param.Int{Min: 1, Max: 1024}, Default: "16", Fixed: true,
			Doc: "Number of databases that SELECT chooses from.",
		},
		option: func(o *Options) param.Var { return param.IntVar(&o.Databases) },
	},

	// Persistence.
	{
		Param: param.Param{
			Name: "appendonly", HCL: "append_only", Type: param.Bool{}, Default: "yes",
			Doc: "Keep a log of every write.",
		},
		option:  func(o *Options) param.Var { return param.NotVar(&o.NoLog) },
		setting: func(s *settings) param.Var { return param.BoolVar(&s.appendOnly) },
		allow: func(db *DB, s *settings) error {
			if s.appendOnly && db.opts.ReadOnly {
				return ErrReadOnly
			}
			return nil
		},
		shown: func(db *DB, s *settings) string {
			on := s.appendOnly && (db.Loading() || db.persist.LogOn())
			return param.BoolVar(&on).String()
		},
	},
	{
		Param: param.Param{
			Name: "appendfsync", HCL: "fsync", Type: param.OneOf{"everysec", "always", "no"}, Default: "everysec",
			Doc: "When the log is made durable: before a reply leaves, at most a second later, or when the operating system decides.",
		},
		option:  func(o *Options) param.Var { return policyVar(&o.Fsync) },
		setting: func(s *settings) param.Var { return policyVar(&s.fsync) },
		applied: func(db *DB, s *settings) {
			if log := db.persist.Log(); log != nil {
				log.SetPolicy(s.fsync)
			}
		},
	},
	{
		Param: param.Param{
			Name: "save", HCL: "save", Type: savePoints, Default: "3600 1 300 100 60 10000",
			Doc: "A snapshot is taken after so many seconds if at least so many keys have changed; none of them means never.",
		},
		option:  func(o *Options) param.Var { return savePointsVar(&o.Save) },
		setting: func(s *settings) param.Var { return savePointsVar(&s.save) },
		allow: func(db *DB, s *settings) error {
			if len(s.save) > 0 && db.opts.ReadOnly {
				return ErrReadOnly
			}
			return nil
		},
	},
	{
		Param: param.Param{
			Name: "auto-aof-rewrite-percentage", HCL: "rewrite_percentage", Type: param.Int{Min: 0, Max: math.MaxInt32}, Default: "100",
			Doc: "A rewrite is started when the log has grown by so many percent since the last checkpoint; 0 turns that off.",
		},
		option:  func(o *Options) param.Var { return param.NegativeVar(&o.RewritePercentage) },
		setting: func(s *settings) param.Var { return param.IntVar(&s.rewritePct) },
	},
	{
		Param: param.Param{
			Name: "auto-aof-rewrite-min-size", HCL: "rewrite_min_size", Type: param.Memory{}, Default: "67108864",
			Doc: "Size of the log below which its growth starts no rewrite.",
		},
		option:  func(o *Options) param.Var { return param.NegativeVar(&o.RewriteMinSize) },
		setting: func(s *settings) param.Var { return param.IntVar(&s.rewriteMin) },
	},
	{
		Param: param.Param{
			Name: "stop-writes-on-bgsave-error", HCL: "stop_writes_on_save_error", Type: param.Bool{}, Default: "yes",
			Doc: "Refuse writes, with MISCONF, while the last background save has failed.",
		},
		option:  func(o *Options) param.Var { return param.NotVar(&o.ContinueOnSaveError) },
		setting: func(s *settings) param.Var { return param.BoolVar(&s.stopOnSaveError) },
	},

	// Memory.
	{
		Param: param.Param{
			Name: "maxmemory", HCL: "max_memory", Type: param.Memory{}, Default: "0", Info: "maxmemory",
			Doc: "Bound on the memory of keys and values; 0 is none.",
		},
		option:  func(o *Options) param.Var { return param.IntVar(&o.MaxMemory) },
		setting: func(s *settings) param.Var { return param.IntVar(&s.maxMemory) },
	},
	{
		Param: param.Param{
			Name: "maxmemory-policy", HCL: "max_memory_policy", Default: "noeviction", Info: "maxmemory_policy",
			Type: param.OneOf{
				"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
				"allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction",
			},
			Doc: "Which keys go when memory is at its bound.",
		},
		option:  func(o *Options) param.Var { return param.TextVar(&o.MaxMemoryPolicy) },
		setting: func(s *settings) param.Var { return param.TextVar(&s.maxMemoryPolicy) },
		applied: func(db *DB, s *settings) { db.ks.SetLFU(strings.HasSuffix(s.maxMemoryPolicy, "-lfu")) },
	},
	{
		Param: param.Param{
			Name: "maxmemory-samples", HCL: "max_memory_samples", Type: param.Int{Min: 1, Max: math.MaxInt32}, Default: "5",
			Doc: "How many keys are looked at to find the one that goes.",
		},
		setting: func(s *settings) param.Var { return param.IntVar(&s.maxMemorySamples) },
	},

	{
		Param: param.Param{
			Name: "lfu-log-factor", HCL: "lfu_log_factor", Type: param.Int{Min: 0, Max: math.MaxInt32}, Default: "10",
			Doc: "How many accesses the counter of a key takes to grow, under the policies that end in lfu: the larger, the more.",
		},
		setting: func(s *settings) param.Var { return param.IntVar(&s.lfuLogFactor) },
		applied: func(db *DB, s *settings) { db.ks.ScaleLFU(s.lfuLogFactor, s.lfuDecayTime) },
	},
	{
		Param: param.Param{
			Name: "lfu-decay-time", HCL: "lfu_decay_time", Type: param.Int{Min: 0, Max: math.MaxInt32}, Default: "1",
			Doc: "After how many minutes the counter of a key loses one; 0 means never.",
		},
		setting: func(s *settings) param.Var { return param.IntVar(&s.lfuDecayTime) },
		applied: func(db *DB, s *settings) { db.ks.ScaleLFU(s.lfuLogFactor, s.lfuDecayTime) },
	},

	// Scripts.
	{
		Param: param.Param{
			Name: "busy-reply-threshold", Aliases: []string{"lua-time-limit"}, HCL: "busy_reply_threshold", Type: param.Int{Min: 0, Max: math.MaxInt64}, Default: "5000",
			Doc: "For how many milliseconds a script may run before other clients are told that the engine is busy, and the script can be killed; 0 means for ever.",
		},
		setting: func(s *settings) param.Var { return param.IntVar(&s.busyThreshold) },
	},
	{
		Param: param.Param{
			Name: "lua-enable-deprecated-api", HCL: "lua_enable_deprecated_api", Type: param.Bool{}, Default: "no",
			Doc: "Give scripts the functions setfenv, getfenv and newproxy; it counts for scripts that run after the next SCRIPT FLUSH.",
		},
		setting: func(s *settings) param.Var { return param.BoolVar(&s.deprecatedLua) },
	},

	{
		Param: param.Param{
			Name: "min-replicas-to-write", Aliases: []string{"min-slaves-to-write"}, HCL: "min_replicas_to_write",
			Type: param.Int{Min: 0, Max: math.MaxInt32}, Default: "0",
			Doc: "How many replicas there must be for a write to be carried out: there are none, so writes are refused if it is above 0.",
		},
		part: func(db *DB) param.Var {
			return param.IntFunc(db.runtime.MinReplicas, db.runtime.SetMinReplicas)
		},
	},
	{
		Param: param.Param{
			Name: "min-replicas-max-lag", Aliases: []string{"min-slaves-max-lag"}, HCL: "min_replicas_max_lag",
			Type: param.Int{Min: 0, Max: math.MaxInt32}, Default: "10",
			Doc: "How many seconds a replica may be behind to count for min-replicas-to-write; 0 switches that off.",
		},
		part: func(db *DB) param.Var {
			return param.IntFunc(db.runtime.ReplicasMaxLag, db.runtime.SetReplicasMaxLag)
		},
	},

	// Clients.
	{
		Param: param.Param{
			Name: "requirepass", HCL: "password", Type: param.Text{}, Secret: true,
			Doc: "Password of the default user, empty for none; on a command line everybody on the machine can see it, so prefer SPILLWAY_PASSWORD.",
		},
		option:  func(o *Options) param.Var { return param.TextVar(&o.RequirePass) },
		setting: func(s *settings) param.Var { return param.TextVar(&s.requirePass) },
		applied: func(db *DB, s *settings) { db.users.SetPassword(s.requirePass) },
	},
	{
		Param: param.Param{
			Name: "acl-pubsub-default", HCL: "acl_pubsub_default", Type: param.OneOf{"allchannels", "resetchannels"}, Default: "resetchannels",
			Doc: "Which channels of publish and subscribe a new user may name: none or all.",
		},
		part: func(db *DB) param.Var {
			return param.Func{
				Get: func() string {
					if db.users.AllChannels.Load() {
						return "allchannels"
					}
					return "resetchannels"
				},
				Put: func(text string) error { db.users.AllChannels.Store(text == "allchannels"); return nil },
			}
		},
	},
	{
		Param: param.Param{
			Name: "acllog-max-len", HCL: "acllog_max_len", Type: count, Default: "128",
			Doc: "How many refusals ACL LOG keeps.",
		},
		part: func(db *DB) param.Var { return param.IntFunc(db.users.Log.MaxLen, db.users.Log.SetMaxLen) },
	},
	{
		Param: param.Param{
			Name: "aclfile", HCL: "acl_file", Type: param.Text{}, Fixed: true,
			Doc: "File with the users, which must exist, and which ACL LOAD reads and ACL SAVE writes; empty for none.",
		},
		option: func(o *Options) param.Var { return param.TextVar(&o.ACLFile) },
	},

	{
		Param: param.Param{
			Name: "cluster-enabled", HCL: "cluster_enabled", Type: param.Bool{}, Default: "no", Fixed: true,
			Doc: "Answer as the only node of a cluster, with all slots: one database, and all keys of a command in one slot.",
		},
		option: func(o *Options) param.Var { return param.BoolVar(&o.Cluster) },
	},

	{
		Param: param.Param{
			Name: "cluster-announce-ip", HCL: "cluster_announce_ip", Type: param.Text{},
			Doc: "The address that CLUSTER SLOTS, SHARDS and NODES tell clients, as where they reach the node of a container; empty for the one they use.",
		},
		part: func(db *DB) param.Var { return param.AtomicTextVar(&db.announced.IP) },
	},
	{
		Param: param.Param{
			Name: "cluster-announce-hostname", HCL: "cluster_announce_hostname", Type: hostname{},
			Doc: "A name of this node that they tell beside it.",
		},
		part: func(db *DB) param.Var { return param.AtomicTextVar(&db.announced.Hostname) },
	},
	{
		Param: param.Param{
			Name: "cluster-preferred-endpoint-type", HCL: "cluster_preferred_endpoint_type", Type: param.OneOf(command.EndpointTypes), Default: "ip",
			Doc: "Which of the two clients are to use, or none: the address that they have used.",
		},
		part: func(db *DB) param.Var { return param.AtomicTextVar(&db.announced.Endpoint) },
	},
	{
		Param: param.Param{
			Name: "cluster-announce-port", HCL: "cluster_announce_port", Type: port, Default: "0",
			Doc: "The port that they tell; 0 is the one that the client has connected to.",
		},
		part: func(db *DB) param.Var { return param.AtomicIntVar(&db.announced.Port) },
	},
	{
		Param: param.Param{
			Name: "cluster-announce-tls-port", HCL: "cluster_announce_tls_port", Type: port, Default: "0",
			Doc: "The same for clients that use TLS.",
		},
		part: func(db *DB) param.Var { return param.AtomicIntVar(&db.announced.TLSPort) },
	},

	// What clients are told.
	{
		Param: param.Param{
			Name: "notify-keyspace-events", HCL: "notify_keyspace_events", Type: eventClasses{}, Default: "",
			Doc: "Which events of keys are published: K, E or both for the channels, and a letter for each class, as in Redis's keyspace notifications; empty is none.",
		},
		part: func(db *DB) param.Var {
			return param.Func{
				Get: func() string { return db.notifier.Classes().String() },
				Put: func(text string) error {
					classes, err := command.ParseClasses(text)
					if err == nil {
						db.notifier.SetClasses(classes)
					}
					return err
				},
			}
		},
	},
	{
		Param: param.Param{
			Name: "tracking-table-max-keys", HCL: "tracking_table_max_keys", Type: param.Int{Min: 0, Max: math.MaxInt64}, Default: "1000000",
			Doc: "How many keys are remembered for CLIENT TRACKING, those of all clients together; 0 is any number.",
		},
		part: func(db *DB) param.Var { return param.IntFunc(db.tracking.MaxKeys, db.tracking.SetMaxKeys) },
	},

	// What is slow.
	{
		Param: param.Param{
			Name: "slowlog-log-slower-than", HCL: "slowlog_log_slower_than", Type: param.Int{Min: -1, Max: math.MaxInt64 / 1000}, Default: "10000",
			Doc: "SLOWLOG keeps commands that take so many microseconds; 0 is every command, -1 none.",
		},
		part: func(db *DB) param.Var {
			return param.IntFunc(
				func() int64 { return max(-1, db.slowlog.Threshold().Microseconds()) },
				func(n int64) { db.slowlog.SetThreshold(time.Duration(n) * time.Microsecond) },
			)
		},
	},
	{
		Param: param.Param{
			Name: "slowlog-max-len", HCL: "slowlog_max_len", Type: count, Default: "128",
			Doc: "How many commands SLOWLOG keeps.",
		},
		part: func(db *DB) param.Var { return param.IntFunc(db.slowlog.MaxLen, db.slowlog.SetMaxLen) },
	},
	{
		Param: param.Param{
			Name: "latency-monitor-threshold", HCL: "latency_monitor_threshold", Type: count, Default: "0",
			Doc: "LATENCY keeps what takes so many milliseconds; 0 turns it off.",
		},
		part: func(db *DB) param.Var {
			return param.IntFunc(
				func() int64 { return db.latency.Threshold().Milliseconds() },
				func(n int64) {
					db.latency.SetThreshold(time.Duration(min(n, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond)
				},
			)
		},
	},

	{
		Param: param.Param{
			Name: "latency-tracking", HCL: "latency_tracking", Type: param.Bool{}, Default: "yes",
			Doc: "Count how long the calls of each command take, for INFO latencystats and LATENCY HISTOGRAM.",
		},
		part: func(db *DB) param.Var { return param.AtomicBoolVar(&db.stats.Latency) },
	},
	{
		Param: param.Param{
			Name: "latency-tracking-info-percentiles", HCL: "latency_tracking_info_percentiles", Type: percentiles, Default: "50 99 99.9",
			Doc: "Which percentiles INFO latencystats shows.",
		},
		part: func(db *DB) param.Var { return percentilesVar(&db.percentiles) },
	},

	// Up to where a collection is packed into one piece of memory.
	{
		Param: param.Param{
			Name: "hash-max-listpack-entries", Aliases: []string{"hash-max-ziplist-entries"}, HCL: "hash_max_listpack_entries", Type: count, Default: "512",
			Doc: "How many fields a packed hash may have.",
		},
		part: limit(func(l *keyspace.Limits) *int { return &l.HashEntries }),
	},
	{
		Param: param.Param{
			Name: "hash-max-listpack-value", Aliases: []string{"hash-max-ziplist-value"}, HCL: "hash_max_listpack_value", Type: param.Memory{}, Default: "64",
			Doc: "How large a field or a value of a packed hash may be.",
		},
		part: limit(func(l *keyspace.Limits) *int { return &l.HashValue }),
	},
	{
		Param: param.Param{
			Name: "list-max-listpack-size", Aliases: []string{"list-max-ziplist-size"}, HCL: "list_max_listpack_size", Type: param.Int{Min: math.MinInt32, Max: math.MaxInt32}, Default: "-2",
			Doc: "How many items a packed list, or a chunk of a larger one, may have, or from -1 to -5 how many bytes: 4, 8, 16, 32 or 64 KiB.",
		},
		part: limit(func(l *keyspace.Limits) *int { return &l.ListSize }),
	},
	{
		Param: param.Param{
			Name: "set-max-intset-entries", HCL: "set_max_intset_entries", Type: count, Default: "512",
			Doc: "How many members a packed set of integers may have.",
		},
		part: limit(func(l *keyspace.Limits) *int { return &l.IntsetEntries }),
	},
	{
		Param: param.Param{
			Name: "set-max-listpack-entries", HCL: "set_max_listpack_entries", Type: count, Default: "128",
			Doc: "How many members any other packed set may have.",
		},
		part: limit(func(l *keyspace.Limits) *int { return &l.SetEntries }),
	},
	{
		Param: param.Param{
			Name: "set-max-listpack-value", HCL: "set_max_listpack_value", Type: param.Memory{}, Default: "64",
			Doc: "How large a member of a packed set may be.",
		},
		part: limit(func(l *keyspace.Limits) *int { return &l.SetValue }),
	},
	{
		Param: param.Param{
			Name: "stream-node-max-bytes", HCL: "stream_node_max_bytes", Type: param.Memory{}, Default: "4096",
			Doc: "How many bytes a run of a stream's entries may have, 0 for no bound.",
		},
		part: limit(func(l *keyspace.Limits) *int { return &l.StreamNodeBytes }),
	},
	{
		Param: param.Param{
			Name: "stream-node-max-entries", HCL: "stream_node_max_entries", Type: count, Default: "100",
			Doc: "How many entries a run of a stream's entries may have, 0 for no bound.",
		},
		part: limit(func(l *keyspace.Limits) *int { return &l.StreamNodeEntries }),
	},
	{
		Param: param.Param{
			Name: "zset-max-listpack-entries", Aliases: []string{"zset-max-ziplist-entries"}, HCL: "zset_max_listpack_entries", Type: count, Default: "128",
			Doc: "How many members a packed sorted set may have.",
		},
		part: limit(func(l *keyspace.Limits) *int { return &l.ZSetEntries }),
	},
	{
		Param: param.Param{
			Name: "zset-max-listpack-value", Aliases: []string{"zset-max-ziplist-value"}, HCL: "zset_max_listpack_value", Type: param.Memory{}, Default: "64",
			Doc: "How large a member of a packed sorted set may be.",
		},
		part: limit(func(l *keyspace.Limits) *int { return &l.ZSetValue }),
	},
	{
		Param: param.Param{
			Name: "hll-sparse-max-bytes", HCL: "hll_sparse_max_bytes", Type: param.Memory{}, Default: "3000",
			Doc: "How long a sparse HyperLogLog may be.",
		},
		part: limit(func(l *keyspace.Limits) *int { return &l.HLLSparse }),
	},

	// Names in the data directory, for programs that ask where things are.
	{
		Param: param.Param{
			Name: "appenddirname", Type: param.Text{}, Default: "log", Fixed: true,
			Doc: "Where the log is, below the data directory.",
		},
	},
	{
		Param: param.Param{
			Name: "dbfilename", Type: param.Text{}, Default: "MANIFEST", Fixed: true, Protected: true,
			Doc: "The file of the data directory that names the checkpoint in force.",
		},
	},
}

// eventClasses is the type of notify-keyspace-events.
type eventClasses struct{}

// Parse implements param.Type. It keeps an n that CONFIG GET does not show.
func (eventClasses) Parse(text string) (string, error) {
	classes, err := command.ParseClasses(text)
	return classes.Text(), err
}

// Want implements param.Type.
func (eventClasses) Want() string { return "any of the letters KEg$lshzxetdmnA" }

// hostname is the type of cluster-announce-hostname.
type hostname struct{}

// Parse implements param.Type.
func (hostname) Parse(text string) (string, error) { return text, command.CheckHostname(text) }

// Want implements param.Type.
func (hostname) Want() string { return "letters, digits, hyphens and dots" }

// count is a number of elements.
var count = param.Int{Min: 0, Max: math.MaxInt64}

// limit is where the keyspace keeps one of its limits.
func limit(field func(*keyspace.Limits) *int) func(*DB) param.Var {
	return func(db *DB) param.Var {
		return param.IntFunc(
			func() int64 {
				l := db.ks.Limits()
				return int64(*field(&l))
			},
			func(n int64) {
				db.setMu.Lock()
				defer db.setMu.Unlock()
				l := db.ks.Limits()
				*field(&l) = int(n)
				db.ks.SetLimits(l)
			},
		)
	}
}

func policyVar(p *wal.Policy) param.Var {
	return param.Func{
		Get: p.String,
		Put: func(text string) (err error) { *p, err = wal.ParsePolicy(text); return err },
	}
}

// savePoints is the type of save.
var savePoints = param.List{
	Name: "save points", Of: "pairs of seconds and changes", Example: [2]string{"3600 1", "300 100"},
	Reply: "Invalid save parameters", // Redis's wording
	Check: func(text string) (string, error) {
		points, err := ParseSavePoints(text)
		return formatSavePoints(points), err
	},
}

func savePointsVar(p *[]SavePoint) param.Var {
	return param.Func{
		Get: func() string { return formatSavePoints(*p) },
		Put: func(text string) (err error) { *p, err = ParseSavePoints(text); return err },
	}
}
