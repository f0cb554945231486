package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/plugins/age"
	"github.com/spillwaydb/spillway/plugins/blob"
	"github.com/spillwaydb/spillway/plugins/middleware"
	"github.com/spillwaydb/spillway/plugins/sftp"
)

// sourceFlags are the flags of the commands that read backups.
type sourceFlags struct {
	o        overrides
	from     []string
	at       string
	lineage  string
	older    bool
	identity string
	parallel int
	rate     rateFlag
	json     bool
	quiet    bool
}

const fromHelp = "where the backup is: a sink of the configuration by its name, a directory, or a URL\n(file:///…, s3://…, gs://…, azblob://…, sftp://…)"

func (s *sourceFlags) register(cmd *cobra.Command, from string) {
	f := cmd.Flags()
	f.StringVar(&s.o.config, "config", "", "configuration file, for its sinks and stages (default: plugins.hcl, if it is there)")
	f.StringArrayVar(&s.from, "from", nil, fromHelp+"; "+from+".\nGive it again for what is elsewhere, such as the archived log")
	f.StringVar(&s.identity, "identity", "", "file with the age identity that the backup is encrypted to")
	f.IntVar(&s.parallel, "parallel", 4, "parts read at the same time")
	s.rate.register(f, "read")
	f.BoolVar(&s.json, "json", false, "print JSON")
	f.BoolVar(&s.quiet, "quiet", false, "show no progress")
}

func (s *sourceFlags) registerAt(cmd *cobra.Command, def, help string) {
	cmd.Flags().StringVar(&s.lineage, "lineage", "", "of the data directories whose backups are there, the one that is meant: its lineage or the first digits of it")
	cmd.Flags().BoolVar(&s.older, "allow-older", false, "take what there is when a set that cannot be read, or a missing log segment, keeps it from what was asked for")
	cmd.Flags().StringVar(&s.at, "at", def, help+`: latest, the generation of a checkpoint, or a time ("2006-01-02T15:04:05Z", "2006-01-02 15:04:05", Unix seconds)`)
}

// moment is --at.
func (s *sourceFlags) moment() (backup.At, error) {
	at, err := backup.ParseAt(s.at, time.Local)
	if err != nil {
		return at, usageError{fmt.Errorf("--at: %w", err)}
	}
	at.Lineage = strings.ToLower(s.lineage)
	return at, nil
}

// reached refuses a point that is not what was asked for, unless the user takes
// what there is, and is told.
func (s *sourceFlags) reached(cmd *cobra.Command, p *backup.Point) error {
	err := p.Reached()
	if err == nil {
		return nil
	}
	if !s.older {
		return fmt.Errorf("%w\nWith --allow-older that is taken", err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "spillway: WARNING: %v\n", err)
	return nil
}

// source is a place that backups are in, and the stages to undo what they went
// through.
type source struct {
	sink.Sink
	where  string
	stages *sink.Registry
	cfg    *config.Config
	log    hclog.InterceptLogger
	rate   *middleware.Rate
	data   vfs.FS         // of a data directory
	keep   sink.Retention // of a sink of the configuration
	closes []func()
}

func (s *source) close() {
	for i := len(s.closes) - 1; i >= 0; i-- {
		s.closes[i]()
	}
}

// open reads the configuration and opens what --from says; with dataDir, the
// configuration's data directory if it says nothing. The caller closes it.
func (s *sourceFlags) open(cmd *cobra.Command, dataDir bool) (*source, error) {
	cfg, err := s.o.read(cmd)
	if err != nil {
		return nil, err
	}
	if s.o.dir != "" {
		cfg.Data = config.Filesystem{Kind: "os", Name: "data", Root: s.o.dir}
	}
	if s.parallel < 1 {
		return nil, usageError{fmt.Errorf("--parallel %d: want at least 1", s.parallel)}
	}
	cfg.Log.Level = "warn"
	src := &source{cfg: cfg, log: newLogger(cfg.Log), rate: s.rate.rate}
	plugged, err := plug(cfg, src.log, nil)
	if err != nil {
		return nil, err
	}
	src.closes = append(src.closes, func() { plugged.close(src.log) })
	if src.stages, err = decoders(cfg, plugged, s.identity); err == nil {
		err = src.openAll(cmd.Context(), plugged, s.from, dataDir)
	}
	if err != nil {
		src.close()
		return nil, err
	}
	return src, nil
}

// decoders are the stages that can be undone: those that need no configuration,
// those of the configuration, and age with the identity of a file.
func decoders(cfg *config.Config, plugged *plugged, identity string) (*sink.Registry, error) {
	known := sink.NewRegistry(decodeStages()...)
	known.Register(age.Name, func() (sink.Stage, error) {
		return nil, sink.Permanent(fmt.Errorf("%w: it is encrypted: --identity FILE, or a configuration with the identity, is needed to read it", sink.ErrNoKey))
	})
	for _, pl := range []*config.Pipeline{&cfg.Archive.Pipeline, &cfg.Check} { // of one name the checkpoint's counts
		for _, c := range pl.Stages {
			s := c.BuiltIn
			if u := plugged.stages[member(pl, c.Name)]; u != nil {
				s = u.stage
			}
			known.Register(c.Name, func() (sink.Stage, error) { return s, nil })
		}
	}
	if identity == "" {
		return known, nil
	}
	key, err := os.ReadFile(filepath.Clean(identity))
	if err != nil {
		return nil, usageError{fmt.Errorf("--identity: %w", err)}
	}
	s, err := age.New(age.Options{Identities: []string{string(key)}})
	if err != nil {
		return nil, usageError{fmt.Errorf("--identity %s: %w", identity, err)}
	}
	known.Register(age.Name, func() (sink.Stage, error) { return s, nil })
	return known, nil
}

// openAll opens every --from, as one source.
func (s *source) openAll(ctx context.Context, plugged *plugged, from []string, dataDir bool) error {
	if len(from) == 0 && dataDir {
		return s.openDir(s.cfg.Data.Root)
	}
	if len(from) == 0 {
		return s.openFrom(ctx, plugged, "")
	}
	var sources []sink.Sink
	var where []string
	for _, f := range from {
		if err := s.openFrom(ctx, plugged, f); err != nil {
			return err
		}
		sources, where = append(sources, s.Sink), append(where, s.where)
	}
	s.Sink, s.where = backup.Union(sources...), strings.Join(where, " and ")
	return nil
}

// openFrom opens a sink of the configuration, or what a path or URL names. With
// "" it is the configuration's only sink beside the data directory, and where
// the log is archived.
func (s *source) openFrom(ctx context.Context, plugged *plugged, from string) error {
	var names, where []string
	var sources []sink.Sink
	only := from == "" && len(s.cfg.Check.Mirrors) == 1
	for i, pl := range s.cfg.Pipelines() {
		for _, m := range pl.Mirrors {
			if !slices.Contains(names, m.Name) {
				names = append(names, m.Name)
			}
			if m.Name != from && !only {
				continue
			}
			sk, err := plugged.open(pl, m, s.rate, s.log)
			if err != nil {
				return err
			}
			sources, where = append(sources, sk), append(where, "sink "+pl.Shown(m.Name))
			if i == 0 {
				s.keep = m.Keep
			}
		}
	}
	switch {
	case len(sources) > 0:
		s.Sink, s.where = backup.Union(sources...), strings.Join(where, " and ")
		return nil
	case from == "" && len(names) == 0:
		return usageError{errors.New("--from: say where the backup is; the configuration has no sink beside the data directory")}
	case from == "":
		return usageError{fmt.Errorf("--from: say which sink, there are %s", strings.Join(names, ", "))}
	}
	return s.openURL(ctx, from, names)
}

// openURL opens a source by its address alone. The schemes are here.
func (s *source) openURL(ctx context.Context, from string, names []string) error {
	scheme, _, found := strings.Cut(from, "://")
	switch {
	case !found:
		if !strings.ContainsAny(from, `/\.`) {
			if _, err := os.Stat(from); err != nil {
				return usageError{fmt.Errorf("--from %q: there is no sink and no directory of that name.%s", from, config.DidYouMean(from, names))}
			}
		}
		return s.openDir(from)
	case scheme == "file":
		u, err := url.Parse(from)
		if err != nil || u.Host != "" && u.Host != "localhost" {
			return usageError{fmt.Errorf("--from %q: want file:///absolute/path", from)}
		}
		return s.openDir(u.Path)
	}
	open, ok := map[string]func(ctx context.Context, name, rawURL string) (sink.Sink, error){
		"s3": blob.Open, "gs": blob.Open, "azblob": blob.Open, "sftp": sftp.Open,
	}[scheme]
	if !ok {
		return usageError{fmt.Errorf("--from %q: no source has the scheme %q; there are file, s3, gs, azblob and sftp", redactURL(from), scheme)}
	}
	s.where = redactURL(from)
	remote, err := open(ctx, scheme, from)
	if err != nil {
		return err
	}
	if c, ok := remote.(io.Closer); ok {
		s.closes = append(s.closes, func() { _ = c.Close() }) // it was only read from
	}
	s.Sink = s.limited(remote)
	return nil
}

// openDir opens a directory: a sink's, or a data directory.
func (s *source) openDir(dir string) error {
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return usageError{fmt.Errorf("%s is not a directory: there is no backup", dir)} // and none is to be made
	}
	fs, err := config.OpenFS(dir)
	if err != nil {
		return err
	}
	s.where = dir
	if err := manifest.RefuseMarked(fs); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	is, err := backup.IsDataDir(fs)
	if err != nil {
		return err
	}
	if is {
		s.Sink, s.data = s.limited(backup.DataDir(dir, fs)), fs
		return nil
	}
	there, err := vfs.Exists(fs, sink.SetsDir)
	if err != nil {
		return err
	}
	if !there {
		return usageError{fmt.Errorf("%s holds no backup: it has neither a MANIFEST nor a directory checkpoints", dir)}
	}
	s.Sink = s.limited(sink.NewFSSink(dir, fs, sink.SetsDir))
	return nil
}

// tell has the running daemon know what a tool has found.
func (s *sourceFlags) tell(cmd *cobra.Command, at daemonAt, words ...any) error {
	from := overrides{config: s.o.config}
	cfg, err := from.read(cmd)
	if err != nil {
		return err
	}
	_, err = at.ask(cmd.Context(), cfg, statusPatience, append([]any{"SPILLWAY.STATUS"}, words...)...)
	return err
}

// limited is a sink at the rate that the command line says, if it says one.
func (s *source) limited(from sink.Sink) sink.Sink {
	if s.rate == nil {
		return from
	}
	return middleware.Sink(from, middleware.Limit(s.rate))
}

// noBackup adds to an error about what is not there how to see what is.
func noBackup(err error) error {
	if errors.Is(err, backup.ErrNoCheckpoint) {
		return fmt.Errorf("%w (`spillway inspect --from …` shows what there is)", err)
	}
	if errors.Is(err, backup.ErrLineages) {
		return fmt.Errorf("%w (with --lineage)", err)
	}
	return err
}
