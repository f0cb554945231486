package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/param"
)

// CONFIG REWRITE does not touch the file that people write. What was changed at run time
// goes to a file of its own, which is read after the other one, if it is there, and wins:
// plugins.auto.hcl beside plugins.hcl, or what the attribute include names. It has a block
// server, the level of the log, a block listen, which changes the listeners as CONFIG SET
// port, bind and tls-… do, and blocks user, and nothing else.

// keptFile is that file.
type keptFile struct {
	Server *serverBlock `hcl:"server,block"`
	Log    *keptLog     `hcl:"log,block"`
	Listen *keptListen  `hcl:"listen,block"`
	Users  []userBlock  `hcl:"user,block"`
}

type keptLog struct {
	Level *hcl.Attribute `hcl:"level"`
}

// Kept is what CONFIG REWRITE keeps: what is to differ from what the configuration says
// itself.
type Kept struct {
	Params map[string]string // of the block server, by name, as CONFIG GET shows them
	Level  string            // of the log; "" leaves it
	Listen map[string]string // of ListenParams
	Users  []core.UserRules
}

// includeOf is the file that is included where none is named.
func includeOf(name string) string { return strings.TrimSuffix(name, ".hcl") + ".auto.hcl" }

// include reads the file that CONFIG REWRITE writes; nil if it is not there.
func (d *decoder) include(name string, a *hcl.Attribute) (path string, kept *keptFile) {
	if name == "" {
		return "", nil // there is no configuration file to go with
	}
	path = includeOf(name)
	if a != nil {
		path = beside(d.dir, d.str(a, path))
	}
	if path == "" || filepath.Clean(path) == filepath.Clean(name) {
		d.errorf(a, "No file to include", "%q wants the path of another file, which CONFIG REWRITE writes.", a.Name)
		return path, nil
	}
	src, err := os.ReadFile(filepath.Clean(path))
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	if err != nil {
		d.f.diags = append(d.f.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Cannot be included", Detail: err.Error() + "."})
		return path, nil
	}
	doc, diags := d.f.parser.ParseHCL(src, path)
	d.f.diags = append(d.f.diags, diags...)
	if diags.HasErrors() {
		return path, nil
	}
	kept = new(keptFile)
	d.f.diags = append(d.f.diags, gohcl.DecodeBody(doc.Body, d.ctx, kept)...)
	kept.Server.decode(d.f)
	kept.Listen.decode(d.f)
	return path, kept
}

// keptParams has what was kept win over what the file says.
func (d *decoder) keptParams(kept *keptFile, c *Config) {
	if kept == nil || kept.Server == nil {
		return
	}
	c.own = make(map[string]string)
	for _, p := range Params() {
		if p.HCL != "" && kept.Server.attrs[p.HCL] != nil {
			c.own[p.Name] = c.Var(p).String()
		}
	}
	d.server(kept.Server.attrs, c)
}

// keptLevel has the level of the log that was kept win.
func (d *decoder) keptLevel(kept *keptFile, c *Config) {
	c.ownLevel = c.Log.Level
	if kept != nil && kept.Log != nil {
		c.Log.Level = d.oneOf(kept.Log.Level, c.Log.Level, levels...)
	}
}

// keptUsers has the users that were kept take the place of the file's.
func (d *decoder) keptUsers(kept *keptFile, c *Config) {
	c.ownUsers = c.Engine.Users
	if kept == nil {
		return
	}
	users := c.Engine.Users
	c.Engine.Users = nil
	for i := range kept.Users {
		d.user(&kept.Users[i], c)
	}
	for _, u := range users {
		if !slices.ContainsFunc(c.Engine.Users, func(k core.UserRules) bool { return k.Name == u.Name }) {
			c.Engine.Users = append(c.Engine.Users, u)
		}
	}
}

// Own is what the configuration says of a parameter without the file that CONFIG REWRITE
// writes: the other file, or a flag.
func (c *Config) Own(p *param.Param) string {
	if text, ok := c.own[p.Name]; ok {
		return text
	}
	return c.Var(p).String()
}

// OwnUsers are the users without those of that file.
func (c *Config) OwnUsers() []core.UserRules { return c.ownUsers }

// SetLevel changes the level of the log: a flag wins over both files.
func (c *Config) SetLevel(level string) { c.Log.Level, c.ownLevel = level, level }

// OwnLevel is the level of the log without that file.
func (c *Config) OwnLevel() string { return c.ownLevel }

// Kept is the text of the file that CONFIG REWRITE writes.
func (c *Config) Kept(k Kept) []byte {
	root := &node{}
	s := &node{kind: "server"}
	for _, p := range Params() {
		if text, differs := k.Params[p.Name]; differs {
			s.set(p.HCL, paramValue(p, text))
		}
	}
	if len(s.attrs) > 0 {
		root.blocks = append(root.blocks, s)
	}
	if k.Level != "" {
		root.block("log").text("level", k.Level)
	}
	if len(k.Listen) > 0 {
		b := root.block("listen")
		for _, p := range ListenParams() {
			if text, differs := k.Listen[p.Name]; differs {
				b.set(listenAttr(p), paramValue(p, text))
			}
		}
	}
	usersNode(root, k.Users)
	f := hclwrite.NewEmptyFile()
	root.hcl(f.Body())
	return fmt.Appendf(nil, "# Written by CONFIG REWRITE, which replaces it: what was changed at run time. It is read\n"+
		"# after %s, and wins over it. To end that, remove a line here, or the file.\n\n%s", filepath.Base(c.Path), f.Bytes())
}

// Keep is the configuration that is read once the file of CONFIG REWRITE says this.
func (c *Config) Keep(k Kept) *Config {
	next := *c
	next.Log.Level = cmp.Or(k.Level, c.ownLevel)
	next.listen = k.Listen
	next.Listen = listenAs(c.ownListen, k.Listen)
	values, users := k.Params, k.Users
	next.own = make(map[string]string)
	for _, p := range Params() {
		if p.HCL == "" {
			continue
		}
		text, differs := values[p.Name]
		if own := c.Own(p); differs {
			next.own[p.Name] = own
		} else {
			text = own
		}
		_ = next.Var(p).Set(text) // it was in force, or is said by the file
	}
	next.Engine.Users = slices.Clone(users)
	for _, u := range c.ownUsers {
		if !slices.ContainsFunc(users, func(k core.UserRules) bool { return k.Name == u.Name }) {
			next.Engine.Users = append(next.Engine.Users, u)
		}
	}
	return &next
}

// With is the configuration with what is in force: values of parameters, and listeners,
// where they differ; the level of the log, and all users.
func (c *Config) With(k Kept) *Config {
	next := *c
	next.Log.Level = k.Level
	next.Listen = listenAs(c.ownListen, k.Listen)
	values, users := k.Params, k.Users
	for _, p := range Params() {
		if text, ok := values[p.Name]; ok && p.HCL != "" {
			_ = next.Var(p).Set(text)
		}
	}
	next.Engine.Users = users
	return &next
}
