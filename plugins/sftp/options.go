package sftp

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/internal/sftpconn"
	"github.com/spillwaydb/spillway/plugins/internal/option"
	"github.com/spillwaydb/spillway/plugins/internal/setstore"
)

// Name is the name by which the plugin offers the sink.
const Name = "sftp"

// Scheme is the URL scheme that the sink takes.
const Scheme = sftpconn.Scheme

const (
	version            = "1"
	defaultConcurrency = 4
)

// Options configure the sink.
type Options struct {
	// URL says which server, and where on it; see the package comment.
	URL string `json:"url"`
	// KnownHosts is a file of host keys; "" means ~/.ssh/known_hosts.
	KnownHosts string `json:"known_hosts,omitempty"`
	// KeyFile is a private key. "" means the agent's and the usual files.
	KeyFile string `json:"key_file,omitempty"`
	// Passphrase opens the key; "" means SPILLWAY_SFTP_PASSPHRASE.
	Passphrase string `json:"passphrase,omitempty"`
	// Password is what is tried last; "" means SPILLWAY_SFTP_PASSWORD.
	Password string `json:"password,omitempty"`
	// AllowUnsafeServer takes servers without posix-rename or fsync.
	AllowUnsafeServer bool `json:"allow_unsafe_server,omitempty"`
	// Concurrency is how many MiB of one part are on their way at once; 0 means
	// 4.
	Concurrency int `json:"concurrency,omitempty"`
	// Verify has each part read again after it was put.
	Verify bool `json:"verify,omitempty"`
	// Attempts is how often a small request is made; 0 means 4.
	Attempts int `json:"attempts,omitempty"`
	// Timeout bounds one attempt of a small request, connecting included; 0
	// means 30 s.
	Timeout option.Duration `json:"timeout,omitempty"`
	// StallTimeout ends an upload or a download that stands still; 0 means
	// 5 minutes.
	StallTimeout option.Duration `json:"stall_timeout,omitempty"`

	// Name is what errors call the sink; "" means "sftp".
	Name string `json:"-"`
	// Logger is told of requests that are repeated and of what a server lacks;
	// nil means hclog.Default().
	Logger hclog.Logger `json:"-"`
}

// New returns the sink. It does not connect yet: a server that cannot be reached
// is an error of the calls. The sink is an io.Closer and a sink.Sweeper.
func New(o Options) (sink.Sink, error) {
	if o.Name == "" {
		o.Name = Name
	}
	if o.Logger == nil {
		o.Logger = hclog.Default()
	}
	if o.Concurrency == 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Concurrency < 0 || o.Concurrency > 64 {
		return nil, sink.BadOption("concurrency", fmt.Errorf("sftp: concurrency is %d; want from 1 to 64", o.Concurrency))
	}
	if o.Attempts < 0 || o.Attempts > 100 {
		return nil, sink.BadOption("attempts", fmt.Errorf("sftp: attempts is %d; want from 1 to 100", o.Attempts))
	}
	p, err := sftpconn.Parse(o.URL)
	if err != nil {
		return nil, sink.BadOption("url", err)
	}
	d, err := sftpconn.New(p, sftpconn.Options{
		KnownHosts: o.KnownHosts, KeyFile: o.KeyFile, Passphrase: o.Passphrase, Password: o.Password,
		AllowUnsafeServer: o.AllowUnsafeServer, Logger: o.Logger,
	})
	if err != nil {
		return nil, sink.BadOption("key_file", err) // all that is looked at before a connection
	}
	st := &store{Place: p, pool: &pool{dial: d.Dial}, concurrency: o.Concurrency}
	return setstore.New(st, setstore.Options{
		Name: o.Name, Version: version, Attempts: o.Attempts, Timeout: o.Timeout.Or(0), Stall: o.StallTimeout.Or(0),
		Verify: o.Verify, Logger: o.Logger,
	}), nil
}

// Open returns the sink at a URL, with the defaults for all else.
func Open(_ context.Context, name, rawURL string) (sink.Sink, error) {
	return New(Options{URL: rawURL, Name: name})
}
