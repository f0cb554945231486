package sftpconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/pkg/sftp"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// ErrRefused is wrapped by errors that trying again does not mend: a host key, a
// credential, a server that cannot do what is needed.
var ErrRefused = errors.New("refused")

// Environment variables that Options fall back on.
const (
	PasswordEnv   = "SPILLWAY_SFTP_PASSWORD"   //nolint:gosec // the name of a variable
	PassphraseEnv = "SPILLWAY_SFTP_PASSPHRASE" //nolint:gosec // the name of a variable
)

// Options say how to connect.
type Options struct {
	// KnownHosts is a file of host keys; "" means ~/.ssh/known_hosts.
	KnownHosts string
	// KeyFile is a private key. "" means the agent's and the usual files.
	KeyFile string
	// Passphrase opens the key; "" means PassphraseEnv.
	Passphrase string
	// Password is what is tried last; "" means PasswordEnv.
	Password string
	// AllowUnsafeServer takes servers without posix-rename or fsync.
	AllowUnsafeServer bool
	// Logger is told of what a server lacks; nil means hclog.Default().
	Logger hclog.Logger
}

// Dialer connects to one server. It is safe for concurrent use.
type Dialer struct {
	Place
	o      Options
	warned sync.Once
}

// New returns the dialer of a place. It does not connect.
func New(p Place, o Options) (*Dialer, error) {
	o.KnownHosts, o.KeyFile = expand(o.KnownHosts), expand(o.KeyFile)
	if o.KnownHosts == "" {
		o.KnownHosts = home(".ssh", "known_hosts")
	}
	if o.Passphrase == "" {
		o.Passphrase = os.Getenv(PassphraseEnv)
	}
	if o.Password == "" {
		o.Password = os.Getenv(PasswordEnv)
	}
	if o.Logger == nil {
		o.Logger = hclog.Default()
	}
	d := &Dialer{Place: p, o: o}
	if o.KeyFile != "" {
		if _, err := d.signer(o.KeyFile); err != nil {
			return nil, fmt.Errorf("sftp: %w", err)
		}
	}
	return d, nil
}

// Dial connects; ctx bounds that, not the connection. Errors that trying again
// does not mend wrap ErrRefused.
func (d *Dialer) Dial(ctx context.Context) (*Conn, error) {
	cfg, done, err := d.config()
	if err != nil {
		return nil, err
	}
	defer done()
	nc, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, "tcp", d.Addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	unhook := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer unhook()
	sc, chans, reqs, err := ssh.NewClientConn(nc, d.Addr, cfg)
	if err != nil {
		_ = nc.Close()
		return nil, d.explain(ctx, err)
	}
	c := &Conn{net: nc, ssh: ssh.NewClient(sc, chans, reqs)}
	c.SFTP, err = sftp.NewClient(c.ssh, sftp.UseConcurrentWrites(true))
	if err != nil {
		c.Cut()
		_ = c.ssh.Wait()
		return nil, d.explain(ctx, fmt.Errorf("start the subsystem sftp: %w", err))
	}
	if err := d.check(c); err != nil {
		c.Close()
		return nil, err
	}
	if ctx.Err() != nil {
		c.Close()
		return nil, context.Cause(ctx)
	}
	return c, nil
}

// config is made for each connection: keys and known hosts may change. done
// ends what it holds open.
func (d *Dialer) config() (cfg *ssh.ClientConfig, done func(), err error) {
	db, err := knownhosts.NewDB(d.o.KnownHosts)
	if err != nil {
		return nil, nil, refused(fmt.Errorf("known hosts: %w; see ssh-keyscan", err))
	}
	auth, done := d.auth()
	return &ssh.ClientConfig{
		User: d.User, Auth: auth, HostKeyCallback: db.HostKeyCallback(), HostKeyAlgorithms: db.HostKeyAlgorithms(d.Addr),
		ClientVersion: "SSH-2.0-spillway",
	}, done, nil
}

// auth is every way to prove who we are, in order.
func (d *Dialer) auth() (methods []ssh.AuthMethod, done func()) {
	var agentConn net.Conn
	methods = append(methods, ssh.PublicKeysCallback(func() (signers []ssh.Signer, err error) {
		if d.o.KeyFile != "" {
			s, err := d.signer(d.o.KeyFile)
			return []ssh.Signer{s}, err
		}
		if sock := os.Getenv("SSH_AUTH_SOCK"); sock != "" {
			if c, err := net.Dial("unix", sock); err == nil { //nolint:gosec // the user's own agent
				agentConn = c
				signers, err = agent.NewClient(c).Signers()
				if err != nil {
					d.o.Logger.Warn("the SSH agent does not answer", "error", err)
				}
			}
		}
		for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
			if s, err := d.signer(home(".ssh", name)); err == nil {
				signers = append(signers, s)
			}
		}
		return signers, nil
	}))
	if d.o.Password != "" {
		methods = append(methods, ssh.Password(d.o.Password), ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				answers[i] = d.o.Password
			}
			return answers, nil
		}))
	}
	return methods, func() {
		if agentConn != nil {
			_ = agentConn.Close()
		}
	}
}

// signer reads a private key.
func (d *Dialer) signer(name string) (ssh.Signer, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	s, err := ssh.ParsePrivateKey(pem)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		if d.o.Passphrase == "" {
			return nil, fmt.Errorf("key %s: it has a passphrase; set passphrase or %s", name, PassphraseEnv)
		}
		s, err = ssh.ParsePrivateKeyWithPassphrase(pem, []byte(d.o.Passphrase))
	}
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	return s, nil
}

// explain says what a failed handshake means.
func (d *Dialer) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	case knownhosts.IsHostKeyChanged(err):
		return refused(fmt.Errorf("the host key of %s is not the one in %s: somebody may be in between, or the server has a new key: %w", d.Addr, d.o.KnownHosts, err))
	case knownhosts.IsHostUnknown(err):
		return refused(fmt.Errorf("%s is not in %s; compare its fingerprint and add it with ssh-keyscan: %w", d.Addr, d.o.KnownHosts, err))
	case strings.Contains(err.Error(), "unable to authenticate"): // x/crypto/ssh has no type for it
		return fault{"the server does not let " + d.User + " in: " + err.Error(), []error{err, os.ErrPermission, ErrRefused}}
	}
	return fmt.Errorf("handshake: %w", err)
}

// refused marks an error that trying again does not mend.
func refused(err error) error { return fault{err.Error(), []error{err, ErrRefused}} }

// fault is an error with a text of its own.
type fault struct {
	text string
	is   []error
}

func (f fault) Error() string   { return f.text }
func (f fault) Unwrap() []error { return f.is }
