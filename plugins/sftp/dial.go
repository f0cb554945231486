package sftp

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

	"github.com/spillwaydb/spillway/core/sink"
)

const (
	posixRename = "posix-rename@openssh.com"
	fsync       = "fsync@openssh.com"
)

// dialer connects to one server.
type dialer struct {
	place
	knownHosts string
	keyFile    string // "" means the agent and the usual files
	passphrase string
	password   string
	unsafe     bool
	log        hclog.Logger
	warned     sync.Once
}

func newDialer(o Options, p place) (*dialer, error) {
	d := &dialer{
		place: p, knownHosts: expand(o.KnownHosts), keyFile: expand(o.KeyFile), passphrase: o.Passphrase, password: o.Password,
		unsafe: o.AllowUnsafeServer, log: o.Logger,
	}
	if d.knownHosts == "" {
		d.knownHosts = home(".ssh", "known_hosts")
	}
	if d.passphrase == "" {
		d.passphrase = os.Getenv(passphraseEnv)
	}
	if d.password == "" {
		d.password = os.Getenv(passwordEnv)
	}
	if d.keyFile != "" {
		if _, err := d.signer(d.keyFile); err != nil {
			return nil, fmt.Errorf("sftp: %w", err)
		}
	}
	return d, nil
}

// conn is a connection that one call has for itself.
type conn struct {
	net   net.Conn
	ssh   *ssh.Client
	sftp  *sftp.Client
	fsync bool
	posix bool
}

// cut ends the connection without a word; calls that wait on it fail.
func (c *conn) cut() { _ = c.net.Close() }

// close ends the connection and waits for what belongs to it.
func (c *conn) close() {
	c.cut()
	_ = c.sftp.Close()
	_ = c.ssh.Close()
	_ = c.ssh.Wait()
}

// dial connects; ctx bounds that, not the connection.
func (d *dialer) dial(ctx context.Context) (*conn, error) {
	cfg, done, err := d.config()
	if err != nil {
		return nil, err
	}
	defer done()
	nc, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return nil, sink.Transient(fmt.Errorf("connect: %w", err))
	}
	unhook := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer unhook()
	sc, chans, reqs, err := ssh.NewClientConn(nc, d.addr, cfg)
	if err != nil {
		_ = nc.Close()
		return nil, d.explain(ctx, err)
	}
	c := &conn{net: nc, ssh: ssh.NewClient(sc, chans, reqs)}
	c.sftp, err = sftp.NewClient(c.ssh, sftp.UseConcurrentWrites(true))
	if err != nil {
		c.cut()
		_ = c.ssh.Wait()
		return nil, d.explain(ctx, fmt.Errorf("start the subsystem sftp: %w", err))
	}
	if err := d.check(c); err != nil {
		c.close()
		return nil, err
	}
	if ctx.Err() != nil {
		c.close()
		return nil, context.Cause(ctx)
	}
	return c, nil
}

// check looks for what a server must have.
func (d *dialer) check(c *conn) error {
	var lacks []string
	if _, c.posix = c.sftp.HasExtension(posixRename); !c.posix {
		lacks = append(lacks, posixRename+" (a part may be lost when it is put again)")
	}
	if v, _ := c.sftp.HasExtension(fsync); v == "1" {
		c.fsync = true
	} else {
		lacks = append(lacks, fsync+" (what was acknowledged may be lost when the server crashes)")
	}
	if len(lacks) == 0 {
		return nil
	}
	if !d.unsafe {
		return sink.Permanent(fmt.Errorf("the server does not offer %s; use OpenSSH's, or set allow_unsafe_server = true", strings.Join(lacks, " and ")))
	}
	d.warned.Do(func() {
		d.log.Warn("an SFTP server lacks what a safe backup wants; allow_unsafe_server is set", "server", d.addr, "lacks", strings.Join(lacks, ", "))
	})
	return nil
}

// config is made for each connection: keys and known hosts may change. done
// ends what it holds open.
func (d *dialer) config() (cfg *ssh.ClientConfig, done func(), err error) {
	db, err := knownhosts.NewDB(d.knownHosts)
	if err != nil {
		return nil, nil, sink.Permanent(fmt.Errorf("known hosts: %w; see ssh-keyscan", err))
	}
	auth, done := d.auth()
	return &ssh.ClientConfig{
		User: d.user, Auth: auth, HostKeyCallback: db.HostKeyCallback(), HostKeyAlgorithms: db.HostKeyAlgorithms(d.addr),
		ClientVersion: "SSH-2.0-spillway",
	}, done, nil
}

// auth is every way to prove who we are, in order.
func (d *dialer) auth() (methods []ssh.AuthMethod, done func()) {
	var agentConn net.Conn
	methods = append(methods, ssh.PublicKeysCallback(func() (signers []ssh.Signer, err error) {
		if d.keyFile != "" {
			s, err := d.signer(d.keyFile)
			return []ssh.Signer{s}, err
		}
		if sock := os.Getenv("SSH_AUTH_SOCK"); sock != "" {
			if c, err := net.Dial("unix", sock); err == nil { //nolint:gosec // the user's own agent
				agentConn = c
				signers, err = agent.NewClient(c).Signers()
				if err != nil {
					d.log.Warn("the SSH agent does not answer", "error", err)
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
	if d.password != "" {
		methods = append(methods, ssh.Password(d.password), ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				answers[i] = d.password
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
func (d *dialer) signer(name string) (ssh.Signer, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	s, err := ssh.ParsePrivateKey(pem)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		if d.passphrase == "" {
			return nil, fmt.Errorf("key %s: it has a passphrase; set passphrase or %s", name, passphraseEnv)
		}
		s, err = ssh.ParsePrivateKeyWithPassphrase(pem, []byte(d.passphrase))
	}
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	return s, nil
}

// explain says what a failed handshake means.
func (d *dialer) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	case knownhosts.IsHostKeyChanged(err):
		return sink.Permanent(fmt.Errorf("the host key of %s is not the one in %s: somebody may be in between, or the server has a new key: %w", d.addr, d.knownHosts, err))
	case knownhosts.IsHostUnknown(err):
		return sink.Permanent(fmt.Errorf("%s is not in %s; compare its fingerprint and add it with ssh-keyscan: %w", d.addr, d.knownHosts, err))
	case strings.Contains(err.Error(), "unable to authenticate"): // x/crypto/ssh has no type for it
		return sink.Permanent(fault{"the server does not let " + d.user + " in: " + err.Error(), []error{err, os.ErrPermission}})
	}
	return sink.Transient(fmt.Errorf("handshake: %w", err))
}

// fault is an error with a text of its own.
type fault struct {
	text string
	is   []error
}

func (f fault) Error() string   { return f.text }
func (f fault) Unwrap() []error { return f.is }
