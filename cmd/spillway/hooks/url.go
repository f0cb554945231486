package hooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// How a URL is asked again.
const (
	attempts     = 5
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
	// readAhead is how much of an answer is read, so that its connection can go on.
	readAhead = 64 << 10
)

var client = &http.Client{
	Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 1, ForceAttemptHTTP2: true,
	},
	// A POST that is sent somewhere else becomes a GET without its body, and the
	// headers may be secrets.
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// CheckURL says what is wrong with a URL, and whether what is sent there can be read on
// the way: http to another machine.
func CheckURL(raw string) (open bool, err error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return false, errors.New("it is no URL") // the error would show it
	case u.Scheme != "http" && u.Scheme != "https":
		return false, errors.New("want http:// or https://")
	case u.Hostname() == "":
		return false, errors.New("it names no host")
	case u.Scheme == "https" || u.Hostname() == "localhost":
		return false, nil
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err != nil || !ip.IsLoopback(), nil
}

// Shown is a URL without what may be secret in it: all but its host.
func Shown(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "a URL"
	}
	return u.Scheme + "://" + u.Host + "/…"
}

// String is the hook without what may be secret of it.
func (h *Hook) String() string {
	if h.URL != "" {
		return Shown(h.URL)
	}
	return filepath.Base(h.Command[0])
}

// post sends body, again when what went wrong may pass.
func (h *Hook) post(ctx context.Context, body []byte, version string) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval, wait.Multiplier = firstPause, longestPause, 2
	tries := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		tries++
		return struct{}{}, h.postOnce(ctx, body, version)
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(attempts), backoff.WithMaxElapsedTime(0))
	if err != nil && tries > 1 {
		err = fmt.Errorf("after %d attempts: %w", tries, err)
	}
	return err
}

func (h *Hook) postOnce(ctx context.Context, body []byte, version string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("no answer within %s", h.Timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(errors.New("the URL is none"))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "spillway/"+version)
	for name, value := range h.Headers {
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err // at shows the URL
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		var unknown *net.DNSError
		if errors.As(err, &unknown) && unknown.IsNotFound {
			return fmt.Errorf("there is no host %s", req.URL.Hostname())
		}
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, readAhead) // it was answered, whatever it says
	switch {
	case resp.StatusCode < 300:
		return nil
	case resp.StatusCode < 400:
		return backoff.Permanent(fmt.Errorf("it answers %s, and redirections are not followed", resp.Status))
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return backoff.Permanent(fmt.Errorf("it answers %s", resp.Status))
}
