package config

import (
	"cmp"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
	"github.com/spillwaydb/spillway/cmd/spillway/tracing"
)

type tracingBlock struct {
	Endpoint *hcl.Attribute   `hcl:"endpoint"`
	Headers  *hcl.Attribute   `hcl:"headers"`
	Timeout  *hcl.Attribute   `hcl:"timeout"`
	TLS      *tracingTLSBlock `hcl:"tls,block"`
	Range    hcl.Range        `hcl:",def_range"`
}

type tracingTLSBlock struct {
	CA    *hcl.Attribute `hcl:"ca"`
	Cert  *hcl.Attribute `hcl:"cert"`
	Key   *hcl.Attribute `hcl:"key"`
	Range hcl.Range      `hcl:",def_range"`
}

// tracing decodes the block tracing. What it leaves open, OpenTelemetry's variables say.
func (d *decoder) tracing(b *tracingBlock, c *Config) {
	t := &tracing.Target{Headers: d.stringMap(b.Headers)}
	c.Tracing = t
	if b.Timeout != nil {
		t.Timeout = d.positive(b.Timeout, 0)
	}
	if b.TLS != nil {
		t.CA, t.Cert, t.Key = beside(d.dir, d.str(b.TLS.CA, "")), beside(d.dir, d.str(b.TLS.Cert, "")), beside(d.dir, d.str(b.TLS.Key, ""))
		if (t.Cert == "") != (t.Key == "") {
			d.errorAt(&b.TLS.Range, "Incomplete certificate", "A certificate wants cert and key.")
		}
	}
	given := d.str(b.Endpoint, tracing.EndpointOfEnvironment())
	if d.f.diags.HasErrors() {
		return
	}
	if given == "" {
		d.errorAt(&b.Range, "Missing endpoint", "The block tracing wants endpoint, as in endpoint = \"http://127.0.0.1:4318\", or OTEL_EXPORTER_OTLP_ENDPOINT in the environment.")
		return
	}
	at := &b.Range
	if b.Endpoint != nil {
		r := b.Endpoint.Expr.Range()
		at = &r
	}
	var err error
	switch t.Endpoint, err = tracing.CheckEndpoint(given); {
	case err != nil:
		d.errorAt(at, "Not an endpoint", "%s.", err)
	case strings.HasPrefix(t.Endpoint, "https:"):
	case b.TLS != nil:
		d.errorAt(&b.TLS.Range, "Not encrypted", "The block tls goes with an endpoint that begins with https://.")
	default:
		if open, _ := hooks.CheckURL(t.Endpoint); open {
			d.f.diags = append(d.f.diags, &hcl.Diagnostic{
				Severity: hcl.DiagWarning, Summary: "Not encrypted", Detail: "What is sent there can be read on the way, headers included: https:// is not.", Subject: at,
			})
		}
	}
}

func (c *Config) tracingNode(root *node) {
	t := c.Tracing
	if t == nil {
		return
	}
	b := root.block(tracingKind)
	b.text("endpoint", t.Endpoint)
	b.strings("headers", t.Headers)
	if t.Timeout > 0 {
		b.text("timeout", t.Timeout.String())
	}
	if cmp.Or(t.CA, t.Cert) == "" {
		return
	}
	in := b.block("tls")
	for _, f := range [][2]string{{"ca", t.CA}, {"cert", t.Cert}, {"key", t.Key}} {
		if f[1] != "" {
			in.text(f[0], f[1])
		}
	}
}

// tracingKind is the block whose headers are secrets, as those of a hook are.
const tracingKind = "tracing"
