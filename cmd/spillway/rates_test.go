package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/cmd/spillway/status"
)

// rate is what the daemon's report says of the rate of a sink.
func (d *daemon) rate(sink string) (found status.Rate) {
	d.t.Helper()
	var r status.Report
	if err := json.Unmarshal([]byte(fmt.Sprint(d.do("SPILLWAY.STATUS").([]any)[0])), &r); err != nil {
		d.t.Fatal(err)
	}
	for _, l := range r.Rates {
		if l.Sink == sink {
			found = l
		}
	}
	return found
}

// noise is what no stage makes smaller.
func noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return string(b)
}

// TestRates: a checkpoint goes to a sink no faster than its rate, whether the sink is
// built in or a plugin; a reload counts for the one that is under way, and the end of
// the daemon does not wait for the rate.
func TestRates(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]func(dir string) (hcl, sink string){
		"built in": func(dir string) (string, string) {
			hcl := mirrored(filepath.Join(dir, "data"), filepath.Join(dir, "mirror"), "", true)
			return strings.Replace(hcl, `timeout  = "30s"`, "timeout = \"30s\"\nRATE", 1), "mirror"
		},
		"plugin": func(dir string) (string, string) {
			return strings.Replace(piped(t, dir, 1, true), "required = true", "required = true\nRATE", 1), "offsite"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hcl, sink := config(t.TempDir())
			at := func(rate string) string { return strings.Replace(hcl, "RATE", "rate = "+rate, 1) }
			slow := at(`"1KiB/s"`) // what there is takes more than a minute so
			r := startReloads(t, slow, "--save", "", "--shards", "2")
			for i := range 8 {
				r.do("SET", fmt.Sprint("key", i), noise(16<<10))
			}
			r.do("BGSAVE")
			r.waitFor("a part to wait", func() bool { l := r.rate(sink); return l.Bytes > 0 && l.WaitedSeconds > 0 })
			if l := r.rate(sink); l.BytesPerSecond != 1024 || l.Bytes > 100<<10 {
				t.Errorf("the rate is reported as %+v", l)
			}
			if s := r.info("rdb_bgsave_in_progress"); s != "1" {
				t.Errorf("the checkpoint has not waited: %s", r.info("rdb_last_bgsave_status"))
			}
			if said := r.must(at("0")); !strings.Contains(said, "the rate of sink "+sink+": 1kb/s → 0") || strings.Contains(said, "goes on with the stages and sinks") {
				t.Errorf("the reload says\n%s", said)
			}
			r.waitFor("the checkpoint", func() bool { return r.info("rdb_saves") == "1" })

			r.must(slow)
			r.do("BGSAVE")
			r.waitFor("a part to wait", func() bool { return r.rate(sink).WaitedSeconds > 0 })
			if out := mustRun(t, "config", "dump", "--config", r.file); !strings.Contains(out, `"1kb/s"`) {
				t.Errorf("the dump lacks the rate:\n%s", out)
			}
			r.stop() // SIGTERM, which waits for nothing but what it has to save
		})
	}
}

// TestRateOfTools: what a tool reads is bounded by --rate, or by the rate of the sink.
func TestRateOfTools(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hcl := mirrored(filepath.Join(dir, "data"), filepath.Join(dir, "mirror"), "", true)
	d := startConfig(t, hcl, "--save", "")
	d.do("SET", "key", "value")
	d.do("SAVE")
	d.stop()
	file := writeConfig(t, hcl)
	for i, args := range [][]string{
		{"restore", "--config", file, "--to", filepath.Join(dir, "r1"), "--rate", "1MB/s"},
		{"restore", "--from", filepath.Join(dir, "mirror"), "--to", filepath.Join(dir, "r2"), "--rate", "0"},
		{"verify", "--from", filepath.Join(dir, "data"), "--rate", "512KiB/s"},
	} {
		if out, code := spillway(t, append(args, "--quiet")...); code != 0 {
			t.Errorf("%d: exit status %d\n%s", i, code, out)
		}
	}
	for _, bad := range []string{"fast", "10", "5Mbit/s", "-1MB/s"} {
		if out, code := spillway(t, "restore", "--config", file, "--to", filepath.Join(dir, "r3"), "--rate="+bad); code != 2 || !strings.Contains(out, "want") {
			t.Errorf("--rate=%s: exit status %d\n%s", bad, code, out)
		}
	}
}
