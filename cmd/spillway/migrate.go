package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/redis/go-redis/v9"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

// pollEvery is how often a migration asks both sides how far they are.
const pollEvery = 100 * time.Millisecond

func migrateCommand() *cobra.Command {
	var m migration
	cmd := &cobra.Command{
		Use: "migrate --from redis://SOURCE", Short: "Watch a migration from a running Redis, and cut over", Args: noArgs,
		Long: "migrate looks at a server and at the daemon that takes over its data (spillway serve --migrate-from), and\n" +
			"tells how far the daemon is behind. With --cutover it ends the migration: it has the source hold back\n" +
			"writes (CLIENT PAUSE WRITE), waits until nothing is missing, compares what both hold, and makes\n" +
			"the daemon its own master (REPLICAOF NO ONE). When anything is not as it should be it lets the source go on,\n" +
			"and the daemon goes on following. Exit status 1 says so.\n\n" +
			"Passwords need not be in the URLs, which everybody on the machine can see: " + importPasswordEnv + " of the\n" +
			"environment is the source's, " + passwordEnv + " the daemon's.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer interruptible(cmd)()
			return m.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.from, "from", "", "the source: redis://[user:password@]host[:port], rediss:// with TLS")
	f.StringVar(&m.to, "to", "redis://127.0.0.1:6380", "the daemon")
	m.fromTrust.register(f, "", ", of the source")
	m.toTrust.register(f, "to-", ", of the daemon")
	f.BoolVar(&m.cutover, "cutover", false, "end the migration as soon as the daemon is not behind")
	f.BoolVar(&m.noPause, "no-pause", false, "with --cutover, do not hold back the source's writes: nobody writes there any more")
	f.DurationVar(&m.pause, "pause", time.Minute, "with --cutover, how long the source holds back writes: the time for the rest and for moving the clients")
	f.IntVar(&m.sample, "sample", 1000, "with --cutover, how many random keys are compared, value and deadline")
	f.DurationVar(&m.interval, "interval", progressEvery, "how often a line is written where there is no terminal")
	f.BoolVar(&m.once, "once", false, "say it once; exit status 1 unless the daemon follows and has the dataset")
	f.BoolVar(&m.json, "json", false, "print JSON, a line each time")
	f.BoolVar(&m.quiet, "quiet", false, "show no progress")
	return cmd
}

type migration struct {
	from, to           string
	fromTrust, toTrust trust
	cutover, noPause   bool
	once, json, quiet  bool
	pause, interval    time.Duration
	sample             int

	source, target *redis.Client
	out            io.Writer
}

// standing is where a migration stands.
type standing struct {
	From         string `json:"from"`
	To           string `json:"to"`
	State        string `json:"state"`         // starting, dataset, following, down, stopped, cut over
	SourceOffset int64  `json:"source_offset"` // master_repl_offset
	Offset       int64  `json:"offset"`        // up to which the daemon has everything
	Behind       int64  `json:"behind"`        // bytes of the stream
	SyncRead     int64  `json:"dataset_read,omitempty"`
	SyncTotal    int64  `json:"dataset_bytes,omitempty"`
	Error        string `json:"error,omitempty"`
}

func (m *migration) run(cmd *cobra.Command) (err error) {
	if m.from == "" {
		return usageError{errors.New("migrate wants --from: spillway migrate --from redis://SOURCE --to redis://DAEMON")}
	}
	if m.pause < time.Second || m.sample < 0 || m.interval <= 0 {
		return usageError{errors.New("want a --pause of a second at least, a --sample that is not negative, and an --interval")}
	}
	m.out = cmd.OutOrStdout()
	if m.source, err = clientOf(m.from, m.fromTrust, importPasswordEnv); err != nil {
		return err
	}
	defer func() { _ = m.source.Close() }()
	if m.target, err = clientOf(m.to, m.toTrust, passwordEnv); err != nil {
		return err
	}
	defer func() { _ = m.target.Close() }()
	ctx := cmd.Context()
	switch {
	case m.once:
		return m.sayOnce(ctx)
	case m.cutover:
		return m.cut(ctx)
	}
	_, err = m.watch(ctx, func(standing) bool { return false })
	if ctx.Err() != nil {
		return nil // told to stop
	}
	return err
}

// clientOf is a client of the server at a URL. A password that the URL lacks is in the
// environment's variable of that name, where that is set.
func clientOf(rawURL string, t trust, variable string) (*redis.Client, error) {
	s, err := sourceAt(rawURL, t)
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(rawURL); err == nil {
		if _, given := u.User.Password(); !given {
			if password, there := os.LookupEnv(variable); there {
				s.Password = password
			}
		}
	}
	return redis.NewClient(&redis.Options{
		Addr: s.Address, Username: s.Username, Password: s.Password, TLSConfig: s.TLS,
		MaxRetries: -1, DisableIdentity: true, Protocol: 2, ContextTimeoutEnabled: true, ReadTimeout: 30 * time.Second,
	}), nil
}

func (m *migration) sayOnce(ctx context.Context) error {
	s, err := m.look(ctx)
	if err != nil {
		return err
	}
	if m.json {
		err = json.NewEncoder(m.out).Encode(s)
	} else {
		_, err = fmt.Fprintln(m.out, s)
	}
	if err == nil && s.State != "following" {
		err = errReported
	}
	return err
}

// look asks both sides.
func (m *migration) look(ctx context.Context) (standing, error) {
	s := standing{From: redactURL(m.from), To: redactURL(m.to)}
	target, err := replicationOf(ctx, m.target)
	if err != nil {
		return s, fmt.Errorf("the daemon at %s: %w", s.To, err)
	}
	source, err := replicationOf(ctx, m.source)
	if err != nil {
		return s, fmt.Errorf("the source at %s: %w", s.From, err)
	}
	if target["role"] != "slave" {
		return s, fmt.Errorf("the daemon at %s follows nobody: it was cut over, or started without --migrate-from", s.To)
	}
	s.SourceOffset, s.Offset = numberIn(source["master_repl_offset"]), numberIn(target["slave_repl_offset"])
	s.SyncRead, s.SyncTotal = numberIn(target["master_sync_read_bytes"]), numberIn(target["master_sync_total_bytes"])
	s.Error = target["master_link_error"]
	switch {
	case target["master_link_stopped"] == "1":
		s.State = "stopped"
	case target["master_sync_in_progress"] == "1":
		s.State = "dataset"
	case target["master_link_status"] != "up" && s.Error == "":
		s.State = "starting"
	case target["master_link_status"] != "up":
		s.State = "down"
	case target["master_replid"] != source["master_replid"]:
		return s, fmt.Errorf("the daemon at %s follows another server, at %s:%s", s.To, target["master_host"], target["master_port"])
	default:
		s.State = "following"
		s.Behind = max(s.SourceOffset-s.Offset, 0)
	}
	return s, nil
}

// String is for people.
func (s standing) String() string {
	switch s.State {
	case "following":
		return fmt.Sprintf("following %s: %s behind (offset %d of %d)", s.From, size(s.Behind), s.Offset, s.SourceOffset)
	case "dataset":
		if s.SyncTotal > 0 {
			return fmt.Sprintf("taking over the dataset of %s: %s of %s", s.From, size(s.SyncRead), size(s.SyncTotal))
		}
		return fmt.Sprintf("taking over the dataset of %s: %s", s.From, size(s.SyncRead))
	case "stopped":
		return "stopped: " + s.Error
	case "down":
		return fmt.Sprintf("the link to %s is down: %s", s.From, s.Error)
	}
	return "the link to " + s.From + " is being made"
}

// watch shows where the migration stands until enough says that it will do.
func (m *migration) watch(ctx context.Context, enough func(standing) bool) (standing, error) {
	tell, every, end := m.teller()
	defer end()
	var told time.Time
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for {
		s, err := m.look(ctx)
		if err != nil {
			return s, err
		}
		if enough(s) {
			return s, nil
		}
		if s.State == "stopped" {
			return s, fmt.Errorf("the daemon does not follow any more: %s", s.Error)
		}
		if time.Since(told) >= every {
			told = time.Now()
			tell(s)
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-t.C:
		}
	}
}

// teller is how progress is shown: a bar on a terminal, lines elsewhere.
func (m *migration) teller() (tell func(standing), every time.Duration, end func()) {
	switch {
	case m.json && !m.cutover:
		enc := json.NewEncoder(m.out)
		return func(s standing) { _ = enc.Encode(s) }, m.interval, func() {}
	case m.quiet:
		return func(standing) {}, m.interval, func() {}
	case isatty.IsTerminal(os.Stderr.Fd()):
		var worst atomic.Int64 // lag there has been: the bar is full when it is made up for
		b := progressbar.NewOptions64(1, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false))
		return func(s standing) {
			b.Describe(s.String())
			if s.State == "dataset" {
				b.ChangeMax64(max(s.SyncTotal, s.SyncRead+1))
				_ = b.Set64(s.SyncRead)
				return
			}
			worst.Store(max(worst.Load(), s.Behind, 1))
			b.ChangeMax64(worst.Load())
			_ = b.Set64(worst.Load() - s.Behind)
		}, pollEvery, func() { _ = b.Finish() }
	}
	return func(s standing) { fmt.Fprintln(os.Stderr, s) }, m.interval, func() {}
}

// replicationOf is INFO replication.
func replicationOf(ctx context.Context, c *redis.Client) (map[string]string, error) {
	text, err := c.Info(ctx, "replication").Result()
	if err != nil {
		return nil, err
	}
	return infoFields(text), nil
}

func infoFields(text string) map[string]string {
	out := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			out[name] = value
		}
	}
	return out
}

func numberIn(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0 // it is not there
	}
	return n
}
