package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
)

// hookServer takes events at an address.
func hookServer(t *testing.T) (<-chan hooks.Event, string) {
	t.Helper()
	events := make(chan hooks.Event, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e hooks.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		events <- e
	}))
	t.Cleanup(srv.Close)
	return events, srv.URL
}

// TestLogHooks: a log that fails is told, and that it is healed.
func TestLogHooks(t *testing.T) {
	t.Parallel()
	events, at := hookServer(t)
	cfg, file := config.Parse("test.hcl", fmt.Appendf(nil, "append_only {\n on_failure { url = %q }\n on_success { url = %q }\n}\n", at, at))
	if cfg == nil {
		t.Fatal(file.Err())
	}
	h := &history{hooks: hooks.New(hooks.Options{Logger: hclog.NewNullLogger()})}
	t.Cleanup(func() { h.hooks.Close(0) })
	h.hooks.Put(cfg.Hooks()...)
	engine := coretest.New(t, func(o *core.Options) { o.Events = h.events() })
	engine.FS.FailSync(func(name string) error {
		if strings.HasPrefix(name, "log/") {
			return syscall.EIO
		}
		return nil
	})
	if got := engine.Do("SET", "a", "b"); !strings.Contains(got, "NOTDURABLE") {
		t.Fatal(got)
	}
	if e := <-events; e.Event != "log" || e.Result != hooks.Failure || !strings.Contains(e.Text, "writes are refused") {
		t.Errorf("%+v", e)
	}
	engine.FS.FailSync(nil)
	engine.Clock.Advance(time.Minute)
	engine.Do("SAVE")
	if e := <-events; e.Event != "log" || e.Result != hooks.Success || e.Details["refused_seconds"] != float64(60) {
		t.Errorf("%+v", e)
	}
}

// TestHooks: a checkpoint of a real daemon is told to a server that fails twice, and its
// failure to a command; a reload takes others; no log and no dump has the URL.
func TestHooks(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	events := make(chan hooks.Event, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var e hooks.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || r.URL.Path != "/Geheimnis-4711" {
			t.Errorf("%s: %v", r.URL, err)
		}
		events <- e
	}))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	mirror, told := filepath.Join(dir, "mirror"), filepath.Join(dir, "told")
	program := filepath.Join(dir, "tell")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ncat >"+told+".new && mv "+told+".new "+told+"\necho \"$SPILLWAY_EVENT $SPILLWAY_RESULT\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	block := "  on_success { url = \"" + srv.URL + "/Geheimnis-4711\" }\n  on_failure { command = [\"" + program + "\"] }\n"
	hcl := func(block string) string {
		return strings.Replace(mirrored(filepath.Join(dir, "data"), mirror, "", true), "pipeline \"checkpoint\" {\n", "pipeline \"checkpoint\" {\n"+block, 1)
	}
	path := writeConfig(t, hcl(block))
	d := launch(t, "-config", path, "--save", "3600 1")
	d.waitReady()
	d.do("SET", "a", "b")
	if got := d.bgsave(); got != "ok" {
		t.Fatal(got)
	}
	e := <-events
	if e.Event != "checkpoint" || e.Result != hooks.Success || e.Details["keys"] != float64(1) || e.Details["kind"] != "snapshot" || asked.Load() != 3 {
		t.Errorf("after %d requests: %+v", asked.Load(), e)
	}
	mend := breakSink["a file in its way"](t, mirror)
	if got := d.bgsave(); got != "err" {
		t.Fatal(got)
	}
	d.waitLog("checkpoint failure") // what the command says
	b, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &e); err != nil || e.Result != hooks.Failure || !strings.Contains(e.Text, "mirror") || strings.Contains(string(b), "Geheimnis") {
		t.Errorf("%v: %s", err, b)
	}
	mend()
	e = <-events // the next attempt
	if e.Result != hooks.Success {
		t.Errorf("%+v", e)
	}
	for _, text := range []string{spillwayOut(t, "config", "dump", path), spillwayOut(t, "config", "dump", path, "--addr", d.addr), spillwayOut(t, "config", "dump", "--json", path)} {
		if strings.Contains(text, "Geheimnis") || !strings.Contains(text, strings.TrimPrefix(srv.URL, "http://")) {
			t.Errorf("config dump:\n%s", text)
		}
	}
	if err := os.WriteFile(path, []byte(hcl("")), 0o600); err != nil {
		t.Fatal(err)
	}
	spillwayOut(t, "reload", "--config", path, "--addr", d.addr)
	if got := d.bgsave(); got != "ok" {
		t.Fatal(got)
	}
	if err := os.WriteFile(path, []byte(hcl(strings.Replace(block, program, program+"-gone", 1))), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := spillway(t, "reload", "--config", path, "--addr", d.addr); code == 0 || strings.Contains(out, "Geheimnis") || !strings.Contains(out, "tell-gone") {
		t.Errorf("a reload with a program that is not there: %d\n%s", code, out)
	}
	d.stop()
	if len(events) != 0 || strings.Contains(d.log.String(), "Geheimnis") {
		t.Errorf("%d more events\n%s", len(events), d.log.String())
	}
}
