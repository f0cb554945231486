package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// monitoring is where the rules and the dashboard are.
const monitoring = "../../packaging/monitoring"

// program is one that make deps unpacks where it is missing.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = filepath.Abs("../../bin/" + name); err != nil {
			t.Fatal(err)
		}
		if _, err = os.Stat(path); err != nil {
			t.Skipf("NOT RUN: there is no %s here (make deps unpacks it)", name)
		}
	}
	return path
}

// TestAlerts: the rules are rules, each alert fires when it is to, and a daemon that is
// well fires none.
func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool := program(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = monitoring
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestMonitoringNames: what the alerts and the dashboard ask for are metrics that there
// are.
func TestMonitoringNames(t *testing.T) {
	known := make(map[string]bool)
	for _, f := range gatherAll(t) {
		known[f.GetName()] = true
	}
	name := regexp.MustCompile(`spillway_[a-z_]+`)
	for _, file := range []string{"alerts.yml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join(monitoring, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllString(string(text), -1) {
			if !known[m] && !known[strings.TrimSuffix(m, "_bucket")] {
				t.Errorf("%s asks for %s, which is no metric", file, m)
			}
		}
	}
}

// dashboard is as much of Grafana's document as the test reads.
type dashboard struct {
	Panels []struct {
		Title   string
		Type    string
		Targets []struct{ Expr string }
	}
}

// TestDashboard: a real Prometheus reads a real daemon, and answers every query of the
// dashboard with data.
func TestDashboard(t *testing.T) {
	t.Parallel()
	promtool, prometheus := program(t, "promtool"), program(t, "prometheus")
	text, err := os.ReadFile(filepath.Join(monitoring, "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board dashboard
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	config := writeConfig(t, watchedConfig(t, address))
	d := launch(t, "-config", config)
	d.waitReady()
	saveBeside(d)
	d.waitFor("a checkpoint in the mirror", func() bool {
		_, code := spillway(t, "inspect", "--config", config, "--from", "mirror", "--quiet")
		return code == 0
	})
	for _, proof := range [][]string{{"verify"}, {"drill", "--scratch", t.TempDir()}} {
		spillwayOut(t, append(proof, "--config", config, "--from", "mirror", "--quiet", "--tell", "--addr", d.addr)...)
	}
	_, metrics := get(t, "http://"+address+"/metrics")
	lint := exec.Command(promtool, "check", "metrics")
	lint.Stdin = strings.NewReader(metrics)
	if out, err := lint.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}

	at := "http://" + startPrometheus(t, prometheus, address)
	missing := make(map[string]string)
	for _, p := range board.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			missing[target.Expr] = p.Title
		}
	}
	if len(missing) < 20 {
		t.Fatalf("the dashboard has %d queries", len(missing))
	}
	variables := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*")
	deadline := time.Now().Add(patience)
	for n := 0; len(missing) > 0; n++ {
		d.do("SET", fmt.Sprint("k", n), "v")
		saveBeside(d) // so that every counter grows between two looks
		for expr := range missing {
			if answered(t, at, variables.Replace(expr)) {
				delete(missing, expr)
			}
		}
		if time.Now().After(deadline) {
			for expr, title := range missing {
				t.Errorf("panel %q has no data: %s", title, expr)
			}
			return
		}
	}
}

// watchedConfig is a daemon with a stage, a sink, an archive that has a rate, a schedule, a
// hook and metrics.
func watchedConfig(t *testing.T, address string) string {
	t.Helper()
	return `metrics { address = "` + address + `" }` + mirrored(t.TempDir(), t.TempDir(), `stage "zstd" { level = 1 }
  schedule = "0 3 * * *"
  on_success { command = ["/bin/true"] }`, false) + fmt.Sprintf(`
filesystem "os" "vault" { root = %q }
pipeline "archive" {
  on         = ["segment"]
  seal_after = "100ms"
  sink "filesystem" "vault" {
    uses = filesystem.os.vault
    rate = "1GB/s"
  }
}
`, t.TempDir())
}

// saveBeside saves once the checkpoint is over that the archive may have asked for.
func saveBeside(d *daemon) {
	d.t.Helper()
	d.waitFor("a SAVE of its own", func() bool {
		err := d.rdb.Do(d.t.Context(), "SAVE").Err()
		if err != nil && !strings.Contains(err.Error(), "already in progress") {
			d.t.Fatal(err)
		}
		return err == nil
	})
}

// startPrometheus runs one that reads target often, and returns where it answers.
func startPrometheus(t *testing.T, program, target string) string {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	rules, err := filepath.Abs(filepath.Join(monitoring, "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs: [{job_name: spillway, static_configs: [{targets: [%q]}]}]\n", rules, target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	var log testutil.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	deadline := time.Now().Add(patience)
	for {
		resp, err := http.Get("http://" + address + "/-/ready")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return address
			}
		}
		select {
		case <-ended:
			t.Fatalf("prometheus has ended:\n%s", log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("prometheus is not ready:\n%s", log.String())
		}
	}
}

// answered tells whether a query has data. One that is no query fails the test.
func answered(t *testing.T, at, query string) bool {
	t.Helper()
	status, body := get(t, at+"/api/v1/query?query="+url.QueryEscape(query))
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK || answer.Status != "success" {
		t.Fatalf("%s: %d %s %v", query, status, body, err)
	}
	return len(answer.Data.Result) > 0
}
