package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/follow"
)

// trust is how the certificate of a server is judged.
type trust struct {
	ca       string // file of authorities, "" for the system's
	insecure bool
}

// config is for a server of that name.
func (t trust) config(host string) (c *tls.Config, err error) {
	c = &tls.Config{ServerName: host, InsecureSkipVerify: t.insecure, MinVersion: tls.VersionTLS12} //nolint:gosec // asked for by a flag
	c.RootCAs, err = pool(t.ca)
	return c, err
}

// sourceAt reads redis://[user:password@]host[:port], or rediss:// with TLS. Without a
// password in the URL it takes that of SPILLWAY_IMPORT_PASSWORD.
func sourceAt(rawURL string, t trust) (s follow.Source, err error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.Scheme != "redis" && u.Scheme != "rediss" {
		return s, usageError{fmt.Errorf("%q: want redis://[user:password@]host[:port], or rediss:// with TLS", redactURL(rawURL))}
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	s = follow.Source{Address: net.JoinHostPort(u.Hostname(), port), Clock: core.SystemClock{}, Username: u.User.Username()}
	var given bool
	if s.Password, given = u.User.Password(); !given {
		s.Password = os.Getenv(importPasswordEnv)
	}
	if u.Scheme == "rediss" {
		s.TLS, err = t.config(u.Hostname())
	}
	return s, err
}

// importPasswordEnv is the password of a server that data is taken from.
const importPasswordEnv = "SPILLWAY_IMPORT_PASSWORD"

// redactURL is a URL without its password.
func redactURL(raw string) string {
	if u, err := url.Parse(raw); err == nil {
		return u.Redacted()
	}
	return "the address"
}

func pool(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil // the system's
	}
	pem, err := os.ReadFile(filepath.Clean(caFile))
	if err != nil {
		return nil, usageError{fmt.Errorf("--cacert: %w", err)}
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(pem) {
		return nil, usageError{fmt.Errorf("--cacert %s: there is no certificate in it", caFile)}
	}
	return p, nil
}
