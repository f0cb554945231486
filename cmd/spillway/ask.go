package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/pflag"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/internal/clienttls"
)

// passwordEnv is where redis-cli looks for the password too.
const passwordEnv = "REDISCLI_AUTH" //nolint:gosec // a name

// daemonAt is how a tool reaches the running daemon.
type daemonAt struct {
	addr string // HOST:PORT or the path of a Unix socket; "": as the configuration says
	user string
	clienttls.Files
}

func (d *daemonAt) register(f *pflag.FlagSet) {
	f.StringVar(&d.addr, "addr", "", "where the daemon listens, HOST:PORT or the path of a Unix socket (default: as the configuration says)")
	f.StringVar(&d.user, "user", "", "ACL user to ask as; the password is "+passwordEnv+" of the environment, or else the configuration's")
	f.StringVar(&d.CA, "cacert", "", "authorities of the daemon's certificate, PEM (default: the certificate that the configuration names)")
	f.StringVar(&d.Cert, "cert", "", "certificate to show to a daemon that wants one, PEM")
	f.StringVar(&d.Key, "key", "", "its private key, PEM")
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
	if at.TLS != nil || d.Files != (clienttls.Files{}) {
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
	host, _, err := net.SplitHostPort(at.Address)
	if err != nil {
		host = at.Address
	}
	c, err := d.Config(host, nil)
	if err == nil && d.CA == "" && at.TLS != nil {
		err = clienttls.Pin(c, at.TLS.CertFile, errors.New("the daemon's certificate is not the one that the configuration names; --cacert FILE names its authority"))
	}
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}
