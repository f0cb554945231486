package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// peersDir is where make bench-peers unpacks the servers of later releases, with their tools.
const peersDir = "../../bin/peers"

// peer is a server of a later release, and its tools.
type peer struct{ server, cli, benchmark string }

// eachPeer runs fn with each of those that are here, and says which are not.
func eachPeer(t *testing.T, fn func(t *testing.T, p peer)) {
	t.Helper()
	for name, of := range map[string]string{"redis-8": "redis", "valkey-9": "valkey"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := filepath.Abs(filepath.Join(peersDir, name))
			if err != nil {
				t.Fatal(err)
			}
			starter, err := os.ReadFile(server)
			if err != nil {
				t.Skipf("NOT RUN: there is no %s here (make bench-peers unpacks it)", name)
			}
			p, dir := peer{server: server}, t.TempDir()
			for path, tool := range map[*string]string{&p.cli: of + "-cli", &p.benchmark: of + "-benchmark"} {
				*path = filepath.Join(dir, tool)
				start := strings.NewReplacer("/usr/bin/"+of+"-server'", "/usr/bin/"+tool+"'", "--argv0 '"+of+"-server'", "--argv0 '"+tool+"'").Replace(string(starter))
				if err := os.WriteFile(*path, []byte(start), 0o700); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.Command(*path, "--version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), tool+" ") {
					t.Fatalf("%s --version: %v\n%s", tool, err, out)
				}
			}
			fn(t, p)
		})
	}
}

// TestLaterCLI: what the redis-cli of later releases shows of the daemon is what it shows of a
// server of its own release with the same data; HELP knows every command, and what --rdb and
// --functions-rdb write is loaded by such a server.
func TestLaterCLI(t *testing.T) {
	t.Parallel()
	eachPeer(t, func(t *testing.T, p peer) {
		ours, real := besideRedis(t, p.server)
		showsTheSame(t, p.cli, cliModes(t), ours, real)
		if help := cliOf(t, p.cli, ours, "HELP @list\nHELP @hash\nHELP @stream\nHELP XGROUP CREATE\n"); strings.Contains(help, "summary: \n") || strings.Count(help, "summary:") < 40 {
			t.Errorf("HELP: %s", help)
		}
		const library = "#!lua name=lib\nredis.register_function('f', function() return 'called' end)"
		if got := cliOf(t, p.cli, ours, "", "FUNCTION", "LOAD", library); got != "lib\nexit status 0\n" {
			t.Fatal(got)
		}
		for option, keys := range map[string]string{"--rdb": cliOf(t, p.cli, ours, "", "DBSIZE"), "--functions-rdb": "0\nexit status 0\n"} {
			dir, port := t.TempDir(), freePort(t)
			if got := cliOf(t, p.cli, ours, "", option, filepath.Join(dir, "dump.rdb")); !strings.Contains(got, "Transfer finished with success") || !strings.HasSuffix(got, "exit status 0\n") {
				t.Fatalf("%s: %s", option, got)
			}
			redisServerOf(t, p.server, dir, "--port", port, "--bind", "127.0.0.1")
			equal(t, option+": the keys that are loaded", cliOf(t, p.cli, "127.0.0.1:"+port, "", "DBSIZE"), keys)
			equal(t, option+": the functions that are loaded", cliOf(t, p.cli, "127.0.0.1:"+port, "", "FCALL", "f", "0"), "called\nexit status 0\n")
		}
		d := startDaemon(t, t.TempDir(), "--save", "")
		d.do("MSET", "a", "1", "b", "2")
		showsGoingOn(t, p.cli, d.addr)
	})
}

// TestLaterBenchmark: the whole default run of the benchmark of later releases ends, without an
// error, and measures what it does of a server of its own release.
func TestLaterBenchmark(t *testing.T) {
	t.Parallel()
	eachPeer(t, func(t *testing.T, p peer) {
		port := freePort(t)
		redisServerOf(t, p.server, t.TempDir(), "--port", port, "--bind", "127.0.0.1")
		ours := startDaemon(t, t.TempDir(), "--save", "").addr
		measured := func(port string) string {
			out, cmd := runCommand(t, exec.Command(p.benchmark, "-p", port, "-n", "1000", "--csv"))
			if cmd.ProcessState.ExitCode() != 0 || strings.Contains(out, "Error") {
				t.Fatalf("%s: exit status %d\n%s", p.benchmark, cmd.ProcessState.ExitCode(), out)
			}
			var names []string
			for l := range strings.Lines(out) {
				name, _, _ := strings.Cut(l, `",`)
				names = append(names, name)
			}
			return strings.Join(names, "\n")
		}
		_, own, _ := strings.Cut(ours, ":")
		got, want := measured(own), measured(port)
		if equal(t, "what is measured", got, want); strings.Count(want, "\n") < 18 {
			t.Errorf("the benchmark measures\n%s", want)
		}
	})
}

// TestLaterStreams: a stream of a later release, whose DUMP says when a consumer was last given
// entries, says so here, and goes back.
func TestLaterStreams(t *testing.T) {
	t.Parallel()
	eachPeer(t, func(t *testing.T, p peer) {
		ctx := t.Context()
		_, theirs := redisServerOf(t, p.server, t.TempDir())
		ours := startDaemon(t, t.TempDir(), "--save", "").rdb
		for _, line := range []string{
			"XADD s 1-1 f v", "XADD s 1-2 f v", "XGROUP CREATE s g 0", "XGROUP CREATECONSUMER s g never", "XREADGROUP GROUP g gone COUNT 1 STREAMS s >",
			"XREADGROUP GROUP g has COUNT 1 STREAMS s >", "XACK s g 1-1",
		} {
			var args []any
			for _, a := range strings.Fields(line) {
				args = append(args, a)
			}
			if err := theirs.Do(ctx, args...).Err(); err != nil {
				t.Fatal(line, err)
			}
		}
		time.Sleep(2 * time.Millisecond) // so that what follows is later
		if err := theirs.Do(ctx, "XREADGROUP", "GROUP", "g", "gone", "STREAMS", "s", "0").Err(); err != nil {
			t.Fatal(err)
		}
		consumers := func(c *redis.Client) string {
			full, err := c.XInfoStreamFull(ctx, "s", 0).Result()
			if err != nil || len(full.Groups) != 1 || len(full.Groups[0].Consumers) != 3 {
				t.Fatalf("%+v, %v", full, err)
			}
			var b strings.Builder
			for _, c := range full.Groups[0].Consumers {
				fmt.Fprintf(&b, "%s seen %d active %d pending %d\n", c.Name, c.SeenTime.UnixMilli(), c.ActiveTime.UnixMilli(), c.PelCount)
			}
			return b.String()
		}
		dump, err := theirs.Dump(ctx, "s").Result()
		if err != nil {
			t.Fatal(err)
		}
		if err := ours.Restore(ctx, "s", 0, dump).Err(); err != nil {
			t.Fatal(err)
		}
		equal(t, "the consumers", consumers(ours), consumers(theirs))
		if back, err := ours.Dump(ctx, "s").Result(); err != nil || theirs.RestoreReplace(ctx, "s", 0, back).Err() != nil {
			t.Errorf("DUMP: %v, or it does not go back", err)
		}
	})
}
