package tracing

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/hashicorp/go-hclog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/clienttls"
)

const (
	// queueLength is how many spans may wait, where the environment says nothing else.
	queueLength = 1 << 13
	// longestText bounds the text of an error.
	longestText = 2 << 10
	// tracesPath is where collectors take traces.
	tracesPath = "/v1/traces"
)

// Target is where traces go.
type Target struct {
	Endpoint string            // http or https, with its path: see CheckEndpoint
	Headers  map[string]string // of each request; nil: those of the environment
	Timeout  time.Duration     // of a request; 0: that of the environment
	// Files for https; without them what the environment names, and the system's authorities.
	clienttls.Files
}

// Same tells whether two are alike. Files are compared by their names.
func (o *Target) Same(p *Target) bool {
	if o == nil || p == nil {
		return o == p
	}
	return o.Endpoint == p.Endpoint && maps.Equal(o.Headers, p.Headers) && o.Timeout == p.Timeout && o.Files == p.Files
}

// CheckEndpoint says what is wrong with an endpoint, and returns it with the path that
// collectors have where it has none. It may be shown: it holds no secret.
func CheckEndpoint(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", errors.New("it is no URL") // the error would show it
	case u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("want http:// or https://, as traces go over OTLP/HTTP")
	case u.Hostname() == "":
		return "", errors.New("it names no host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("it has more than a host and a path: what is secret belongs in headers")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = tracesPath
	}
	return u.String(), nil
}

// EndpointOfEnvironment is the endpoint that OpenTelemetry's variables name, "" for none.
func EndpointOfEnvironment() string {
	if s := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"); s != "" {
		return s
	}
	if s := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"); s != "" {
		return strings.TrimSuffix(s, "/") + tracesPath
	}
	return ""
}

// counts are what became of spans.
type counts struct{ sent, failed, dropped atomic.Int64 }

// Counts are what became of spans: by sent, failed, and dropped where too many waited.
func (t *Tracer) Counts() map[string]int64 {
	return map[string]int64{"sent": t.sent.Load(), "failed": t.failed.Load(), "dropped": t.dropped.Load()}
}

var quiet sync.Once

// Exporter sends traces to one target.
type Exporter struct {
	target   *Target
	tracer   trace.Tracer
	provider *sdk.TracerProvider
}

// Prepare makes the exporter of a target without asking it anything: nil for no target, and
// where the environment has switched OpenTelemetry off. The caller closes it, or has the
// Tracer become it.
func (t *Tracer) Prepare(o *Target) (*Exporter, error) {
	if o == nil || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil //nolint:nilnil // there is none
	}
	quiet.Do(func() {
		otel.SetLogger(logr.Discard()) // it would print headers of the environment that it cannot read
	})
	opts := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(o.Endpoint)}
	if len(o.Headers) > 0 {
		opts = append(opts, otlptracehttp.WithHeaders(o.Headers))
	}
	if o.Timeout > 0 {
		opts = append(opts, otlptracehttp.WithTimeout(o.Timeout))
	}
	if o.Files != (clienttls.Files{}) {
		u, err := url.Parse(o.Endpoint)
		if err != nil {
			return nil, errors.New("it is no URL") // the error would show it
		}
		c, err := o.Config(u.Hostname(), t.opts.Logger)
		if err != nil {
			return nil, err
		}
		opts = append(opts, otlptracehttp.WithTLSClientConfig(c))
	}
	ctx := context.Background()
	otlp, err := otlptracehttp.New(ctx, opts...)
	if err != nil {
		return nil, errors.New(oneLine(err.Error()))
	}
	// What the environment says comes last, and counts.
	is, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(
		attribute.String("service.name", "spillway"), attribute.String("service.version", t.opts.Version), attribute.String("spillway.directory", t.opts.Directory),
	), resource.WithFromEnv())
	if err != nil {
		t.opts.Logger.Warn("traces do not say all of where they are from", "error", err)
	}
	length := queueLength
	if n, err := strconv.Atoi(os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE")); err == nil && n > 0 {
		length = n
	}
	q := &queue{counts: &t.counts, length: int64(length), log: t.opts.Logger}
	q.SpanProcessor = sdk.NewBatchSpanProcessor(&sender{SpanExporter: otlp, queue: q}, sdk.WithMaxQueueSize(length))
	e := &Exporter{target: o, provider: sdk.NewTracerProvider(sdk.WithResource(is), sdk.WithSpanProcessor(q))}
	e.tracer = e.provider.Tracer("github.com/spillwaydb/spillway", trace.WithInstrumentationVersion(t.opts.Version))
	return e, nil
}

// Close sends what waits, as long as patience lasts.
func (e *Exporter) Close(patience time.Duration) {
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = e.provider.Shutdown(ctx) // what was not sent is counted
}

// queue is what waits for a collector. It is of bounded length, and whoever ends a span
// never waits for room in it.
type queue struct {
	sdk.SpanProcessor // which sends what it is given, in batches
	*counts
	length  int64
	waiting atomic.Int64
	log     hclog.Logger
	full    atomic.Bool // that was said
	down    atomic.Bool // so was that the collector does not take any
}

// OnEnd implements sdk.SpanProcessor.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.waiting.Add(1) <= q.length {
		q.SpanProcessor.OnEnd(s)
		return
	}
	q.waiting.Add(-1)
	q.dropped.Add(1)
	if !q.full.Swap(true) {
		q.log.Warn("spans are dropped: too many wait for the collector")
	}
}

// sender sends batches, and tells how that goes.
type sender struct {
	sdk.SpanExporter
	queue *queue
}

// ExportSpans implements sdk.SpanExporter. It has no error for its caller, who would print it.
func (s *sender) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	q, n := s.queue, int64(len(spans))
	err := s.SpanExporter.ExportSpans(ctx, spans)
	q.waiting.Add(-n)
	if err != nil {
		q.failed.Add(n)
		if !q.down.Swap(true) {
			q.log.Warn("the collector does not take traces; that is not said again until it does", "error", oneLine(err.Error()))
		}
		return nil
	}
	q.sent.Add(n)
	q.full.Store(false)
	if q.down.Swap(false) {
		q.log.Info("the collector takes traces again")
	}
	return nil
}

// oneLine is a text of bounded length on one line.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > longestText {
		s = strings.ToValidUTF8(s[:longestText], "") + "…"
	}
	return s
}
