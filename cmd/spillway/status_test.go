package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/cmd/spillway/status"
)

// statusOf runs `spillway status`, or top, and returns what it says and its exit status.
func statusOf(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir = t.TempDir()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// reportOf is what `spillway status --json` says.
func reportOf(t *testing.T, code int, args ...string) *status.Report {
	t.Helper()
	out, errs, got := statusOf(t, append([]string{"status", "--json"}, args...)...)
	if got != code {
		t.Fatalf("exit status %d, want %d:\n%s%s", got, code, out, errs)
	}
	r := new(status.Report)
	if err := json.Unmarshal([]byte(out), r); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return r
}

// TestStatus: what the terminal, the page and /status.json say is one report, and it is
// about this daemon.
func TestStatus(t *testing.T) {
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	d := startConfig(t, watchedConfig(t, address))
	for range 50 {
		d.do("SET", "k", "v")
	}
	d.do("GET", "k")
	_ = d.rdb.Do(t.Context(), "INCR", "k").Err()
	saveBeside(d)
	d.do("SET", "k", "after the checkpoint")
	var r *status.Report
	d.waitFor("a write in the archive", func() bool {
		r = reportOf(t, 0, "--addr", d.addr)
		return len(r.Restore.Windows) > 0 && r.Restore.Newest.After(r.Restore.Oldest)
	})
	if r.State != status.OK || r.Memory.Keys != 1 || r.Checkpoints.Generation == 0 || r.Restore.Oldest.IsZero() || r.Server.PID != d.cmd.Process.Pid {
		t.Errorf("the report is about another daemon: %+v", r)
	}
	set, incr := commandOf(r, "set"), commandOf(r, "incr")
	if set.Calls != 51 || incr.Failed != 1 {
		t.Errorf("set was called %d times, incr failed %d times", set.Calls, incr.Failed)
	}
	if len(r.Latency) == 0 || len(r.Checkpoints.History) == 0 || r.Checkpoints.History[0].Error != "" {
		t.Errorf("latency %v, history %v", r.Latency, r.Checkpoints.History)
	}
	if n := len(r.Pipeline); n != 4 || r.Pipeline[1].Name != "zstd" || r.Pipeline[3].Name != "mirror" || r.Pipeline[3].BytesIn == 0 {
		t.Errorf("the pipeline is %+v", r.Pipeline)
	}
	puts := int64(0)
	for _, s := range r.Stores {
		if s.Sink == "mirror" && s.Operation == "put" && s.Result == "ok" {
			puts = s.Requests
		}
	}
	if puts == 0 {
		t.Errorf("no put to the mirror was counted: %+v", r.Stores)
	}
	text, _, code := statusOf(t, "status", "--addr", d.addr)
	for _, want := range []string{", ok: process ", "throughput  ", "latency     ", "every moment from ", "mirror (best-effort)", "archive     lag "} {
		if code != 0 || !strings.Contains(text, want) {
			t.Errorf("exit status %d, and %q is not in\n%s", code, want, text)
		}
	}
	lines, _, code := statusOf(t, "top", "--addr", d.addr, "--count", "2", "--interval", "1ms")
	if code != 0 || strings.Count(lines, "\n") != 2 || strings.Count(lines, " ok ops/s=") != 2 || strings.Contains(lines, "\x1b") {
		t.Errorf("top without a terminal: %d\n%q", code, lines)
	}
	_, body := get(t, "http://"+address+"/status.json")
	web := new(status.Report)
	if err := json.Unmarshal([]byte(body), web); err != nil || web.Server != withUptime(r.Server, web.Server) || web.Restore.Oldest != r.Restore.Oldest {
		t.Errorf("/status.json is another report (%v): %+v", err, web.Server)
	}
}

// withUptime is a with the fields of b that time changes.
func withUptime(a, b status.Server) status.Server {
	a.UptimeSeconds, a.StartedAt = b.UptimeSeconds, b.StartedAt
	return a
}

func commandOf(r *status.Report, name string) status.Command {
	for _, c := range r.Commands {
		if c.Name == name {
			return c
		}
	}
	return status.Command{}
}

// TestStatusOfTrouble: what is wrong is said, with what to do, and scripts are told.
func TestStatusOfTrouble(t *testing.T) {
	mirror := t.TempDir()
	d := startConfig(t, mirrored(t.TempDir(), mirror, "", true))
	d.do("SET", "k", "v")
	if err := os.WriteFile(filepath.Join(mirror, "checkpoints"), nil, 0o600); err != nil {
		t.Fatal(err) // a file where the sink wants a directory
	}
	if err := d.rdb.Do(t.Context(), "SAVE").Err(); err == nil {
		t.Fatal("SAVE succeeds without its required sink")
	}
	r := reportOf(t, 1, "--addr", d.addr)
	if r.State != status.Critical || len(r.Problems) == 0 || !strings.Contains(r.Problems[0].What, "the last snapshot failed: ") || r.Problems[0].Todo != status.AdviceCheckpoint {
		t.Errorf("%s: %+v", r.State, r.Problems)
	}
	if len(r.Errors) == 0 || !strings.Contains(r.Errors[0].Text, "mirror") {
		t.Errorf("the last errors are %+v", r.Errors)
	}
	text, _, code := statusOf(t, "status", "--addr", d.addr)
	if code != 1 || !strings.Contains(text, "CRITICAL") || !strings.Contains(text, "→ The checkpoint before it stays") {
		t.Errorf("exit status %d\n%s", code, text)
	}
	if _, _, code := statusOf(t, "status", "--serving", "--addr", d.addr); code != 1 || r.Serving {
		t.Errorf("it refuses writes, and is said to serve: exit status %d", code)
	}
}

// TestStatusWithoutDaemon: where none answers the data directory says what it holds, and
// the exit status is one of its own.
func TestStatusWithoutDaemon(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	d.do("SET", "k", "v")
	d.do("SAVE")
	_ = d.rdb.Do(t.Context(), "SHUTDOWN", "NOSAVE").Err() // the end of the connection is the reply
	d.wantExit(0)
	config := writeConfig(t, `filesystem "os" "data" { root = "`+dir+`" }
pipeline "checkpoint" {
  sink "filesystem" "local" { uses = filesystem.os.data }
}`)
	out, errs, code := statusOf(t, "status", "--config", config, "--addr", d.addr)
	if code != 3 || !strings.Contains(errs, "no daemon answers") || !strings.Contains(out, "GENERATION") {
		t.Errorf("exit status %d\n%s%s", code, out, errs)
	}
	out, _, code = statusOf(t, "status", "--config", config, "--addr", d.addr, "--json")
	var a absent
	if err := json.Unmarshal([]byte(out), &a); err != nil || code != 3 || a.State != "absent" || a.Directory == nil || len(a.Directory.Checkpoints) != 1 {
		t.Errorf("exit status %d, %v\n%s", code, err, out)
	}
	if out, errs, code = statusOf(t, "status", "--dir", dir); code != 0 || !strings.Contains(out, "restorable: ") {
		t.Errorf("exit status %d\n%s%s", code, out, errs)
	}
	if _, errs, code = statusOf(t, "status", "--dir", filepath.Join(dir, "none")); code != 2 {
		t.Errorf("a directory that is not there: exit status %d\n%s", code, errs)
	}
	if _, errs, code = statusOf(t, "top", "--interval", "0s"); code != 2 {
		t.Errorf("an interval of 0: exit status %d\n%s", code, errs)
	}
}

// TestStatusVerified: what `verify --tell` finds is in the report and in the metrics.
func TestStatusVerified(t *testing.T) {
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	mirror := t.TempDir()
	d := startConfig(t, `metrics { address = "`+address+`" }`+mirrored(t.TempDir(), mirror, "", true))
	d.do("SET", "k", "v")
	d.do("SAVE")
	tell := []string{"verify", "--from", mirror, "--tell", "--addr", d.addr, "--quiet"}
	if out, errs, code := statusOf(t, tell...); code != 0 {
		t.Fatalf("exit status %d\n%s%s", code, out, errs)
	}
	r := reportOf(t, 0, "--addr", d.addr)
	if len(r.Verified) != 1 || !r.Verified[0].OK || r.Verified[0].Source != mirror {
		t.Errorf("%+v", r.Verified)
	}
	parts, err := filepath.Glob(filepath.Join(mirror, "checkpoints", "*", "shard-0000.rdb"))
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	if err := os.WriteFile(parts[0], []byte("damage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := statusOf(t, tell...); code != 1 {
		t.Fatalf("exit status %d\n%s%s", code, out, errs)
	}
	r = reportOf(t, 1, "--addr", d.addr)
	if len(r.Verified) != 1 || r.Verified[0].OK || r.State != status.Critical || !strings.Contains(r.Problems[0].What, "is damaged") {
		t.Errorf("%+v %+v", r.Verified, r.Problems)
	}
	if out, errs, code := statusOf(t, "status", "--serving", "--addr", d.addr); code != 0 || !r.Serving {
		t.Errorf("a damaged backup is no reason not to serve: exit status %d\n%s%s", code, out, errs)
	}
	if got := scrape(t, "http://"+address+"/metrics"); got["spillway_last_verification_ok{source="+mirror+"}"] != 0 || got["spillway_last_verification_timestamp_seconds{source="+mirror+"}"] == 0 {
		t.Error("the metrics do not have it")
	}
	if err := d.rdb.Do(t.Context(), "SPILLWAY.STATUS", "NONSENSE").Err(); err == nil || !strings.HasPrefix(err.Error(), "ERR want SPILLWAY.STATUS") {
		t.Errorf("nonsense is answered with %v", err)
	}
}

// TestPage: the page is whole without its script, keeps secrets, and nothing that a
// client has sent is more than text in it.
func TestPage(t *testing.T) {
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	d := startConfig(t, watchedConfig(t, address), "--slowlog-log-slower-than", "0")
	d.do("SET", `<script>alert("k")</script>`, "</svg><img src=x onerror=alert(1)>")
	d.do("CLIENT", "SETNAME", "<b>name</b>")
	d.do("CONFIG", "SET", "requirepass", "hunter2")
	d.do("CONFIG", "SET", "requirepass", "")
	saveBeside(d)
	resp, err := http.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	page := string(body)
	for _, want := range []string{"&lt;script&gt;alert", "(redacted)", "<svg viewBox=", ">zstd</text>", "What can be restored", `href="status.json"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	for _, never := range []string{"<script>alert", "<img", "hunter2", "<b>name", "http://", "https://", " style=", " onerror=alert(1)>"} {
		if strings.Contains(strings.ReplaceAll(page, "http://www.w3.org", ""), never) {
			t.Errorf("%q is in the page", never)
		}
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'self'; script-src 'self';") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy: %s", csp)
	}
	for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
		if got := resp.Header.Get(header); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
	for path, want := range map[string]int{"/page.css": 200, "/page.js": 200, "/status.json": 200, "/metrics": 200, "/healthz": 200, "/page.html": 404, "/../etc": 404, "/x": 404} {
		if code, _ := get(t, "http://"+address+path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	post, err := http.Post("http://"+address+"/", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	_ = post.Body.Close()
	if post.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", post.StatusCode)
	}
}
