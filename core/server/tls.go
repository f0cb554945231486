package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// TLSOptions say how a listener speaks TLS. Files are PEM.
type TLSOptions struct {
	// CertFile is the server's certificate, with the intermediate ones behind it, and
	// KeyFile its private key, which must not be encrypted.
	CertFile, KeyFile string
	// ClientCAFile has the authorities whose client certificates are accepted.
	ClientCAFile string
	// ClientAuth says whether clients need a certificate of ClientCAFile.
	ClientAuth ClientAuth
	// ClientUser makes a client whose certificate was verified the ACL user that the
	// certificate's common name names, without AUTH, if there is such a user and it is
	// on.
	ClientUser bool
	// MinVersion is the oldest protocol, as [tls.VersionTLS12]; 0 is that one.
	// MaxVersion is the newest; 0 is the newest there is.
	MinVersion, MaxVersion uint16
	// NoTickets has every connection of a client make a whole handshake.
	NoTickets bool
}

// ClientAuth says whether a client shows a certificate, as Redis's tls-auth-clients.
type ClientAuth string

// What there is.
const (
	ClientAuthRequired ClientAuth = "yes"
	ClientAuthOptional ClientAuth = "optional" // one that is shown must be valid
	ClientAuthNone     ClientAuth = "no"
)

const (
	handshakePatience = 10 * time.Second // of a client's handshake
	certificateCheck  = time.Second      // how often the files are looked at, at most
)

// TLS is what a listener needs to speak TLS. When its files change, connections that
// come later get what they hold then: a certificate is renewed by replacing the files,
// in any order. While they do not fit together, or cannot be read, the last ones that
// did are used, and the log says so. It may be used by several listeners.
type TLS struct {
	mu      sync.Mutex
	opt     TLSOptions
	config  *tls.Config // in force
	checked time.Time
	seen    [3]fileState
}

// fileState tells whether a file is another one than before.
type fileState struct {
	changed time.Time
	size    int64
	err     string
}

// NewTLS reads the files. What is wrong with them is the error.
func NewTLS(opt TLSOptions) (*TLS, error) {
	t := &TLS{opt: opt.withDefaults()}
	t.seen = t.look()
	config, err := t.load()
	if err != nil {
		return nil, err
	}
	t.config = config
	return t, nil
}

// Become has connections that come later get what another one has to offer, which is
// not to be used any more.
func (t *TLS) Become(other *TLS) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opt, t.config, t.checked, t.seen = other.opt, other.config, other.checked, other.seen
}

// Options are those in force.
func (t *TLS) Options() TLSOptions {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.opt
}

func (opt TLSOptions) withDefaults() TLSOptions {
	if opt.ClientAuth == "" {
		opt.ClientAuth = ClientAuthNone
		if opt.ClientCAFile != "" {
			opt.ClientAuth = ClientAuthRequired
		}
	}
	if opt.MinVersion == 0 {
		opt.MinVersion = tls.VersionTLS12
	}
	return opt
}

// look is what the files are like now.
func (t *TLS) look() (s [3]fileState) {
	for i, name := range []string{t.opt.CertFile, t.opt.KeyFile, t.opt.ClientCAFile} {
		if name == "" {
			continue
		}
		if st, err := os.Stat(name); err != nil {
			s[i].err = err.Error()
		} else {
			s[i] = fileState{changed: st.ModTime(), size: st.Size()}
		}
	}
	return s
}

// load makes a configuration of what the files hold.
func (t *TLS) load() (*tls.Config, error) {
	if t.opt.ClientAuth != ClientAuthNone && t.opt.ClientCAFile == "" {
		return nil, errors.New("client certificates cannot be verified without the certificate of an authority")
	}
	cert, err := tls.LoadX509KeyPair(t.opt.CertFile, t.opt.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("the certificate %s and the key %s: %w", t.opt.CertFile, t.opt.KeyFile, fileError(err))
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: t.opt.MinVersion, MaxVersion: t.opt.MaxVersion, SessionTicketsDisabled: t.opt.NoTickets}
	switch t.opt.ClientAuth {
	case ClientAuthRequired:
		config.ClientAuth = tls.RequireAndVerifyClientCert
	case ClientAuthOptional:
		config.ClientAuth = tls.VerifyClientCertIfGiven
	case ClientAuthNone:
		return config, nil
	default:
		return nil, fmt.Errorf("client certificates %q: want yes, optional or no", t.opt.ClientAuth)
	}
	pem, err := os.ReadFile(t.opt.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("the authorities %s: %w", t.opt.ClientCAFile, fileError(err))
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the authorities %s: no certificate is in it", t.opt.ClientCAFile)
	}
	return config, nil
}

// fileError drops the operation and the name, which the caller tells.
func fileError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// current is the configuration of a handshake that begins now.
func (t *TLS) current(now time.Time, log hclog.Logger) *tls.Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.checked) >= certificateCheck {
		t.checked = now
		if s := t.look(); s != t.seen {
			t.seen = s
			t.reload(log)
		}
	}
	return t.config
}

// Config is for other servers than that of this package: connections get what is in
// force when they begin.
func (t *TLS) Config(now func() time.Time, log hclog.Logger) *tls.Config {
	return &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return t.current(now(), log), nil },
	}
}

// reload takes what the files hold now, if they can be used.
func (t *TLS) reload(log hclog.Logger) {
	config, err := t.load()
	if err != nil {
		log.Error("TLS goes on with the certificate that it has: the changed files cannot be used", "error", err)
		return
	}
	t.config = config
	log.Info("TLS certificate loaded anew", "cert", t.opt.CertFile)
}

// ServeTLS is [Server.Serve] for clients that speak TLS.
func (s *Server) ServeTLS(l net.Listener, t *TLS) error { return s.serve(l, t) }

// handshake begins TLS where the listener has it. It tells whether the client may
// go on. The connection's goroutine.
func (c *conn) handshake() bool {
	nc, ok := c.nc.(*tlsConn)
	if !ok {
		return true
	}
	state, err := nc.handshake(c.now().Add(handshakePatience))
	if err != nil {
		if !c.gone.Load() && !c.draining.Load() {
			if n, due := c.srv.strangers.due(c.now()); due {
				c.srv.log.Warn("client closed: no TLS handshake", "client", c.ID(), "addr", c.addr(), "error", err, "since_the_last_line", n)
			}
		}
		return false
	}
	if nc.tls.Options().ClientUser && len(state.VerifiedChains) > 0 {
		if name := state.VerifiedChains[0][0].Subject.CommonName; !c.BecomeUser(name) {
			c.srv.log.Debug("no ACL user of a client certificate's name", "client", c.ID(), "name", name)
		}
	}
	return true
}

// tlsConn is a connection over TLS that, as a plain one, can go on after a write
// that met its deadline. For crypto/tls such a write breaks the connection for good,
// since it does not know how much of a record has left. So records are made in
// memory, and written from there as far as the deadline allows: what is left of them
// leaves before anything else is made.
//
// Read and Write may be called at the same time; each by one goroutine. After an
// error of a deadline the next Write must begin with the bytes that were not counted
// as written.
type tlsConn struct {
	*tls.Conn
	raw  net.Conn
	tls  *TLS
	now  func() time.Time
	link *recordBuffer
	took int // plain bytes that are in records already and were not yet counted
}

// recordSize is how many bytes go into a TLS record at most.
const recordSize = 16 << 10

func (s *Server) newTLSConn(raw net.Conn, t *TLS) *tlsConn {
	link := &recordBuffer{Conn: raw}
	now := s.db.Clock().Now
	return &tlsConn{Conn: tls.Server(link, t.Config(now, s.log)), raw: raw, tls: t, now: now, link: link}
}

// handshake agrees on keys with the client, until a deadline.
func (c *tlsConn) handshake(deadline time.Time) (tls.ConnectionState, error) {
	_ = c.raw.SetDeadline(deadline)
	if err := c.HandshakeContext(context.Background()); err != nil {
		return tls.ConnectionState{}, err
	}
	_ = c.raw.SetDeadline(time.Time{})
	c.link.hold()
	return c.ConnectionState(), nil
}

// Write implements net.Conn.
func (c *tlsConn) Write(p []byte) (n int, err error) {
	for {
		if err := c.link.flush(); err != nil {
			return n, err
		}
		sent := min(c.took, len(p)-n)
		n, c.took = n+sent, c.took-sent
		if n == len(p) {
			return n, nil
		}
		m, err := c.Conn.Write(p[n:min(n+recordSize, len(p))])
		c.took = m
		if err != nil {
			return n, err
		}
	}
}

// Close implements net.Conn. It tells the client that this is the end, not a cut, if
// that can be said without waiting. Any goroutine.
func (c *tlsConn) Close() error {
	if c.link.idle() {
		if c.CloseWrite() == nil {
			_ = c.raw.SetWriteDeadline(c.now().Add(time.Millisecond))
			_ = c.link.flush()
		}
	}
	return c.raw.Close()
}

// recordBuffer lies between crypto/tls and the connection. Once it holds, what is
// written to it stays until flush.
type recordBuffer struct {
	net.Conn

	mu      sync.Mutex
	held    bool
	records []byte
	writing bool // flush is at it
}

// hold ends the handshake, whose messages pass.
func (b *recordBuffer) hold() {
	b.mu.Lock()
	b.held = true
	b.mu.Unlock()
}

// Write implements net.Conn.
func (b *recordBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	if b.held {
		b.records = append(b.records, p...)
		b.mu.Unlock()
		return len(p), nil
	}
	b.mu.Unlock()
	return b.Conn.Write(p)
}

// flush writes what is held, or as much as the deadline allows.
func (b *recordBuffer) flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.records) > 0 {
		p := b.records
		b.writing = true
		b.mu.Unlock()
		n, err := b.Conn.Write(p)
		b.mu.Lock()
		b.writing = false
		if b.records = b.records[n:]; len(b.records) == 0 {
			b.records = b.records[:0:0]
			if cap(p) <= 2*recordSize {
				b.records = p[:0] // used again
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// idle tells whether nothing is held or being written, so that a last record may
// leave.
func (b *recordBuffer) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held && !b.writing && len(b.records) == 0
}
