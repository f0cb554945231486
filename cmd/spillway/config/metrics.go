package config

import (
	"github.com/hashicorp/hcl/v2"

	"github.com/spillwaydb/spillway/core/server"
)

// MetricsFront is how the metrics listener is secured. The zero value is plain, and for
// everybody.
type MetricsFront struct {
	TLS            *server.TLSOptions
	User, Password string // basic authentication; none without a user
	Token          string // bearer authentication
}

// Guarded tells whether a reader has to say who it is.
func (f *MetricsFront) Guarded() bool { return f.User != "" || f.Token != "" }

// Same tells whether two are alike.
func (f MetricsFront) Same(o MetricsFront) bool {
	if (f.TLS == nil) != (o.TLS == nil) || f.TLS != nil && *f.TLS != *o.TLS {
		return false
	}
	f.TLS, o.TLS = nil, nil
	return f == o
}

type metricsBlock struct {
	Address *hcl.Attribute  `hcl:"address"`
	TLS     *tlsBlock       `hcl:"tls,block"`
	Basic   *basicAuthBlock `hcl:"basic_auth,block"`
	Token   *hcl.Attribute  `hcl:"bearer_token"`
	Range   hcl.Range       `hcl:",def_range"`
}

type basicAuthBlock struct {
	Username *hcl.Attribute `hcl:"username"`
	Password *hcl.Attribute `hcl:"password"`
	Range    hcl.Range      `hcl:",def_range"`
}

// metrics decodes the block metrics.
func (d *decoder) metrics(m *metricsBlock, c *Config) {
	if c.Metrics = d.str(m.Address, ""); c.Metrics == "" && !d.f.diags.HasErrors() {
		d.errorAt(&m.Range, "Missing address", "The block metrics wants address, as in address = \"127.0.0.1:9121\".")
	}
	d.address(m.Address, "tcp", c.Metrics, &c.metricsAt)
	f := &c.MetricsFront
	if m.TLS != nil {
		f.TLS, c.metricsTLSAt = d.tls(m.TLS), m.TLS.Range
		if m.TLS.ClientUser != nil {
			d.errorAt(&m.TLS.ClientUser.NameRange, "Unsupported argument", "Who reads metrics is no ACL user; client_ca and client_auth say who may.")
		}
	}
	if b := m.Basic; b != nil {
		f.User, f.Password = d.str(b.Username, ""), d.str(b.Password, "")
		if f.User == "" || f.Password == "" {
			d.errorAt(&b.Range, "Incomplete authentication", "A block basic_auth wants username and password.")
		}
	}
	if f.Token = d.str(m.Token, ""); f.Token == "" && m.Token != nil {
		d.errorf(m.Token, "No token", "%q wants what a scrape has behind Authorization: Bearer.", m.Token.Name)
	}
}

func (c *Config) metricsNode(root *node) {
	if c.Metrics == "" {
		return
	}
	b, f := root.block("metrics"), c.MetricsFront
	b.text("address", c.Metrics)
	if f.Token != "" {
		b.text("bearer_token", f.Token)
	}
	if f.TLS != nil {
		tlsNode(b, *f.TLS)
	}
	if f.User != "" {
		a := b.block("basic_auth")
		a.text("username", f.User)
		a.text("password", f.Password)
	}
}
