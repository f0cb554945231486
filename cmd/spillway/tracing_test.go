package main

import (
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// receiver is a collector, as much as the test needs of it.
type receiver struct {
	*httptest.Server
	t     *testing.T
	batch chan *collector.ExportTraceServiceRequest
	spans []*otlp.Span
	from  map[string]string // the attributes of the resource
}

// newReceiver takes what comes with the header; setup may have it speak TLS.
func newReceiver(t *testing.T, header string, setup func(*httptest.Server)) *receiver {
	t.Helper()
	r := &receiver{t: t, batch: make(chan *collector.ExportTraceServiceRequest, 100), from: make(map[string]string)}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body := io.Reader(req.Body)
		if req.Header.Get("Content-Encoding") == "gzip" {
			zr, err := gzip.NewReader(body)
			if err != nil {
				t.Error(err)
				return
			}
			body = zr
		}
		b, err := io.ReadAll(body)
		got := new(collector.ExportTraceServiceRequest)
		if err == nil {
			err = proto.Unmarshal(b, got)
		}
		if err != nil || req.URL.Path != "/v1/traces" || req.Header.Get("Authorization") != header || req.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %v: %v", req.URL, req.Header, err)
		}
		r.batch <- got
	}))
	setup(r.Server)
	t.Cleanup(r.Close)
	return r
}

// until waits for the spans that enough is content with.
func (r *receiver) until(what string, enough func() bool) {
	r.t.Helper()
	for !enough() {
		select {
		case got := <-r.batch:
			for _, rs := range got.ResourceSpans {
				for _, a := range rs.Resource.Attributes {
					r.from[a.Key] = a.Value.GetStringValue()
				}
				for _, ss := range rs.ScopeSpans {
					r.spans = append(r.spans, ss.Spans...)
				}
			}
		case <-time.After(patience):
			r.t.Fatalf("no %s among %v", what, r.paths())
		}
	}
}

// path is a span's name behind those of what it is a part of.
func (r *receiver) path(s *otlp.Span) string {
	i := slices.IndexFunc(r.spans, func(p *otlp.Span) bool {
		return string(p.SpanId) == string(s.ParentSpanId) && string(p.TraceId) == string(s.TraceId)
	})
	if i < 0 {
		return s.Name
	}
	return r.path(r.spans[i]) + "/" + s.Name
}

func (r *receiver) paths() (out []string) {
	for _, s := range r.spans {
		out = append(out, r.path(s))
	}
	return out
}

// roots are the spans that have come of whole checkpoints.
func (r *receiver) roots() []*otlp.Span {
	return slices.DeleteFunc(slices.Clone(r.spans), func(s *otlp.Span) bool { return len(s.ParentSpanId) > 0 })
}

func attributeOf(s *otlp.Span, key string) *common.AnyValue {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return nil
}

// TestTracing: a real collector gets a trace of each checkpoint of a real daemon, of its
// steps, its shards, its stages and sinks; one that fails says of what, and neither a reload
// nor a collector that is gone holds a checkpoint up. No secret is shown.
func TestTracing(t *testing.T) {
	t.Parallel()
	const secret = "Bearer Geheimnis-4711"
	authority := testutil.NewAuthority(t)
	dir := t.TempDir()
	first := newReceiver(t, secret, func(s *httptest.Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Issue("127.0.0.1", "server.pem", "server.key")}, MinVersion: tls.VersionTLS12}
		s.StartTLS()
	})
	second := newReceiver(t, "", (*httptest.Server).Start)
	mirror := filepath.Join(dir, "mirror")
	hcl := func(block string) string {
		return block + mirrored(filepath.Join(dir, "data"), mirror, `stage "zstd" {}`, true)
	}
	path := writeConfig(t, hcl(fmt.Sprintf("tracing {\n  endpoint = %q\n  headers = { Authorization = %q }\n  tls { ca = %q }\n}\n", first.URL, secret, authority.Path("ca.pem"))))
	d := launchBy(t, func(cmd *exec.Cmd) error {
		cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME=shop", "OTEL_RESOURCE_ATTRIBUTES=deployment=here", "OTEL_BSP_SCHEDULE_DELAY=50")
		return cmd.Start()
	}, binary, "-config", path, "--save", "", "--shards", "2")
	d.waitReady()
	for i := range 100 {
		d.do("SET", fmt.Sprint("k", i), "v")
	}
	if got := d.bgsave(); got != "ok" {
		t.Fatal(got)
	}
	want := []string{
		"checkpoint", "checkpoint/rotate", "checkpoint/cut", "checkpoint/cut/freeze", "checkpoint/encode", "checkpoint/encode/shard", "checkpoint/encode/shard/encode encoder",
		"checkpoint/encode/shard/encode zstd", "checkpoint/encode/shard/put local", "checkpoint/encode/shard/put mirror", "checkpoint/encode/shard/verify local",
		"checkpoint/publish", "checkpoint/publish/publish mirror", "checkpoint/publish/publish local", "checkpoint/commit", "checkpoint/prune",
	}
	first.until("whole trace", func() bool {
		have := first.paths()
		return !slices.ContainsFunc(want, func(p string) bool { return !slices.Contains(have, p) })
	})
	if first.from["service.name"] != "shop" || first.from["deployment"] != "here" || first.from["service.version"] != version {
		t.Errorf("from %v", first.from)
	}
	keys := int64(0)
	for _, s := range first.spans {
		switch s.Name {
		case "shard":
			keys += attributeOf(s, "spillway.keys").GetIntValue()
		case "put mirror":
			if attributeOf(s, "spillway.sink").GetStringValue() != "mirror" || attributeOf(s, "spillway.bytes_in").GetIntValue() == 0 {
				t.Errorf("%v", s.Attributes)
			}
		case "encode zstd":
			if attributeOf(s, "spillway.bytes_in").GetIntValue() <= attributeOf(s, "spillway.bytes_out").GetIntValue() {
				t.Errorf("%v", s.Attributes)
			}
		}
		if s.EndTimeUnixNano < s.StartTimeUnixNano || s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR || string(s.TraceId) != string(first.roots()[0].TraceId) {
			t.Errorf("%v", s)
		}
	}
	if root := first.roots()[0]; keys != 100 || attributeOf(root, "spillway.keys").GetIntValue() != 100 || attributeOf(root, "spillway.bytes").GetIntValue() == 0 ||
		attributeOf(root, "spillway.checkpoint.kind").GetStringValue() != "snapshot" {
		t.Errorf("%d keys in the shards; %v", keys, root.Attributes)
	}

	mend := breakSink["a file in its way"](t, mirror)
	if got := d.bgsave(); got != "err" {
		t.Fatal(got)
	}
	failed := func(s *otlp.Span) bool { return s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR }
	first.until("checkpoint that failed", func() bool { return slices.ContainsFunc(first.roots(), failed) })
	if i := slices.IndexFunc(first.spans, func(s *otlp.Span) bool { return s.Name == "put mirror" && failed(s) }); i < 0 || !strings.Contains(first.spans[i].Status.Message, "mirror") {
		t.Errorf("no sink that failed among %v", first.spans)
	}
	mend()

	for _, text := range []string{spillwayOut(t, "config", "dump", path, "--addr", d.addr), spillwayOut(t, "config", "dump", "--json", path)} {
		if strings.Contains(text, "Geheimnis") || !strings.Contains(text, first.URL+"/v1/traces") {
			t.Errorf("config dump:\n%s", text)
		}
	}
	reload := func(block string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(hcl(block)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := spillwayOut(t, "reload", "--config", path, "--addr", d.addr); !strings.Contains(out, "tracing") {
			t.Errorf("reload:\n%s", out)
		}
	}
	reload(fmt.Sprintf("tracing { endpoint = %q }\n", second.URL))
	if got := d.bgsave(); got != "ok" {
		t.Fatal(got)
	}
	second.until("checkpoint behind a reload", func() bool { return len(second.roots()) > 0 })
	second.Close()
	if got := d.bgsave(); got != "ok" {
		t.Errorf("without its collector: %s", got)
	}
	d.waitLog("the collector does not take traces")
	reload("")
	if got := d.bgsave(); got != "ok" {
		t.Error(got)
	}
	d.stop()
	if strings.Contains(d.log.String(), "Geheimnis") {
		t.Errorf("the log has a secret:\n%s", d.log.String())
	}
}
