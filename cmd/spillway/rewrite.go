package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/acl"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/param"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
)

// rewrite carries out CONFIG REWRITE: what is in force and differs from what the file, or
// a flag, says goes to the file that is included, which is replaced. A change of the file
// that was not read yet is not overruled, unless it is of the same parameter.
func (r *reloader) rewrite() error {
	if !r.mu.TryLock() { // a reload may wait for the locks that EXEC holds
		return errors.New("ERR Rewriting config file: the configuration is being reloaded; try again")
	}
	defer r.mu.Unlock()
	switch {
	case r.cfg.Path == "":
		return errors.New("ERR The server is running without a config file") // Redis's wording
	case r.cfg.ReadOnly:
		return fmt.Errorf("ERR Rewriting config file: %w", core.ErrReadOnly)
	}
	values := make(map[string]string)
	for _, p := range config.Params() {
		if p.HCL == "" || p.Fixed {
			continue
		}
		if live := r.live(p); !sameValue(p, r.cfg.Own(p), live) {
			values[p.Name] = live
		}
	}
	k := config.Kept{Params: values, Listen: r.changedListen()}
	if level := r.log.is.Load().Level; level != r.cfg.OwnLevel() {
		k.Level = level
	}
	var err error
	if k.Users, err = r.changedUsers(); err == nil {
		err = writeFile(r.cfg.Include, r.cfg.Kept(k))
	}
	if err != nil {
		r.log.Error("CONFIG REWRITE failed", "file", r.cfg.Include, "error", err)
		return fmt.Errorf("ERR Rewriting config file: %w", err) // Redis's wording
	}
	r.cfg = r.cfg.Keep(k)
	for _, l := range r.cfg.Listen { // CONFIG SET may have begun to listen there
		if _, port, err := net.SplitHostPort(l.Address); err == nil && l.TLS != nil && r.secured[where(l)] == nil {
			n, _ := strconv.Atoi(port)
			r.secured[where(l)] = r.srv.TLSAt(n)
		}
	}
	parameters := len(values) + len(k.Listen)
	if k.Level != "" {
		parameters++
	}
	args := []any{"file", r.cfg.Include, "parameters", parameters, "users", len(k.Users)}
	if not := r.notKept(); len(not) > 0 {
		args = append(args, "not_kept", strings.Join(not, " ")) // plugins.hcl knows no such parameters
	}
	r.log.Info("CONFIG REWRITE executed with success", args...)
	return nil
}

// listens notes what CONFIG shows of listeners before anybody can have changed it: a port
// that the system chose, or the address of a name, is none that CONFIG SET did.
func (r *reloader) listens() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listen = make(map[string]string)
	for _, p := range config.ListenParams() {
		r.listen[p.Name] = r.live(p)
	}
}

// changedListen is what CONFIG SET has changed of listeners, now or before a restart.
func (r *reloader) changedListen() map[string]string {
	out := make(map[string]string)
	for _, p := range config.ListenParams() {
		live := r.live(p)
		if _, kept := r.cfg.KeptListen(p.Name); live == r.listen[p.Name] && !kept {
			continue
		}
		if own, known := r.cfg.OwnListen(p.Name); known && live == own {
			continue
		}
		if strings.HasSuffix(p.Name, "-file") && live != "" {
			if abs, err := filepath.Abs(live); err == nil {
				live = abs // the file may be in another directory than the daemon was started in
			}
		}
		out[p.Name] = live
	}
	return out
}

// notKept names the parameters that were set and that the file has no words for: of those
// that change nothing.
func (r *reloader) notKept() (out []string) {
	for _, k := range core.KeptParams() {
		if !k.Fixed && r.live(&k.Param) != k.Default {
			out = append(out, k.Name)
		}
	}
	return out
}

// live is the value of a parameter that is in force.
func (r *reloader) live(p *param.Param) string {
	return r.db.Admin().Config().Get(p.Name)[0][1]
}

// sameValue tells whether CONFIG GET shows a value that the configuration says: it does
// not show the fraction of a second, nor one of the classes of events.
func sameValue(p *param.Param, said, live string) bool {
	switch p.Type.(type) {
	case param.Duration:
		said, _, _ = strings.Cut(said, ".")
	default:
		if p.Name == "notify-keyspace-events" {
			if classes, err := command.ParseClasses(said); err == nil {
				said = classes.String()
			}
		}
	}
	return said == live
}

// changedUsers are those who are others than the configuration says, and those who are
// gone: of them it is kept that they may do nothing.
func (r *reloader) changedUsers() ([]core.UserRules, error) {
	if r.cfg.Engine.ACLFile != "" {
		return nil, nil // ACL SAVE keeps them
	}
	said := acl.NewStore()
	for _, kv := range r.db.Admin().Config().Get("acl-pubsub-default", "requirepass") {
		if kv[0] == "requirepass" {
			said.SetPassword(kv[1])
		} else {
			said.AllChannels.Store(kv[1] == "allchannels")
		}
	}
	for _, u := range r.cfg.OwnUsers() {
		if _, err := said.SetUser(u.Name, append([]string{"reset"}, u.Rules...)); err != nil {
			return nil, fmt.Errorf("user %q: %w", u.Name, err)
		}
	}
	var out []core.UserRules
	now := r.db.Users()
	for _, u := range now {
		if s := said.User(u.Name); s == nil || !slices.Equal(core.RulesOf(s).Rules, u.Rules) {
			out = append(out, u)
		}
	}
	for _, s := range said.Users() {
		if !slices.ContainsFunc(now, func(u core.UserRules) bool { return u.Name == s.Name() }) {
			out = append(out, core.UserRules{Name: s.Name(), Rules: []string{"reset"}})
		}
	}
	return out, nil
}

// writeFile replaces a file, whole or not at all; only its owner can read it.
func writeFile(path string, text []byte) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); err != nil { // opening it would make it
		return err
	}
	fs, err := osfs.New(dir)
	if err != nil {
		return err
	}
	if c, ok := fs.(io.Closer); ok {
		defer func() { _ = c.Close() }()
	}
	return vfs.WriteFileAtomic(fs, filepath.Base(path), text, 0o600)
}
