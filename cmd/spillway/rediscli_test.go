package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaydb/spillway/core/resp"
)

// cli runs redis-cli to its end and returns what it says, on both of its outputs, and its exit
// status.
func cli(t *testing.T, addr, stdin string, args ...string) string {
	t.Helper()
	return cliOf(t, "redis-cli", addr, stdin, args...)
}

// cliOf is cli with the redis-cli of another release.
func cliOf(t *testing.T, program, addr, stdin string, args ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	cmd := exec.CommandContext(ctx, program, append([]string{"-h", host, "-p", port}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("redis-cli %v: %v, %v; run: make deps\n%s", args, err, ctx.Err(), out)
	}
	return fmt.Sprintf("%sexit status %d\n", out, cmd.ProcessState.ExitCode())
}

// cliData is what the programs look at: of each type one key that is larger than the others,
// since the order of SCAN is each server's own.
func cliData() string {
	var b bytes.Buffer
	add := func(args ...any) {
		var cmd [][]byte
		for _, a := range args {
			cmd = append(cmd, fmt.Append(nil, a))
		}
		b.Write(resp.AppendCommand(nil, cmd...))
	}
	for i := range 200 {
		add("SET", fmt.Sprint("string:", i), strings.Repeat("v", i))
	}
	for i := range 40 {
		for range i + 1 {
			add("RPUSH", fmt.Sprint("list:", i), "element")
			add("XADD", fmt.Sprint("stream:", i), "*", "field", "value")
		}
		for j := range i + 1 {
			add("SADD", fmt.Sprint("set:", i), fmt.Sprint("member:", j))
			add("HSET", fmt.Sprint("hash:", i), fmt.Sprint("field:", j), "value")
			add("ZADD", fmt.Sprint("zset:", i), j, fmt.Sprint("member:", j))
		}
	}
	return b.String()
}

// besideRedis are the daemon and a real redis-server, that program, with the same data.
func besideRedis(t *testing.T, program string) (ours, real string) {
	t.Helper()
	port := freePort(t)
	_, c := redisServerOf(t, program, t.TempDir(), "--port", port, "--bind", "127.0.0.1", "--maxmemory-policy", "allkeys-lfu")
	real = "127.0.0.1:" + port
	ours = startDaemon(t, t.TempDir(), "--save", "", "--maxmemory-policy", "allkeys-lfu").addr
	for _, addr := range []string{ours, real} {
		if got := cli(t, addr, cliData(), "--pipe"); !strings.Contains(got, "errors: 0,") {
			t.Fatalf("%s: %s", addr, got)
		}
	}
	if n := c.DBSize(t.Context()).Val(); n != 400 {
		t.Fatalf("redis-server has %d keys", n)
	}
	return ours, real
}

// keeping keeps those that match, sorted.
func keeping(pattern string) func(string) string {
	re := regexp.MustCompile(pattern)
	return func(s string) string {
		var out []string
		for l := range strings.Lines(s) {
			if re.MatchString(l) {
				out = append(out, l)
			}
		}
		slices.Sort(out)
		return strings.Join(out, "")
	}
}

// dropping drops the lines that match.
func dropping(pattern string) func(string) string {
	re := regexp.MustCompile(pattern)
	return func(s string) string {
		var b strings.Builder
		for l := range strings.Lines(s) {
			if !re.MatchString(l) {
				b.WriteString(l)
			}
		}
		return b.String()
	}
}

// cliMode is one way to run redis-cli, and what of its words depends on the data alone.
type cliMode struct {
	args  string
	stdin string
	show  func(string) string
}

func same(s string) string { return s }

// cliModes are what any release of redis-cli does with cliData.
func cliModes(t *testing.T) []cliMode {
	t.Helper()
	script := filepath.Join(t.TempDir(), "script.lua")
	if err := os.WriteFile(script, []byte("return {KEYS[1], ARGV[1], redis.call('GET', KEYS[1])}"), 0o600); err != nil {
		t.Fatal(err)
	}
	// How large a value is in memory, and which of two of a size was met first, is each server's own.
	summary := keeping(`^Sampled|^Total key length|^Biggest|^\d+ |exit status`)
	return []cliMode{
		{"", strings.Repeat("GET string:7\n", 2000), same}, // more often than anything below reads the others
		{"--hotkeys", "", func(s string) string {
			return fmt.Sprint(strings.Contains(s, `keyname: "string:7"`), strings.HasSuffix(s, "exit status 0\n"))
		}},
		{"CONFIG SET maxmemory-policy noeviction", "", same},
		{"--hotkeys", "", same}, // without an LFU policy there are none
		{"--bigkeys", "", summary},
		{"--bigkeys -i 0.001", "", summary},
		{"--memkeys", "", func(s string) string {
			return regexp.MustCompile(`:\d+"'? has \d+ bytes`).ReplaceAllString(keeping(`^Sampled|^Total key length|^Biggest|exit status`)(s), "")
		}},
		{"--scan", "", keeping("")},
		{"--scan --pattern string:1?", "", keeping("")},
		{"--scan --count 1000 --quoted-pattern \"hash:*\"", "", keeping("")},
		{"--csv LRANGE list:3 0 -1", "", same},
		{"--csv HGETALL hash:0", "", same},
		{"--csv NOSUCH", "", same},
		{"-3 --csv HGETALL hash:0", "", same},
		{"-3 --json HGETALL hash:0", "", same},
		{"--json ZRANGE zset:2 0 -1 WITHSCORES", "", same},
		{"-2 --json ZRANGE zset:2 0 -1 WITHSCORES", "", same},
		{"--json GET nosuch", "", same},
		{"--quoted-json GET string:9", "", same},
		{"-x SET piped", "of the standard input\x00\r\n", same},
		{"GET piped", "", same},
		{"-X tag SET tagged tag", "in place of a tag", same},
		{"GET tagged", "", same},
		{"--eval " + script + " tagged , argument", "", same},
		{"-e LPUSH tagged x", "", same},
		{"LPUSH tagged x", "", same},
		{"-n 3 SET other database", "", same},
		{"-r 3 -n 3 INCR repeated", "", same},
		{"-d , --raw LRANGE list:2 0 -1", "", same},
		{"--no-raw", "SET a \"q\\x00\\n\"\nGET a\nMULTI\nINCR a\nDISCARD\nEXEC\nSELECT 3\nGET other\n", same},
		{"-3 --no-raw", "HGETALL hash:0\nSMEMBERS set:0\nZSCORE zset:0 member:0\n", same},
		{"--pipe", "SET a\r\nSET b 1\r\nNOSUCH x\r\n", same},
	}
}

// showsTheSame wants what a redis-cli shows of the daemon to be what it shows of a real server
// with the same data.
func showsTheSame(t *testing.T, program string, modes []cliMode, ours, real string) {
	t.Helper()
	for _, tt := range modes {
		args := strings.Fields(strings.ReplaceAll(tt.args, `"`, ""))
		got, want := tt.show(cliOf(t, program, ours, tt.stdin, args...)), tt.show(cliOf(t, program, real, tt.stdin, args...))
		if got != want {
			t.Errorf("redis-cli %s: got\n%s\nwant\n%s", tt.args, got, want)
		}
		if strings.Trim(want, " \n") == "" {
			t.Errorf("redis-cli %s: nothing is compared", tt.args)
		}
	}
}

// TestRedisCLI: what redis-cli shows of the daemon is what it shows of a redis-server with
// the same data.
func TestRedisCLI(t *testing.T) {
	t.Parallel()
	ours, real := besideRedis(t, "redis-server")
	modes := append(cliModes(t),
		cliMode{"", "HELP LPOS\nHELP XCLAIM\nHELP @list\nHELP @pubsub\nHELP @geo\nHELP XGROUP CREATE\nHELP NOSUCH\nHELP\n", dropping("summary:")},
		cliMode{"CLUSTER INFO", "", same})
	showsTheSame(t, "redis-cli", modes, ours, real)
	if got := cli(t, ours, "", "--replica"); !strings.HasSuffix(got, "exit status 1\n") || !strings.Contains(got, "SYNC with master failed: -ERR ") {
		t.Errorf("redis-cli --replica, which needs replication: %s", got)
	}
	for group := range strings.Lines(cli(t, real, "HELP\n")) { // each command of a group has a line that says what it does
		if strings.Contains(group, "HELP @") && strings.Contains(cli(t, ours, group), "summary: \n") {
			t.Errorf("%s: a command says nothing", group)
		}
	}
}

// TestRedisCLIRDB: what --rdb and --functions-rdb write is what a redis-server loads, and holds
// the data and the functions then.
func TestRedisCLIRDB(t *testing.T) {
	t.Parallel()
	ours := startDaemon(t, t.TempDir(), "--save", "", "--enable-debug-command", "yes").addr
	if got := cli(t, ours, cliData(), "--pipe"); !strings.Contains(got, "errors: 0,") {
		t.Fatal(got)
	}
	const library = "#!lua name=lib\nredis.register_function('f', function() return 'called' end)"
	if got := cli(t, ours, "", "FUNCTION", "LOAD", library); got != "lib\nexit status 0\n" {
		t.Fatal(got)
	}
	for _, tt := range []struct {
		option string
		want   string // the digest of what is loaded
	}{
		{"--rdb", cli(t, ours, "", "DEBUG", "DIGEST")},
		{"--functions-rdb", strings.Repeat("0", 40) + "\nexit status 0\n"},
	} {
		dir, port := t.TempDir(), freePort(t)
		if got := cli(t, ours, "", tt.option, filepath.Join(dir, "dump.rdb")); !strings.Contains(got, "Transfer finished with success") || !strings.HasSuffix(got, "exit status 0\n") {
			t.Fatalf("redis-cli %s: %s", tt.option, got)
		}
		redisServer(t, dir, "--port", port, "--bind", "127.0.0.1", "--enable-debug-command", "yes")
		addr := "127.0.0.1:" + port
		equal(t, tt.option+": the data that is loaded", cli(t, addr, "", "DEBUG", "DIGEST"), tt.want)
		equal(t, tt.option+": the functions that are loaded", cli(t, addr, "", "FCALL", "f", "0"), "called\nexit status 0\n")
	}
}

// TestRedisCLIPipe: --pipe of 100,000 commands.
func TestRedisCLIPipe(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir())
	var in []byte
	for i := range 100_000 {
		in = resp.AppendCommand(in, []byte("SET"), fmt.Append(nil, "key:", i), fmt.Append(nil, i))
	}
	if got := cli(t, d.addr, string(in), "--pipe"); !strings.Contains(got, "errors: 0, replies: 100000") {
		t.Error(got)
	}
	equal(t, "DBSIZE", d.do("DBSIZE"), 100_000)
}

// live starts redis-cli in a mode that goes on, and returns its lines as they come.
func live(t *testing.T, addr string, stdin string, args ...string) (line func() string) {
	t.Helper()
	return liveOf(t, "redis-cli", addr, stdin, args...)
}

// liveOf is live with the redis-cli of another release.
func liveOf(t *testing.T, program, addr, stdin string, args ...string) (line func() string) {
	t.Helper()
	host, port, _ := strings.Cut(addr, ":")
	cmd := exec.Command("stdbuf", append([]string{"-oL", program, "-h", host, "-p", port}, args...)...)
	in, err := cmd.StdinPipe() // which stays open
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; run: make deps", err)
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { late.Stop(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := in.Write([]byte(stdin)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewScanner(out)
	return func() string {
		t.Helper()
		if !r.Scan() {
			t.Fatalf("redis-cli %v says no more: %v", args, r.Err())
		}
		return r.Text()
	}
}

// showsGoingOn: --stat and the latencies of a server with two keys.
func showsGoingOn(t *testing.T, program, addr string) {
	t.Helper()
	stat := liveOf(t, program, addr, "", "-i", "0.01", "--stat")
	for rows := 0; rows < 25; { // the headings come back after twenty
		l := stat()
		f := strings.Fields(l)
		if len(f) == 0 || strings.HasPrefix(l, "---") || f[0] == "keys" {
			continue
		}
		if rows++; len(f) < 6 || f[0] != "2" {
			t.Errorf("--stat: %q", l)
		}
	}
	if got := cliOf(t, program, addr, "", "--raw", "-i", "0.05", "--latency"); !regexp.MustCompile(`^\d+ \d+ \d+\.\d+ \d+\nexit status 0\n$`).MatchString(got) {
		t.Errorf("--latency: %q", got)
	}
	history := liveOf(t, program, addr, "", "--raw", "-i", "0.05", "--latency-history")
	for range 2 {
		if got := strings.Fields(history()); len(got) < 4 {
			t.Errorf("--latency-history: %q", got)
		}
	}
}

// TestRedisCLILive: what redis-cli shows while it goes on: of the server, of what others do,
// of messages.
func TestRedisCLILive(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--save", "")
	ctx := t.Context()
	d.do("MSET", "a", "1", "b", "2")

	showsGoingOn(t, "redis-cli", d.addr)

	for name, in := range map[string]string{"argument": "", "standard input": "MONITOR\n"} {
		var args []string
		if in == "" {
			args = []string{"MONITOR"}
		}
		monitor := live(t, d.addr, in, args...)
		equal(t, "MONITOR by "+name, monitor(), "OK")
		d.do("SET", "seen", "by \"the\" monitor\n")
		got := monitor()
		for !strings.Contains(got, "seen") { // --stat goes on
			got = monitor()
		}
		if !regexp.MustCompile(`^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "set" "seen" "by \\"the\\" monitor\\n"$`).MatchString(strings.ToLower(got)) {
			t.Errorf("MONITOR: %q", got)
		}
	}

	news := live(t, d.addr, "", "--csv", "SUBSCRIBE", "news", "more")
	equal(t, "SUBSCRIBE", news()+news()+news(), `Reading messages... (press Ctrl-C to quit)"subscribe","news",1"subscribe","more",2`)
	d.publish(ctx, "news", "one", 1)
	equal(t, "a message", news(), `"message","news","one"`)
	news = live(t, d.addr, "", "-3", "--json", "PSUBSCRIBE", "n*")
	equal(t, "PSUBSCRIBE", news()+news(), `Reading messages... (press Ctrl-C to quit)["psubscribe","n*",1]`)
	d.publish(ctx, "news", "two", 2)
	equal(t, "a message", news(), `["pmessage","n*","news","two"]`)
}

// publish sends a message that so many are to get.
func (d *daemon) publish(ctx context.Context, channel, text string, receivers int64) {
	d.t.Helper()
	if got, err := d.rdb.Publish(ctx, channel, text).Result(); err != nil || got != receivers {
		d.t.Errorf("PUBLISH %s %s: %d, %v; want %d", channel, text, got, err, receivers)
	}
}

// TestRedisBenchmark: redis-benchmark's whole default run, and its variants, end without an
// error and find what a redis-server has.
func TestRedisBenchmark(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--save", "")
	_, port, _ := strings.Cut(d.addr, ":")
	for _, args := range []string{
		"-n 1000", "-n 2000 -P 16", "-n 2000 --threads 2", "-n 2000 -c 500 -t set,get,incr,lpush,lrange_100", "-n 2000 -3 -r 100 -d 1000 -t set,get,hset,sadd,zadd,mset,xadd",
		"-n 1000 -r 100 EVAL return(redis.call('INCR',KEYS[1])) 1 counted:__rand_int__", "-n 1000 -k 0 -t set",
	} {
		out, cmd := runCommand(t, exec.Command("redis-benchmark", append([]string{"-p", port, "--csv"}, strings.Fields(args)...)...))
		var names []string
		for l := range strings.Lines(out) {
			if strings.HasPrefix(l, "WARNING: Keepalive disabled") {
				continue
			}
			if name, rest, ok := strings.Cut(l, `","`); ok && strings.Count(rest, `","`) == 6 {
				names = append(names, strings.Trim(name, `"`))
			} else {
				t.Errorf("redis-benchmark %s: %s", args, l)
			}
		}
		if code := cmd.ProcessState.ExitCode(); code != 0 || len(names) < 2 || args == "-n 1000" && len(names) != 21 {
			t.Errorf("redis-benchmark %s: exit status %d, %q", args, code, names)
		}
	}
	if n, err := d.rdb.DBSize(context.Background()).Result(); err != nil || n < 100 {
		t.Errorf("%d keys, %v", n, err)
	}
	for i := range 3 {
		equal(t, "a counter", d.rdb.Get(context.Background(), fmt.Sprintf("counted:%012d", i)).Err() == redis.Nil, false)
	}
}
