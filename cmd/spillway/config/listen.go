package config

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/spillwaydb/spillway/core/param"
	"github.com/spillwaydb/spillway/core/server"
)

// ListenParams are the parameters that CONFIG SET changes and that are no attributes of the
// block server, since they are those of listeners: port, bind and tls-….
func ListenParams() (out []*param.Param) {
	for _, p := range Params() {
		if p.HCL == "" && !p.Fixed && (p.Name == "port" || p.Name == "bind" || strings.HasPrefix(p.Name, "tls-")) {
			out = append(out, p)
		}
	}
	return out
}

// keptListen is the block listen of the file that CONFIG REWRITE writes. An attribute has
// the name of its parameter, with _ for -.
type keptListen struct {
	Body  hcl.Body `hcl:",remain"`
	attrs hcl.Attributes
}

func listenAttr(p *param.Param) string { return strings.ReplaceAll(p.Name, "-", "_") }

// decode takes the attributes of the block apart.
func (b *keptListen) decode(f *File) {
	if b == nil {
		return
	}
	s := &hcl.BodySchema{}
	for _, p := range ListenParams() {
		s.Attributes = append(s.Attributes, hcl.AttributeSchema{Name: listenAttr(p)})
	}
	content, diags := b.Body.Content(s)
	f.diags = append(f.diags, diags...)
	b.attrs = content.Attributes
}

// keptListeners has the listeners changed by what was kept.
func (d *decoder) keptListeners(kept *keptFile, c *Config) {
	c.ownListen = c.Listen
	if kept == nil || kept.Listen == nil {
		return
	}
	c.listen = make(map[string]string)
	for _, p := range ListenParams() {
		a := kept.Listen.attrs[listenAttr(p)]
		if a == nil {
			continue
		}
		text, ok := d.param(a, p)
		if ok && p.Name == "tls-protocols" {
			if err := new(server.TLSOptions).SetParam(p.Name, text); err != nil {
				d.errorf(a, "Not possible", "%q: %s.", a.Name, err)
				continue
			}
		}
		if ok && strings.HasSuffix(p.Name, "-file") {
			text = beside(d.dir, text)
		}
		if ok {
			c.listen[p.Name] = text
		}
	}
	c.Listen = listenAs(c.Listen, c.listen)
	if text := c.listen["bind"]; text != "" {
		c.Server.Bind = text // as CONFIG GET shows it
	}
}

// OwnListeners are those without what the file of CONFIG REWRITE says of them.
func (c *Config) OwnListeners() []Listener { return c.ownListen }

// SetOwnListeners changes them: flags win over the file.
func (c *Config) SetOwnListeners(own []Listener) { c.ownListen = own }

// KeptListen tells what the file of CONFIG REWRITE says of one of ListenParams.
func (c *Config) KeptListen(name string) (text string, kept bool) {
	text, kept = c.listen[name]
	return text, kept
}

// OwnListen is what CONFIG GET shows of one of ListenParams where the listeners are those of
// the configuration without the file of CONFIG REWRITE; known is false where that is seen
// by listening only, as with the port 0 and with names of hosts.
func (c *Config) OwnListen(name string) (text string, known bool) {
	secure := strings.HasPrefix(name, "tls-")
	group, port := portGroup(c.ownListen, secure)
	switch name {
	case "port", "tls-port":
		if len(group) == 0 {
			return "0", true
		}
		n, err := strconv.Atoi(port)
		return port, err == nil && n > 0
	case "bind":
		var hosts []string
		for _, i := range group {
			host, _, _ := net.SplitHostPort(c.ownListen[i].Address) // it has one, as portGroup has looked
			if net.ParseIP(host) == nil {
				return "", false
			}
			hosts = append(hosts, net.ParseIP(host).String())
		}
		slices.Sort(hosts) // as CONFIG GET does
		return strings.Join(hosts, " "), true
	}
	var o server.TLSOptions
	if len(group) > 0 {
		o = *c.ownListen[group[0]].TLS
	}
	return o.Param(name)
}

// portGroup are the TCP listeners, with TLS or without, on the port of the first of them,
// which are those that CONFIG SET port and tls-port move.
func portGroup(all []Listener, secure bool) (group []int, port string) {
	for i, l := range all {
		_, p, err := net.SplitHostPort(l.Address)
		if l.Network != "tcp" || (l.TLS != nil) != secure || err != nil || len(group) > 0 && p != port {
			continue
		}
		group, port = append(group, i), p
	}
	return group, port
}

// listenAs are listeners as CONFIG SET makes of them with these values of ListenParams.
func listenAs(own []Listener, values map[string]string) []Listener {
	if len(values) == 0 {
		return own
	}
	out := slices.Clone(own)
	edit := func(o server.TLSOptions) *server.TLSOptions {
		for name, text := range values {
			_ = o.SetParam(name, text) // port and bind are none of its own; others were looked at
		}
		return &o
	}
	for i := range out {
		if out[i].TLS != nil {
			out[i].TLS = edit(*out[i].TLS)
		}
	}
	group, port := portGroup(out, false)
	var hosts []string
	for _, i := range group {
		host, _, _ := net.SplitHostPort(out[i].Address)
		hosts = append(hosts, host)
	}
	if len(hosts) == 0 {
		hosts = []string{"127.0.0.1"}
	}
	_, moved := values["port"]
	if text, bound := values["bind"]; bound {
		hosts, moved = strings.Fields(text), true
	}
	if moved {
		if to, ok := values["port"]; ok {
			port = to
		}
		out = moveTo(out, group, hosts, port, Listener{Name: "main"})
	}
	if to, ok := values["tls-port"]; ok {
		group, _ := portGroup(out, true)
		if len(group) > 0 {
			hosts = nil
		}
		for _, i := range group {
			host, _, _ := net.SplitHostPort(out[i].Address)
			hosts = append(hosts, host)
		}
		out = moveTo(out, group, hosts, to, Listener{Name: "tls", TLS: edit(server.TLSOptions{})})
	}
	return out
}

// moveTo has listeners at hosts and a port in place of a group, which are as its first is,
// or as l is if there is none. Port 0, or none, is nowhere.
func moveTo(all []Listener, group []int, hosts []string, port string, l Listener) []Listener {
	at := len(all)
	if len(group) > 0 {
		at, l = group[0], all[group[0]]
	}
	var out []Listener
	for i := range len(all) + 1 {
		if i == at && port != "" && port != "0" {
			out = append(out, ListenersAt(hosts, port, l)...)
		}
		if i < len(all) && !slices.Contains(group, i) {
			out = append(out, all[i])
		}
	}
	return out
}

// ListenersAt are TCP listeners as l at a port of each host, which are named as in Redis's
// bind, see server.BindAddress.
func ListenersAt(hosts []string, port string, l Listener) (out []Listener) {
	for _, h := range hosts {
		h, optional := server.BindAddress(h)
		if optional && !HasAddress(h) {
			continue
		}
		l.Network, l.Address = "tcp", net.JoinHostPort(h, port)
		out = append(out, l)
	}
	return out
}
