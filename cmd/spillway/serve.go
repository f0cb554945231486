package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
	"github.com/spillwaydb/spillway/cmd/spillway/status"
	"github.com/spillwaydb/spillway/cmd/spillway/tracing"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/repair"
	"github.com/spillwaydb/spillway/core/server"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
	"github.com/spillwaydb/spillway/plugins/gzip"
	"github.com/spillwaydb/spillway/plugins/lz4"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

const (
	// hookPatience is how long a shutdown waits for hooks.
	hookPatience = 3 * time.Second
	// tracePatience is how long a shutdown waits for the collector of traces.
	tracePatience = 2 * time.Second
	// drainTimeout is how long a shutdown waits for clients to get their replies.
	drainTimeout = 5 * time.Second
	// loadPatience is how long a shutdown waits for loading to stop. There is
	// nothing to lose: a start finds what a crash would leave.
	loadPatience = 500 * time.Millisecond
)

func serveCommand() *cobra.Command {
	o := overrides{listens: true}
	var f faults
	var refill refill
	var adopt bool
	var readOnly bool
	var from migrateFrom
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server that plugins.hcl describes", Args: noArgs,
		Long: "serve reads plugins.hcl (or -config FILE), recovers the data directory and serves RESP.\n" +
			"Flags carry the names of Redis's own parameters and win over the file.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			load := o.load
			if readOnly {
				load = o.loadReadOnly
			}
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			if readOnly && refill.ifEmpty {
				return usageError{errors.New("--restore-if-empty does not go with --read-only, which writes nothing")}
			}
			if refill.from != "" && !refill.ifEmpty {
				return usageError{errors.New("--restore-from goes with --restore-if-empty")}
			}
			follows, err := from.option(cfg)
			if err != nil {
				return err
			}
			o.asError = true
			return serve(cfg, func() (*config.Config, error) { return load(cmd) }, &f, refill, adopt, follows, newDaemonLog(cfg.Log))
		},
	}
	o.register(cmd)
	cmd.Flags().BoolVar(&refill.ifEmpty, "restore-if-empty", false, "restore the latest backup first if the data directory is empty")
	cmd.Flags().StringVar(&refill.from, "restore-from", "", "sink to restore from (default: the only one beside the data directory)")
	cmd.Flags().BoolVar(&refill.older, "restore-allow-older", false, "restore what there is when the latest backup cannot be read")
	cmd.Flags().BoolVar(&adopt, "adopt", false, "start although a sink holds another data directory's sets, or a later state of this one: they stay, and this one goes on beside them")
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "look into a data directory: nothing is written, no sink and no listener of the configuration is used (default port: 6390)")
	from.register(cmd)
	f.register(cmd)
	return cmd
}

// refill is whether, and from where, an empty data directory is restored.
type refill struct {
	ifEmpty bool
	from    string
	older   bool // also something older than the latest that is there
}

// serve runs until SIGTERM, SIGINT or a client's SHUTDOWN. The data directory is
// locked before anything listens, and clients are answered while it is loaded. again
// reads the configuration anew.
func serve(cfg *config.Config, again func() (*config.Config, error), f *faults, refill refill, adopt bool, follows *core.Follow, log *daemonLog) (err error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT) // to the end: one that comes late must not make a saved end a death
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ready, ended := make(chan struct{}), make(chan struct{})
	defer close(ended)
	go paceCollector(ready, ended)
	sayWhat(cfg, log)
	sup := newSupervisor(log.Named("supervisor"))

	fs, err := openData(cfg, log)
	if err != nil {
		return fmt.Errorf("opening the data directory: %w", err)
	}
	fs, stopFaults, err := f.wrap(fs, log)
	if err != nil {
		return err
	}
	defer stopFaults()
	plugged, err := plug(cfg, log, nil)
	if err != nil {
		return err
	}
	reload := newReloader(cfg, again, log, plugged)
	defer reload.closePlugins()
	opts := engineOptions(cfg, log)
	closeUsers, err := addUsers(cfg, &opts)
	if err != nil {
		return err
	}
	defer closeUsers()
	through, err := plugged.pipelines(cfg, nil, log)
	if err != nil {
		return err
	}
	opts.Stages, opts.Targets, opts.Archive = through.Stages, through.Targets, through.Archive
	if refill.ifEmpty {
		sup.restoring()
		ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		err := restoreIfEmpty(ctx, cfg, plugged, fs, opts, refill.from, refill.older, log)
		cancel()
		if err != nil {
			return err
		}
	}
	stop := make(chan struct{}, 1)
	opts.FS = fs
	opts.Adopt, opts.Follow = adopt, follows
	opts.OnPlugins = func(args []string) ([]string, error) { return reload.plugged.Load().answer(args) }
	opts.OnConfig = reload.answer
	opts.OnRewrite = reload.rewrite
	watched := &overview{plugins: func() []string { return reload.plugged.Load().states() }, sinks: plugged.watch, rates: plugged.rates, history: new(history)}
	watched.cfg.Store(cfg)
	told := hooks.New(hooks.Options{Logger: log.Named("hook"), Directory: dataDirectory(cfg), Version: version, Failed: func(event string, err error) {
		watched.history.failed("a hook of the "+event+" failed", err, status.AdviceHook)
	}})
	defer told.Close(hookPatience)
	watched.history.hooks = told
	reload.watched = watched
	opts.OnStatus, opts.Events = watched.answer, watched.history.events()
	traces := tracing.New(tracing.Options{Logger: log.Named("tracing"), Directory: dataDirectory(cfg), Version: version})
	defer traces.Close(tracePatience)
	traces.Hear(&opts.Events)
	if to, err := traces.Prepare(cfg.Tracing); err != nil {
		return fmt.Errorf("tracing: %w", err)
	} else if to != nil {
		traces.Become(to)
	}
	reload.traces, watched.traces = traces, traces
	opts.OnShutdown = func() { stop <- struct{}{} }
	db, err := core.Prepare(opts)
	if err != nil {
		return err
	}
	watched.db = db
	closeDB := func() { err = errors.Join(err, db.Close()) }
	secured, err := certificates(cfg.Listen)
	if err != nil {
		closeDB()
		return err
	}
	listeners, err := listenOrElse(cfg.Listen)
	if err != nil {
		closeDB()
		return err
	}
	srvOpts := cfg.Server
	srvOpts.Logger, srvOpts.ConfigFile = log.Named("server"), cfg.Path
	srv := server.New(db, srvOpts)
	if cfg.Metrics != "" {
		if reload.metrics, err = startMetrics(cfg.Metrics, cfg.MetricsFront, watched, log.Named("metrics")); err != nil {
			closeAll(listeners)
			closeDB()
			return err
		}
	}
	scheduled := newJobs(core.SystemClock{}, cfg, db, watched.history, log.Named("schedule"))
	watched.jobs.Store(scheduled)
	defer scheduled.stop() // whatever runs uses neither the engine nor a sink any more
	reload.jobs = scheduled
	daemonParams(db, cfg, log)
	reload.serves(db, srv, secured)
	defer reload.close()
	for i, l := range listeners {
		srv.Expect(l, secured[i])
	}
	reload.listens()
	failed := make(chan error, len(listeners))
	for i, l := range listeners {
		serve := srv.Serve
		if t := secured[i]; t != nil {
			serve = func(l net.Listener) error { return srv.ServeTLS(l, t) }
		}
		go func() {
			if err := serve(l); !errors.Is(err, server.ErrClosed) {
				failed <- err
			}
		}()
	}
	watching, blind := context.WithCancel(context.Background())
	defer blind()
	go sup.watch(watching, db)
	loading, giveUp := context.WithCancel(context.Background())
	loaded, over := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(over)
		if !cfg.ReadOnly { // a stage that is needed starts when it is
			if err := plugged.boot(loading, log); err != nil {
				loaded <- err
				return
			}
		}
		loaded <- db.Recover(loading)
	}()
	go reload.onHangups(hangups, ready)
	err = await(db, log, signals, events{loaded: loaded, failed: failed, stop: stop, how: srv.ShutdownOn}, func() {
		close(ready)
		sup.ready(db)
		scheduled.start()
		for i, l := range listeners {
			log.Info("Ready to accept connections", "listener", l.Addr().String(), "network", l.Addr().Network(), "tls", secured[i] != nil)
		}
	})
	sup.stop()
	err = followHint(err)
	var damage *repair.DamagedError
	if errors.As(err, &damage) {
		err = fmt.Errorf("%w\n%s", err, repairHint(cfg.Data.Root))
	}
	var state *core.SinkStateError
	if errors.As(err, &state) {
		err = fmt.Errorf("%w\n%s", err, sinkStateHint(state, cfg.Data.Root))
	}
	giveUp()
	reload.close()
	scheduled.stop()
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		log.Warn("clients were cut off", "error", err)
	}
	select {
	case <-over:
	case <-time.After(loadPatience):
		log.Warn("exiting in the middle of loading")
		return err // without Close, which would wait
	}
	closeDB()
	if err == nil {
		log.Info("bye")
	}
	return err
}

// sinkStateHint says what can be done about a sink that holds what the data
// directory must not be taken for.
func sinkStateHint(e *core.SinkStateError, dir string) string {
	const aside = "  - to begin anew, or to go on as it is: give the sink another prefix, or start once with --adopt, which leaves\n" +
		"    what is there untouched and goes on beside it"
	switch {
	case e.State == core.SinkUnknown:
		return "Nothing was changed. An empty directory does not begin anew beside backups that it could not see: start again when\n" +
			"the sink answers, or with --adopt to begin without asking."
	case e.State == core.SinkGoneOn:
		return "Nothing was changed. Two daemons of one history would not know of each other's writes:\n" +
			"  - to look into a backup, start with --read-only\n" +
			"  - to take over, stop the other one and restore again, with --from for every place that has a part of it\n" +
			"    (the checkpoints, the archived log): what was written meanwhile is there\n" + aside
	case e.State == core.SinkForeign && e.Empty:
		return "Nothing was changed. If the disk was lost, this is what it held:\n" +
			"  - to have it back: start with --restore-if-empty, or `spillway restore --from " + e.Sink + " --to " + dir + "`\n" + aside
	}
	return "Nothing was changed.\n" +
		"  - to have back what the sink holds: `spillway restore --from " + e.Sink + " --to` a new directory, and start on that\n" + aside
}

// events are what a running daemon waits for.
type events struct {
	loaded <-chan error    // Recover has returned
	failed <-chan error    // a listener broke
	stop   <-chan struct{} // a client's SHUTDOWN was carried out
	how    func(os.Signal) (mode command.ShutdownMode, force bool)
}

// sayWhat begins the log with what runs, and on what.
func sayWhat(cfg *config.Config, log hclog.Logger) {
	b := buildInfo()
	log.Info("starting", "version", b.Version, "commit", b.commit(), "go", b.GoVersion, "pid", os.Getpid(), "config", configName(cfg), "dir", dataDirectory(cfg))
}

// await returns when the daemon is to end: nil for a shutdown. A signal begins
// one; further ones do nothing meanwhile, since supervisors deliver some of them
// twice. Only the second SIGINT ends the process at once, saved or not.
func await(db *core.DB, log hclog.Logger, signals <-chan os.Signal, ev events, ready func()) error {
	saved := make(chan error, 1)
	saving, interrupts := false, 0
	for {
		select {
		case err := <-ev.loaded:
			if err != nil {
				return err
			}
			ev.loaded = nil
			ready()
		case err := <-ev.failed:
			return err
		case <-ev.stop:
			log.Info("shutting down", "why", "SHUTDOWN")
			go exitOn(signals, log, interrupts)
			return nil
		case sig := <-signals:
			if sig == syscall.SIGINT {
				if interrupts++; interrupts > 1 {
					exit(sig, log)
				}
			}
			if saving {
				log.Info("already shutting down", "why", sig.String())
				continue
			}
			saving = true
			log.Info("shutting down", "why", sig.String())
			go func() { saved <- db.PrepareShutdown(ev.how(sig)) }()
		case err := <-saved:
			if err == nil {
				go exitOn(signals, log, interrupts)
				return nil
			}
			saving = false
			log.Error("not shutting down; SIGTERM tries again, SHUTDOWN NOSAVE or a second SIGINT ends without saving", "error", err)
		}
	}
}

// exitOn waits, in place of await, for the second SIGINT.
func exitOn(signals <-chan os.Signal, log hclog.Logger, interrupts int) {
	for sig := range signals {
		if sig != syscall.SIGINT {
			continue
		}
		if interrupts++; interrupts > 1 {
			exit(sig, log)
		}
	}
}

// exit ends the process at once: what a start finds is what a crash leaves.
func exit(sig os.Signal, log hclog.Logger) {
	log.Error("exiting at once, without saving", "why", "another "+sig.String())
	os.Exit(1)
}

func listen(ls []config.Listener) ([]net.Listener, error) {
	var out []net.Listener
	for _, l := range ls {
		nl, err := server.Listen(config.ListenNetwork(l.Network, l.Address), l.Address)
		if err != nil {
			closeAll(out)
			return nil, fmt.Errorf("listener %q: %w", l.Name, err)
		}
		out = append(out, nl)
	}
	return out, nil
}

// certificates loads what each listener needs for TLS, nil for one without.
func certificates(ls []config.Listener) ([]*server.TLS, error) {
	out := make([]*server.TLS, len(ls))
	for i, l := range ls {
		if l.TLS == nil {
			continue
		}
		var err error
		if out[i], err = server.NewTLS(*l.TLS); err != nil {
			return nil, fmt.Errorf("listener %q: %w", l.Name, err)
		}
	}
	return out, nil
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		_ = l.Close()
	}
}

// engineOptions are the parameters of the configuration and what else it says
// about the engine, but for the stages and targets, which plugged.pipeline makes.
func engineOptions(cfg *config.Config, log hclog.Logger) core.Options {
	o := cfg.Engine
	o.Keep, o.DecodeStages, o.VerifyDecode = cfg.Check.Keep, decodeStages(), cfg.Check.Verify
	o.ReadOnly, o.Logger, o.Version = cfg.ReadOnly, log, version
	o.Users, o.ACLFile = nil, "" // see addUsers
	return o
}

// addUsers adds who the clients may be, which only a daemon has to know.
func addUsers(cfg *config.Config, o *core.Options) (done func(), err error) {
	o.Users, o.ACLFile = cfg.Engine.Users, cfg.Engine.ACLFile
	if o.ACLFile == "" {
		return func() {}, nil
	}
	dir := filepath.Dir(o.ACLFile)
	if _, err := os.Stat(dir); err != nil { // opening it would make it
		return nil, fmt.Errorf("acl_file: %w", err)
	}
	fs, err := osfs.New(dir)
	if err != nil {
		return nil, fmt.Errorf("acl_file: %w", err)
	}
	o.ACLFS = fs
	return func() {
		if c, ok := fs.(io.Closer); ok {
			_ = c.Close()
		}
	}, nil
}

// decodeStages are stages that need no configuration to be undone, so that a
// checkpoint written with one loads after the stage was taken out of the file.
func decodeStages() (out []sink.Stage) {
	for _, mk := range []func() (sink.Stage, error){
		func() (sink.Stage, error) { return zstd.New(zstd.Options{}) },
		func() (sink.Stage, error) { return lz4.New(lz4.Options{}) },
		func() (sink.Stage, error) { return gzip.New(gzip.Options{}) },
	} {
		s, err := mk()
		if err != nil {
			panic(err) // the zero options are valid: a test says so
		}
		out = append(out, s)
	}
	return out
}
