package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/apply"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/follow"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/vfs"
)

// imported is what `import --json` prints.
type imported struct {
	From     string   `json:"from"`
	To       string   `json:"to"`
	Keys     int64    `json:"keys"` // in the new data directory
	Commands int64    `json:"commands"`
	Bytes    int64    `json:"bytes"`
	CutAt    *int64   `json:"cut_at,omitempty"` // where an unfinished end was left out
	Skipped  int64    `json:"skipped"`
	Examples []string `json:"examples,omitempty"` // of what was skipped, the first ones
}

// maxExamples bounds what is told of skipped keys.
const maxExamples = 20

func importCommand() *cobra.Command {
	var m importer
	cmd := &cobra.Command{
		Use: "import dump.rdb|appendonly.aof|appendonlydir|redis://host[:port]", Short: "Make a data directory of a Redis's data",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("import takes one source, not %d", len(args))}
			}
			return nil
		},
		Long: "import reads an RDB file, an append-only file, the directory of one with its manifest, or the dataset of\n" +
			"a running Redis (as a replica does; rediss:// with TLS), and makes a new data directory of it, through the\n" +
			"stages of the configuration. Modules are refused, with the key that holds them, or\n" +
			"left out with --skip-unsupported.",
		RunE: func(cmd *cobra.Command, args []string) error {
			defer interruptible(cmd)()
			if len(args) == 1 {
				m.from = args[0]
			}
			return m.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.o.config, "config", "", "configuration file, for its stages (default: plugins.hcl, if it is there)")
	f.StringVar(&m.from, "from", "", "what to import, in place of the argument")
	f.StringVar(&m.to, "to", "", "data directory to make: new or empty")
	f.BoolVar(&m.skip, "skip-unsupported", false, "leave out what cannot be held (values and data of modules) instead of refusing it")
	m.trust.register(f, "", "")
	m.rate.register(f, "read")
	f.BoolVar(&m.json, "json", false, "print JSON")
	f.BoolVar(&m.quiet, "quiet", false, "show no progress")
	return cmd
}

type importer struct {
	o           overrides
	from, to    string
	trust       trust
	skip        bool
	json, quiet bool
	rate        rateFlag

	out      imported
	progress backup.Progress
	errOut   io.Writer
}

// input is one stream to import.
type input struct {
	name string
	src  io.ReadCloser
	last bool // it may end in the middle of a command
}

func (m *importer) run(cmd *cobra.Command) error {
	m.errOut = cmd.ErrOrStderr()
	if m.from == "" || m.to == "" {
		return usageError{errors.New("import wants a source and --to: spillway import dump.rdb --to DIR")}
	}
	if err := wantDataDir("--to", m.to); err != nil {
		return err
	}
	cfg, err := m.o.read(cmd)
	if err != nil {
		return err
	}
	cfg.Log.Level = "warn"
	log := newLogger(cfg.Log)
	plugged, err := plug(cfg, log, nil)
	if err != nil {
		return err
	}
	defer plugged.close(log)
	opts := engineOptions(cfg, log)
	opts.NoLog, opts.Save, opts.ManualTick = true, nil, true
	if opts.Stages, _, err = plugged.pipeline(&cfg.Check, cfg.Plugins, nil, log); err != nil {
		return err
	}
	if opts.FS, err = config.OpenFS(m.to); err != nil {
		return err
	}
	if err := m.clear(opts.FS); err != nil {
		return err
	}
	open, err := m.open(cmd.Context())
	if err != nil {
		return err
	}
	m.out.From, m.out.To = redactURL(m.from), m.to
	err = m.load(cmd.Context(), opts, open)
	if err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	return m.report(cmd)
}

// clear makes sure that the directory is empty. What an import that broke off
// has left is removed: it begins anew.
func (m *importer) clear(data vfs.FS) (err error) {
	if l, ok := data.(vfs.Locker); ok {
		lock, err := l.Lock(manifest.LockFile)
		if err != nil {
			return fmt.Errorf("locking the data directory: %w", err)
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	mark, err := manifest.Marked(data)
	if err != nil {
		return err
	}
	if mark != nil {
		if mark.What != importMark {
			return &manifest.UnfinishedError{Restoring: *mark}
		}
		if err := backup.Wipe(data); err != nil {
			return err
		}
		return manifest.Unmark(data)
	}
	found, err := backup.Strangers(data)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%s: %w: it holds %s; import into one that is new or empty", m.to, backup.ErrNotEmpty, strings.Join(found, ", "))
	}
	return err
}

// importMark is what the mark of a directory says that is being imported into.
const importMark = "an import"

// open finds what is to be read, in order; each is opened when its turn comes.
func (m *importer) open(ctx context.Context) ([]func() (input, error), error) {
	if strings.HasPrefix(m.from, "redis://") || strings.HasPrefix(m.from, "rediss://") {
		source, err := sourceAt(m.from, m.trust)
		if err != nil {
			return nil, err
		}
		return []func() (input, error){func() (input, error) {
			l, err := follow.Dial(ctx, source)
			if err != nil {
				return input{}, err
			}
			if _, err := l.Sync("", 0); err != nil {
				_ = l.Close() // what is to be said is why
				return input{}, err
			}
			m.progress.Total.Add(max(l.Size(), 0))
			return input{name: "redis at " + source.Address, src: l}, nil
		}}, nil
	}
	if strings.Contains(m.from, "://") {
		return nil, usageError{fmt.Errorf("%q: want a file, a directory, redis:// or rediss://", redactURL(m.from))}
	}
	st, err := os.Stat(m.from)
	if err != nil {
		return nil, usageError{err}
	}
	files := []string{m.from}
	if st.IsDir() {
		if files, err = appendOnlyFiles(m.from); err != nil {
			return nil, err
		}
	}
	var out []func() (input, error)
	for i, name := range files {
		if st, err := os.Stat(name); err == nil {
			m.progress.Total.Add(st.Size())
		}
		out = append(out, func() (input, error) {
			f, err := os.Open(filepath.Clean(name))
			return input{name: name, src: f, last: i == len(files)-1}, err
		})
	}
	return out, nil
}

// appendOnlyFiles are the files of Redis's append-only log in their order, as
// its manifest says.
func appendOnlyFiles(dir string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.manifest"))
	if err == nil && len(found) == 0 {
		found, err = filepath.Glob(filepath.Join(dir, "*", "*.manifest"))
	}
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, usageError{fmt.Errorf("%s is no directory of an append-only log: it has %d manifests (*.aof.manifest), want 1", dir, len(found))}
	}
	f, err := os.Open(found[0])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var base, incr []string
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, typ, err := manifestLine(line)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", found[0], n, err)
		}
		name = filepath.Join(filepath.Dir(found[0]), name)
		switch typ {
		case "b":
			base = append(base, name)
		case "i":
			incr = append(incr, name)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	files := slices.Concat(base, incr)
	if len(base) > 1 || len(files) == 0 {
		return nil, fmt.Errorf("%s names %d base files and %d incremental ones", found[0], len(base), len(incr))
	}
	return files, nil
}

// load fills an engine and has it take a checkpoint.
func (m *importer) load(ctx context.Context, opts core.Options, inputs []func() (input, error)) (err error) {
	db, err := core.Prepare(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := manifest.Mark(opts.FS, manifest.Restoring{Command: again(), What: importMark}); err != nil {
		return err
	}
	if err := db.Recover(ctx); err != nil {
		return err
	}
	stop := watch("importing", &m.progress, m.quiet)
	defer stop()
	for _, open := range inputs {
		if err := m.one(ctx, db, open); err != nil {
			return err
		}
	}
	if m.progress.Done.Load() == 0 {
		return fmt.Errorf("%s is empty: %w", redactURL(m.from), apply.ErrForeign)
	}
	if m.out.CutAt != nil && *m.out.CutAt == 0 && len(inputs) == 1 {
		return fmt.Errorf("%s holds no whole command: %w", m.from, apply.ErrForeign)
	}
	if err := db.Save(context.Background()); err != nil {
		return fmt.Errorf("taking the checkpoint: %w", err)
	}
	on, err := manifest.Read(opts.FS)
	if err != nil {
		return err
	}
	m.out.Keys = on.Base.Keys()
	return manifest.Unmark(opts.FS)
}

func (m *importer) one(ctx context.Context, db *core.DB, open func() (input, error)) (err error) {
	in, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.src.Close()) }()
	o := apply.ImportOptions{Truncated: in.last}
	if m.skip {
		o.Skip = m.skipped
	}
	src := io.Reader(in.src)
	if m.rate.rate != nil {
		src = m.rate.rate.Reader(ctx, src)
	}
	got, err := db.Import(ctx, countedReader{src, &m.progress}, in.name, o)
	m.out.Commands += got.Commands
	if err != nil {
		if !m.skip {
			return fmt.Errorf("%w%s", err, skipHint(err))
		}
		return err
	}
	if got.CutAt >= 0 {
		m.out.CutAt = &got.CutAt
		fmt.Fprintf(m.errOut, "spillway: %s ends in the middle of a command: it was left out, from offset %d on\n", in.name, got.CutAt)
	}
	return nil
}

// skipHint names the flag where it would help.
func skipHint(err error) string {
	if strings.Contains(err.Error(), "unsupported") {
		return "\n--skip-unsupported leaves out what cannot be held"
	}
	return ""
}

// skipped takes note of what was left out.
func (m *importer) skipped(what error) error {
	if m.out.Skipped++; len(m.out.Examples) < maxExamples {
		m.out.Examples = append(m.out.Examples, what.Error())
	}
	return nil
}

type countedReader struct {
	src io.Reader
	p   *backup.Progress
}

func (c countedReader) Read(b []byte) (int, error) {
	n, err := c.src.Read(b)
	c.p.Done.Add(int64(n))
	return n, err
}

func (m *importer) report(cmd *cobra.Command) error {
	m.out.Bytes = m.progress.Done.Load()
	w := cmd.OutOrStdout()
	if m.json {
		return writeJSON(w, m.out)
	}
	fmt.Fprintf(w, "imported %s to %s: %s, %s read\n", m.out.From, m.out.To, count(m.out.Keys, "key"), size(m.out.Bytes))
	if m.out.Skipped > 0 {
		fmt.Fprintf(w, "left out %d:\n  %s\n", m.out.Skipped, strings.Join(m.out.Examples, "\n  "))
		if m.out.Skipped > int64(len(m.out.Examples)) {
			fmt.Fprintf(w, "  and %d more\n", m.out.Skipped-int64(len(m.out.Examples)))
		}
	}
	_, err := fmt.Fprintf(w, "start it with: spillway serve --dir %s\n", m.to)
	return err
}

// manifestLine reads a line of Redis's manifest: pairs of a key and a value,
// which may be quoted.
func manifestLine(line string) (name, typ string, err error) {
	parsed, ok := resp.SplitArgs([]byte(line), nil)
	words := make([]string, len(parsed))
	for i, w := range parsed {
		words[i] = string(w)
	}
	if !ok || len(words)%2 != 0 {
		return "", "", fmt.Errorf("%q is not pairs of keys and values", line)
	}
	for i := 0; i < len(words); i += 2 {
		switch words[i] {
		case "file":
			name = words[i+1]
		case "type":
			typ = words[i+1]
		}
	}
	if name == "" || typ == "" || filepath.Base(name) != name {
		return "", "", fmt.Errorf("%q names no file of this directory", line)
	}
	return name, typ, nil
}
