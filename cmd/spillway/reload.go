package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/tracing"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/server"
)

// reloadPatience bounds how long a reload waits for plugins and sinks that are new.
const reloadPatience = 5 * time.Minute

// reloader has a running daemon follow its configuration file. What differs between the
// file as it is and as it was read last is applied, and nothing else: what CONFIG SET or
// ACL SETUSER has changed meanwhile stays, unless the file says something new about it.
//
//	read ──▶ what differs ──▶ prepare: plugins started, sinks made and asked,
//	                          certificates read, addresses listened on
//	                            │ all of it can be had
//	                            └──▶ apply, which cannot fail any more
type reloader struct {
	log     *daemonLog
	load    func() (*config.Config, error) // of the file and the flags
	db      *core.DB
	srv     *server.Server
	secured map[string]*server.TLS // by where the listener is
	plugged atomic.Pointer[plugged]
	watched *overview // the source of the metrics
	jobs    *jobs

	life context.Context // until the daemon ends
	end  context.CancelFunc

	mu      sync.Mutex // one reload at a time; guards the rest
	cfg     *config.Config
	users   [sha256.Size]byte // of the ACL file
	listen  map[string]string // what CONFIG showed of listeners at the start
	metrics *metricsFront     // nil without
	traces  *tracing.Tracer
	retired <-chan struct{} // closed when all that is not in force any more is closed
	inInfo  bool            // INFO has a section on plugins
}

// reloaded is what a reload did.
type reloaded struct {
	Config  string   `json:"config"`
	Changed []change `json:"changed"`
	Restart []change `json:"needs_restart"` // left as it is
	Notes   []string `json:"notes"`
}

// change is a part of the configuration that differs.
type change struct {
	What string `json:"what"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// String is "server.max_memory: 0 → 1gb".
func (c change) String() string {
	switch {
	case c.From == "" && c.To == "":
		return c.What
	case c.From == "":
		return c.What + ": " + c.To
	case c.To == "":
		return c.What + ": " + c.From + " is gone"
	}
	return c.What + ": " + c.From + " → " + c.To
}

// newReloader is one of a daemon that is not there yet: see serves.
func newReloader(cfg *config.Config, load func() (*config.Config, error), log *daemonLog, plugged *plugged) *reloader {
	closed := make(chan struct{})
	close(closed)
	r := &reloader{log: log, load: load, cfg: cfg, retired: closed}
	r.plugged.Store(plugged)
	r.life, r.end = context.WithCancel(context.Background())
	if text, err := os.ReadFile(cfg.Engine.ACLFile); err == nil {
		r.users = sha256.Sum256(text)
	}
	return r
}

// serves tells what the daemon consists of. secured has TLS of the configuration's
// listeners, in their order.
func (r *reloader) serves(db *core.DB, srv *server.Server, secured []*server.TLS) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.db, r.srv = db, srv
	r.secured = make(map[string]*server.TLS)
	for i, l := range r.cfg.Listen {
		r.secured[where(l)] = secured[i]
	}
	r.showPlugins()
}

// where is what tells one listener from the next.
func where(l config.Listener) string { return l.Network + " " + l.Address }

// onHangups reloads for every SIGHUP, from the moment on that the data is loaded. Those
// that come while a reload is under way are one.
func (r *reloader) onHangups(hangups <-chan os.Signal, ready <-chan struct{}) {
	select {
	case <-ready:
	case <-r.life.Done():
		return
	}
	for {
		select {
		case <-hangups:
			_, _ = r.reload("SIGHUP") // the log says how it ended
		case <-r.life.Done():
			return
		}
	}
}

// close ends a reload that is under way, and refuses further ones.
func (r *reloader) close() {
	r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.metrics.close()
	r.metrics = nil
}

// closePlugins ends the plugins and closes the sinks, those too that are not in force
// any more. The engine does not use any.
func (r *reloader) closePlugins() {
	r.plugged.Load().close(r.log)
	<-r.retired
}

// showPlugins has INFO show the plugins, if there are any.
func (r *reloader) showPlugins() {
	if r.inInfo || r.plugged.Load().host == nil {
		return
	}
	r.inInfo = true
	r.db.Admin().Info().Register(command.InfoSection{Name: "Plugins", Default: true, Fill: func(w *command.InfoWriter) { r.plugged.Load().info(w) }})
}

// answer is the reply to SPILLWAY.CONFIG.
func (r *reloader) answer(args []string) ([]string, error) {
	switch sub := strings.ToUpper(args[0]); {
	case sub == "RELOAD" && len(args) == 1:
		done, err := r.reload("SPILLWAY.CONFIG RELOAD")
		if err != nil {
			return nil, fmt.Errorf("ERR nothing was changed: %w", err)
		}
		b, err := json.Marshal(done)
		if err != nil {
			panic(err) // strings
		}
		return []string{string(b)}, nil
	case sub == "DUMP" && (len(args) == 1 || len(args) == 2 && strings.EqualFold(args[1], "JSON")):
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.db == nil {
			return nil, errors.New("ERR the daemon is starting")
		}
		return []string{dump(r.inForce(), len(args) == 2)}, nil
	}
	return nil, errors.New("ERR want SPILLWAY.CONFIG RELOAD, or SPILLWAY.CONFIG DUMP [JSON]")
}

// reload reads the configuration again and applies what differs: all of it, or nothing
// when the error says why.
func (r *reloader) reload(why string) (done *reloaded, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() {
		if err != nil {
			r.log.Error("the configuration was not reloaded: nothing has changed", "why", why, "error", err)
		}
	}()
	switch {
	case r.life.Err() != nil:
		return nil, errors.New("the daemon is shutting down")
	case r.db == nil || r.db.Loading():
		return nil, errors.New("the data is still being loaded: try again when that is done")
	}
	next, err := r.load()
	if err != nil {
		return nil, err
	}
	if next.Path == "" && r.cfg.Path != "" {
		return nil, fmt.Errorf("there is no %s any more", r.cfg.Path)
	}
	ctx, cancel := context.WithTimeoutCause(r.life, reloadPatience, fmt.Errorf("it takes longer than %s", reloadPatience))
	defer cancel()
	x := &reloading{r: r, old: r.cfg, next: next, done: reloaded{Config: configName(next), Changed: []change{}, Restart: []change{}, Notes: []string{}}}
	if err := x.prepare(ctx); err != nil {
		x.discard()
		return nil, err
	}
	if err := x.apply(); err != nil {
		x.discard()
		return nil, err
	}
	r.cfg = next
	r.watched.cfg.Store(next)
	x.say(why)
	return &x.done, nil
}

// say logs what was done.
func (x *reloading) say(why string) {
	log := x.r.log
	for _, c := range x.done.Changed {
		log.Info("configuration changed", "what", c.String())
	}
	for _, c := range x.done.Restart {
		log.Warn("this change needs a restart", "what", c.String())
	}
	for _, n := range x.done.Notes {
		log.Warn("reload", "note", n)
	}
	log.Info("configuration reloaded", "why", why, "config", x.done.Config, "changed", len(x.done.Changed), "need_restart", len(x.done.Restart))
}

// reloading is one reload. Each part of the configuration has a step that looks at what
// differs and prepares it, and leaves behind what applies and what discards it.
type reloading struct {
	r         *reloader
	old, next *config.Config
	done      reloaded

	params   [][2]string // what can fail is applied first, and together
	applies  []func()
	discards []func()
}

func (x *reloading) changed(what, from, to string) {
	x.done.Changed = append(x.done.Changed, change{what, from, to})
}

func (x *reloading) restart(what, from, to string) {
	x.done.Restart = append(x.done.Restart, change{what, from, to})
}

// prepare goes through all parts of the configuration.
func (x *reloading) prepare(ctx context.Context) error {
	x.diffFixed()
	x.diffParams()
	x.diffLog()
	if err := x.diffUsers(); err != nil {
		return err
	}
	if err := x.diffListeners(); err != nil {
		return err
	}
	if err := x.diffMetrics(); err != nil {
		return err
	}
	if err := x.diffTracing(); err != nil {
		return err
	}
	x.diffJobs()
	return x.diffPipelines(ctx)
}

func (x *reloading) discard() {
	for _, f := range slices.Backward(x.discards) {
		f()
	}
}

// apply puts in force what was prepared.
func (x *reloading) apply() error {
	if err := x.applyParams(); err != nil {
		return err
	}
	for _, f := range x.applies {
		f()
	}
	return nil
}

// diffFixed names what only a start can change.
func (x *reloading) diffFixed() {
	if from, to := x.old.Data.URL(), x.next.Data.URL(); from != to {
		x.restart("the data directory", from, to)
	}
	for _, p := range config.Params() {
		if p.HCL == "" || !p.Fixed {
			continue
		}
		if from, to := x.old.Var(p).String(), x.next.Var(p).String(); from != to {
			x.restart("server."+p.HCL, valueText(from), valueText(to))
		}
	}
}

// valueText is a value as a list of changes has it.
func valueText(v string) string {
	if v == "" {
		return `""`
	}
	return v
}

// diffParams finds the parameters of which the file says something else.
func (x *reloading) diffParams() {
	for _, p := range config.Params() {
		if p.HCL == "" || p.Fixed {
			continue
		}
		from, to := x.old.Var(p).String(), x.next.Var(p).String()
		if from == to {
			continue
		}
		x.params = append(x.params, [2]string{p.Name, to})
		if p.Secret {
			from, to = "(redacted)", "(redacted)"
		}
		x.changed("server."+p.HCL, valueText(from), valueText(to))
	}
}

// applyParams sets them, all or none. A log that is to be kept from now on is waited
// for, as CONFIG SET appendonly yes does.
func (x *reloading) applyParams() error {
	if len(x.params) == 0 {
		return nil
	}
	c := x.r.db.Admin().Config()
	var before [][2]string
	logOn := false
	for _, kv := range x.params {
		if kv == [2]string{"appendonly", "yes"} {
			logOn = true
			continue
		}
		before = append(before, c.Get(kv[0])...)
	}
	if err := c.Put(x.params...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "CONFIG SET failed", "setting a parameter failed"))
	}
	if !logOn {
		return nil
	}
	if err := x.r.db.Admin().LogOn(); err != nil {
		_ = c.Put(before...) // what was in force is valid
		return err
	}
	return nil
}

func (x *reloading) diffLog() {
	old, next := x.old.Log, x.next.Log
	if old == next {
		return
	}
	format := func(l config.Log) string {
		if l.JSON {
			return "json"
		}
		return "text"
	}
	if old.Level != next.Level {
		x.changed("log.level", old.Level, next.Level)
	}
	if old.JSON != next.JSON {
		x.changed("log.format", format(old), format(next))
	}
	x.applies = append(x.applies, func() { x.r.log.become(next) })
}

// diffUsers finds the users whose blocks differ, and whether the ACL file was edited.
func (x *reloading) diffUsers() error {
	find := func(users []core.UserRules, name string) int {
		return slices.IndexFunc(users, func(u core.UserRules) bool { return u.Name == name })
	}
	var set []core.UserRules
	var gone []string
	for _, u := range x.next.Engine.Users {
		i := find(x.old.Engine.Users, u.Name)
		if i >= 0 && slices.Equal(x.old.Engine.Users[i].Rules, u.Rules) {
			continue
		}
		set = append(set, u)
		x.changed("user "+u.Name, "", map[bool]string{true: "other rules", false: "new"}[i >= 0])
	}
	for _, u := range x.old.Engine.Users {
		if find(x.next.Engine.Users, u.Name) < 0 {
			gone = append(gone, u.Name)
			x.changed("user "+u.Name, "", "gone")
		}
	}
	if len(set)+len(gone) > 0 {
		x.applies = append(x.applies, func() {
			if err := x.r.db.ChangeUsers(set, gone, x.r.srv.KillClients); err != nil {
				x.r.log.Error("a user could not be changed", "error", err) // its rules were checked
			}
		})
	}
	path := x.old.Engine.ACLFile
	if path == "" || path != x.next.Engine.ACLFile {
		return nil // another file is for a start
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("acl_file: %w", err)
	}
	sum := sha256.Sum256(text)
	if sum == x.r.users {
		return nil
	}
	if err := x.r.db.CheckACLFile(); err != nil {
		return err
	}
	x.changed("the users of "+path, "", "read again")
	x.applies = append(x.applies, func() {
		x.r.users = sum
		if err := x.r.db.LoadACLFile(x.r.srv.KillClients); err != nil {
			x.r.log.Error("the ACL file was not loaded", "error", err)
		}
	})
	return nil
}

// diffListeners reads the certificates of those listeners whose block tls differs. An
// address is for a start, or for CONFIG SET port and bind.
func (x *reloading) diffListeners() error {
	for _, l := range x.next.Listen {
		i := slices.IndexFunc(x.old.Listen, func(o config.Listener) bool { return where(o) == where(l) })
		switch {
		case i < 0:
			x.restart("listener "+l.Name, "", l.Address+" is new")
			continue
		case (x.old.Listen[i].TLS == nil) != (l.TLS == nil):
			x.restart("listener "+l.Name, "", "TLS on or off")
			continue
		case l.TLS == nil || *l.TLS == *x.old.Listen[i].TLS:
			continue
		}
		fresh, err := server.NewTLS(*l.TLS)
		if err != nil {
			return fmt.Errorf("listener %q: %w", l.Name, err)
		}
		inForce := x.r.secured[where(l)]
		if inForce == nil {
			x.restart("listener "+l.Name, "", "tls")
			continue
		}
		x.changed("listener "+l.Name, "", "tls")
		x.applies = append(x.applies, func() { inForce.Become(fresh) })
	}
	for _, l := range x.old.Listen {
		if !slices.ContainsFunc(x.next.Listen, func(o config.Listener) bool { return where(o) == where(l) }) {
			x.restart("listener "+l.Name, l.Address, "")
		}
	}
	return nil
}

// diffMetrics listens where metrics are to be served from now on.
func (x *reloading) diffMetrics() error {
	from, to := x.old.Metrics, x.next.Metrics
	if !x.old.MetricsFront.Same(x.next.MetricsFront) && to != "" {
		x.changed("metrics", "", "TLS, or who may read")
	}
	if from == to {
		if x.r.metrics == nil || x.old.MetricsFront.Same(x.next.MetricsFront) {
			return nil
		}
		apply, err := x.r.metrics.become(x.next.MetricsFront)
		if err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
		x.applies = append(x.applies, apply)
		return nil
	}
	x.changed("metrics.address", from, to)
	var fresh *metricsFront
	if to != "" {
		var err error
		if fresh, err = startMetrics(to, x.next.MetricsFront, x.r.watched, x.r.log.Named("metrics")); err != nil {
			return err
		}
		x.discards = append(x.discards, fresh.close)
	}
	x.applies = append(x.applies, func() {
		x.r.metrics.close()
		x.r.metrics = fresh
	})
	return nil
}

// diffTracing prepares sending traces somewhere else. A file that was merely replaced needs
// none: the next connection reads it.
func (x *reloading) diffTracing() error {
	from, to := x.old.Tracing, x.next.Tracing
	if from.Same(to) {
		return nil
	}
	fresh, err := x.r.traces.Prepare(to)
	if err != nil {
		return fmt.Errorf("tracing: %w", err)
	}
	where := func(t *tracing.Target) string {
		if t == nil {
			return ""
		}
		return t.Endpoint
	}
	if from, to := where(from), where(to); from != to {
		x.changed("tracing", from, to)
	} else {
		x.changed("tracing", "", "other settings")
	}
	x.discards = append(x.discards, func() { fresh.Close(0) })
	x.applies = append(x.applies, func() { x.r.traces.Become(fresh) })
	return nil
}
