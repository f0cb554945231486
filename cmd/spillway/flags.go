package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/wal"
)

// defaultConfig is read when no -config is given and it is there.
const defaultConfig = "plugins.hcl"

// overrides are the flags of serve and check, with Redis's names.
type overrides struct {
	config      string
	bind        string
	port        int
	unixSocket  string
	dir         string
	shards      int
	appendOnly  string
	appendFsync string
	save        string
	maxMemory   string
	requirePass string
	logLevel    string
	logFormat   string

	plugins    bool // their programs are to be there, and the pinned ones
	listens    bool // the addresses are to be such as can be listened on
	jsonErrors bool // what is wrong with the file goes to stdout, as JSON

	busy []string // addresses that somebody listens on already
}

func (o *overrides) register(cmd *cobra.Command) {
	o.plugins = true
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration file (default: plugins.hcl, if it is there)")
	f.StringVar(&o.bind, "bind", "", `addresses to listen on, separated by spaces; "" for none`)
	f.IntVar(&o.port, "port", 0, "TCP port; 0 listens on no TCP port")
	f.StringVar(&o.unixSocket, "unixsocket", "", "path of a Unix socket to listen on")
	f.StringVar(&o.dir, "dir", "", "data directory")
	f.IntVar(&o.shards, "shards", 0, fmt.Sprintf("number of shards, 1 to %d; each is a file of every checkpoint", core.MaxShards))
	f.StringVar(&o.appendOnly, "appendonly", "", "keep a log: yes or no")
	f.StringVar(&o.appendFsync, "appendfsync", "", "always, everysec or no")
	f.StringVar(&o.save, "save", "", `save points, as in "3600 1 300 100"; "" for none`)
	f.StringVar(&o.maxMemory, "maxmemory", "", `bound on keys and values, as in "4gb"`)
	f.StringVar(&o.requirePass, "requirepass", "", "password of the default user (visible in the process list: prefer SPILLWAY_PASSWORD)")
	f.StringVar(&o.logLevel, "loglevel", "", "debug, verbose, notice or warning; also trace, info, warn, error")
	f.StringVar(&o.logFormat, "log-format", "", "text or json")
}

// load reads the configuration, applies the flags that were given, and looks at
// what it names on this machine. What is wrong is reported on stderr.
func (o *overrides) load(cmd *cobra.Command) (*config.Config, error) {
	cfg, file, err := o.parse(cmd)
	if err != nil {
		return nil, err
	}
	if err := o.apply(cmd, cfg); err != nil {
		return nil, usageError{err}
	}
	if len(cfg.Listen) == 0 {
		return nil, usageError{errors.New("no listener: nothing could reach the server")}
	}
	if o.plugins {
		file.Verify(cfg)
	}
	if o.listens {
		o.busy, _ = file.VerifyListeners(cfg)
	}
	return cfg, o.report(cmd, cfg.Path, file)
}

// read is load without the flags.
func (o *overrides) read(cmd *cobra.Command) (*config.Config, error) {
	cfg, file, err := o.parse(cmd)
	if err != nil {
		return nil, err
	}
	if o.plugins {
		file.Verify(cfg)
	}
	return cfg, o.report(cmd, cfg.Path, file)
}

// parse reads the file, and reports when that gives no configuration.
func (o *overrides) parse(cmd *cobra.Command) (*config.Config, *config.File, error) {
	path := o.config
	if path == "" {
		path = defaultConfig
	}
	src, err := os.ReadFile(filepath.Clean(path))
	if errors.Is(err, fs.ErrNotExist) && o.config == "" {
		path, src, err = "", nil, nil // an empty file is all defaults
	}
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("reading the configuration: %w", err)}
	}
	cfg, file := config.Parse(path, src)
	if cfg == nil {
		return nil, nil, o.report(cmd, path, file)
	}
	return cfg, file, nil
}

// report shows what is known against a configuration; errors are a mistake.
func (o *overrides) report(cmd *cobra.Command, path string, file *config.File) error {
	if o.jsonErrors && file.Failed() {
		if err := encode(cmd.OutOrStdout(), map[string]any{"config": path, "diagnostics": file.Diagnostics()}); err != nil {
			return err
		}
		return usageError{errReported}
	}
	w := cmd.ErrOrStderr()
	errs, err := file.Report(w, 100, isatty.IsTerminal(os.Stderr.Fd()))
	if err != nil {
		return err
	}
	if errs > 0 {
		if path == "" {
			path = "the command line" // the defaults have no errors
		}
		fmt.Fprintf(w, "%s: %d error(s); nothing was started.\n", path, errs)
		return usageError{errReported}
	}
	return nil
}

func (o *overrides) apply(cmd *cobra.Command, c *config.Config) error {
	given := func(name string) bool { return cmd.Flags().Changed(name) }
	if given("bind") || given("port") {
		if err := o.applyListeners(given, c); err != nil {
			return err
		}
	}
	if given("unixsocket") {
		c.Listen = append(slices.DeleteFunc(c.Listen, func(l config.Listener) bool { return l.Network == "unix" }),
			config.Listener{Name: "flag", Network: "unix", Address: o.unixSocket})
	}
	if given("dir") {
		if err := wantDataDir("--dir", o.dir); err != nil {
			return err
		}
		c.Data = config.Filesystem{Kind: "os", Name: "data", Root: o.dir}
	}
	if given("shards") {
		if o.shards < 1 || o.shards > core.MaxShards {
			return fmt.Errorf("--shards %d: want 1 to %d", o.shards, core.MaxShards)
		}
		c.Server.Shards = o.shards
	}
	if given("appendonly") {
		switch o.appendOnly {
		case "yes", "no":
			c.Server.AppendOnly = o.appendOnly == "yes"
		default:
			return fmt.Errorf("--appendonly %q: want yes or no", o.appendOnly)
		}
	}
	if given("appendfsync") {
		p, err := wal.ParsePolicy(o.appendFsync)
		if err != nil {
			return fmt.Errorf("--appendfsync %q: want always, everysec or no", o.appendFsync)
		}
		c.Server.Fsync = p
	}
	if given("save") {
		points, err := core.ParseSavePoints(o.save)
		if err != nil {
			return fmt.Errorf("--save: %w", err)
		}
		c.Server.Save = points
	}
	if given("maxmemory") {
		n, err := core.ParseMemory(o.maxMemory)
		if err != nil {
			return fmt.Errorf("--maxmemory %q: want a size, as in 512mb", o.maxMemory)
		}
		c.Server.MaxMemory = n
	}
	if given("requirepass") {
		c.Server.RequirePass = o.requirePass
	}
	if given("loglevel") {
		level, ok := logLevels[strings.ToLower(o.logLevel)]
		if !ok {
			return fmt.Errorf("--loglevel %q: want debug, verbose, notice or warning", o.logLevel)
		}
		c.Log.Level = level
	}
	if given("log-format") {
		if o.logFormat != "text" && o.logFormat != "json" {
			return fmt.Errorf("--log-format %q: want text or json", o.logFormat)
		}
		c.Log.JSON = o.logFormat == "json"
	}
	return nil
}

// logLevels maps Redis's names and hclog's to hclog's.
var logLevels = map[string]string{
	"trace": "trace", "debug": "debug", "verbose": "debug", "notice": "info", "info": "info",
	"warning": "warn", "warn": "warn", "error": "error",
}

// applyListeners replaces the TCP listeners by those of --bind and --port;
// what is not given is taken from the first one.
func (o *overrides) applyListeners(given func(string) bool, c *config.Config) error {
	host, port := "127.0.0.1", "6380"
	for _, l := range c.Listen {
		if l.Network == "tcp" {
			h, p, err := net.SplitHostPort(l.Address)
			if err != nil {
				return fmt.Errorf("listener %q: %w", l.Name, err)
			}
			host, port = h, p
			break
		}
	}
	if given("port") {
		if o.port < 0 || o.port > 65535 {
			return fmt.Errorf("--port %d: want 0 to 65535", o.port)
		}
		port = strconv.Itoa(o.port)
	}
	hosts := []string{host}
	if given("bind") {
		hosts = strings.Fields(o.bind)
	}
	c.Listen = slices.DeleteFunc(c.Listen, func(l config.Listener) bool { return l.Network == "tcp" })
	if port == "0" {
		return nil
	}
	for _, h := range hosts {
		if h == "*" {
			h = ""
		}
		c.Listen = append(c.Listen, config.Listener{Name: "flag", Network: "tcp", Address: net.JoinHostPort(h, port)})
	}
	return nil
}

// wantDataDir refuses the place that a flag names when it is one that cannot hold
// a data directory.
func wantDataDir(flag, dir string) error {
	if err := config.RequireDataFS(dir); err != nil {
		return usageError{fmt.Errorf("%s %s: %w", flag, redactURL(dir), err)}
	}
	return nil
}
