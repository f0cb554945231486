package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/server"
)

// metricsFront is what stands between the metrics listener and what it serves: TLS, and
// who may read. Both can be changed while it serves.
type metricsFront struct {
	srv   *http.Server
	tls   atomic.Pointer[server.TLS] // nil: none
	guard atomic.Pointer[config.MetricsFront]
	log   hclog.Logger
}

// serveMetrics serves h at an address.
func serveMetrics(address string, front config.MetricsFront, h http.Handler, log hclog.Logger) (*metricsFront, error) {
	f := &metricsFront{log: log}
	apply, err := f.become(front)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	apply()
	l, err := net.Listen(config.ListenNetwork("tcp", address), address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	f.srv = &http.Server{Handler: f.guarded(h), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: log.StandardLogger(nil)}
	go func() { _ = f.srv.Serve(frontListener{l, f}) }() // ends with Close, and only then
	scheme := "http"
	if front.TLS != nil {
		scheme = "https"
	}
	log.Info("metrics are served", "url", scheme+"://"+l.Addr().String()+"/metrics")
	return f, nil
}

// become prepares other TLS and other readers; apply has connections and requests that
// come later see them.
func (f *metricsFront) become(front config.MetricsFront) (apply func(), err error) {
	var t *server.TLS
	if front.TLS != nil {
		if t, err = server.NewTLS(*front.TLS); err != nil {
			return nil, err
		}
	}
	return func() {
		f.tls.Store(t)
		f.guard.Store(&front)
	}, nil
}

func (f *metricsFront) close() {
	if f != nil {
		_ = f.srv.Close()
	}
}

// frontListener speaks TLS, or does not, as is asked for at the time.
type frontListener struct {
	net.Listener
	f *metricsFront
}

// Accept implements net.Listener.
func (l frontListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t := l.f.tls.Load(); err == nil && t != nil {
		c = tls.Server(c, t.Config(time.Now, l.f.log))
	}
	return c, err
}

// guarded lets those in who have shown what is asked for. Others learn whether the engine
// works, as probes do, and not why it does not.
func (f *metricsFront) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := f.guard.Load()
		switch {
		case !g.Guarded() || permits(g, r):
			h.ServeHTTP(w, r)
		case r.URL.Path == "/healthz":
			h.ServeHTTP(statusOnly{w}, r)
		default:
			if g.User != "" {
				w.Header().Add("WWW-Authenticate", `Basic realm="spillway", charset="UTF-8"`)
			}
			if g.Token != "" {
				w.Header().Add("WWW-Authenticate", `Bearer realm="spillway"`)
			}
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
		}
	})
}

// permits tells whether a request has the token, or the name and the password.
func permits(g *config.MetricsFront, r *http.Request) bool {
	if kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); g.Token != "" && strings.EqualFold(kind, "bearer") {
		return sameText(token, g.Token)
	}
	user, password, ok := r.BasicAuth()
	named := sameText(user, g.User)
	return sameText(password, g.Password) && named && ok && g.User != ""
}

// sameText compares in a time that tells nothing of the texts.
func sameText(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// statusOnly is a response without its body.
type statusOnly struct{ http.ResponseWriter }

// Write implements http.ResponseWriter.
func (statusOnly) Write(b []byte) (int, error) { return len(b), nil }
