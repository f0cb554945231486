package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// TestConfigErrors: file, line and column, a suggestion, exit 2, nothing started.
func TestConfigErrors(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ src, want string }{
		"typo in a name":  {"server {\n  fsynk = \"always\"\n}\n", `Did you mean "fsync"?`},
		"typo in a value": {"server {\n  fsync = \"evrysec\"\n}\n", `Did you mean "everysec"?`},
		"open quote":      {"server {\n  fsync = \"always\n}\n", "line 2"},
		"unknown stage":   {"filesystem \"os\" \"data\" { root = \"d\" }\npipeline \"p\" {\n  stage \"zstdd\" {}\n  sink \"filesystem\" \"l\" { uses = filesystem.os.data }\n}\n", `Did you mean "zstd"?`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "bad.hcl")
			if err := os.WriteFile(path, []byte(c.src), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(binary, "serve", "-config", path)
			cmd.Dir = dir
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != 2 {
				t.Errorf("exit status %d, want 2", code)
			}
			if !strings.Contains(string(out), c.want) || !strings.Contains(string(out), "bad.hcl line") {
				t.Errorf("output lacks %q or the place:\n%s", c.want, out)
			}
			if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
				t.Error("a data directory was made")
			}
		})
	}
}

// TestShippedConfig: plugins.hcl is valid and says what the defaults are.
func TestShippedConfig(t *testing.T) {
	var plans [2]string
	for i, args := range [][]string{{"check", "--json", "-config", "../../plugins.hcl"}, {"check", "--json"}} {
		cmd := exec.Command(binary, args...)
		if i == 1 {
			cmd.Dir = t.TempDir()
		}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		_, rest, _ := strings.Cut(out.String(), "\n  \"listeners\"")
		plans[i] = rest
	}
	if plans[0] != plans[1] {
		t.Errorf("plugins.hcl is not the defaults:\n%s\n%s", plans[0], plans[1])
	}
}
