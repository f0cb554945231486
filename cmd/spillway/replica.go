package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/resp"
)

// replicaPatience is how long a master may say nothing. While it prepares its
// dataset it sends line ends, every few seconds.
const replicaPatience = time.Minute

// master is a running Redis that sends its dataset as to a replica.
type master struct {
	where string
	conn  net.Conn
	in    *bufio.Reader
	size  int64 // of the dataset, -1 when it ends in a mark
	mark  []byte

	forget func() bool // the context
}

// dialMaster connects to redis://[user:password@]host[:port] (rediss:// with
// TLS) and asks for its dataset. Without a password in the URL it takes that of
// SPILLWAY_IMPORT_PASSWORD.
func dialMaster(ctx context.Context, rawURL, caFile string, insecure bool) (*master, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, usageError{fmt.Errorf("%q: want redis://[user:password@]host[:port], or rediss:// with TLS", redactURL(rawURL))}
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	m := &master{where: net.JoinHostPort(u.Hostname(), port)}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", m.where)
	if err != nil {
		return nil, err
	}
	m.forget = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if m.conn = conn; u.Scheme == "rediss" {
		config := &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: insecure, MinVersion: tls.VersionTLS12} //nolint:gosec // asked for by a flag
		if config.RootCAs, err = pool(caFile); err != nil {
			return nil, errors.Join(err, m.Close())
		}
		m.conn = tls.Client(conn, config)
	}
	m.in = bufio.NewReaderSize(m.conn, 256<<10)
	if err := m.begin(u.User); err != nil {
		_ = m.Close() // what is to be said is why
		return nil, fmt.Errorf("redis at %s: %w", m.where, err)
	}
	return m, nil
}

// begin authenticates and asks for the dataset.
func (m *master) begin(user *url.Userinfo) error {
	password, given := user.Password()
	if !given {
		password = os.Getenv("SPILLWAY_IMPORT_PASSWORD")
	}
	if password != "" {
		auth := []string{"AUTH", password}
		if name := user.Username(); name != "" {
			auth = []string{"AUTH", name, password}
		}
		if _, err := m.ask(auth...); err != nil {
			return err
		}
	}
	if _, err := m.ask("PING"); err != nil {
		return err
	}
	return m.sync()
}

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

// ask sends a command and returns the line that answers it.
func (m *master) ask(args ...string) (string, error) {
	words := make([][]byte, len(args))
	for i, a := range args {
		words[i] = []byte(a)
	}
	if err := m.conn.SetDeadline(time.Now().Add(replicaPatience)); err != nil {
		return "", err
	}
	if _, err := m.conn.Write(resp.AppendCommand(nil, words...)); err != nil {
		return "", err
	}
	line, err := m.line()
	if err != nil {
		return "", fmt.Errorf("%s: %w", args[0], err)
	}
	if strings.HasPrefix(line, "-") {
		return "", fmt.Errorf("%s: it says %q", args[0], line[1:])
	}
	return line, nil
}

// line reads a line that says something.
func (m *master) line() (string, error) {
	for {
		if err := m.conn.SetDeadline(time.Now().Add(replicaPatience)); err != nil {
			return "", err
		}
		line, err := m.in.ReadSlice('\n')
		if err != nil {
			return "", fmt.Errorf("reading its answer: %w", err)
		}
		if s := strings.TrimRight(string(line), "\r\n"); s != "" {
			return s, nil
		}
	}
}

// sync asks for the dataset and reads how long it is.
func (m *master) sync() error {
	// An old one does not know these; it sends what it can.
	_, _ = m.ask("REPLCONF", "capa", "eof", "capa", "psync2")
	reply, err := m.ask("PSYNC", "?", "-1")
	if err != nil && strings.Contains(strings.ToLower(err.Error()), "unknown command") {
		reply, err = m.ask("SYNC")
	} else if err == nil && strings.HasPrefix(reply, "+FULLRESYNC") {
		reply, err = m.line()
	}
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(reply, "-"):
		return fmt.Errorf("it says %q", reply[1:])
	case strings.HasPrefix(reply, "$EOF:") && len(reply) == len("$EOF:")+40:
		m.size, m.mark = -1, []byte(reply[len("$EOF:"):])
		return nil
	case strings.HasPrefix(reply, "$"):
		m.size, err = strconv.ParseInt(reply[1:], 10, 63)
		if err == nil && m.size > 0 {
			return nil
		}
	}
	return fmt.Errorf("it answers PSYNC with %.80q, not with its dataset", reply)
}

// Close implements io.Closer.
func (m *master) Close() error {
	m.forget()
	return m.conn.Close()
}

// Read implements io.Reader: the dataset, and then io.EOF.
func (m *master) Read(b []byte) (int, error) {
	if err := m.conn.SetDeadline(time.Now().Add(replicaPatience)); err != nil {
		return 0, err
	}
	if m.size >= 0 {
		if m.size == 0 {
			return 0, io.EOF
		}
		n, err := m.in.Read(b[:min(int64(len(b)), m.size)])
		m.size -= int64(n)
		return n, m.early(err)
	}
	return m.readToMark(b)
}

// readToMark hands out what cannot be the beginning of the mark.
func (m *master) readToMark(b []byte) (int, error) {
	if len(m.mark) == 0 {
		return 0, io.EOF
	}
	ahead, err := m.in.Peek(len(m.mark))
	if err != nil {
		return 0, m.early(err)
	}
	if bytes.Equal(ahead, m.mark) {
		m.mark = nil
		return 0, io.EOF
	}
	ahead, _ = m.in.Peek(m.in.Buffered())
	n := len(ahead) - len(m.mark) + 1
	if i := bytes.Index(ahead, m.mark); i >= 0 {
		n = i
	}
	return m.in.Read(b[:min(len(b), n)])
}

// early is an end before the dataset's.
func (m *master) early(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("redis at %s broke off its dataset: %w", m.where, err)
}
