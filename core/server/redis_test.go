package server

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// pair is a client of ours and one of a redis-server.
type pair struct {
	ours, redis *client
	dialRedis   func() net.Conn
}

func newPair(t *testing.T) pair {
	t.Helper()
	_, addr := serve(t, Options{}, func(o *core.Options) { o.NoLog, o.Fsync = true, wal.EverySec }, nil)
	dialRedis := testutil.Redis(t)
	p := pair{dial(t, addr), clientOn(t, dialRedis()), dialRedis}
	p.both("CONFIG RESETSTAT") // whoever started the redis-server has asked it whether it is there
	p.ours.text("INFO server")
	if v := p.redis.text("INFO server"); !strings.Contains(v, "redis_version:7.0.") {
		t.Skipf("redis-server is not the one of 7.0, whose INFO we follow: %.80q", v)
	}
	return p
}

// text is the reply to a command, a string.
func (c *client) text(line string) string {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
		c.t.Fatal(err)
	}
	v, err := resp.ReadReply(c.r)
	if err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	return v.Text()
}

// both gives both a command, and their replies.
func (p pair) both(line string) (ours, redis string) {
	return p.ours.ask(line), p.redis.ask(line)
}

// fields are the sections ("# Server") and fields of an INFO, in their order.
func fields(info string) (out []string) {
	for line := range strings.SplitSeq(info, "\r\n") {
		if name, _, ok := strings.Cut(line, ":"); ok || strings.HasPrefix(line, "#") {
			out = append(out, name)
		}
	}
	return out
}

// TestInfoAgainstRedis: INFO has the sections and fields of Redis, in its order; for
// every way of asking for sections.
func TestInfoAgainstRedis(t *testing.T) {
	p := newPair(t)
	for _, line := range []string{"SET a 1 PX 1000000", "GET nothing", "LPUSH a x"} {
		p.both(line)
	}
	for _, ask := range []string{
		"", "default", "all", "everything", "server", "CLIENTS Memory", "keyspace server keyspace", "commandstats", "default commandstats",
		"errorstats latencystats", "nonsense", "nonsense cpu", "all nonsense", "modules", "module_list", "cluster replication", "persistence stats",
	} {
		ours, redis := fields(p.ours.text("INFO "+ask)), fields(p.redis.text("INFO "+ask))
		// What Redis does not have is left out, what we do not have is in the docs.
		ours = slices.DeleteFunc(ours, func(f string) bool {
			return !slices.Contains(redis, f) && (strings.HasPrefix(f, "spillway_") || slices.Contains([]string{"go_version", "shards", "aof_state", "pubsub_clients", "expired_subkeys"}, f))
		})
		redis = slices.DeleteFunc(redis, func(f string) bool { return strings.HasSuffix(f, "_main_thread") })
		// Commands are in the order of their names here, and in none there.
		sortRun(redis, "cmdstat_")
		sortRun(redis, "latency_percentiles_usec_")
		if !slices.Equal(ours, redis) {
			t.Errorf("INFO %s\nours  %q\nredis %q", ask, ours, redis)
		}
	}
}

// sortRun sorts the fields with a prefix, which stand together.
func sortRun(fields []string, prefix string) {
	has := func(f string) bool { return strings.HasPrefix(f, prefix) }
	if first := slices.IndexFunc(fields, has); first >= 0 {
		n := slices.IndexFunc(fields[first:], func(f string) bool { return !has(f) })
		if n < 0 {
			n = len(fields) - first
		}
		slices.Sort(fields[first : first+n])
	}
}

// counts is what an INFO says that does not depend on time.
func counts(info string) (out []string) {
	took := regexp.MustCompile(`usec=\d+,usec_per_call=[\d.]+,|:p50=.*`)
	for line := range strings.SplitSeq(info, "\r\n") {
		if strings.Contains(line, ":") {
			out = append(out, took.ReplaceAllString(line, ""))
		}
	}
	slices.Sort(out)
	return out
}

// TestCommandStatsAgainstRedis: calls, refusals, failures and errors are counted as
// Redis counts them, and CONFIG RESETSTAT forgets them.
func TestCommandStatsAgainstRedis(t *testing.T) {
	p := newPair(t)
	c := dial(t, p.ours.RemoteAddr().String())
	c2 := clientOn(t, p.dialRedis())
	for _, line := range []string{
		"SET a 1", "set A 2", "GET a", "GET", "GET a b c", "LPUSH a x", "NOSUCH x", "CONFIG GET maxmemory", "CONFIG NOSUCH", "CONFIG",
		"INCR a", "HGET a b", "OBJECT ENCODING a", "OBJECT HELP x", "CLIENT ID", "CLIENT KILL ID 0", "PING", "PING", "ECHO hi", "AUTH x", "SELECT 99",
		"MULTI", "SET a 3", "LPUSH a x", "GET a", "EXEC", "MULTI", "GET", "SET a", "EXEC", "EXEC", "DISCARD", "MULTI", "MULTI", "DISCARD", "WATCH a", "UNWATCH",
		"CONFIG SET maxmemory 1", "SET b 1", "MULTI", "SET b 1", "EXEC", "CONFIG SET maxmemory 0", "CONFIG SET maxmemory x", "CLIENT REPLY ON", "RESET", "DBSIZE",
		"LATENCY HISTOGRAM", "RENAME none b", "EXPIRE a x", "ZADD z NX XX 1 a", "LATENCY RESET", "SLOWLOG GET x",
	} {
		p.ours.ask(line)
		p.redis.ask(line)
	}
	ask := "INFO commandstats errorstats latencystats"
	if ours, redis := counts(c.text(ask)), counts(c2.text(ask)); !slices.Equal(ours, redis) {
		t.Errorf("ours\n%s\nredis\n%s", strings.Join(diff(ours, redis), "\n"), strings.Join(diff(redis, ours), "\n"))
	}
	p.both("CONFIG RESETSTAT")
	if ours, redis := counts(c.text(ask)), counts(c2.text(ask)); !slices.Equal(ours, redis) {
		t.Errorf("behind CONFIG RESETSTAT: ours %q, redis %q", ours, redis)
	}
	number := regexp.MustCompile(`(?m)^(total_commands_processed|total_connections_received|keyspace_hits|keyspace_misses|total_error_replies):.*`)
	p.both("GET a")
	p.both("GET nothing")
	p.both("LPUSH a x")
	p.both("CONFIG RESETSTAT")
	if ours, redis := number.FindAllString(c.text("INFO stats"), -1), number.FindAllString(c2.text("INFO stats"), -1); !slices.Equal(ours, redis) {
		t.Errorf("behind CONFIG RESETSTAT: ours %q, redis %q", ours, redis)
	}
}

// diff are the lines that only a has.
func diff(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// TestLatencyHistogramAgainstRedis: the reply is built as Redis builds it.
func TestLatencyHistogramAgainstRedis(t *testing.T) {
	p := newPair(t)
	digits := regexp.MustCompile(`\d+ \d+( \d+ \d+)*`)
	for _, line := range []string{"CONFIG RESETSTAT", "SET a 1", "CLIENT ID", "CLIENT LIST", "GET a"} {
		p.both(line)
	}
	for _, line := range []string{
		"LATENCY HISTOGRAM set", "LATENCY HISTOGRAM SET nosuch get", "LATENCY HISTOGRAM client|id", "LATENCY HISTOGRAM nosuch", "LATENCY HISTOGRAM set set",
		"LATENCY HISTORY nosuch", "LATENCY GRAPH nosuch", "LATENCY RESET nosuch", "LATENCY LATEST", "LATENCY GRAPH", "LATENCY NOSUCH",
		"CONFIG SET latency-tracking no", "ECHO x", "LATENCY HISTOGRAM echo", "INFO latencystats", "CONFIG SET latency-tracking yes",
		"CONFIG SET latency-tracking-info-percentiles 101", "CONFIG SET latency-tracking-info-percentiles x", "CONFIG SET latency-tracking-info-percentiles \"\"",
		"CONFIG GET latency-tracking-info-percentiles", "CONFIG SET latency-tracking-info-percentiles \"0 99.99 100 12.3456789\"", "CONFIG GET latency-tracking-info-percentiles",
	} {
		ours, redis := p.both(line)
		if ours, redis := digits.ReplaceAllString(ours, "N"), digits.ReplaceAllString(redis, "N"); ours != redis {
			t.Errorf("%s\nours  %s\nredis %s", line, ours, redis)
		}
	}
}

// unlikeRedis are the parameters of Redis of which CONFIG here tells something else,
// and why.
var unlikeRedis = map[string]string{
	"appendonly":              "the default is yes, and a log is switched on before the reply",
	"appenddirname":           "the log is built differently",
	"dbfilename":              "a checkpoint is a directory",
	"port":                    "each server has its own",
	"bind":                    "each server has its own",
	"slowlog-log-slower-than": "microseconds without end are no more than all that there are nanoseconds for",
	"proc-title-template":     "there is no title to be formatted",
	"proto-max-bulk-len":      "it is what it is",
	"tls-auth-clients":        "without authorities there is nothing to verify",
	"tls-protocols":           "a name that is none is none without a listener too",
	"maxmemory-clients":       "a small one closes the client that sets it",
}

// notHereYet are parameters of commands that are not here, and those of the parts of
// Redis that nothing here is like.
var notHereYet = map[string]string{
	"dir": "the daemon's", "unixsocket": "the daemon's", "loglevel": "the daemon's",
	"aclfile": "ACL", "acllog-max-len": "ACL", "acl-pubsub-default": "ACL",
	"notify-keyspace-events": "pub/sub", "tracking-table-max-keys": "tracking", "busy-reply-threshold": "scripts", "lua-time-limit": "scripts",
	"stream-node-max-bytes": "streams", "stream-node-max-entries": "streams", "hll-sparse-max-bytes": "HyperLogLog",
	"lfu-log-factor": "LFU", "lfu-decay-time": "LFU", "cluster-enabled": "cluster",
}

// TestConfigAgainstRedis: CONFIG knows every parameter of Redis, with Redis's
// default, and refuses what Redis refuses, in its words.
func TestConfigAgainstRedis(t *testing.T) {
	p := newPair(t)
	all := p.redis.list("CONFIG GET *")
	if len(all) < 2*150 {
		t.Fatalf("CONFIG GET * of redis-server: %q", all)
	}
	for i := 0; i+1 < len(all); i += 2 {
		name, value := all[i], all[i+1]
		ours := p.ours.list("CONFIG GET " + name)
		if len(ours) == 0 {
			if notHereYet[name] == "" && !strings.HasPrefix(name, "tls-") {
				t.Errorf("CONFIG does not know %s", name)
			}
			continue
		}
		if unlikeRedis[name] != "" {
			continue
		}
		if ours[0] != name || ours[1] != value && name != "save" { // which the servers of this test are given
			t.Errorf("CONFIG GET %s: ours %q, redis %q", name, ours, value)
		}
		for _, wrong := range []string{"nonsense", "-1", "-2", "0", "101%", "1 2"} {
			line := "CONFIG SET " + name + " " + strconv.Quote(wrong)
			if ours, redis := p.both(line); ours != redis {
				t.Errorf("%s\nours  %s\nredis %s", line, ours, redis)
			}
		}
		p.both("CONFIG SET " + name + " " + strconv.Quote(value))
	}
	for _, line := range []string{
		"CONFIG SET nosuch 1", "CONFIG SET maxmemory 1 nosuch 2", "CONFIG SET maxmemory 1 MAXMEMORY 2", "CONFIG SET maxmemory 1 daemonize yes", "CONFIG SET maxmemory",
		"CONFIG SET maxmemory 1 timeout", "CONFIG SET MaxMemory 7mb TIMEOUT x", "CONFIG GET maxmemory", "CONFIG SET hash-max-listpack-entries 5 hash-max-ziplist-entries 6",
		"CONFIG GET maxmemory MAXMEMORY", "CONFIG GET MaxMemory timeout maxm*y", "CONFIG GET watchdog-period", "CONFIG GET watchdog*", "CONFIG GET nosuch",
		"CONFIG GET hash-max-*-entries", "CONFIG GET", "CONFIG GET [", "CONFIG GET *\\", "CONFIG GET ?axclients", "CONFIG SET activedefrag yes", "CONFIG SET activedefrag no",
	} {
		ours, redis := p.ours.list(line), p.redis.list(line)
		sortPairs(redis)
		if !slices.Equal(ours, redis) {
			t.Errorf("%s\nours  %q\nredis %q", line, ours, redis)
		}
		if ours, redis := p.both(line); len(redis) > 0 && redis[0] == '(' && ours != redis {
			t.Errorf("%s\nours  %s\nredis %s", line, ours, redis)
		}
	}
}

// sortPairs sorts names with their values; a redis-server has them in no order.
func sortPairs(list []string) {
	var pairs [][2]string
	for i := 0; i+1 < len(list); i += 2 {
		pairs = append(pairs, [2]string{list[i], list[i+1]})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return strings.Compare(strings.ToLower(a[0]), strings.ToLower(b[0])) })
	for i, p := range pairs {
		list[2*i], list[2*i+1] = p[0], p[1]
	}
}

// list is a reply that is an array of strings.
func (c *client) list(line string) (out []string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
		c.t.Fatal(err)
	}
	v, err := resp.ReadReply(c.r)
	if err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	for _, e := range v.Elems {
		out = append(out, string(e.Str))
	}
	return out
}
