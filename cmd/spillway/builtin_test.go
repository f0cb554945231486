package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
)

// TestStages: each stage writes what the standard tool reads and is read back, in
// process and by the official plugin, each of which reads what the other wrote;
// those that need no configuration for that, also after the stage was taken out
// of the file.
func TestStages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		attributes, suffix string
		test               []string // the standard tool
		alone              bool
	}{
		"zstd": {"", ".zst", []string{"zstd", "-qt"}, true},
		"lz4":  {"level = 3", ".lz4", []string{"lz4", "-qt"}, true},
		"gzip": {"level = 9", ".gz", []string{"gzip", "-t"}, true},
		"exec": {"encode = [\"gzip\", \"-c\"]\n decode = [\"gzip\", \"-dc\"]\n suffix = \".gz\"", ".gz", []string{"gzip", "-t"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			hcl := func(stage string) string {
				return fmt.Sprintf("filesystem \"os\" \"data\" { root = %q }\npipeline \"checkpoint\" {\n %s\n sink \"filesystem\" \"local\" { uses = filesystem.os.data }\n}\n", dir, stage)
			}
			program, sum := buildPlugin(t, "cmd/spillway-plugin-"+name)
			inProcess := fmt.Sprintf("stage %q {\n %s\n}", name, c.attributes)
			inPlugin := fmt.Sprintf("stage \"plugin\" %q {\n uses = plugin.p\n %s\n}", name, c.attributes)
			plugin := fmt.Sprintf("plugin \"p\" {\n command = [%q]\n checksum = %q\n}\n", program, sum)
			for i, config := range []string{hcl(inProcess), plugin + hcl(inPlugin), hcl(inProcess)} {
				d := startConfig(t, config, "--save", "", "--appendonly", "no")
				if n := d.do("STRLEN", "a"); n != int64(6000*min(i, 1)) {
					t.Errorf("start %d reads back %v bytes\n%s", i, n, d.log.String())
				}
				d.do("SET", "a", strings.Repeat("value ", 1000))
				d.do("SAVE")
				d.stop()
				parts := mustGlob(t, filepath.Join(dir, "checkpoints", "*", "shard-*.rdb"+c.suffix))
				if len(parts) == 0 {
					t.Fatal("no parts with the suffix of the stage")
				}
				for _, p := range parts {
					if out, err := exec.Command(c.test[0], append(c.test[1:], p)...).CombinedOutput(); err != nil {
						t.Errorf("%v %s: %v\n%s", c.test, p, err, out)
					}
				}
			}
			if c.alone {
				if n := startConfig(t, hcl(""), "--save", "").do("STRLEN", "a"); n != int64(6000) {
					t.Errorf("read back without the stage: %v bytes", n)
				}
				return
			}
			out, code := spillway(t, "serve", "-config", writeConfig(t, hcl("")), "--port", freePort(t))
			if code != 1 || !strings.Contains(out, fmt.Sprintf("stage %q", name)) {
				t.Errorf("without the stage: exit status %d:\n%s", code, out)
			}
		})
	}
}

// remoteSinks is a configuration with one and the same store as a sink in
// process and as a plugin's.
func remoteSinks(t *testing.T, data, kind, inProcess, inPlugin string, env map[string]string) string {
	t.Helper()
	name, sum := buildPlugin(t, "cmd/spillway-plugin-"+kind)
	var vars strings.Builder
	for k, v := range env {
		fmt.Fprintf(&vars, "    %s = %q\n", k, v)
	}
	return fmt.Sprintf(`
plugin "remote" {
  command  = [%q]
  checksum = %q
  env = {
%s  }
}
filesystem "os" "data" { root = %q }
pipeline "checkpoint" {
  stage "zstd" {}
  sink "filesystem" "local" { uses = filesystem.os.data }
  sink %q "near" {
    keep = 2
    %s
  }
  sink "plugin" "far" {
    uses = plugin.remote
    keep = 2
    %s
  }
}
`, name, sum, vars.String(), data, kind, inProcess, inPlugin)
}

// TestRemoteSinks: checkpoints reach object stores and SFTP servers, from the
// server's own process and from a plugin's, with the same bytes; a server that
// is gone fails the checkpoint, and the next one after its return succeeds.
func TestRemoteSinks(t *testing.T) {
	t.Run("s3", func(t *testing.T) {
		s := servers.StartS3(t)
		bucket := s.Bucket(t)
		near, far := s.URL(bucket, "near"), s.URL(bucket, "far")
		testRemote(t, s.Process, remoteSinks(t, t.TempDir(), "blob", fmt.Sprintf("url = %q", near), fmt.Sprintf("url = %q", far), s.Env))
	})
	t.Run("sftp", func(t *testing.T) {
		s := servers.StartSSH(t)
		attrs := func(dir string) string {
			return fmt.Sprintf("url = %q\nkey_file = %q\nknown_hosts = %q\n", s.URL(dir), s.KeyFile, s.KnownHosts)
		}
		near, far := filepath.Join(t.TempDir(), "near"), filepath.Join(t.TempDir(), "far")
		testRemote(t, s.Process, remoteSinks(t, t.TempDir(), "sftp", attrs(near), attrs(far), nil))
		n, f := published(t, near), published(t, far)
		if len(n) == 0 || len(f) == 0 || n[len(n)-1] != f[len(f)-1] { // older ones may wait for the next pruning
			t.Fatalf("sets %v and %v", n, f)
		}
		sameParts(t, near, far, n[len(n)-1])
	})
}

func testRemote(t *testing.T, server *servers.Process, hcl string) {
	t.Helper()
	file := writeConfig(t, hcl)
	if out, code := spillway(t, "check", "-config", file); code != 0 {
		t.Fatalf("check: exit status %d:\n%s", code, out)
	}
	d := startConfig(t, hcl, "--save", "")
	for i := range 3 {
		d.do("SET", "n", i)
		if got := d.bgsave(); got != "ok" {
			t.Fatalf("BGSAVE: %s\n%s", got, d.log.String())
		}
	}
	sinks := openSinks(t, hcl)
	for name, s := range sinks {
		d.waitFor("the sink to be pruned", func() bool { return fmt.Sprint(generations(t, s)) == "[2 3]" })
		for _, sp := range list(t, s)[1].Parts {
			rc, err := s.Open(context.Background(), sp.Part, sp.SinkReceipt)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := rc.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	server.Kill()
	d.do("BGSAVE")
	d.waitFor("BGSAVE to fail", func() bool { return d.info("rdb_last_bgsave_status") == "err" })
	if got := d.info("spillway_last_bgsave_error"); !strings.Contains(got, "near") && !strings.Contains(got, "far") {
		t.Errorf("the error does not name the sink: %s", got)
	}
	server.Start()
	d.waitFor("a BGSAVE that succeeds", func() bool { return d.bgsave() == "ok" })
	last := published(t, d.dataOf(hcl))
	for name, s := range sinks {
		if g := generations(t, s); len(g) == 0 || fmt.Sprintf("%08d", g[len(g)-1]) != last[len(last)-1] {
			t.Errorf("%s has %v, the data directory %v", name, g, last)
		}
	}
	d.stop()
}

// dataOf is the data directory of a configuration.
func (d *daemon) dataOf(hcl string) string {
	d.t.Helper()
	cfg, file := config.Parse("test.hcl", []byte(hcl))
	if cfg == nil {
		d.t.Fatal(file.Diagnostics())
	}
	return cfg.Data.Root
}

// openSinks are the built-in sinks of a configuration, opened by the test
// itself. The plugin's is the same code.
func openSinks(t *testing.T, hcl string) map[string]sink.Sink {
	t.Helper()
	cfg, file := config.Parse("test.hcl", []byte(hcl))
	if cfg == nil {
		t.Fatal(file.Diagnostics())
	}
	out := make(map[string]sink.Sink)
	for _, m := range cfg.Check.Mirrors {
		if m.Make == nil {
			continue
		}
		s, err := m.Make(m.Name, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if c, ok := s.(interface{ Close() error }); ok {
				_ = c.Close()
			}
		})
		out[m.Name] = s
	}
	return out
}

func list(t *testing.T, s sink.Sink) []sink.Set {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sets, err := s.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return sets
}

func generations(t *testing.T, s sink.Sink) (out []uint64) {
	t.Helper()
	for _, set := range list(t, s) {
		out = append(out, set.ID.Generation)
	}
	return out
}

// TestBadSinks: what a built-in sink does not accept is a mistake in the file,
// found before anything is started.
func TestBadSinks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sink, want, place string }{
		"scheme":   {`sink "blob" "x" { url = "s4://b" }`, "scheme", ":4:27\n"},
		"no url":   {`sink "blob" "x" {}`, "url is missing", ":4:3\n"},
		"a user":   {`sink "blob" "x" { url = "s3://me:hush@b/c" }`, "user", ":4:27\n"},
		"no host":  {`sink "sftp" "x" { url = "sftp:///d" }`, "sftp: ", ":4:"},
		"key file": {`sink "sftp" "x" { url = "sftp://u@h/d", key_file = "/none" }`, "", ":4:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			sinkHCL := strings.Replace(c.sink, `, key_file`, "\nkey_file", 1)
			if sinkHCL != c.sink {
				sinkHCL = strings.NewReplacer("{ url", "{\nurl", " }", "\n}").Replace(sinkHCL)
				c.place = ":"
			}
			file := writeConfig(t, fmt.Sprintf("filesystem \"os\" \"data\" { root = %q }\npipeline \"p\" {\n  sink \"filesystem\" \"local\" { uses = filesystem.os.data }\n  %s\n}\n", dir, sinkHCL))
			for _, command := range []string{"check", "serve"} {
				out, code := spillway(t, command, "-config", file)
				if code != 2 || !strings.Contains(out, c.want) || !strings.Contains(out, file+c.place) || !strings.Contains(out, "Invalid sink") || strings.Contains(strings.SplitN(out, "\n\n", 3)[2], "hush") {
					t.Errorf("%s: exit status %d:\n%s", command, code, out)
				}
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("a data directory was made")
			}
		})
	}
}
