package core

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/param"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// ParseSavePoints reads Redis's spelling, "3600 1 300 100"; an empty string is
// no save points.
func ParseSavePoints(s string) ([]SavePoint, error) {
	f := strings.Fields(s)
	if len(f)%2 != 0 {
		return nil, fmt.Errorf("save points %q: want pairs of seconds and changes", s)
	}
	var out []SavePoint
	for i := 0; i < len(f); i += 2 {
		sec, err1 := strconv.Atoi(f[i])
		n, err2 := strconv.ParseInt(f[i+1], 10, 64)
		if err1 != nil || err2 != nil || sec < 1 || n < 0 {
			return nil, fmt.Errorf("save points %q: %q is not seconds ≥ 1 and changes ≥ 0", s, f[i]+" "+f[i+1])
		}
		out = append(out, SavePoint{Seconds: sec, Changes: n})
	}
	return out, nil
}

func formatSavePoints(points []SavePoint) string {
	f := make([]string, 0, len(points))
	for _, p := range points {
		f = append(f, fmt.Sprintf("%d %d", p.Seconds, p.Changes))
	}
	return strings.Join(f, " ")
}

// Options configure an engine. Every field but FS may be left zero, which is the
// safe choice: every write is in a log, and on the disk before its reply. There are
// no automatic snapshots then; the log is rewritten when it has doubled.
type Options struct {
	// FS is the data directory. It must offer what durability needs, see
	// [vfs.RequireData], unless it is only read.
	FS vfs.FS
	// Shards is how many locks the keyspace is divided into, MaxShards at most;
	// 0 means one per CPU. It may differ from start to start: keys are routed
	// anew on load.
	Shards int
	// Databases is the number of logical databases; 0 means 16.
	Databases int

	// ReadOnly only looks: the directory is read as it is when Recover runs, and
	// nothing in it is created, changed, locked or synced, so that it may be on a
	// medium that cannot be written, or belong to an engine that is running, whose
	// further writes are not followed. A log that ends in a torn block is read up
	// to there. A directory without a manifest is refused.
	//
	// Writes get a READONLY error; keys expire in memory. What would save fails with
	// ErrReadOnly, and a shutdown saves nothing. NoLog, Save, Targets and
	// Archive are ignored; Stages are used to read.
	ReadOnly bool

	// Follow has the engine take over another server's data; nil follows none.
	Follow *Follow

	// NoLog keeps no log of the writes (Redis's appendonly no): what came after the
	// last checkpoint is gone after a crash.
	NoLog bool
	// Fsync is when the log is made durable. The zero value is wal.Always.
	Fsync wal.Policy
	// Save are the automatic snapshot points; nil means none.
	Save []SavePoint
	// RewritePercentage starts a rewrite when the log has grown by so many
	// percent over what it was after the last checkpoint; 0 means 100, and a
	// negative number never.
	RewritePercentage int
	// RewriteMinSize is the log size in bytes below which growth does not count;
	// 0 means 64 MiB, and a negative number no such size.
	RewriteMinSize int64
	// Keep is how many committed checkpoints stay on the local filesystem,
	// the current one included; 0 means 1.
	Keep int
	// ContinueOnSaveError lets writes go on after a failed background save
	// (Redis's stop-writes-on-bgsave-error no).
	ContinueOnSaveError bool

	// MaxMemory bounds the keyspace in bytes; 0 means no bound.
	MaxMemory int64
	// MaxMemoryPolicy is Redis's maxmemory-policy; empty means noeviction.
	MaxMemoryPolicy string

	// Stages transform every part on its way to the sinks, in order.
	Stages []sink.Stage
	// DecodeStages are further stages that older checkpoints may have been
	// written with and that recovery can undo.
	DecodeStages []sink.Stage
	// Targets are sinks beside the data directory.
	Targets []sink.Target
	// Archive sends the log, piece by piece, to sinks beside the data
	// directory. Without targets there is none.
	Archive Archive
	// Adopt lets a start go on although a target holds what this data
	// directory must not be taken for (see [SinkStateError]): the sets of
	// other directories, or a later state of this one. Nothing there is
	// touched; this directory goes on beside it, above its numbers.
	Adopt bool
	// VerifyDecode makes every part be decoded back before the commit, besides
	// the digest check that always happens.
	VerifyDecode bool

	// Cluster makes the engine the only node of a cluster, for clients that want
	// one (Redis's cluster-enabled): it owns all slots, has database 0 only, and
	// refuses commands whose keys are in several slots.
	Cluster bool

	// RequirePass is the password of the default user; empty means none.
	RequirePass string
	// Users are created at the start, or, for the default user, made anew. Either
	// they or ACLFile may be given.
	Users []UserRules
	// ACLFile has the users, and is what ACL LOAD reads and ACL SAVE writes, with
	// permissions 0600; empty means there is none. It lies in ACLFS, by the last
	// part of its name, or, where that is nil, in the data directory.
	ACLFile string
	ACLFS   vfs.FS

	// Logger gets one line per event; nil discards.
	Logger hclog.Logger
	// Clock is the source of time; nil means SystemClock.
	Clock Clock
	// Events are called when something has happened: to a checkpoint, to the log,
	// to a sink.
	Events Events
	// ManualTick leaves the tick to the caller of [DB.Tick]: nothing happens
	// by itself. For tests.
	ManualTick bool
	// OnShutdown is called, once, when a client's SHUTDOWN has been carried
	// out; the owner then ends the process. nil refuses SHUTDOWN.
	OnShutdown func()
	// OnPlugins answers SPILLWAY.PLUGINS, the command for what the engine's
	// owner runs beside it: the arguments in, the items of the reply out. It is
	// called without locks, also while loading. nil refuses the command.
	OnPlugins func(args []string) ([]string, error)
	// OnConfig answers SPILLWAY.CONFIG, about the file that the engine's owner has its
	// configuration from, in the same way. It may call [DB.PreparePipelines].
	OnConfig func(args []string) ([]string, error)
	// OnRewrite carries out CONFIG REWRITE; its error is the reply. nil answers as a
	// Redis does that has no configuration file.
	OnRewrite func() error
	// OnStatus answers SPILLWAY.STATUS: how the engine's owner stands, as an item of
	// JSON. It is called as OnPlugins is. nil refuses the command.
	OnStatus func(args []string) ([]string, error)
	// Version is what INFO and manifests name as the creator.
	Version string

	values param.Values // of the parameters that have no field
}

// MaxShards is how many shards an engine may have. Each is a part, with a file
// of its own, of every checkpoint, and a goroutine that writes it.
const MaxShards = 4096

// check refuses what no engine can be made of.
func (o Options) check() error {
	if o.FS == nil {
		return errors.New("core.Open: Options.FS is nil: give it a data directory")
	}
	if o.Shards > MaxShards {
		return fmt.Errorf("core.Open: Options.Shards is %d: want at most %d, a few for each CPU", o.Shards, MaxShards)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.ReadOnly {
		o = o.readOnly()
	}
	if o.Shards <= 0 {
		o.Shards = keyspace.DefaultShards()
	}
	if o.Databases <= 0 {
		options.Reset(&o, "databases")
	}
	if o.RewritePercentage == 0 {
		options.Reset(&o, "auto-aof-rewrite-percentage")
	}
	if o.RewriteMinSize == 0 {
		options.Reset(&o, "auto-aof-rewrite-min-size")
	}
	if o.Keep <= 0 {
		o.Keep = 1
	}
	if o.MaxMemoryPolicy == "" {
		options.Reset(&o, "maxmemory-policy")
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Clock == nil {
		o.Clock = SystemClock{}
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	return o
}

// DefaultOptions are the defaults of all parameters, which are Redis's with the
// log on, and three checkpoints kept.
func DefaultOptions(fs vfs.FS) Options {
	o := Options{FS: fs, Keep: 3}
	options.Defaults(&o)
	return o
}

const (
	tickInterval      = 100 * time.Millisecond
	expireBudget      = 25 // percent of a tick that active expiry may take
	evictBudget       = 25 // and the eviction of keys that no write makes room for
	expireKeysPerLock = 64 // keys expired under one lock hold

	compactBudget      = 5  // and the moving of keys together
	compactKeysPerLock = 64 // keys moved under one lock hold
)
