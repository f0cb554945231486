package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// serveTLS runs a server whose listener speaks TLS with files server.pem and
// server.key of the authority.
func serveTLS(t *testing.T, a *testutil.Authority, opt Options, with TLSOptions, change func(*core.Options)) (*Server, string) {
	t.Helper()
	with.CertFile, with.KeyFile = a.Path("server.pem"), a.Path("server.key")
	secured, err := NewTLS(with)
	if err != nil {
		t.Fatal(err)
	}
	return serveOver(t, secured, opt, change, nil)
}

func dialTLS(t *testing.T, addr string, config *tls.Config) (*client, error) {
	t.Helper()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, config)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = c.Close() })
	return &client{c, t, bufio.NewReader(c)}, nil
}

// say is ask with the text of the reply as it is.
func (c *client) say(line string) string {
	c.t.Helper()
	var args [][]byte
	for _, word := range strings.Fields(line) {
		args = append(args, []byte(word))
	}
	if _, err := c.Write(resp.AppendCommand(nil, args...)); err != nil {
		c.t.Fatal(err)
	}
	v, err := resp.ReadReply(c.r)
	if err != nil {
		c.t.Fatalf("%.40s: %v", line, err)
	}
	if v.Kind == resp.KindInt {
		return v.String()
	}
	return string(v.Str)
}

// TestTLS: commands, pipelines and large replies over TLS; the end of a connection is
// said; who does not speak TLS is not served.
func TestTLS(t *testing.T) {
	a := testutil.NewAuthority(t)
	a.Issue("server", "server.pem", "server.key")
	s, addr := serveTLS(t, a, Options{}, TLSOptions{}, nil)
	c, err := dialTLS(t, addr, &tls.Config{RootCAs: a.Pool})
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("0123456789abcdef", 1<<16)
	for _, line := range [][2]string{{"PING", "PONG"}, {"SET k " + big, "OK"}, {"GET k", big}, {"INCR n", "1"}, {"CLIENT SETNAME x", "OK"}} {
		if got := c.say(line[0]); got != line[1] {
			t.Fatalf("%.20q: %.40q", line[0], got)
		}
	}
	if got := c.say("QUIT"); got != "OK" {
		t.Error(got)
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("the end of the connection is %v", err)
	}
	if _, err := dialTLS(t, addr, &tls.Config{RootCAs: a.Pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil { //nolint:gosec // that is the point
		t.Error("a client of TLS 1.1 was let in")
	}
	plain := dial(t, addr)
	if _, err := plain.Write(resp.AppendCommand(nil, []byte("PING"))); err != nil {
		t.Fatal(err)
	}
	if out, _ := io.ReadAll(plain.r); bytes.Contains(out, []byte("PONG")) {
		t.Errorf("a client without TLS was answered: %q", out)
	}
	testutil.Eventually(t, "the connections end", func() bool { return len(s.snapshot()) == 0 })
}

// TestTLSSlowReader: replies meet deadlines in the middle of records, because the
// client reads late, while pushes enter from elsewhere. Nothing is lost or doubled.
func TestTLSSlowReader(t *testing.T) {
	a := testutil.NewAuthority(t)
	a.Issue("server", "server.pem", "server.key")
	for name, opt := range map[string]Options{
		"limited":  {OutputLimit: 1 << 30}, // a goroutine writes what is left after 2 ms
		"timeout":  {Timeout: time.Hour},
		"no limit": {},
	} {
		t.Run(name, func(t *testing.T) {
			s, addr := serveTLS(t, a, opt, TLSOptions{}, nil)
			c, err := dialTLS(t, addr, &tls.Config{RootCAs: a.Pool})
			if err != nil {
				t.Fatal(err)
			}
			value := func(i int) string { return strings.Repeat(string(rune('a'+i)), 3<<20+i*7777) }
			for i := range 4 {
				if got := c.say("SET k" + string(rune('0'+i)) + " " + value(i)); got != "OK" {
					t.Fatal(got)
				}
			}
			var ask []byte
			for range 3 {
				for i := range 4 {
					ask = resp.AppendCommand(ask, []byte("GET"), []byte("k"+string(rune('0'+i))))
				}
			}
			sent := make(chan error, 1)
			go func() {
				_, err := c.Write(ask)
				sent <- err
			}()
			// Nothing is read until a write is blocked, and is then woken again and again.
			testutil.Eventually(t, "something waits for the client", func() bool {
				for _, o := range s.snapshot() {
					if o.box.pending.Load() > 1<<20 {
						return true
					}
				}
				return false
			})
			for range 3 {
				for i := range 4 {
					for _, o := range s.snapshot() {
						o.box.wake()
						o.wake()
					}
					v, err := resp.ReadReply(c.r)
					if err != nil {
						t.Fatal(err)
					}
					if string(v.Str) != value(i) {
						t.Fatalf("reply %d has %d bytes, or other ones", i, len(v.Str))
					}
				}
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if got := c.say("PING"); got != "PONG" {
				t.Error(got)
			}
		})
	}
}

// TestClientCertificates: who needs one, and whose name makes an ACL user.
func TestClientCertificates(t *testing.T) {
	a, other := testutil.NewAuthority(t), testutil.NewAuthority(t)
	a.Issue("server", "server.pem", "server.key")
	app := a.Issue("app", "app.pem", "app.key")
	nobody := a.Issue("nobody", "nobody.pem", "nobody.key")
	forged := other.Issue("app", "app.pem", "app.key")
	users := func(o *core.Options) {
		o.RequirePass = "secret"
		o.Users = []core.UserRules{{Name: "app", Rules: []string{"on", ">other", "~*", "+@all"}}}
	}
	for _, c := range []struct {
		auth ClientAuth
		cert *tls.Certificate
		want string // of ACL WHOAMI, or an error
	}{
		{ClientAuthRequired, &app, "app"},
		{ClientAuthRequired, &nobody, "NOAUTH Authentication required."},
		{ClientAuthRequired, nil, ""},
		{ClientAuthRequired, &forged, ""},
		{ClientAuthOptional, &app, "app"},
		{ClientAuthOptional, nil, "NOAUTH Authentication required."},
		{ClientAuthOptional, &forged, ""},
		{ClientAuthNone, &forged, "NOAUTH Authentication required."},
	} {
		_, addr := serveTLS(t, a, Options{}, TLSOptions{ClientCAFile: a.File, ClientAuth: c.auth, ClientUser: true}, users)
		config := &tls.Config{RootCAs: a.Pool}
		if c.cert != nil {
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.cert, nil }
		}
		got := ""
		if conn, err := dialTLS(t, addr, config); err == nil {
			_, _ = io.WriteString(conn, "ACL WHOAMI\r\n") // with TLS 1.3 the refusal comes with the first read
			if v, err := resp.ReadReply(conn.r); err == nil {
				got = string(v.Str)
			}
		}
		if got != c.want {
			t.Errorf("client certificates %s, %v: %q, want %q", c.auth, c.cert != nil, got, c.want)
		}
	}
}

// TestCertificateRenewed: a replaced certificate is used from the next connection on,
// those that are there stay, and files that do not fit change nothing.
func TestCertificateRenewed(t *testing.T) {
	a := testutil.NewAuthority(t)
	a.Issue("first", "server.pem", "server.key")
	clock := testutil.NewClock(time.Now())
	_, addr := serveTLS(t, a, Options{}, TLSOptions{}, func(o *core.Options) { o.Clock = clock })
	name := func() string {
		c, err := dialTLS(t, addr, &tls.Config{RootCAs: a.Pool})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.say("PING"); got != "PONG" {
			t.Fatal(got)
		}
		return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	old, err := dialTLS(t, addr, &tls.Config{RootCAs: a.Pool})
	if err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "first" {
		t.Fatal(got)
	}
	if err := os.WriteFile(a.Path("server.key"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.Advance(2 * certificateCheck)
	if got := name(); got != "first" {
		t.Errorf("with a broken key: %s", got)
	}
	a.Issue("second", "server.pem", "server.key")
	clock.Advance(2 * certificateCheck)
	if got := name(); got != "second" {
		t.Errorf("after the renewal: %s", got)
	}
	if got := old.say("PING"); got != "PONG" {
		t.Errorf("a connection of before: %s", got)
	}
}
