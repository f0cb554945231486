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
	"github.com/spf13/pflag"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/param"
)

// defaultConfig is read when no -config is given and it is there.
const defaultConfig = "plugins.hcl"

// overrides are the flags of serve and check, with Redis's names.
type overrides struct {
	config     string
	bind       string
	port       int
	tls        tlsFlags
	unixSocket string
	dir        string
	logLevel   string
	logFormat  string

	plugins    bool     // their programs are to be there, and the pinned ones
	listens    bool     // the addresses are to be such as can be listened on
	servant    *servant // not nil: the daemon may have started the tool
	jsonErrors bool     // what is wrong with the file goes to stdout, as JSON
	asError    bool     // what is wrong with the file is the error, in one line

	busy []string // addresses that somebody listens on already
}

func (o *overrides) register(cmd *cobra.Command) {
	o.plugins = true
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration file (default: plugins.hcl, if it is there)")
	f.StringVar(&o.bind, "bind", "", `addresses to listen on, separated by spaces; "" for none`)
	f.IntVar(&o.port, "port", 0, "TCP port; 0 listens on no TCP port")
	o.tls.register(f)
	f.StringVar(&o.unixSocket, "unixsocket", "", "path of a Unix socket to listen on")
	f.StringVar(&o.dir, "dir", "", "data directory")
	for _, p := range config.Params() {
		if p.Flag() != "" {
			f.Var(&paramFlag{param: p}, p.Flag(), usageOf(p))
		}
	}
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
	if o.servant != nil && o.servant.on {
		cfg, file, err := o.servant.config()
		if err == nil && cfg == nil {
			err = o.report(cmd, "the daemon's configuration", file)
		}
		return cfg, file, err
	}
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
	if o.asError {
		return file.Err()
	}
	if o.jsonErrors && file.Failed() {
		if err := writeJSON(cmd.OutOrStdout(), map[string]any{"config": path, "diagnostics": file.Diagnostics()}); err != nil {
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

// paramFlag holds what the flag of a parameter is given, which can only be judged
// when the file has been read.
type paramFlag struct {
	param *param.Param
	text  string
}

var _ pflag.Value = (*paramFlag)(nil)

// String implements pflag.Value.
func (f *paramFlag) String() string { return f.text }

// Set implements pflag.Value.
func (f *paramFlag) Set(text string) error { f.text = text; return nil }

// Type implements pflag.Value: what help calls the value.
func (f *paramFlag) Type() string {
	if _, number := f.param.Type.(param.Int); number {
		return "int"
	}
	return "string"
}

// usageOf is the line of help about a parameter: its documentation, as help words
// it, and what values there are.
func usageOf(p *param.Param) string {
	doc := strings.TrimSuffix(p.Doc, ".")
	if word, _, _ := strings.Cut(doc, " "); word != strings.ToUpper(word) { // SLOWLOG stays
		doc = strings.ToLower(doc[:1]) + doc[1:]
	}
	return doc + " (" + p.Type.Want() + ")"
}

func (o *overrides) apply(cmd *cobra.Command, c *config.Config) error {
	given := func(name string) bool { return cmd.Flags().Changed(name) }
	own := &config.Config{Listen: slices.Clone(c.OwnListeners())}
	if err := errors.Join(o.listeners(given, c), o.listeners(given, own)); err != nil {
		return err
	}
	c.SetOwnListeners(own.Listen)
	if given("dir") {
		if err := wantDataDir("--dir", o.dir); err != nil {
			return err
		}
		c.Data = config.Filesystem{Kind: "os", Name: "data", Root: o.dir}
	}
	for _, p := range config.Params() {
		if p.Flag() != "" && given(p.Flag()) {
			if err := c.SetFlag(p, cmd.Flags().Lookup(p.Flag()).Value.String()); err != nil {
				return err
			}
		}
	}
	if given("loglevel") {
		level, ok := logLevels[strings.ToLower(o.logLevel)]
		if !ok {
			return fmt.Errorf("--loglevel %q: want debug, verbose, notice or warning", o.logLevel)
		}
		c.SetLevel(level)
	}
	if given("log-format") {
		if o.logFormat != "text" && o.logFormat != "json" {
			return fmt.Errorf("--log-format %q: want text or json", o.logFormat)
		}
		c.Log.JSON = o.logFormat == "json"
	}
	return nil
}

// listeners applies the flags about listeners.
func (o *overrides) listeners(given func(string) bool, c *config.Config) error {
	if err := o.tls.apply(given, o.bind, c); err != nil {
		return err
	}
	if given("bind") || given("port") {
		if err := o.applyListeners(given, c); err != nil {
			return err
		}
	}
	if given("unixsocket") {
		c.Listen = append(slices.DeleteFunc(c.Listen, func(l config.Listener) bool { return l.Network == "unix" }),
			config.Listener{Name: "flag", Network: "unix", Address: o.unixSocket})
	}
	return nil
}

// logLevels maps Redis's names and hclog's to hclog's.
var logLevels = map[string]string{
	"trace": "trace", "debug": "debug", "verbose": "debug", "notice": "info", "info": "info",
	"warning": "warn", "warn": "warn", "error": "error",
}

// applyListeners replaces the TCP listeners without TLS by those of --bind and --port;
// what is not given is taken from the first one.
func (o *overrides) applyListeners(given func(string) bool, c *config.Config) error {
	host, port := "127.0.0.1", "6380"
	for _, l := range c.Listen {
		if plainTCP(l) {
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
		c.Server.Bind = o.bind
	}
	c.Listen = slices.DeleteFunc(c.Listen, plainTCP)
	if port == "0" {
		return nil
	}
	c.Listen = append(c.Listen, config.ListenersAt(hosts, port, config.Listener{Name: "flag"})...)
	return nil
}

func plainTCP(l config.Listener) bool { return l.Network == "tcp" && l.TLS == nil }

// wantDataDir refuses the place that a flag names when it is one that cannot hold
// a data directory.
func wantDataDir(flag, dir string) error {
	if err := config.RequireDataFS(dir); err != nil {
		return usageError{fmt.Errorf("%s %s: %w", flag, redactURL(dir), err)}
	}
	return nil
}
