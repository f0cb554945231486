package config

import (
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
// server, and blocks user, and nothing else.

// keptFile is that file.
type keptFile struct {
	Server *serverBlock `hcl:"server,block"`
	Users  []userBlock  `hcl:"user,block"`
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

// Kept is the text of the file that CONFIG REWRITE writes, given the values of parameters
// and the users that are to differ from what the configuration says itself.
func (c *Config) Kept(values map[string]string, users []core.UserRules) []byte {
	root := &node{}
	s := root.block("server")
	for _, p := range Params() {
		if text, differs := values[p.Name]; differs {
			s.set(p.HCL, paramValue(p, text))
		}
	}
	if len(s.attrs) == 0 {
		root.blocks = nil
	}
	usersNode(root, users)
	f := hclwrite.NewEmptyFile()
	root.hcl(f.Body())
	return fmt.Appendf(nil, "# Written by CONFIG REWRITE, which replaces it: what was changed at run time. It is read\n"+
		"# after %s, and wins over it. To end that, remove a line here, or the file.\n\n%s", filepath.Base(c.Path), f.Bytes())
}

// Keep is the configuration that is read once the file of CONFIG REWRITE says this.
func (c *Config) Keep(values map[string]string, users []core.UserRules) *Config {
	next := *c
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

// With is the configuration with other values of parameters, and other users: those in
// force.
func (c *Config) With(values map[string]string, users []core.UserRules) *Config {
	next := *c
	for _, p := range Params() {
		if text, ok := values[p.Name]; ok && p.HCL != "" {
			_ = next.Var(p).Set(text)
		}
	}
	next.Engine.Users = users
	return &next
}
