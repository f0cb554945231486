package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/pflag"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
)

// passwordEnv is where redis-cli looks for the password too.
const passwordEnv = "REDISCLI_AUTH" //nolint:gosec // a name

// daemonAt is how a tool reaches the running daemon.
type daemonAt struct {
	addr string // HOST:PORT or the path of a Unix socket; "": as the configuration says
	user string
	tlsFiles
}

// tlsFiles are those of a client, with the names of redis-cli's flags.
type tlsFiles struct{ ca, cert, key string }

func (d *daemonAt) register(f *pflag.FlagSet) {
	f.StringVar(&d.addr, "addr", "", "where the daemon listens, HOST:PORT or the path of a Unix socket (default: as the configuration says)")
	f.StringVar(&d.user, "user", "", "ACL user to ask as; the password is "+passwordEnv+" of the environment, or else the configuration's")
	f.StringVar(&d.ca, "cacert", "", "authorities of the daemon's certificate, PEM (default: the certificate that the configuration names)")
	f.StringVar(&d.cert, "cert", "", "certificate to show to a daemon that wants one, PEM")
	f.StringVar(&d.key, "key", "", "its private key, PEM")
}

// ask sends a command to the running daemon and returns the items of the reply.
func (d daemonAt) ask(ctx context.Context, cfg *config.Config, timeout time.Duration, args ...any) ([]string, error) {
	at := address(cfg, d.addr)
	o := &redis.Options{
		Network: at.Network, Addr: at.Address, Username: d.user, Password: cfg.Engine.RequirePass,
		MaxRetries: -1, DisableIdentity: true, ReadTimeout: timeout, PoolSize: 1,
	}
	given, fromEnv := os.LookupEnv(passwordEnv)
	if fromEnv {
		o.Password = given
	}
	if at.TLS != nil || d.tlsFiles != (tlsFiles{}) {
		var err error
		if o.TLSConfig, err = d.tls(at); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	logging.Disable() // what it says is in the error
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	items, err := c.Do(ctx, args...).StringSlice()
	switch {
	case err == nil:
		return items, nil
	case strings.HasPrefix(err.Error(), "WRONGPASS") && !fromEnv:
		err = fmt.Errorf("%w: the daemon has another password than the configuration says; %s=… spillway … gives it", err, passwordEnv)
	}
	return nil, fmt.Errorf("asking the daemon at %s: %w", at.Address, err)
}

// askOne is ask for a reply of one item.
func (d daemonAt) askOne(ctx context.Context, cfg *config.Config, timeout time.Duration, args ...any) (string, error) {
	items, err := d.ask(ctx, cfg, timeout, args...)
	if err != nil {
		return "", err
	}
	if len(items) != 1 {
		return "", fmt.Errorf("the daemon's answer has %d items", len(items))
	}
	return items[0], nil
}

// tls is how the daemon is spoken to. Without authorities its certificate has to be
// the one that the configuration names, whatever name is in it.
func (d daemonAt) tls(at config.Listener) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.cert != "" || d.key != "" {
		cert, err := tls.LoadX509KeyPair(d.cert, d.key)
		if err != nil {
			return nil, fmt.Errorf("--cert and --key: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	if d.ca != "" {
		pem, err := os.ReadFile(d.ca)
		if err != nil {
			return nil, fmt.Errorf("--cacert: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--cacert %s: no certificate is in it", d.ca)
		}
		return c, nil
	}
	if at.TLS == nil {
		return c, nil // the system's authorities
	}
	pinned, err := tls.LoadX509KeyPair(at.TLS.CertFile, at.TLS.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("the daemon's certificate: %w; --cacert FILE names its authority", err)
	}
	c.InsecureSkipVerify = true // it is compared instead
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 || !s.PeerCertificates[0].Equal(pinned.Leaf) {
			return errors.New("the daemon's certificate is not the one that the configuration names; --cacert FILE names its authority")
		}
		return nil
	}
	return c, nil
}
