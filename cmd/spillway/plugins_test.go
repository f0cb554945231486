package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/plugins/host"
)

// built are the programs of plugins, each built once, beside the daemon.
var built sync.Map

// buildPlugin builds a package of the module and returns the name that
// plugins.hcl may call the program by, and its checksum.
func buildPlugin(t *testing.T, pkg string) (name, checksum string) {
	t.Helper()
	name = filepath.Base(pkg)
	once, _ := built.LoadOrStore(pkg, sync.OnceValues(func() (string, error) {
		path := filepath.Join(filepath.Dir(binary), name)
		if out, err := exec.Command("go", "build", "-ldflags=-s", "-o", path, "github.com/spillwaydb/spillway/"+pkg).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w\n%s", err, out)
		}
		return host.Checksum(path)
	}))
	checksum, err := once.(func() (string, error))()
	if err != nil {
		t.Fatalf("building %s: %v", pkg, err)
	}
	return name, checksum
}

// piped is a configuration whose checkpoints go through a stage and to a sink
// that are processes of their own.
func piped(t *testing.T, dir string, level int, required bool) string {
	t.Helper()
	zstd, zstdSum := buildPlugin(t, "cmd/spillway-plugin-zstd")
	folder, folderSum := buildPlugin(t, "examples/customsink")
	return fmt.Sprintf(`
plugin "tools" {
  command  = [%q]
  checksum = %q
}
plugin "folder" {
  command  = [%q]
  checksum = %q
  restart { backoff = "10ms" }
}
filesystem "os" "data" { root = %q }
pipeline "checkpoint" {
  stage "plugin" "zstd" {
    uses  = plugin.tools
    level = %d
  }
  sink "filesystem" "local" { uses = filesystem.os.data }
  sink "plugin" "offsite" {
    uses     = plugin.folder
    required = %v
    keep     = 3
    path     = %q
  }
}
`, zstd, zstdSum, folder, folderSum, filepath.Join(dir, "data"), level, required, filepath.Join(dir, "offsite"))
}

// offsite are the generations of the sets in the sink of piped.
func offsite(t *testing.T, dir string) (out []string) {
	t.Helper()
	for _, doc := range mustGlob(t, filepath.Join(dir, "offsite", "*", "SET.json")) {
		gen, _, _ := strings.Cut(filepath.Base(filepath.Dir(doc)), "-")
		out = append(out, gen)
	}
	return out
}

var pidField = regexp.MustCompile(`state=([a-z]+),pid=(\d+),`)

// pluginPID is the process that a plugin runs as, 0 when it does not run.
func (d *daemon) pluginPID(name string) int {
	d.t.Helper()
	m := pidField.FindStringSubmatch(d.info("plugin_" + name))
	if m == nil {
		d.t.Fatalf("no state of plugin %s in INFO: %s", name, d.info("plugin_"+name))
	}
	pid, err := strconv.Atoi(m[2])
	if err != nil || (m[1] == "running") != (pid != 0) {
		d.t.Fatalf("plugin %s: %s", name, m[0])
	}
	return pid
}

// lives tells whether a process runs; one that nobody has reaped does not.
func lives(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// TestPluginsInThePipeline: checkpoints go through a stage and to a sink in
// processes of their own; when one of these is killed in the middle, that
// checkpoint fails, says why, and leaves nothing; the next one succeeds, and
// what is stored is read back.
func TestPluginsInThePipeline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hcl := piped(t, dir, 22, true)
	d := startConfig(t, hcl, "--save", "", "--appendonly", "no", "--shards", "2")
	populate(t, d.rdb)
	if got := d.bgsave(); got != "ok" {
		t.Fatalf("BGSAVE: %s\n%s", got, d.log.String())
	}
	if got := offsite(t, dir); fmt.Sprint(got) != "[00000001]" {
		t.Fatalf("sets in the sink: %v", got)
	}
	for _, f := range mustGlob(t, filepath.Join(dir, "data", "checkpoints", "00000001-*", "shard-*")) {
		out, err := exec.Command("zstd", "-t", f).CombinedOutput()
		if err != nil || !strings.HasSuffix(f, ".rdb.zst") {
			t.Errorf("%s: %v\n%s", f, err, out)
		}
	}
	if tmp := mustGlob(t, filepath.Join(dir, "data", "checkpoints", "00000001-*", "shard-*.zst")); len(tmp) != 2 {
		t.Errorf("parts: %v", tmp)
	}
	d.fill(12)
	for _, victim := range []string{"tools", "folder"} {
		before := d.pluginPID(victim)
		d.killPluginInJob(dir, victim)
		if got := d.info("rdb_last_bgsave_status"); got != "err" {
			t.Fatalf("BGSAVE with %s killed in the middle: %s\n%s", victim, got, d.log.String())
		}
		if got := d.info("spillway_last_bgsave_error"); !strings.Contains(got, fmt.Sprintf("plugin %q", victim)) || !strings.Contains(got, "killed") {
			t.Errorf("the error does not say what happened: %s", got)
		}
		d.waitFor("what was staged to go", func() bool {
			return len(mustGlob(t, filepath.Join(dir, "data", "checkpoints", "*"))) == len(published(t, filepath.Join(dir, "data")))
		})
		d.do("SET", "after", victim)
		if got := d.bgsave(); got != "ok" {
			t.Fatalf("BGSAVE after %s was killed: %s\n%s", victim, got, d.log.String())
		}
		if after := d.pluginPID(victim); after == 0 || after == before {
			t.Errorf("%s runs as process %d, before it was killed as %d", victim, after, before)
		}
	}
	if local, far := published(t, filepath.Join(dir, "data")), offsite(t, dir); len(far) == 0 || far[len(far)-1] != local[len(local)-1] {
		t.Errorf("sets %v, in the sink %v", local, far)
	}
	want := d.dump()
	pids := []int{d.pluginPID("tools"), d.pluginPID("folder")}
	d.kill()
	for _, pid := range pids { // no orphans
		d.waitFor("the end of a plugin after the daemon's", func() bool { return !lives(pid) })
	}
	d = startConfig(t, hcl, "--save", "", "--appendonly", "no")
	if got := d.dump(); got != want {
		t.Error("the restarted daemon has other data")
	}
	d.stop()
}

// dump is a digest of everything that populate and fill wrote.
func (d *daemon) dump() string {
	d.t.Helper()
	var keys []any
	for _, k := range d.do("KEYS", "*").([]any) {
		if s := k.(string); s != "expires" && s != "hash:small" && s != "long" { // their time runs
			keys = append(keys, s)
		}
	}
	d.do("SELECT", 0)
	return fmt.Sprint(len(keys), " ", d.do("GET", "after"), d.do("STRLEN", "big:7"), d.do("GETRANGE", "big:7", 1000, 1100), d.do("LRANGE", "list:large", 0, -1),
		d.do("ZRANGE", "zset:large", 0, -1, "WITHSCORES"), d.do("HGETALL", "hash:large"), d.do("SCARD", "set:large"))
}

// killPluginInJob kills a plugin with SIGKILL while the bytes of a BGSAVE flow
// into the sink. A job that was over too soon is begun anew.
func (d *daemon) killPluginInJob(dir, plugin string) {
	d.t.Helper()
	for range 20 {
		d.do("BGSAVE")
		d.waitFor("bytes in the sink", func() bool {
			return d.info("rdb_bgsave_in_progress") == "0" || flowing(d.t, filepath.Join(dir, "offsite", "*", ".new-*"))
		})
		if err := syscall.Kill(d.pluginPID(plugin), syscall.SIGKILL); err != nil {
			d.t.Fatal(err)
		}
		d.waitFor("the end of BGSAVE", func() bool { return d.info("rdb_bgsave_in_progress") == "0" })
		if d.info("rdb_last_bgsave_status") != "ok" {
			return
		}
	}
	d.t.Fatal("every BGSAVE was over before the plugin could be killed")
}

func flowing(t *testing.T, pattern string) bool {
	t.Helper()
	for _, f := range mustGlob(t, pattern) {
		if st, err := os.Stat(f); err == nil && st.Size() > 0 {
			return true
		}
	}
	return false
}

// TestWrongChecksum: a program that is not the pinned one is refused before
// anything is started, by serve and by check, with the place in the file.
func TestWrongChecksum(t *testing.T) {
	t.Parallel()
	name, sum := buildPlugin(t, "cmd/spillway-plugin-zstd")
	for what, c := range map[string]struct{ plugin, want, place string }{
		"wrong":       {fmt.Sprintf("command = [%q]\n checksum = \"sha256:%064d\"", name, 1), fmt.Sprintf("sha256:%064d.", 1), ":4:13\n"},
		"none":        {fmt.Sprintf("command = [%q]", name), sum, ":2:1\n"},
		"no program":  {"command = [\"spillway-plugin-none\"]\n insecure = true", "not found", ":2:1\n"},
		"a directory": {"command = [\"/usr\"]\n insecure = true", "/usr", ":2:1\n"},
		"two":         {fmt.Sprintf("command = [%q]\n checksum = %q\n insecure = true", name, sum), "write one of them", ":2:1\n"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			config := writeConfig(t, fmt.Sprintf("\nplugin \"tools\" {\n %s\n}\nfilesystem \"os\" \"data\" { root = %q }\n", c.plugin, dir))
			for _, command := range []string{"serve", "check"} {
				out, code := spillway(t, command, "-config", config)
				if code != 2 || !strings.Contains(out, c.want) || !strings.Contains(out, config+c.place) || !strings.Contains(out, `plugin "tools"`) {
					t.Errorf("%s: exit status %d:\n%s", command, code, out)
				}
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("a data directory was made")
			}
		})
	}
	out, code := spillway(t, "check", "-config", writeConfig(t, fmt.Sprintf("plugin \"tools\" {\n command = [%q, \"-x\"]\n checksum = %q\n}\n", name, sum)))
	if want := "tools: " + name + " -x (" + sum + ", verified, start boot)"; code != 0 || !strings.Contains(out, want) {
		t.Errorf("check: exit status %d, want %q:\n%s", code, want, out)
	}
}

// TestPluginsAtTheEnd: SIGTERM for everybody, as a service manager sends it to
// all processes of a service, does not take stage and sink away from the last
// snapshot.
func TestPluginsAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(d *daemon, plugins []int){
		"SIGTERM": func(d *daemon, plugins []int) {
			for _, pid := range plugins {
				_ = syscall.Kill(pid, syscall.SIGTERM)
			}
			if err := syscall.Kill(-d.cmd.Process.Pid, syscall.SIGTERM); err != nil {
				d.t.Fatal(err)
			}
			for _, pid := range plugins {
				_ = syscall.Kill(pid, syscall.SIGTERM)
			}
		},
		"SHUTDOWN SAVE": func(d *daemon, plugins []int) {
			for _, pid := range plugins {
				_ = syscall.Kill(pid, syscall.SIGTERM)
			}
			shutdown("SHUTDOWN SAVE")(d)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			hcl := piped(t, dir, 1, true)
			d := launchAs(t, &syscall.SysProcAttr{Setpgid: true}, binary, "-config", writeConfig(t, hcl), "--save", "3600 1", "--appendonly", "no")
			d.waitReady()
			d.do("SET", "last", "words")
			pids := []int{d.pluginPID("tools"), d.pluginPID("folder")}
			end(d, pids)
			d.wantExit(0)
			for _, pid := range pids {
				if lives(pid) {
					t.Errorf("process %d is left", pid)
				}
			}
			if got := offsite(t, dir); fmt.Sprint(got) != "[00000001]" {
				t.Errorf("sets in the sink: %v\n%s", got, d.log.String())
			}
			d = startConfig(t, hcl, "--save", "")
			if got := d.do("GET", "last"); got != "words" {
				t.Errorf("after the restart: %v", got)
			}
		})
	}
}

// TestBestEffortPlugin: a sink whose plugin does not work costs no checkpoint;
// a required one stops the start.
func TestBestEffortPlugin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "offsite"), nil, 0o600); err != nil { // New cannot make it a directory
		t.Fatal(err)
	}
	d := startConfig(t, piped(t, dir, 1, false), "--save", "", "--adopt") // an empty directory does not begin beside what it cannot see
	d.waitLog("not there yet")
	d.do("SET", "a", 1)
	if got := d.bgsave(); got != "ok" {
		t.Fatalf("BGSAVE: %s\n%s", got, d.log.String())
	}
	if n := d.sinkErrors("offsite"); n == 0 {
		t.Error("the failure is not counted")
	}
	if err := os.Remove(filepath.Join(dir, "offsite")); err != nil {
		t.Fatal(err)
	}
	d.waitFor("the sink to catch up", func() bool { return fmt.Sprint(offsite(t, dir)) == "[00000001]" })
	d.stop()
	if err := os.RemoveAll(filepath.Join(dir, "offsite")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "offsite"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := spillway(t, "serve", "-config", writeConfig(t, piped(t, dir, 1, true)), "--port", freePort(t))
	if code != 1 || !strings.Contains(out, `sink "offsite": plugin "folder"`) || !strings.Contains(out, "not a directory") {
		t.Errorf("a required sink that cannot be made: exit status %d:\n%s", code, out)
	}
}

// TestPluginThatHangsAtStart: while it is waited for, the daemon tells what it
// waits for, and can be ended; when the plugin's time is up, the start fails
// and says so.
func TestPluginThatHangsAtStart(t *testing.T) {
	t.Parallel()
	hcl := func(timeout string) string {
		return fmt.Sprintf(`
plugin "slow" {
  command  = ["sleep", "1000"]
  insecure = true
  timeout  = %q
}
filesystem "os" "data" { root = %q }
pipeline "checkpoint" {
  stage "plugin" "x" { uses = plugin.slow }
  sink "filesystem" "local" { uses = filesystem.os.data }
}
`, timeout, filepath.Join(t.TempDir(), "data"))
	}
	d := launch(t, "-config", writeConfig(t, hcl("1h")))
	d.waitFor("the state of the plugin", func() bool {
		items, err := d.rdb.Do(context.Background(), "SPILLWAY.PLUGINS", "LIST").StringSlice()
		return err == nil && len(items) == 1 && strings.Contains(items[0], `"state":"starting"`)
	})
	if err := d.rdb.Set(context.Background(), "a", 1, 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "LOADING") {
		t.Errorf("a write before the data is there: %v", err)
	}
	d.stop()
	out, code := spillway(t, "serve", "-config", writeConfig(t, hcl("200ms")), "--port", freePort(t))
	if code != 1 || !strings.Contains(out, `stage "x": plugin "slow" did not complete the handshake: it takes longer than 200ms`) &&
		!strings.Contains(out, `stage "x": plugin "slow": did not complete the handshake: it takes longer than 200ms`) {
		t.Errorf("exit status %d:\n%s", code, out)
	}
}
