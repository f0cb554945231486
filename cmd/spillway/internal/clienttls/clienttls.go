// Package clienttls is how the daemon and its tools speak TLS as clients: to a daemon, to a
// server whose data is taken over, to a collector of traces. What they need is in files, and
// the files are judged, and read again, in one way.
package clienttls

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// Files are those of a client, PEM; "" is to do without.
type Files struct {
	// CA has the authorities whose servers are trusted; without it the system's are.
	CA string
	// Cert is shown to servers that want a certificate, with the intermediate ones behind
	// it, and Key is its private key, which must not be encrypted.
	Cert, Key string
}

// Config is what a client of a server of that name, or address, speaks TLS with: TLS 1.2 or
// newer. The error says which file cannot be used and why; it holds no secret.
//
// A connection gets what the files hold when it begins, so that a certificate is renewed by
// replacing files. While they cannot be used the last ones that could are, and log, which
// may be nil, has a line each time that they become so.
func (f Files) Config(host string, log hclog.Logger) (*tls.Config, error) {
	if log == nil {
		log = hclog.NewNullLogger()
	}
	l := &live{files: f, log: log}
	var err error
	if l.held, err = f.read(); err != nil {
		return nil, err
	}
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if f.Cert != "" || f.Key != "" {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return l.now().cert, nil }
	}
	if f.CA != "" {
		c.InsecureSkipVerify = true // it is verified below, by the authorities of the moment
		c.VerifyConnection = func(s tls.ConnectionState) error { return verify(s, host, l.now().authorities) }
	}
	return c, nil
}

// held is what files hold.
type held struct {
	authorities *x509.CertPool
	cert        *tls.Certificate
}

// live is what files hold at the moment. It is safe for concurrent use.
type live struct {
	files Files
	log   hclog.Logger

	mu     sync.Mutex
	held   held
	failed bool // that was said
}

// now is what they hold, or what they held last that could be used.
func (l *live) now() held {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, err := l.files.read()
	switch {
	case err == nil:
		l.held, l.failed = h, false
	case !l.failed:
		l.failed = true
		l.log.Error("TLS goes on with what it has: the changed files cannot be used", "error", err)
	}
	return l.held
}

func (f Files) read() (h held, _ error) {
	if f.CA != "" {
		text, err := os.ReadFile(filepath.Clean(f.CA))
		if err != nil {
			return held{}, fmt.Errorf("the authorities %s: %w", f.CA, fileError(err))
		}
		if h.authorities = x509.NewCertPool(); !h.authorities.AppendCertsFromPEM(text) {
			return held{}, fmt.Errorf("the authorities %s: no certificate is in it", f.CA)
		}
	}
	switch {
	case f.Cert == "" && f.Key == "":
	case f.Key == "":
		return held{}, fmt.Errorf("the certificate %s: want the file of its private key as well", f.Cert)
	case f.Cert == "":
		return held{}, fmt.Errorf("the key %s: want the file of its certificate as well", f.Key)
	default:
		cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return held{}, fmt.Errorf("the certificate %s and the key %s: %w", f.Cert, f.Key, fileError(err))
		}
		h.cert = &cert
	}
	return h, nil
}

// verify is what a client does by itself where its authorities stay the same.
func verify(s tls.ConnectionState, host string, authorities *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server shows no certificate")
	}
	o := x509.VerifyOptions{Roots: authorities, DNSName: host, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := s.PeerCertificates[0].Verify(o); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	return nil
}

// Pin has c take the first certificate of a file for the server's, whatever name is in it,
// and no other: other says what is wrong when a server shows one.
func Pin(c *tls.Config, certFile string, other error) error {
	text, err := os.ReadFile(filepath.Clean(certFile))
	if err != nil {
		return fmt.Errorf("the certificate %s: %w", certFile, fileError(err))
	}
	block, rest := pem.Decode(text)
	for block != nil && block.Type != "CERTIFICATE" {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return fmt.Errorf("the certificate %s: no certificate is in it", certFile)
	}
	pinned, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("the certificate %s: %w", certFile, err)
	}
	c.InsecureSkipVerify = true // it is compared instead
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 || !s.PeerCertificates[0].Equal(pinned) {
			return other
		}
		return nil
	}
	return nil
}

// Trust has c take any certificate.
func Trust(c *tls.Config) { c.InsecureSkipVerify, c.VerifyConnection = true, nil }

// fileError drops the operation and the name, which the caller tells.
func fileError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
