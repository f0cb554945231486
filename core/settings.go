package core

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/wal"
)

// settings are the parameters that CONFIG SET may change, as one immutable
// value: the serving path reads them with a single atomic load.
type settings struct {
	appendOnly       bool // the log is to be on; whether it is, see persist.Persister.LogOn
	fsync            wal.Policy
	save             []SavePoint
	rewritePct       int
	rewriteMin       int64
	stopOnSaveError  bool
	maxMemory        int64
	maxMemoryPolicy  string
	maxMemorySamples int
	requirePass      string
}

// EvictionPolicies are the values of maxmemory-policy.
var EvictionPolicies = []string{
	"noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random",
	"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
}

func (db *DB) initSettings() error {
	o := db.opts
	if !slices.Contains(EvictionPolicies, o.MaxMemoryPolicy) {
		return fmt.Errorf("maxmemory-policy %q: want one of %s", o.MaxMemoryPolicy, strings.Join(EvictionPolicies, ", "))
	}
	db.ks.SetLFU(strings.HasSuffix(o.MaxMemoryPolicy, "-lfu"))
	db.settings.Store(&settings{
		appendOnly: o.AppendOnly, fsync: o.Fsync, save: o.Save, rewritePct: o.RewritePercentage, rewriteMin: o.RewriteMinSize,
		stopOnSaveError: !o.ContinueOnSaveError, maxMemory: o.MaxMemory,
		maxMemoryPolicy: o.MaxMemoryPolicy, maxMemorySamples: 5, requirePass: o.RequirePass,
	})
	return nil
}

// change swaps in settings that f has altered.
func (db *DB) change(f func(*settings) error) error {
	db.setMu.Lock()
	defer db.setMu.Unlock()
	s := *db.settings.Load()
	if err := f(&s); err != nil {
		return err
	}
	db.settings.Store(&s)
	return nil
}

// param makes a parameter from a getter and a setter of settings.
func (db *DB) param(name string, get func(*settings) string, set func(s *settings, v string) error) command.Param {
	return command.Param{
		Name: name,
		Get:  func() string { return get(db.settings.Load()) },
		Set: func(v string) error {
			return db.change(func(s *settings) error { return set(s, v) })
		},
	}
}

// fixed makes a parameter that cannot change at run time.
func fixed(name, value string) command.Param {
	return command.Param{Name: name, Get: func() string { return value }}
}

func (db *DB) registerConfig() {
	db.config.Register(
		db.param("save", func(s *settings) string { return formatSavePoints(s.save) }, func(s *settings, v string) (err error) {
			s.save, err = ParseSavePoints(v)
			if err != nil {
				return errors.New("Invalid save parameters") // Redis's wording
			}
			if len(s.save) > 0 && db.opts.ReadOnly {
				return ErrReadOnly
			}
			return nil
		}),
		db.param("appendfsync", func(s *settings) string { return s.fsync.String() }, func(s *settings, v string) error {
			p, err := wal.ParsePolicy(v)
			if err != nil {
				return errors.New("argument(s) must be one of the following: everysec, always, no")
			}
			s.fsync = p
			if log := db.persist.Log(); log != nil {
				log.SetPolicy(p)
			}
			return nil
		}),
		db.param("appendonly", func(s *settings) string { return yesNo(s.appendOnly && (db.Loading() || db.persist.LogOn())) }, func(s *settings, v string) (err error) {
			s.appendOnly, err = parseYesNo(v)
			if s.appendOnly && db.opts.ReadOnly {
				return ErrReadOnly
			}
			return err
		}),
		db.param("auto-aof-rewrite-percentage", func(s *settings) string { return strconv.Itoa(s.rewritePct) }, func(s *settings, v string) error {
			n, err := intBetween(v, 0, math.MaxInt32)
			s.rewritePct = int(n)
			return err
		}),
		db.param("auto-aof-rewrite-min-size", func(s *settings) string { return strconv.FormatInt(s.rewriteMin, 10) }, func(s *settings, v string) (err error) {
			s.rewriteMin, err = ParseMemory(v)
			return err
		}),
		db.param("stop-writes-on-bgsave-error", func(s *settings) string { return yesNo(s.stopOnSaveError) }, func(s *settings, v string) (err error) {
			s.stopOnSaveError, err = parseYesNo(v)
			return err
		}),
		db.param("maxmemory", func(s *settings) string { return strconv.FormatInt(s.maxMemory, 10) }, func(s *settings, v string) (err error) {
			s.maxMemory, err = ParseMemory(v)
			return err
		}),
		db.param("maxmemory-policy", func(s *settings) string { return s.maxMemoryPolicy }, func(s *settings, v string) error {
			v = strings.ToLower(v)
			if !slices.Contains(EvictionPolicies, v) {
				return errors.New("argument(s) must be one of the following: " + strings.Join(EvictionPolicies, ", "))
			}
			s.maxMemoryPolicy = v
			db.ks.SetLFU(strings.HasSuffix(v, "-lfu"))
			return nil
		}),
		db.param("maxmemory-samples", func(s *settings) string { return strconv.Itoa(s.maxMemorySamples) }, func(s *settings, v string) error {
			n, err := intBetween(v, 1, 64)
			s.maxMemorySamples = int(n)
			return err
		}),
		db.param("requirepass", func(s *settings) string { return s.requirePass }, func(s *settings, v string) error {
			s.requirePass = v
			return nil
		}),
		command.Param{
			Name: "slowlog-log-slower-than",
			Get: func() string {
				if t := db.slowlog.Threshold(); t >= 0 {
					return strconv.FormatInt(t.Microseconds(), 10)
				}
				return "-1"
			},
			Set: func(v string) error {
				n, err := intBetween(v, -1, math.MaxInt64/1000)
				if err == nil {
					db.slowlog.SetThreshold(time.Duration(n) * time.Microsecond)
				}
				return err
			},
		},
		command.Param{
			Name: "slowlog-max-len", Get: func() string { return strconv.FormatInt(db.slowlog.MaxLen(), 10) },
			Set: func(v string) error {
				n, err := intBetween(v, 0, math.MaxInt32)
				if err == nil {
					db.slowlog.SetMaxLen(n)
				}
				return err
			},
		},
		command.Param{
			Name: "latency-monitor-threshold", Get: func() string { return strconv.FormatInt(db.latency.Threshold().Milliseconds(), 10) },
			Set: func(v string) error {
				n, err := intBetween(v, 0, math.MaxInt32)
				if err == nil {
					db.latency.SetThreshold(time.Duration(n) * time.Millisecond)
				}
				return err
			},
		},
		fixed("databases", strconv.Itoa(db.opts.Databases)),
		fixed("shards", strconv.Itoa(db.opts.Shards)),
		fixed("appenddirname", "log"),
		fixed("dbfilename", "MANIFEST"),
	)
	db.config.Register(db.limitParams()...)
}

// ParseMemory reads a size as redis.conf spells it: 1024, 64mb, 1gb, 1g (k, m
// and g are powers of ten, kb, mb and gb of two).
func ParseMemory(v string) (int64, error) {
	digits := strings.TrimRight(strings.ToLower(v), "kmgtb")
	unit, ok := map[string]int64{
		"": 1, "b": 1, "k": 1e3, "kb": 1 << 10, "m": 1e6, "mb": 1 << 20, "g": 1e9, "gb": 1 << 30, "t": 1e12, "tb": 1 << 40,
	}[strings.ToLower(v)[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || n < 0 || n > math.MaxInt64/unit {
		return 0, errors.New("argument must be a memory value")
	}
	return n * unit, nil
}

func intBetween(v string, lo, hi int64) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, errors.New("argument couldn't be parsed into an integer")
	}
	if n < lo || n > hi {
		return 0, fmt.Errorf("argument must be between %d and %d inclusive", lo, hi)
	}
	return n, nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func parseYesNo(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	return false, errors.New("argument must be 'yes' or 'no'")
}
