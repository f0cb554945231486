package main

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
	"github.com/spillwaydb/spillway/cmd/spillway/status"
	"github.com/spillwaydb/spillway/cmd/spillway/tracing"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
)

// What a report shows of long lists.
const (
	topCommands = 12
	slowShown   = 16
)

// overview is what is known of a running daemon: the source of its metrics, of its page,
// and of what SPILLWAY.STATUS answers.
type overview struct {
	cfg     atomic.Pointer[config.Config] // in force; a reload replaces it
	db      *core.DB
	plugins func() []string // an object of JSON each
	sinks   *sinkWatch
	rates   *rates
	history *history
	traces  *tracing.Tracer
	jobs    atomic.Pointer[jobs] // nil while the daemon begins to listen
}

// answer is what SPILLWAY.STATUS replies, with a report as an object of JSON; VERIFIED
// takes in what `spillway verify` has found.
func (o *overview) answer(args []string) ([]string, error) {
	switch {
	case len(args) == 0:
		b, err := json.Marshal(o.report())
		if err != nil {
			return nil, fmt.Errorf("ERR %w", err)
		}
		return []string{string(b)}, nil
	case len(args) == 4 && strings.EqualFold(args[0], "VERIFIED") && (args[2] == "ok" || args[2] == "damaged"):
		o.history.noteVerified(status.Verification{Source: args[1], At: time.Now(), OK: args[2] == "ok", Text: args[3]})
		return []string{}, nil
	}
	if len(args) > 0 && strings.EqualFold(args[0], "DRILLED") {
		if d, ok := drilled(args[1:]); ok {
			o.history.noteDrilled(d)
			return []string{}, nil
		}
	}
	return nil, errors.New("ERR want SPILLWAY.STATUS, SPILLWAY.STATUS VERIFIED source ok|damaged text, or SPILLWAY.STATUS DRILLED source ok|failed seconds text")
}

// report is how the daemon stands now.
func (o *overview) report() *status.Report {
	info := make(fields)
	for _, f := range o.db.InfoFields() {
		info[f.Name] = fmt.Sprint(f.Value)
	}
	r := &status.Report{At: time.Now()}
	o.server(r, info)
	info.traffic(r)
	o.commands(r)
	info.memory(r)
	info.persistence(r)
	info.pipeline(r)
	info.archive(r)
	r.Log.Fsync = o.parameter("appendfsync")
	o.restore(r)
	r.Stores = append([]status.Store{}, o.sinks.stores()...)
	r.Rates = append([]status.Rate{}, o.rates.report(o.cfg.Load())...)
	o.pluginStates(r)
	o.slow(r)
	r.Certificates = append([]status.Certificate{}, certificatesOf(o.cfg.Load().Listen)...)
	o.history.fill(r)
	r.Schedules = []status.Schedule{}
	if j := o.jobs.Load(); j != nil {
		r.Schedules = j.report()
	}
	r.Judge(o.db.Healthy())
	return r
}

func (o *overview) server(r *status.Report, info fields) {
	b := buildInfo()
	r.Server = status.Server{
		Version: b.Version, Commit: b.commit(), Go: b.GoVersion, PID: os.Getpid(), Config: configName(o.cfg.Load()), Directory: dataDirectory(o.cfg.Load()),
		Lineage: info["spillway_lineage"], UptimeSeconds: info.int("uptime_in_seconds"), StartedAt: r.At.Add(-o.db.Uptime()),
		Shards: int(info.int("shards")), ReadOnly: info.int("spillway_read_only") == 1,
	}
	if info.int("loading") == 1 {
		percent, _ := strconv.ParseFloat(info["loading_loaded_perc"], 64)
		r.Loading = &status.Loading{
			Bytes: info.int("loading_loaded_bytes"), TotalBytes: info.int("loading_total_bytes"), Percent: percent, ETASeconds: info.int("loading_eta_seconds"),
		}
	}
}

// commands fills in what was counted of commands.
func (o *overview) commands(r *status.Report) {
	calls := o.db.Stats().Calls()
	r.Latency = []status.Latency{}
	for _, f := range byFamily(calls) {
		if f.durations.Count == 0 {
			continue
		}
		usec := func(p float64) float64 { return float64(f.durations.Percentile(p)) / 1e3 }
		r.Latency = append(r.Latency, status.Latency{Family: f.name, Calls: f.durations.Count, P50: usec(50), P99: usec(99), P999: usec(99.9)})
	}
	r.Commands = []status.Command{}
	slices.SortStableFunc(calls, func(a, b command.CallStats) int { return cmp.Compare(b.Took, a.Took) })
	for _, c := range calls[:min(len(calls), topCommands)] {
		r.Commands = append(r.Commands, status.Command{Name: c.Command.Name, Calls: c.Calls, Failed: c.Failed, Rejected: c.Rejected, Seconds: c.Took.Seconds()})
	}
}

func (o *overview) restore(r *status.Report) {
	r.Restore.Sinks = len(o.cfg.Load().Check.Mirrors)+len(o.cfg.Load().Archive.Mirrors) > 0
	r.Restore.Windows = o.sinks.restorable(r.Server.Lineage)
	for _, win := range r.Restore.Windows {
		if r.Restore.Oldest.IsZero() || win.From.Before(r.Restore.Oldest) {
			r.Restore.Oldest = win.From
		}
		if win.To.After(r.Restore.Newest) {
			r.Restore.Newest = win.To
		}
	}
}

func (o *overview) pluginStates(r *status.Report) {
	r.Plugins = []status.Plugin{}
	for _, text := range o.plugins() {
		var p status.Plugin
		if err := json.Unmarshal([]byte(text), &p); err == nil { // it is our own
			r.Plugins = append(r.Plugins, p)
		}
	}
}

func (o *overview) slow(r *status.Report) {
	r.SlowLog = []status.Slow{}
	for _, e := range o.db.Admin().SlowLog().Latest(slowShown) {
		words := make([]string, len(e.Args))
		for i, a := range e.Args {
			words[i] = shownArgument(a)
		}
		client := e.Addr
		if e.Name != "" {
			client += " " + e.Name
		}
		r.SlowLog = append(r.SlowLog, status.Slow{At: time.Unix(e.Time, 0), Usec: e.Duration.Microseconds(), Command: strings.Join(words, " "), Client: client})
	}
}

// shownArgument is an argument as a person reads it: quoted where it has to be.
func shownArgument(a string) string {
	if q := strconv.Quote(a); a == "" || len(q) != len(a)+2 || strings.ContainsAny(a, " ") {
		return q
	}
	return a
}

// commandCollector are the metrics of commands.
func (o *overview) commandCollector() commandCollector {
	return commandCollector{calls: o.db.Stats().Calls}
}

// backupCollector are the metrics of sinks and certificates.
func (o *overview) backupCollector() backupCollector {
	return backupCollector{
		stores: o.sinks.stores,
		rates:  func() []status.Rate { return o.rates.report(o.cfg.Load()) },
		restore: func() status.Restore {
			r := &status.Report{Server: status.Server{Lineage: o.db.Lineage()}}
			o.restore(r)
			return r.Restore
		},
		verified:     o.history.verifications,
		drills:       o.history.drills,
		hooks:        func() []hooks.Count { return o.history.hooks.Counts() },
		spans:        o.traces.Counts,
		certificates: func() []status.Certificate { return certificatesOf(o.cfg.Load().Listen) },
	}
}

func (o *overview) parameter(name string) string {
	for _, pair := range o.db.Admin().Config().Get(name) {
		return pair[1]
	}
	return ""
}

// dataDirectory is where the data is.
func dataDirectory(cfg *config.Config) string {
	dir := cfg.Data.URL()
	if abs, err := filepath.Abs(dir); err == nil && cfg.Data.Kind == "os" {
		dir = abs
	}
	return dir
}

// certificatesOf tells when the certificates of listeners expire, as their files say
// now. A file that cannot be read is the listener's to complain of.
func certificatesOf(listeners []config.Listener) (out []status.Certificate) {
	for _, l := range listeners {
		if l.TLS == nil {
			continue
		}
		text, err := os.ReadFile(filepath.Clean(l.TLS.CertFile))
		if err != nil {
			continue
		}
		block, _ := pem.Decode(text)
		if block == nil {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			out = append(out, status.Certificate{Listener: l.Name, Expires: c.NotAfter})
		}
	}
	return out
}
