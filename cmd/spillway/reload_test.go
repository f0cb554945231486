package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// reloads is a daemon whose configuration file a test edits.
type reloads struct {
	*daemon
	file string
}

func startReloads(t *testing.T, hcl string, flags ...string) *reloads {
	t.Helper()
	r := &reloads{file: writeConfig(t, hcl)}
	r.daemon = launch(t, append([]string{"-config", r.file}, flags...)...)
	r.waitReady()
	return r
}

func (r *reloads) write(hcl string) {
	r.t.Helper()
	if err := os.WriteFile(r.file, []byte(hcl), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

const (
	logReloaded = "configuration reloaded"
	logRefused  = "the configuration was not reloaded"
)

// over counts the reloads that the log tells of, in one way or another.
func (r *reloads) over() int {
	return strings.Count(r.log.String(), logReloaded) + strings.Count(r.log.String(), logRefused)
}

// hup edits the file, sends SIGHUP and returns what the log says until that is over.
func (r *reloads) hup(hcl string) string {
	r.t.Helper()
	r.write(hcl)
	before, from := r.over(), len(r.log.String())
	r.signal(syscall.SIGHUP)
	r.waitFor("the reload", func() bool { return r.over() > before })
	return r.log.String()[from:]
}

// ask has a client ask for a reload; the log has told of it too on return.
func (r *reloads) ask() error {
	r.t.Helper()
	before := r.over()
	err := r.rdb.Do(context.Background(), "SPILLWAY.CONFIG", "RELOAD").Err()
	r.waitFor("the log", func() bool { return r.over() > before })
	return err
}

// must is hup that succeeds.
func (r *reloads) must(hcl string) string {
	r.t.Helper()
	said := r.hup(hcl)
	if !strings.Contains(said, logReloaded) {
		r.t.Fatalf("the reload was refused:\n%s", said)
	}
	return said
}

// refused is hup that changes nothing, and says why.
func (r *reloads) refused(hcl, why string) {
	r.t.Helper()
	if said := r.hup(hcl); !strings.Contains(said, logRefused) || !strings.Contains(said, why) {
		r.t.Fatalf("want a refusal with %q:\n%s", why, said)
	}
}

// save takes a checkpoint by BGSAVE.
func (r *reloads) save() {
	r.t.Helper()
	before := r.info("rdb_saves")
	r.do("BGSAVE")
	r.waitFor("the checkpoint", func() bool { return r.info("rdb_saves") != before && r.info("rdb_bgsave_in_progress") == "0" })
}

func (r *reloads) get(param string) string {
	r.t.Helper()
	v, err := r.rdb.ConfigGet(context.Background(), param).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return v[param]
}

// tree is every file below a directory, with its size.
func tree(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		st, err := e.Info()
		if err == nil {
			out = append(out, fmt.Sprint(path, " ", st.Size(), " ", st.ModTime().UnixNano()))
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out
}

func setsIn(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	for _, f := range tree(t, dir) {
		if strings.Contains(f, "/SET.json ") {
			n++
		}
	}
	return n
}

// withSink is a configuration with a data directory and a sink.
func withSink(data, mirror, more string) string {
	return fmt.Sprintf(`server { save = [] }
filesystem "os" "data" { root = %q }
filesystem "os" "m" { root = %q }
pipeline "checkpoint" {
	%s
	sink "filesystem" "local" { uses = filesystem.os.data }
	sink "filesystem" "m" { uses = filesystem.os.m }
}
`, data, mirror, more)
}

// TestReloadSink: a sink is another directory from the next checkpoint on, while
// clients write; what is in the old one stays as it is.
func TestReloadSink(t *testing.T) {
	t.Parallel()
	data, a, b := t.TempDir(), t.TempDir(), t.TempDir()
	d := startReloads(t, withSink(data, a, ""))
	ctx, stop := context.WithCancel(context.Background())
	var written atomic.Int64
	wrote := make(chan error, 1)
	go func() {
		c := redis.NewClient(&redis.Options{Addr: d.addr, MaxRetries: -1, DisableIdentity: true})
		defer c.Close()
		for ctx.Err() == nil {
			n := written.Load() + 1
			if err := c.Set(context.Background(), fmt.Sprint("k", n%1000), n, 0).Err(); err != nil {
				wrote <- err
				return
			}
			written.Store(n)
		}
		wrote <- nil
	}()
	d.save()
	old := tree(t, a)
	if len(old) == 0 {
		t.Fatal("nothing reached the first sink")
	}
	at := written.Load()
	if said := d.must(withSink(data, b, "")); !strings.Contains(said, a+" → "+b) {
		t.Errorf("the log does not say what changed:\n%s", said)
	}
	d.save()
	d.waitFor("writes", func() bool { return written.Load() > at+100 })
	stop()
	if err := <-wrote; err != nil {
		t.Errorf("a write failed: %v", err)
	}
	if got := tree(t, a); !slices.Equal(got, old) {
		t.Errorf("the old sink was touched:\n%v\n%v", old, got)
	}
	if n := setsIn(t, b); n != 1 {
		t.Errorf("%d sets in the new sink", n)
	}
	if said := d.must(withSink(data, b, "")); !strings.Contains(said, "changed=0") {
		t.Errorf("nothing had changed:\n%s", said)
	}
	d.stop()
	out, code := spillway(t, "inspect", "--from", b)
	if code != 0 {
		t.Errorf("inspect: %d\n%s", code, out)
	}
}

// TestReloadDuringCheckpoint: a checkpoint in flight goes on through what it began
// with; the next one, which the change of the stages asks for, goes another way, and a
// start needs nothing of the old one.
func TestReloadDuringCheckpoint(t *testing.T) {
	t.Parallel()
	data, a, b := t.TempDir(), t.TempDir(), t.TempDir()
	gate := filepath.Join(t.TempDir(), "gate")
	slow := fmt.Sprintf(`stage "exec" {
		encode = ["sh", "-c", "while [ ! -e %s ]; do sleep 0.01; done; cat"]
		decode = ["cat"]
		suffix = ".slow"
	}`, gate)
	d := startReloads(t, withSink(data, a, slow))
	d.do("SET", "k", "v")
	d.do("BGSAVE")
	d.waitFor("the checkpoint to begin", func() bool { return d.info("rdb_bgsave_in_progress") == "1" })
	if said := d.must(withSink(data, b, "")); !strings.Contains(said, "a checkpoint is in flight") {
		t.Errorf("the log does not say what becomes of the checkpoint:\n%s", said)
	}
	d.must(withSink(data, b, `stage "gzip" {}`)) // one more, while the first is not used yet
	d.do("SET", "k2", "v")
	if n := setsIn(t, a) + setsIn(t, b); n != 0 || d.info("rdb_bgsave_in_progress") != "1" {
		t.Fatalf("%d sets are there already", n)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.waitFor("both checkpoints", func() bool { return d.info("rdb_saves") == "2" && d.info("rdb_bgsave_in_progress") == "0" })
	has := func(dir, suffix string) bool {
		return slices.ContainsFunc(tree(t, dir), func(f string) bool { return strings.Contains(f, suffix+" ") })
	}
	if setsIn(t, a) != 1 || !has(a, ".slow") || setsIn(t, b) != 1 || !has(b, ".gz") || has(b, ".slow") {
		t.Errorf("the sinks hold\n%v\n%v", tree(t, a), tree(t, b))
	}
	d.kill()
	again := startConfig(t, withSink(data, b, `stage "gzip" {}`))
	if got := again.do("MGET", "k", "k2"); fmt.Sprint(got) != "[v v]" {
		t.Errorf("after a start: %v", got)
	}
	again.stop()
}

// TestReloadOwed: what a best-effort sink was owed it gets although other things were
// changed meanwhile; one that is new gets the newest checkpoint.
func TestReloadOwed(t *testing.T) {
	t.Parallel()
	data, a, b := t.TempDir(), filepath.Join(t.TempDir(), "a"), t.TempDir()
	hcl := func(level, more string) string {
		return fmt.Sprintf(`server { save = [] }
log { level = %q }
filesystem "os" "data" { root = %q }
filesystem "os" "a" { root = %q }
filesystem "os" "b" { root = %q }
pipeline "checkpoint" {
	sink "filesystem" "local" { uses = filesystem.os.data }
	sink "filesystem" "a" {
		uses     = filesystem.os.a
		required = false
	}
	%s
}`, level, data, a, b, more)
	}
	d := startReloads(t, hcl("info", ""))
	if err := errors.Join(os.RemoveAll(a), os.WriteFile(a, nil, 0o600)); err != nil { // no directory any more
		t.Fatal(err)
	}
	d.do("SET", "k", "v")
	d.save()
	owed := func() string { return d.info("sink_a") }
	if !strings.Contains(owed(), "pending=1") {
		t.Fatalf("the sink is owed %s", owed())
	}
	d.must(hcl("debug", `verify_decode = true
	sink "filesystem" "b" {
		uses     = filesystem.os.b
		required = false
	}`))
	if !strings.Contains(owed(), "pending=1") {
		t.Errorf("after the reload the sink is owed %s", owed())
	}
	d.waitFor("the new sink to get the newest checkpoint", func() bool { return setsIn(t, b) == 1 })
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	d.waitFor("the sink to get what it is owed", func() bool { return setsIn(t, a) == 1 })
	d.stop()
}

// TestReloadRefused: what cannot be had all of it changes nothing, and both the log and
// who asks are told why.
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	data, a, foreign := t.TempDir(), t.TempDir(), t.TempDir()
	o := startReloads(t, withSink(t.TempDir(), foreign, ""))
	o.do("SET", "other", "v")
	o.save()
	o.stop()
	base := withSink(data, a, "")
	d := startReloads(t, base)
	with := func(more string) string {
		return strings.Replace(base, "server { save = [] }", "server {\n save = []\n max_memory = \"1gb\"\n}", 1) + "log { level = \"debug\" }\n" + more
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ hcl, why string }{
		"a quote is missing":     {with(`log { format = "json`), "plugins.hcl:"},
		"a typo":                 {with(`server { max_memroy = "1gb" }`), "plugins.hcl:"},
		"another's sink":         {strings.Replace(with(""), a, foreign, 1), "another data directory"},
		"a sink that is no more": {strings.Replace(with(""), a, filepath.Join(program, "x"), 1), "not a directory"},
		"the wrong program": {with(fmt.Sprintf("plugin \"p\" {\n command = [%q]\n checksum = \"sha256:%064d\"\n}", program, 0)),
			"is not the one that checksum pins"},
		"a plugin that is none": {with("plugin \"p\" {\n command = [\"/bin/true\"]\n insecure = true\n}") +
			"pipeline \"archive\" {\n stage \"plugin\" \"s\" { uses = plugin.p }\n sink \"filesystem\" \"x\" { uses = filesystem.os.m }\n}", "plugin"},
		"an address of others": {with(`metrics { address = "192.0.2.1:9121" }`), "192.0.2.1"},
		"no certificate":       {with("listener \"tcp\" \"x\" {\n address = \"127.0.0.1:0\"\n tls {\n cert = \"none.pem\"\n key = \"none.pem\"\n}\n}"), "none.pem"},
	} {
		d.refused(c.hcl, c.why)
		if got := d.get("maxmemory"); got != "0" {
			t.Errorf("%s: maxmemory is %s", name, got)
		}
		if err := d.ask(); err == nil || !strings.HasPrefix(err.Error(), "ERR nothing was changed: ") || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: who asks is told %v", name, err)
		}
	}
	d.save()
	if setsIn(t, a) != 1 || setsIn(t, foreign) != 1 {
		t.Errorf("the checkpoint did not go where it did before")
	}

	// Directories that were made for a sink are gone again; one that was there stays.
	there := t.TempDir()
	for _, fresh := range []string{filepath.Join(there, "new"), filepath.Join(there, "of", "many", "parts"), there} {
		d.refused(strings.Replace(with(""), a, foreign, 1)+fmt.Sprintf("filesystem \"os\" \"n\" { root = %q }\n", fresh)+
			"pipeline \"archive\" {\n sink \"filesystem\" \"n\" { uses = filesystem.os.n }\n}\n", "another data directory")
		if left, err := os.ReadDir(there); err != nil || len(left) > 0 {
			t.Errorf("behind a refused sink in %s there is %v, %v", fresh, left, err)
		}
	}
	if err := os.Remove(d.file); err != nil {
		t.Fatal(err)
	}
	if err := d.ask(); err == nil {
		t.Error("a file that is gone was reloaded")
	}
	d.must(with(""))
	if got := d.get("maxmemory"); got != "1073741824" {
		t.Errorf("maxmemory is %s in the end", got)
	}
	d.stop()
}

// TestReloadPlugins: a plugin whose block is the same goes on as the same process, with
// other settings of what it offers; one that is another block is another process, and the
// old one ends; one that is gone ends.
func TestReloadPlugins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hcl := piped(t, dir, 1, true)
	d := startReloads(t, hcl, "--save", "", "--shards", "1")
	d.do("SET", "k", strings.Repeat("v", 10_000))
	d.save()
	tools, folder := d.pluginPID("tools"), d.pluginPID("folder")
	hcl = strings.Replace(hcl, "level = 1", "level = 2", 1)
	hcl = strings.Replace(hcl, `restart { backoff = "10ms" }`, `restart { backoff = "20ms" }`, 1)
	checkpoints := d.info("rdb_saves")
	d.must(hcl)
	d.waitFor("the end of the plugin that was replaced", func() bool { return !lives(folder) })
	if now := d.pluginPID("tools"); now != tools {
		t.Errorf("the plugin of the stage runs as %d, before as %d", now, tools)
	}
	if now := d.pluginPID("folder"); now == 0 || now == folder {
		t.Errorf("the plugin of the sink runs as %d, before as %d", now, folder)
	}
	d.waitFor("a checkpoint by the new stage", func() bool { return d.info("rdb_saves") != checkpoints && d.info("rdb_bgsave_in_progress") == "0" })
	d.save()
	if got := offsite(t, dir); len(got) != 3 {
		t.Errorf("sets in the sink: %v", got)
	}
	checkpoints = d.info("rdb_saves")
	d.must(fmt.Sprintf("filesystem \"os\" \"data\" { root = %q }", filepath.Join(dir, "data")))
	d.waitFor("the end of the plugins", func() bool { return !lives(tools) })
	d.waitFor("a checkpoint without the stage", func() bool { return d.info("rdb_saves") != checkpoints && d.info("rdb_bgsave_in_progress") == "0" })
	if got := offsite(t, dir); len(got) != 3 {
		t.Errorf("sets in the sink that is none any more: %v", got)
	}
	d.stop()
}
