package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestPluginsTool: what `spillway plugins` tells, with and without a daemon.
func TestPluginsTool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hcl := piped(t, dir, 1, true)
	config := writeConfig(t, hcl)
	tool := func(wantCode int, args ...string) string {
		t.Helper()
		out, code := spillway(t, append([]string{"plugins"}, args...)...)
		if code != wantCode {
			t.Fatalf("plugins %v: exit status %d, want %d:\n%s", args, code, wantCode, out)
		}
		return out
	}
	wants := func(out string, wants ...string) {
		t.Helper()
		for _, w := range wants {
			if !strings.Contains(out, w) {
				t.Errorf("the output lacks %q:\n%s", w, out)
			}
		}
	}
	_, sum := buildPlugin(t, "examples/customsink")
	wants(tool(0, "checksum", filepath.Join(filepath.Dir(binary), "customsink")), fmt.Sprintf("checksum = %q\n", sum))
	wants(tool(1, "checksum", dir+"/none"), "no such file")
	wants(tool(2, "checksum"), "FILE")
	wants(tool(2, "ping", "-config", config, "foldr"), `Did you mean "folder"?`)
	wants(tool(0, "list"), "(built-in defaults) has no plugin")
	if out := tool(0, "list", "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("list --json of no plugin: %s", out)
	}
	wants(tool(1, "logs", "-config", config, "--addr", "127.0.0.1:"+freePort(t)), "asking the daemon at", "refused")

	wants(tool(0, "ping", "-config", config), "tools: started in", "offers stage zstd", "  stage zstd: ok\n", "  sink offsite: ok\n")
	bad := writeConfig(t, strings.Replace(hcl, "level = 1", "levle = 1", 1))
	wants(tool(1, "ping", "-config", bad, "tools"), `stage zstd: plugin "tools"`, `there is no attribute "levle"`, "1 of 1 plugins failed")
	var pings []pinged
	if err := json.Unmarshal([]byte(tool(0, "ping", "--json", "-config", config, "folder")), &pings); err != nil || len(pings) != 1 || !pings[0].OK || pings[0].PingMS <= 0 || pings[0].Uses[0].What != "sink offsite" {
		t.Errorf("ping --json: %+v, %v", pings, err)
	}

	d := startConfig(t, hcl, "--save", "", "--requirepass", "hush", "--loglevel", "debug")
	unprivileged := d.client(nil)
	if err := unprivileged.Do(context.Background(), "SPILLWAY.PLUGINS", "LIST").Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("without the password: %v", err)
	}
	wants(tool(1, "list", "-config", config, "--addr", d.addr), "NOAUTH")
	withPassword := writeConfig(t, hcl+"\nserver { password = \"hush\" }\n")
	wants(tool(0, "list", "-config", withPassword, "--addr", d.addr), "running for", "1 starts, 0 failures", "stage zstd", "sink offsite", "boot")
	pid := d.withPassword("hush").pluginPID("folder")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.waitFor("another process", func() bool { p := d.pluginPID("folder"); return p != 0 && p != pid })
	var all []listed
	if err := json.Unmarshal([]byte(tool(0, "list", "--json", "-config", withPassword, "--addr", d.addr)), &all); err != nil || len(all) != 2 || all[1].Daemon == nil ||
		all[1].Daemon.Starts != 2 || !strings.Contains(all[1].Daemon.Error, "killed by signal 9") || all[1].UsedBy[0] != "sink offsite" {
		t.Errorf("list --json: %+v, %v", all, err)
	}
	wants(tool(0, "logs", "-config", withPassword, "--addr", d.addr, "folder"), "[DEBUG] folder: configuring server automatic mTLS", "[INFO]  folder: plugin started", "[ERROR] folder: plugin failed", "killed by signal 9")
	if out := tool(0, "logs", "-config", withPassword, "--addr", d.addr, "-n", "1"); strings.Count(out, "\n") != 2 {
		t.Errorf("one line of each:\n%s", out)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(tool(0, "logs", "--json", "-n", "1", "-config", withPassword, "--addr", d.addr, "tools")), &line); err != nil || line["@message"] == nil {
		t.Errorf("logs --json: %v, %v", line, err)
	}
	for args, want := range map[string]string{
		"LOGS nobody": "ERR there is no plugin 'nobody'", "LOGS": "ERR want SPILLWAY.PLUGINS", "LOGS tools 0": "ERR value is not", "KILL": "ERR want SPILLWAY.PLUGINS",
	} {
		cmd := []any{"SPILLWAY.PLUGINS"}
		for _, a := range strings.Fields(args) {
			cmd = append(cmd, a)
		}
		if err := d.rdb.Do(context.Background(), cmd...).Err(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if got := d.info("plugin_stage_zstd"); !strings.HasPrefix(got, "plugin=tools,calls=") {
		t.Errorf("INFO of the stage: %s", got)
	}
}

// withPassword gives the daemon's client a password.
func (d *daemon) withPassword(pass string) *daemon {
	d.rdb = d.client(func(o *redis.Options) { o.Password = pass })
	return d
}
