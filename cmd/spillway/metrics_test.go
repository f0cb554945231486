package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape reads the metrics of a daemon, as name{label="value"} → value.
func scrape(t *testing.T, url string) map[string]float64 {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]float64)
	for name, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			out[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestMetrics: what INFO knows is what Prometheus reads.
func TestMetrics(t *testing.T) {
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	d := startConfig(t, `metrics { address = "`+address+`" }`+mirrored(t.TempDir(), t.TempDir(), `stage "zstd" { level = 1 }`, true)+fmt.Sprintf(`
filesystem "os" "vault" { root = %q }
pipeline "archive" {
  on         = ["segment"]
  seal_after = "100ms"
  sink "filesystem" "vault" { uses = filesystem.os.vault }
}
`, t.TempDir()))
	url := "http://" + address
	if code, body := get(t, url+"/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d %q", code, body)
	}
	for i := range 100 {
		d.do("SET", "k"+strconv.Itoa(i), "v")
	}
	d.do("GET", "k1")
	d.do("GET", "no such key")
	d.do("EXPIRE", "k1", 1000)
	saveBeside(d)
	d.waitFor("a segment in the archive", func() bool { return d.info("archive_last_segment") != "0" })
	got := scrape(t, url+"/metrics")
	for name, want := range map[string]float64{
		"spillway_keyspace_hits_total": 1, "spillway_keyspace_misses_total": 1, "spillway_db_keys{db=0}": 100, "spillway_db_expires{db=0}": 1,
		"spillway_last_bgsave_ok": 1, "spillway_log_ok": 1, "spillway_loading": 0, "spillway_checkpoints_committed_total": 1,
		"spillway_pipeline_errors_total{name=mirror,role=required}": 0, "spillway_checkpoint_generation": 1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (there: %v), want %v", name, v, ok, want)
		}
	}
	for _, name := range []string{"spillway_pipeline_bytes_in_total{name=zstd,role=stage}", "spillway_pipeline_bytes_out_total{name=zstd,role=stage}", "spillway_archive_sink_bytes_total{sink=vault}", "spillway_archive_last_segment", "spillway_memory_used_bytes", "spillway_log_size_bytes", "process_open_fds", "go_goroutines"} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	for field, m := range metrics {
		if strings.Contains(descName(m), "_migration_") {
			continue // INFO has them during one: TestMigrate looks
		}
		if d.info(field) == "(missing)" {
			t.Errorf("INFO has no field %s, which a metric reads", field)
		}
	}
}

// TestMetricsOfFailures: a save that failed shows, with the sink it failed for.
func TestMetricsOfFailures(t *testing.T) {
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	mirror := t.TempDir()
	d := startConfig(t, `metrics { address = "`+address+`" }`+mirrored(t.TempDir(), mirror, "", true))
	d.do("SET", "k", "v")
	if err := os.WriteFile(filepath.Join(mirror, "checkpoints"), nil, 0o600); err != nil {
		t.Fatal(err) // a file where the sink wants a directory
	}
	if err := d.rdb.Do(t.Context(), "SAVE").Err(); err == nil {
		t.Fatal("SAVE succeeds without its required sink")
	}
	got := scrape(t, "http://"+address+"/metrics")
	if got["spillway_last_bgsave_ok"] != 0 || got["spillway_pipeline_errors_total{name=mirror,role=required}"] == 0 {
		t.Errorf("a failed save: last_bgsave_ok %v, errors of the sink %v", got["spillway_last_bgsave_ok"], got["spillway_pipeline_errors_total{name=mirror,role=required}"])
	}
}

// TestMetricsAddressTaken: the start stops.
func TestMetricsAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := launch(t, "--dir", t.TempDir(), "-config", writeConfig(t, `metrics { address = "`+l.Addr().String()+`" }`))
	d.wantExit(1)
	if !strings.Contains(d.log.String(), "metrics: listen tcp4 "+l.Addr().String()) {
		t.Errorf("the log does not say why:\n%s", d.log.String())
	}
}
