package sftp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/option"
	"github.com/spillwaydb/spillway/plugins/internal/setstore"
)

// Name is the name by which the plugin offers the sink.
const Name = "sftp"

// Scheme is the URL scheme that the sink takes.
const Scheme = "sftp"

const (
	version            = "1"
	defaultPort        = "22"
	defaultConcurrency = 4
	passwordEnv        = "SPILLWAY_SFTP_PASSWORD"   //nolint:gosec // the name of a variable
	passphraseEnv      = "SPILLWAY_SFTP_PASSPHRASE" //nolint:gosec // the name of a variable
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
		return nil, fmt.Errorf("sftp: concurrency is %d; want from 1 to 64", o.Concurrency)
	}
	if o.Attempts < 0 || o.Attempts > 100 {
		return nil, fmt.Errorf("sftp: attempts is %d; want from 1 to 100", o.Attempts)
	}
	p, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	d, err := newDialer(o, p)
	if err != nil {
		return nil, err
	}
	st := &store{place: p, pool: &pool{dial: d.dial}, concurrency: o.Concurrency}
	return setstore.New(st, setstore.Options{
		Name: o.Name, Version: version, Attempts: o.Attempts, Timeout: o.Timeout.Or(0), Stall: o.StallTimeout.Or(0),
		Verify: o.Verify, Logger: o.Logger,
	}), nil
}

// Open returns the sink at a URL, with the defaults for all else.
func Open(_ context.Context, name, rawURL string) (sink.Sink, error) {
	return New(Options{URL: rawURL, Name: name})
}

// place is what a URL says.
type place struct {
	user     string
	addr     string // host and port
	dir      string // of all sets; without a slash in front it is below the home directory
	location string // for errors
}

func parse(raw string) (place, error) {
	const want = "want sftp://USER@HOST/DIRECTORY"
	if raw == "" {
		return place{}, errors.New("sftp: url is missing; " + want)
	}
	u, err := url.Parse(raw)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the URL itself may hold a password
		}
		return place{}, fmt.Errorf("sftp: url: %w; %s", err, want)
	}
	switch _, secret := u.User.Password(); {
	case u.Scheme != Scheme:
		return place{}, fmt.Errorf("sftp: url: scheme %q; %s", u.Scheme, want)
	case u.Hostname() == "":
		return place{}, errors.New("sftp: url: the host is missing; " + want)
	case secret:
		return place{}, errors.New("sftp: url: it holds a password; write password = env(\"…\") instead")
	case u.RawQuery != "" || u.Fragment != "":
		return place{}, errors.New("sftp: url: there are no parameters; " + want)
	case slices.Contains(strings.Split(u.Path, "/"), ".."):
		return place{}, errors.New("sftp: url: \"..\" in the path")
	}
	p := place{user: u.User.Username(), addr: net.JoinHostPort(u.Hostname(), defaultPort), dir: path.Clean("/" + u.Path)}
	if u.Port() != "" {
		p.addr = net.JoinHostPort(u.Hostname(), u.Port())
	}
	if rest, below := strings.CutPrefix(p.dir+"/", "/~/"); below {
		p.dir = path.Clean(rest) // "." at least
	}
	if p.user == "" {
		me, err := user.Current()
		if err != nil {
			return place{}, fmt.Errorf("sftp: url: it names no user, and who runs this is unknown: %w", err)
		}
		p.user = me.Username
	}
	p.location = strings.TrimSuffix((&url.URL{Scheme: Scheme, User: url.User(p.user), Host: u.Host, Path: u.Path}).String(), "/")
	return p, nil
}

// home is a file below the home directory.
func home(name ...string) string {
	dir, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(append([]string{dir}, name...)...)
}

// expand reads "~/" as the home directory.
func expand(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		return home(rest)
	}
	return name
}
