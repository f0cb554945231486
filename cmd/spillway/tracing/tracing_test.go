package tracing_test

import (
	"compress/gzip"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/clienttls"
	"github.com/spillwaydb/spillway/cmd/spillway/tracing"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// spansOf reads how many spans a request holds.
func spansOf(t *testing.T, r *http.Request) (n int64) {
	t.Helper()
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		zr, err := gzip.NewReader(body)
		if err != nil {
			t.Error(err)
			return 0
		}
		body = zr
	}
	b, err := io.ReadAll(body)
	got := new(collector.ExportTraceServiceRequest)
	if err == nil {
		err = proto.Unmarshal(b, got)
	}
	if err != nil {
		t.Error(err)
	}
	for _, rs := range got.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			n += int64(len(ss.Spans))
		}
	}
	return n
}

// start returns a Tracer that sends to a target, what tells it of a checkpoint of so many
// steps, and its log.
func start(t *testing.T, to *tracing.Target) (tr *tracing.Tracer, checkpoint func(generation uint64, steps int), log *testutil.Buffer) {
	t.Helper()
	log = new(testutil.Buffer)
	tr = tracing.New(tracing.Options{Logger: hclog.New(&hclog.LoggerOptions{Output: log}), Directory: "/data", Version: "1.2.3"})
	e, err := tr.Prepare(to)
	if err != nil {
		t.Fatal(err)
	}
	tr.Become(e)
	var events core.Events
	tr.Hear(&events)
	return tr, func(generation uint64, steps int) {
		events.CheckpointBegun(core.CheckpointEvent{Generation: generation})
		for range steps {
			events.CheckpointStep(core.StepEvent{Generation: generation, Step: core.StepEncode, Began: time.Unix(1, 0), Took: time.Second})
		}
		events.CheckpointCommitted(core.CheckpointEvent{Generation: generation, Began: time.Unix(1, 0), Took: time.Second})
	}, log
}

// TestQueue: while a collector does not answer, no more spans wait than the queue has room
// for, nobody waits for it, and each span that was dropped is counted; it is said once. What
// waited is sent when the collector answers.
func TestQueue(t *testing.T) {
	const room, each, checkpoints = 64, 16, 100
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
	var came atomic.Int64
	asked, answer := make(chan struct{}, 1000), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n := spansOf(t, r)
		asked <- struct{}{}
		<-answer
		came.Add(n)
	}))
	defer s.Close()
	tr, checkpoint, log := start(t, &tracing.Target{Endpoint: s.URL + "/v1/traces"})
	checkpoint(1, each-1)
	<-asked // and holds a batch from now on, which counts as waiting
	for g := range checkpoints - 1 {
		checkpoint(uint64(g)+2, each-1)
	}
	const all = checkpoints * each
	if got := tr.Counts(); got["dropped"] != all-room || got["sent"] != 0 || got["failed"] != 0 {
		t.Errorf("of %d spans with room for %d: %v", all, room, got)
	}
	if n := log.Count("spans are dropped"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	close(answer)
	tr.Close(time.Minute)
	if got := tr.Counts(); got["sent"] != room || got["dropped"] != all-room || got["failed"] != 0 || came.Load() != room {
		t.Errorf("%d came: %v", came.Load(), got)
	}
}

// TestFilesAreReadAgain: a collector whose certificate is of another authority from now on
// is trusted once the file is replaced, without a reload.
func TestFilesAreReadAgain(t *testing.T) {
	first, second := testutil.NewAuthority(t), testutil.NewAuthority(t)
	certs := []tls.Certificate{first.Issue("collector", "s.pem", "s.key"), second.Issue("collector", "s.pem", "s.key")}
	var use atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { spansOf(t, r) }))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: certs[use.Load() : use.Load()+1], MinVersion: tls.VersionTLS12}, nil
	}}
	s.StartTLS()
	defer s.Close()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	replace := func(a *testutil.Authority) {
		t.Helper()
		text, err := os.ReadFile(a.File)
		if err == nil {
			err = os.WriteFile(ca, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	replace(first)
	tr, checkpoint, log := start(t, &tracing.Target{Endpoint: s.URL + "/v1/traces", Files: clienttls.Files{CA: ca}})
	defer tr.Close(time.Minute)
	counted := func(what string, n int64) {
		t.Helper()
		testutil.Eventually(t, what, func() bool { return tr.Counts()[what] == n })
	}
	checkpoint(1, 0)
	counted("sent", 1)
	use.Store(1)
	s.CloseClientConnections()
	checkpoint(2, 0)
	counted("failed", 1)
	replace(second)
	checkpoint(3, 0)
	counted("sent", 2)
	if log.Count("does not take traces") != 1 || log.Count("takes traces again") != 1 {
		t.Errorf("the log says:\n%s", log.String())
	}
}
