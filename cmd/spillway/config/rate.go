package config

import (
	"errors"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/spillwaydb/spillway/core/param"
)

// leastRate is the slowest rate that is taken for what somebody wants.
const leastRate = 1 << 10

// ParseRate reads bytes per second: a size as everywhere ("50mb", "52428800"), which may
// be written as one per second ("50MB/s") and with the units that leave no doubt
// ("50MiB/s"). 0 is no bound.
func ParseRate(v string) (int64, error) {
	text := strings.ToLower(strings.TrimSpace(v))
	text = strings.TrimSpace(strings.TrimSuffix(text, "/s"))
	if short, binary := strings.CutSuffix(text, "ib"); binary && strings.TrimRight(short, "kmgt") != short {
		text = short + "b"
	}
	n, err := param.ParseMemory(strings.ReplaceAll(text, " ", ""))
	switch {
	case err != nil:
		return 0, errors.New("want bytes per second, as in 50MB/s or 512KiB/s")
	case n > 0 && n < leastRate:
		return 0, errors.New("want at least 1KB/s, or 0 for no bound")
	}
	return n, nil
}

// FormatRate is a rate as ParseRate reads it, "50mb/s"; "0" is none.
func FormatRate(n int64) string {
	if n == 0 {
		return "0"
	}
	return param.FormatMemory(n) + "/s"
}

// rate reads bytes per second.
func (d *decoder) rate(a *hcl.Attribute) int64 {
	v, ok := d.value(a, cty.String)
	if !ok {
		return 0
	}
	n, err := ParseRate(v.AsString())
	if err != nil {
		d.errorf(a, "Not a rate", "%q: %s; this is %q.", a.Name, err, v.AsString())
	}
	return n
}

// rates gives the sinks of one name, one in each pipeline, the rate that one of them
// says: they share it. Two that say something different are refused.
func (d *decoder) rates(c *Config) {
	for i := range c.Check.Mirrors {
		for j := range c.Archive.Mirrors {
			a, b := &c.Check.Mirrors[i], &c.Archive.Mirrors[j]
			switch {
			case a.Name != b.Name || a.rateAt == nil && b.rateAt == nil:
			case a.rateAt == nil:
				a.Rate = b.Rate
			case b.rateAt == nil:
				b.Rate = a.Rate
			case a.Rate != b.Rate:
				d.errorf(b.rateAt, "Two rates", "The sinks %q of both pipelines share one rate, and the checkpoint's says %s.", a.Name, FormatRate(a.Rate))
			}
		}
	}
}

// Rates are the bytes per second that each sink beside the data directory may take and
// give, by name; 0 is no bound.
func (c *Config) Rates() map[string]int64 {
	out := make(map[string]int64)
	for _, p := range c.Pipelines() {
		for _, m := range p.Mirrors {
			out[m.Name] = m.Rate
		}
	}
	return out
}
