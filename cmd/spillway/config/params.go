package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/param"
	"github.com/spillwaydb/spillway/core/server"
)

// Params are the parameters of the engine and of the server. Those that have a
// name in HCL are the attributes of the block server, and flags.
func Params() []*param.Param { return slices.Concat(core.Params(), server.Params()) }

// Var is where the configuration keeps a parameter that has a name in HCL.
func (c *Config) Var(p *param.Param) param.Var {
	if v := c.Engine.Var(p.Name); v != nil {
		return v
	}
	return c.Server.Var(p.Name)
}

// serverSchema has an attribute for every parameter that has a name in HCL.
func serverSchema() *hcl.BodySchema {
	s := &hcl.BodySchema{}
	for _, p := range Params() {
		if p.HCL != "" {
			s.Attributes = append(s.Attributes, hcl.AttributeSchema{Name: p.HCL})
		}
	}
	return s
}

// server decodes the attributes of the block server.
func (d *decoder) server(attrs hcl.Attributes, c *Config) {
	for _, p := range Params() {
		a := attrs[p.HCL]
		if a == nil {
			continue
		}
		if text, ok := d.param(a, p); ok {
			if p.Name == "aclfile" {
				text = beside(d.dir, text)
			}
			if err := c.Var(p).Set(text); err != nil {
				d.errorf(a, "Not possible", "%q: %s.", a.Name, err)
			}
		}
	}
}

// param reads the value of a parameter, as CONFIG GET would show it; ok is false
// when it is wrong.
func (d *decoder) param(a *hcl.Attribute, p *param.Param) (text string, ok bool) {
	before := len(d.f.diags)
	switch t := p.Type.(type) {
	case param.Bool:
		text = "no"
		if d.boolean(a, false) {
			text = "yes"
		}
	case param.Int:
		text = strconv.FormatInt(d.integer(a, t.Min, t.Min, t.Max), 10)
	case param.Memory:
		n := d.size(a, t.Min)
		if text = strconv.FormatInt(n, 10); n < t.Min {
			d.errorf(a, "Out of range", "%q wants at least %q.", a.Name, param.FormatMemory(t.Min))
		}
	case param.MemoryShare:
		text = d.share(a, t)
	case param.OneOf:
		text = d.oneOf(a, t[0], t...)
	case param.Duration:
		text = d.units(a, t)
	case param.List:
		text = d.list(a, t)
	case param.FileType:
		text = d.parsed(a, t, t.ParseFile)
	default:
		text = d.parsed(a, t, t.Parse)
	}
	return text, len(d.f.diags) == before
}

// share reads a size or a percentage of another parameter.
func (d *decoder) share(a *hcl.Attribute, t param.MemoryShare) string {
	text := d.str(a, "0")
	v, err := t.Parse(text)
	if err != nil {
		of := t.Of
		if i := slices.IndexFunc(Params(), func(p *param.Param) bool { return p.Name == t.Of }); i >= 0 {
			of = Params()[i].HCL
		}
		d.errorf(a, "Not a size", "%q wants a size, as \"256mb\", or a percentage of %s, as \"5%%\": %s.", a.Name, of, err)
	}
	return v
}

// units reads a duration.
func (d *decoder) units(a *hcl.Attribute, t param.Duration) string {
	least, most := time.Duration(t.Min)*t.Unit, time.Duration(t.Max)*t.Unit
	v, err := t.ParseFile(d.duration(a, least).String())
	switch {
	case err != nil && least > 0:
		d.errorf(a, "Out of range", "%q wants a duration from %q up to %q.", a.Name, least.String(), most.String())
	case err != nil:
		d.errorf(a, "Out of range", "%q wants a duration up to %q.", a.Name, most.String())
	}
	return v
}

// list reads a list of strings.
func (d *decoder) list(a *hcl.Attribute, t param.List) string {
	v, err := t.Check(strings.Join(d.strings(a), " "))
	if err != nil {
		d.errorf(a, "Not "+t.Name, "%q wants %s, as in [%q, %q]: %s.", a.Name, t.Of, t.Example[0], t.Example[1], err)
	}
	return v
}

// parsed reads a string that parse takes.
func (d *decoder) parsed(a *hcl.Attribute, t param.Type, parse func(string) (string, error)) string {
	v, ok := d.value(a, cty.String)
	if !ok {
		return ""
	}
	text, err := parse(v.AsString())
	if err != nil {
		d.errorf(a, "Not possible", "%q wants %s; this is %q.", a.Name, t.Want(), v.AsString())
	}
	return text
}

// SetFlag sets a parameter to what a flag of its name is given.
func (c *Config) SetFlag(p *param.Param, text string) error {
	v, err := p.Type.Parse(text)
	if err == nil {
		delete(c.own, p.Name)
		return c.Var(p).Set(v)
	}
	if more := (*param.Error)(nil); errors.As(err, &more) {
		return fmt.Errorf("--%s: %s", p.Flag(), more.Detail)
	}
	if _, number := p.Type.(param.Int); !number {
		text = strconv.Quote(text)
	}
	return fmt.Errorf("--%s %s: want %s", p.Flag(), text, p.Type.Want())
}
