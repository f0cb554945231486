package main

import (
	"fmt"
	"slices"
	"strings"
)

// profile is which tests run.
type profile struct {
	name string
	// denied are the tags of tests that do not run.
	denied []string
	// options are further ones for the suite.
	options []string
	// started are the tests that need the suite to start servers itself, with
	// configurations of their own; the others run against one that runs already.
	started bool
	// endless are tests that send until the server keeps so much for a client that it
	// closes it. Where the server lets the client wait instead, they never end, and
	// hold up those behind them.
	endless []string
	units   []string
}

// profiles are all there are. The short ones are what CI has time for, and what
// needs no more of a server than its commands and its configuration.
var profiles = []profile{
	{
		name: "standard",
		denied: []string{
			"slow", "needs:debug", "needs:repl", "needs:pfdebug", "needs:save", "needs:config-maxmemory",
			"needs:config-resetstat", "needs:reset", "needs:latency", "needs:local-process",
		},
		options: []string{"--no-latency", "--ignore-encoding", "--ignore-digest"},
		units:   units,
	},
	{
		// This daemon is no replica and has none; all else that a redis-server
		// passes with memory and time enough.
		name:    "full",
		denied:  []string{"needs:repl"},
		options: []string{"--no-latency"},
		units:   units,
	},
	{
		name:    "started",
		denied:  []string{"slow", "needs:repl", "repl"},
		options: []string{"--no-latency"},
		started: true,
		endless: []string{
			"client evicted due to output buf",
			"client total memory grows during client no-evict",
			"client total memory grows during maxmemory-clients disabled",
		},
		units: startedUnits,
	},
}

// units are the files of the suite that have a test for a server which the suite
// has not started. Those that take longest are first, so that two workers end
// at about the same time.
var units = []string{
	"unit/type/zset", "unit/type/list", "unit/scripting", "unit/type/set", "unit/type/stream", "unit/sort",
	"unit/expire", "unit/hyperloglog", "unit/geo", "unit/bitops", "unit/type/list-3", "unit/type/hash",
	"unit/type/string", "unit/tracking", "unit/functions", "unit/introspection", "unit/querybuf", "unit/memefficiency",
	"unit/maxmemory", "unit/type/list-2", "unit/scan", "unit/other", "unit/type/stream-cgroups", "unit/pause",
	"unit/latency-monitor", "unit/introspection-2", "unit/multi", "unit/pubsub", "unit/slowlog", "unit/keyspace",
	"unit/bitfield", "unit/dump", "unit/type/incr", "unit/protocol", "unit/quit", "unit/info", "unit/info-command",
	"unit/acl", "unit/acl-v2", "unit/auth", "unit/lazyfree", "unit/limits", "unit/networking", "unit/obuf-limits",
	"unit/pubsubshard", "unit/replybufsize", "unit/violations", "unit/wait", "unit/aofrw", "unit/client-eviction",
	"unit/shutdown", "unit/tls", "unit/oom-score-adj", "integration/redis-cli", "integration/redis-benchmark",
}

// startedUnits are the files of the suite that have a test for servers which the
// suite has started: one with the tag external:skip. Those are left out that are of
// replicas (wait, pendingquerybuf), of the crash report of a C program (logging), and
// of MIGRATE (dump): what those do stands in blocks with the tag repl, without which
// they would pass on any server.
var startedUnits = []string{
	"unit/client-eviction", "unit/maxmemory", "unit/obuf-limits", "unit/introspection", "unit/scripting", "unit/other",
	"unit/acl", "unit/acl-v2", "unit/aofrw", "unit/memefficiency", "unit/auth", "unit/cluster-scripting",
	"unit/expire", "unit/functions", "unit/info", "unit/limits", "unit/multi", "unit/networking", "unit/oom-score-adj",
	"unit/pubsubshard", "unit/shutdown", "unit/type/stream-cgroups", "integration/redis-benchmark",
}

// profileNamed finds a profile.
func profileNamed(name string) (profile, error) {
	var names []string
	for _, p := range profiles {
		if p.name == name {
			return p, nil
		}
		names = append(names, p.name)
	}
	return profile{}, fmt.Errorf("no profile %q: there are %s", name, strings.Join(names, " and "))
}

// only returns p with these units, or all of them when none is named.
func (p profile) only(names []string) (profile, error) {
	if len(names) == 0 {
		return p, nil
	}
	for _, n := range names {
		if !slices.Contains(p.units, n) {
			return p, fmt.Errorf("no unit %q in profile %s", n, p.name)
		}
	}
	p.units = names
	return p, nil
}

// tags is what the suite's --tags takes.
func (p profile) tags() string {
	return "-" + strings.Join(p.denied, " -")
}
