package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/clienttls"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/follow"
)

// trust is how a server of somebody else is spoken to over TLS.
type trust struct {
	clienttls.Files
	insecure bool
}

// register adds its flags, whose names begin with prefix; of says whose server it is.
func (t *trust) register(f *pflag.FlagSet, prefix, of string) {
	f.StringVar(&t.CA, prefix+"cacert", "", "with rediss://, file of the authorities to trust, PEM"+of+" (default: the system's)")
	f.StringVar(&t.Cert, prefix+"cert", "", "with rediss://, certificate to show where one is wanted, PEM"+of)
	f.StringVar(&t.Key, prefix+"key", "", "its private key, PEM")
	f.BoolVar(&t.insecure, prefix+"insecure", false, "with rediss://, trust any certificate"+of)
}

// config is for a server of that name.
func (t trust) config(host string) (*tls.Config, error) {
	c, err := t.Config(host, nil)
	if err != nil {
		return nil, usageError{err}
	}
	if t.insecure {
		clienttls.Trust(c)
	}
	return c, nil
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
