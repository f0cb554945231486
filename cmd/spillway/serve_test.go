package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestShardCounts restarts one directory with 1, 2, 3 and 16 shards.
func TestShardCounts(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	const keys = 2000
	for i, shards := range []string{"1", "2", "3", "16", "1"} {
		d := startDaemon(t, dir, "--shards", shards)
		if i == 0 {
			for k := range keys {
				d.rdb.Set(ctx, fmt.Sprint("k", k), k, 0)
			}
			d.rdb.HSet(ctx, "hash", "a", 1, "b", 2)
			d.rdb.SAdd(ctx, "set", "x", "y")
		}
		if n := d.rdb.DBSize(ctx).Val(); n != keys+2 {
			t.Fatalf("%s shards: %d keys, want %d\n%s", shards, n, keys+2, d.log.String())
		}
		for k := 0; k < keys; k += 97 {
			if v := d.rdb.Get(ctx, fmt.Sprint("k", k)).Val(); v != fmt.Sprint(k) {
				t.Fatalf("%s shards: k%d is %q", shards, k, v)
			}
		}
		switch i {
		case 1:
			if err := d.rdb.Do(ctx, "SAVE").Err(); err != nil {
				t.Fatal(err)
			}
		case 2:
			d.rdb.BgRewriteAOF(ctx)
		}
		d.stop()
	}
}

// TestConfigErrors: file, line and column, a suggestion, exit 2, nothing
// started. What diagnostics there are is the config package's to test.
func TestConfigErrors(t *testing.T) {
	t.Parallel()
	const typo = "server {\n  fsync = \"evrysec\"\n}\n"
	bad := writeConfig(t, typo)
	many := writeConfig(t, "server {\n  shards = 100000\n}\n")
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"serve":              {[]string{"serve", "-config", bad}, []string{bad + ":2:11\n", "fsync = \"evrysec\"", `Did you mean "everysec"?`, "1 error(s); nothing was started"}},
		"check":              {[]string{"check", "--config=" + bad}, []string{bad + ":2:11\n", `Did you mean "everysec"?`}},
		"check --json":       {[]string{"check", "--json", "-config", bad}, []string{`"line": 2`, `"column": 11`, `"severity": "error"`, "everysec"}},
		"no such file":       {[]string{"serve", "-config", bad + "x"}, []string{bad + "x", "no such file"}},
		"flag":               {[]string{"serve", "--apendonly", "yes"}, []string{`Did you mean "--appendonly"?`}},
		"flag's value":       {[]string{"serve", "--appendfsync", "sometimes"}, []string{"everysec, always or no"}},
		"flag's number":      {[]string{"serve", "--port", "70000"}, []string{"--port 70000"}},
		"shards":             {[]string{"serve", "--shards", "100000"}, []string{"--shards 100000", "1 to 4096"}},
		"no shards":          {[]string{"check", "--shards", "-1"}, []string{"--shards -1", "1 to 4096"}},
		"file's shards":      {[]string{"check", "-config", many}, []string{many + ":2:", "shards", "1 to 4096"}},
		"command":            {[]string{"sevre"}, []string{`Did you mean "serve"?`}},
		"argument":           {[]string{"serve", "now"}, []string{`"now"`}},
		"nothing to hear on": {[]string{"serve", "--port", "0"}, []string{"no listener"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			args := c.args
			if args[0] != "sevre" && name != "argument" {
				args = append(slices.Clone(args), "--dir", dir)
			}
			out, code := spillway(t, args...)
			if code != 2 {
				t.Errorf("exit status %d, want 2", code)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("output lacks %q:\n%s", want, out)
				}
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("a data directory was made")
			}
		})
	}
}

// TestCheck: a good configuration is told with what the flags change in it.
func TestCheck(t *testing.T) {
	t.Parallel()
	config := writeConfig(t, mirrored("d", "m", `stage "zstd" {}`, false)+"\nserver { save = [] }\n")
	beside := func(name string) string { return filepath.Join(filepath.Dir(config), name) }
	socket := filepath.Join(t.TempDir(), "s.sock")
	out, code := spillway(t, "check", "-config", config, "--shards", "5", "--appendfsync", "always", "--unixsocket", socket, "--requirepass", "hush")
	for _, want := range []string{"is valid", "5", "on, fsync always", "unix://" + socket, "tcp://127.0.0.1:6380", "zstd", "mirror: " + beside("m") + " (best effort, timeout 30s, keep last 2)", beside("d") + " (data directory, keep 3)"} {
		if !strings.Contains(out, want) {
			t.Errorf("check lacks %q:\n%s", want, out)
		}
	}
	if code != 0 || strings.Contains(out, "hush") {
		t.Errorf("exit status %d, or the password is shown:\n%s", code, out)
	}
	out, code = spillway(t, "check", "--json", "-config", config)
	var p plan
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 0 || p.Data != beside("d") || len(p.Sinks) != 2 || p.Fsync != "everysec" {
		t.Errorf("exit status %d, %v: %+v\n%s", code, err, p, out)
	}
}
