package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"filippo.io/age"
)

// mirrored is a configuration with a second sink.
func mirrored(data, mirror, stages string, required bool) string {
	return fmt.Sprintf(`
filesystem "os" "data"   { root = %q }
filesystem "os" "mirror" { root = %q }
pipeline "checkpoint" {
  %s
  sink "filesystem" "local" {
    uses = filesystem.os.data
    keep = 3
  }
  sink "filesystem" "mirror" {
    uses     = filesystem.os.mirror
    required = %v
    timeout  = "30s"
    keep     = 2
  }
}
`, data, mirror, stages, required)
}

func published(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*", "SET.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		found[i] = withoutTokens(filepath.Base(filepath.Dir(found[i])))
	}
	return found
}

// sinkErrors is how many failures INFO counts for a sink.
func (d *daemon) sinkErrors(name string) int {
	d.t.Helper()
	info, err := d.rdb.Info(context.Background(), "persistence").Result()
	if err != nil {
		d.t.Fatal(err)
	}
	m := regexp.MustCompile(`spillway_pipeline\d+:name=` + name + `,.*errors=(\d+)`).FindStringSubmatch(info)
	if m == nil {
		d.t.Fatalf("no line for %s in INFO:\n%s", name, info)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func (d *daemon) bgsave() (status string) {
	d.t.Helper()
	before := d.info("rdb_saves") + d.info("rdb_last_bgsave_status")
	d.do("BGSAVE")
	d.waitFor("the end of BGSAVE", func() bool {
		return d.info("rdb_bgsave_in_progress") == "0" && (d.info("rdb_saves")+d.info("rdb_last_bgsave_status") != before || before[len(before)-3:] == "err")
	})
	return d.info("rdb_last_bgsave_status")
}

// breakSink makes a sink's root refuse whatever is put there, in several ways;
// mend undoes it.
var breakSink = map[string]func(t *testing.T, root string) (mend func()){
	"a file in its way": func(t *testing.T, root string) func() {
		t.Helper()
		sets := filepath.Join(root, "checkpoints")
		if err := os.Rename(sets, sets+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(sets, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.Remove(sets); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(sets+".away", sets); err != nil {
				t.Fatal(err)
			}
		}
	},
	"moved away": func(t *testing.T, root string) func() {
		t.Helper()
		if err := os.Rename(root, root+".away"); err != nil {
			t.Fatal(err)
		}
		// And nothing can be made in its place.
		if err := os.WriteFile(root, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		// A directory that is held open by a process lives on: take its
		// content away as well, as an unmount does.
		if err := os.Rename(filepath.Join(root+".away", "checkpoints"), root+".sets"); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(root + ".away"); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.Remove(root); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(root, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(root+".sets", filepath.Join(root, "checkpoints")); err != nil {
				t.Fatal(err)
			}
		}
	},
}

// TestRequiredSink: a checkpoint that a required sink does not get fails, and
// the one before stays; when the sink is back the next one succeeds.
func TestRequiredSink(t *testing.T) {
	t.Parallel()
	for how, broken := range breakSink {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			data, mirror := filepath.Join(dir, "data"), filepath.Join(dir, "mirror")
			hcl := mirrored(data, mirror, `stage "zstd" {}`, true)
			flags := []string{"--shards", "2", "--save", "3600 1", "--appendfsync", "always"}
			d := startConfig(t, hcl, flags...)
			d.do("SET", "a", 1)
			if got := d.bgsave(); got != "ok" {
				t.Fatalf("BGSAVE: %s\n%s", got, d.log.String())
			}
			if local, far := published(t, data), published(t, mirror); fmt.Sprint(local) != "[00000001]" || fmt.Sprint(far) != "[00000001]" {
				t.Fatalf("sets %v, mirrored %v", local, far)
			}
			sameParts(t, data, mirror, "00000001")

			mend := broken(t, mirror)
			d.do("SET", "b", 2)
			if got := d.bgsave(); got != "err" {
				t.Fatalf("BGSAVE without the required sink: %s\n%s", got, d.log.String())
			}
			if got := d.info("spillway_last_bgsave_error"); !strings.Contains(got, "mirror") {
				t.Errorf("the error does not name the sink: %s", got)
			}
			if n := d.sinkErrors("mirror"); n == 0 {
				t.Error("the failure is not counted")
			}
			if err := d.rdb.Set(context.Background(), "c", 3, 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "MISCONF") {
				t.Errorf("a write after the failure: %v", err)
			}
			d.waitFor("what was staged to go", func() bool {
				left, _ := filepath.Glob(filepath.Join(data, "checkpoints", "*"))
				return len(left) == 1 && withoutTokens(filepath.Base(left[0])) == "00000001"
			})
			d.waitLog("checkpoint failed")

			mend()
			// The save is tried again by itself, though no save point is due.
			d.waitFor("writes to go on", func() bool { return d.rdb.Set(context.Background(), "c", 3, 0).Err() == nil })
			for range 3 {
				d.bgsave()
			}
			d.waitFor("the mirror to be pruned to two", func() bool { return len(published(t, mirror)) == 2 })
			sets := published(t, data)
			if len(sets) != 3 {
				t.Errorf("%d sets kept, want 3", len(sets))
			}
			sameParts(t, data, mirror, sets[2])
			d.kill()
			d = startConfig(t, hcl, flags...)
			if got := d.do("MGET", "a", "b", "c"); fmt.Sprint(got) != "[1 2 3]" {
				t.Errorf("after the restart: %v", got)
			}
		})
	}
}

// sameParts compares the files of a set in two sinks.
func sameParts(t *testing.T, a, b, number string) {
	t.Helper()
	set := filepath.Base(newest(t, filepath.Join(a, "checkpoints", number+"-*")))
	files, err := filepath.Glob(filepath.Join(a, "checkpoints", set, "shard-*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		x, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b, "checkpoints", set, filepath.Base(f)))
		if err != nil || !bytes.Equal(x, y) {
			t.Errorf("%s differs in the mirror: %v", f, err)
		}
	}
}

// TestBestEffortSink: a checkpoint that it does not get is committed all the
// same; the failure is logged and counted, and the sink catches up once it is
// back, in the running daemon and at the next start.
func TestBestEffortSink(t *testing.T) {
	t.Parallel()
	for how, broken := range breakSink {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			data, mirror := filepath.Join(dir, "data"), filepath.Join(dir, "mirror")
			hcl := mirrored(data, mirror, `stage "zstd" {}`, false)
			d := startConfig(t, hcl, "--save", "3600 1")
			d.do("SET", "a", 1)
			d.bgsave()
			d.waitFor("the mirror", func() bool { return len(published(t, mirror)) == 1 })

			mend := broken(t, mirror)
			d.do("SET", "b", 2)
			if got := d.bgsave(); got != "ok" {
				t.Fatalf("BGSAVE without the best-effort sink: %s\n%s", got, d.log.String())
			}
			d.do("SET", "c", 3) // no MISCONF
			if n := d.sinkErrors("mirror"); n == 0 {
				t.Error("the failure is not counted")
			}
			d.waitLog("best-effort sink")
			mend()
			d.waitFor("the mirror to catch up", func() bool { return len(published(t, mirror)) == 2 })
			sameParts(t, data, mirror, "00000002")
			d.waitLog("caught up")

			// The same with a restart in between.
			mend = broken(t, mirror)
			d.bgsave()
			shutdown("SHUTDOWN NOSAVE")(d)
			d.wantExit(0)
			if how == "moved away" {
				d = startConfig(t, hcl, "--save", "") // it starts without the sink
				d.waitLog("not there yet")
				d.stop()
			}
			mend()
			d = startConfig(t, hcl, "--save", "")
			d.waitFor("the mirror to catch up after the restart", func() bool {
				sets := published(t, mirror)
				return len(sets) > 0 && sets[len(sets)-1] == "00000003"
			})
			sameParts(t, data, mirror, "00000003")
		})
	}
}

// TestRequiredSinkMissingAtStart: the daemon does not start without it.
func TestRequiredSinkMissingAtStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mirror := filepath.Join(dir, "mirror")
	if err := os.WriteFile(mirror, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	config := writeConfig(t, mirrored(filepath.Join(dir, "data"), mirror, "", true))
	out, code := spillway(t, "serve", "-config", config, "--port", freePort(t))
	if code != 1 || !strings.Contains(out, mirror) || !strings.Contains(out, `"mirror"`) {
		t.Errorf("exit status %d:\n%s", code, out)
	}
}

// TestStagesByConfig: what was written through stages is read back by whatever
// configuration comes next, as long as it can be; if not, the start says what
// it lacks.
func TestStagesByConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, mirror := filepath.Join(dir, "data"), filepath.Join(dir, "mirror")
	newKey := func() string {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("stage \"age\" {\n recipients = [%q]\n identities = [%q]\n}", id.Recipient(), id)
	}
	const zstd = `stage "zstd" { level = 2 }`
	ours := newKey()
	secret := "find me if you can"
	start := func(stages string) *daemon {
		t.Helper()
		return startConfig(t, mirrored(data, mirror, stages, true), "--save", "", "--appendonly", "no", "--shards", "2")
	}
	for i, stages := range []string{"", zstd, zstd + "\n" + ours, ours, ours + "\n" + zstd, zstd + "\n" + ours} {
		d := start(stages)
		if n := d.do("LLEN", "list"); n != int64(i) {
			t.Fatalf("with %q: %v items, want %d\n%s", stages, n, i, d.log.String())
		}
		d.do("RPUSH", "list", secret)
		d.do("SAVE")
		d.stop()
	}
	for _, part := range mustGlob(t, filepath.Join(mirror, "checkpoints", "*", "shard-*.age*")) {
		if b, err := os.ReadFile(part); err != nil || bytes.Contains(b, []byte(secret)) {
			t.Errorf("%s: in the clear, or %v", part, err)
		}
	}
	before := treeHash(t, dir)
	for stages, want := range map[string]string{zstd: `stage "age"`, zstd + "\n" + newKey(): "identity"} {
		out, code := spillway(t, "serve", "-config", writeConfig(t, mirrored(data, mirror, stages, true)), "--port", freePort(t), "--appendonly", "no")
		if code != 1 || !strings.Contains(out, want) || strings.Contains(out, "spillway repair") {
			t.Errorf("without the key: exit status %d:\n%s", code, out)
		}
	}
	if after := treeHash(t, dir); after != before {
		t.Error("the directory has changed")
	}
	// A checkpoint written with zstd loads after the stage was taken out.
	dir = t.TempDir()
	data, mirror = filepath.Join(dir, "data"), filepath.Join(dir, "mirror")
	d := start(zstd)
	d.do("SET", "a", 1)
	d.do("SAVE")
	d.stop()
	if got := start("").do("GET", "a"); got != "1" {
		t.Errorf("without the stage: a is %v", got)
	}
}

func mustGlob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
