package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// files are everything under some directories, with what is in it and when it
// was changed.
func files(t *testing.T, dirs ...string) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %v %s", path, info.Mode(), info.ModTime().Format(time.RFC3339Nano))
			if info.Mode().IsRegular() {
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, " %x", sha256.Sum256(data))
			}
			b.WriteByte('\n')
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// production is a configuration with all that two daemons could quarrel about.
func production(t *testing.T, data string) (hcl string, places []string) {
	t.Helper()
	vault, bucket, socket := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "s.sock")
	return fmt.Sprintf(`
server {
  fsync = "always"
  save  = []
}
metrics { address = "127.0.0.1:%s" }
listener "unix" "local" { path = %q }
filesystem "os" "data"  { root = %q }
filesystem "os" "vault" { root = %q }
pipeline "checkpoint" {
  stage "zstd" {}
  sink "filesystem" "local" { uses = filesystem.os.data }
  sink "filesystem" "vault" { uses = filesystem.os.vault }
  sink "blob" "bucket" { url = %q }
}
pipeline "archive" {
  on         = ["segment"]
  seal_after = "1h"
  sink "filesystem" "vault" { uses = filesystem.os.vault }
}
`, freePort(t), socket, data, vault, "file://"+bucket), []string{vault, bucket}
}

// startProduction waits also for the checkpoint that an archive begins with.
func startProduction(t *testing.T, config string) *daemon {
	t.Helper()
	d := launch(t, "-config", config)
	d.waitReady()
	d.waitFor("the first checkpoint", func() bool { return d.info("rdb_saves") == "1" && d.info("rdb_bgsave_in_progress") == "0" })
	return d
}

// TestLookIntoBackup is the recipe of docs/backup.md: a backup is restored beside
// production and looked into with production's own configuration. Production
// does not notice, and nothing anywhere is changed.
func TestLookIntoBackup(t *testing.T) {
	t.Parallel()
	hcl, places := production(t, t.TempDir())
	config := writeConfig(t, hcl)
	d := startProduction(t, config)
	d.do("SET", "k", "then")
	d.do("SAVE")
	d.do("SET", "k", "later")
	d.waitFor("the archive", func() bool { return d.info("archive_waiting") == "0" })

	copied := filepath.Join(t.TempDir(), "look")
	out := mustRun(t, "restore", "--config", config, "--from", places[0], "--to", copied, "--at", "2", "--quiet")
	if !strings.Contains(out, "--read-only to look into it") {
		t.Errorf("restore does not say how to look into it:\n%s", out)
	}
	before := files(t, append(places, copied)...)
	look := launch(t, "-config", config, "--read-only", "--dir", copied)
	look.waitReady()
	if got := look.do("GET", "k"); got != "then" {
		t.Errorf("GET k: %v", got)
	}
	w := look.dial()
	for _, c := range []struct{ do, want string }{
		{"SET k x", "(error) READONLY You can't write against a read only server."},
		{"SAVE", "(error) ERR read-only: nothing is written, saved or logged"},
		{"CONFIG SET appendonly yes", "(error) ERR CONFIG SET failed (possibly related to argument 'appendonly') - read-only: nothing is written, saved or logged"},
	} {
		if got := w.ask(c.do); got != c.want {
			t.Errorf("%s: %s, want %s", c.do, got, c.want)
		}
	}
	if got := look.info("spillway_read_only"); got != "1" {
		t.Errorf("spillway_read_only: %s", got)
	}
	if after := files(t, append(places, copied)...); after != before {
		t.Errorf("a look has changed\n%s to\n%s", before, after)
	}

	for i := range 3 { // while the look is there, and after
		d.do("SET", "k", i)
		d.do("SAVE")
	}
	before = files(t, copied)
	w.send("SHUTDOWN SAVE\r\n")
	look.wantExit(0)
	if after := files(t, copied); after != before {
		t.Errorf("the end of a look has changed\n%s to\n%s", before, after)
	}
	for i := range 3 {
		d.do("SET", "k", i)
		d.do("SAVE")
	}
	d.stop()
	for _, place := range places {
		if sets := mustGlob(t, filepath.Join(place, "checkpoints", "0*", "SET.json")); len(sets) != 8 {
			t.Errorf("%d checkpoints in %s, want 8: %v\n%s", len(sets), place, sets, d.log.String())
		}
	}
}

// TestLookBesideDaemon: production's own directory may be looked at while it is
// in use, and a directory that nobody can write as well.
func TestLookBesideDaemon(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	hcl, _ := production(t, data)
	config := writeConfig(t, hcl)
	d := startProduction(t, config)
	d.do("SET", "k", "v")
	look := launch(t, "-config", config, "--read-only")
	look.waitReady()
	if got := look.do("GET", "k"); got != "v" {
		t.Errorf("GET k: %v", got)
	}
	d.do("SET", "k", "w")
	d.do("SAVE")
	if got := look.do("GET", "k"); got != "v" {
		t.Errorf("a look follows what is written: %v", got)
	}
	look.stop()
	d.stop()

	// Without LOCK, on a medium that cannot be written.
	if err := os.Remove(filepath.Join(data, "LOCK")); err != nil {
		t.Fatal(err)
	}
	mount := readOnlyMount(t, data)
	before := files(t, data)
	look = launch(t, "--read-only", "--dir", mount)
	look.waitReady()
	if got := look.do("GET", "k"); got != "w" {
		t.Errorf("GET k: %v", got)
	}
	look.stop()
	if after := files(t, data); after != before {
		t.Errorf("a look has changed\n%s to\n%s", before, after)
	}
}

// readOnlyMount is dir on a medium that cannot be written: a bind mount where
// the test may make one, and else modes that allow no write.
func readOnlyMount(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if os.Geteuid() == 0 && exec.Command("mount", "--bind", dir, to).Run() == nil {
		t.Cleanup(func() { _ = exec.Command("umount", to).Run() })
		if exec.Command("mount", "-o", "remount,bind,ro", to).Run() == nil {
			return to
		}
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		t.Cleanup(func() { _ = os.Chmod(path, 0o700) })
		return os.Chmod(path, 0o500)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLookFlags: what does not go with a look is refused, and where there is
// nothing to look at nothing is made.
func TestLookFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--dir", missing}, "is not a directory: there is nothing to look at"},
		{[]string{"--dir", dir}, "is no data directory: it has no MANIFEST"},
		{[]string{"--dir", dir, "--restore-if-empty"}, "does not go with --read-only"},
		{[]string{"--dir", dir, "--appendonly", "yes"}, "does not go with --read-only"},
		{[]string{"--dir", dir, "--save", "1 1"}, "does not go with --read-only"},
	} {
		out, code := spillway(t, append([]string{"serve", "--read-only"}, c.args...)...)
		if code != 2 || !strings.Contains(out, c.want) {
			t.Errorf("%v: exit %d\n%s", c.args, code, out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// TestLookPort: without a flag a look listens on a port of its own, and on
// another one if somebody has that, and says which.
func TestLookPort(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	d := startDaemon(t, data)
	d.do("SET", "k", "v")
	d.stop()
	// Whether it is free or not, it is taken from here on.
	if l, err := net.Listen("tcp", "127.0.0.1:6390"); err == nil {
		defer l.Close()
	}
	look := &daemon{t: t, done: make(chan struct{})}
	look.cmd = exec.Command(binary, "serve", "--read-only", "--dir", data)
	look.cmd.Dir = t.TempDir()
	look.cmd.Stderr, look.cmd.Stdout = &look.log, &look.log
	if err := look.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = look.cmd.Wait(); close(look.done) }()
	t.Cleanup(look.kill)
	look.waitReady()
	where := regexp.MustCompile(`Ready to accept connections: listener=(127\.0\.0\.1:\d+)`).FindStringSubmatch(look.log.String())
	if where == nil || where[1] == "127.0.0.1:6390" {
		t.Fatalf("it does not say where it listens:\n%s", look.log.String())
	}
	look.addr = where[1]
	look.rdb = look.client(nil)
	if got := look.do("GET", "k"); got != "v" {
		t.Errorf("GET k: %v", got)
	}
	look.stop()
}

// TestLookThroughPlugin: of the plugins only a stage that the directory went
// through is started, and a sink's program need not even be there.
func TestLookThroughPlugin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hcl := piped(t, dir, 3, true)
	config := writeConfig(t, hcl)
	d := launch(t, "-config", config)
	d.waitReady()
	d.do("SET", "k", "v")
	d.do("SAVE")
	d.stop()

	gone := regexp.MustCompile(`(plugin "folder" \{\s*command  = \[)"[^"]*"`).ReplaceAllString(hcl, `${1}"no-such-program"`)
	if gone == hcl {
		t.Fatal("the sink's program is still in the configuration")
	}
	config = writeConfig(t, gone)
	before := files(t, dir)
	look := launch(t, "-config", config, "--read-only")
	look.waitReady()
	if got := look.do("GET", "k"); got != "v" {
		t.Errorf("GET k: %v", got)
	}
	if look.pluginPID("tools") == 0 || look.info("plugin_folder") != "(missing)" {
		t.Errorf("the plugins are\n%s\n%s", look.info("plugin_tools"), look.info("plugin_folder"))
	}
	look.stop()
	if after := files(t, dir); after != before {
		t.Errorf("a look has changed\n%s to\n%s", before, after)
	}
}
