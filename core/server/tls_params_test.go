package server

import (
	"crypto/tls"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// tlsName is the name in the certificate that a server shows, "" where it lets nobody in.
func tlsName(t *testing.T, a *testutil.Authority, addr string, maxVersion uint16) string {
	t.Helper()
	c, err := dialTLS(t, addr, &tls.Config{RootCAs: a.Pool, MaxVersion: maxVersion})
	if err != nil {
		return ""
	}
	if got := c.say("PING"); got != "PONG" {
		t.Fatal(got)
	}
	return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestConfigTLS: CONFIG SET changes what clients that connect later meet, all that one
// call says or nothing, and CONFIG GET shows it.
func TestConfigTLS(t *testing.T) {
	a := testutil.NewAuthority(t)
	a.Issue("server", "server.pem", "server.key")
	a.Issue("second", "second.pem", "second.key")
	_, addr := serveTLS(t, a, Options{}, TLSOptions{}, nil)
	admin, err := dialTLS(t, addr, &tls.Config{RootCAs: a.Pool})
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string) string {
		t.Helper()
		pair := admin.list("CONFIG GET " + name)
		if len(pair) != 2 {
			t.Fatalf("CONFIG GET %s: %q", name, pair)
		}
		return pair[1]
	}
	_, port, _ := net.SplitHostPort(addr)
	for name, want := range map[string]string{
		"tls-port": port, "tls-cert-file": a.Path("server.pem"), "tls-key-file": a.Path("server.key"), "tls-ca-cert-file": "",
		"tls-auth-clients": "no", "tls-protocols": "", "tls-session-caching": "yes", "port": "0",
	} {
		if got := get(name); got != want {
			t.Errorf("CONFIG GET %s is %q, want %q", name, got, want)
		}
	}
	second := "tls-cert-file " + a.Path("second.pem") + " tls-key-file " + a.Path("second.key")
	if err := os.WriteFile(a.Path("broken.pem"), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, refused := range []string{
		"tls-cert-file " + a.Path("second.pem"), // without its key
		"tls-cert-file " + a.Path("none.pem") + " tls-key-file " + a.Path("second.key"),
		"maxclients 77 " + second + " tls-ca-cert-file " + a.Path("broken.pem") + " tls-auth-clients yes",
		"maxclients 77 " + second + " timeout x", // refused for something else
		"maxclients 77 tls-auth-clients yes",     // without authorities
		"tls-protocols TLSv1.1",
	} {
		got := admin.say("CONFIG SET " + refused)
		if !strings.HasPrefix(got, "ERR CONFIG SET failed (possibly related to argument '") {
			t.Errorf("CONFIG SET %s: %s", refused, got)
		}
		if got, want := []string{get("tls-cert-file"), get("tls-key-file"), get("tls-auth-clients"), get("maxclients")}, []string{a.Path("server.pem"), a.Path("server.key"), "no", "10000"}; !slices.Equal(got, want) {
			t.Errorf("after the refusal of %s: %q", refused, got)
		}
		if got := tlsName(t, a, addr, 0); got != "server" {
			t.Fatalf("after the refusal of %s a client meets %q", refused, got)
		}
	}
	if got := admin.say("CONFIG SET " + second); got != "OK" {
		t.Fatal(got)
	}
	if got := tlsName(t, a, addr, 0); got != "second" {
		t.Errorf("a client meets %q", got)
	}
	if got := admin.say("CONFIG SET tls-protocols TLSv1.3"); got != "OK" || get("tls-protocols") != "TLSv1.3" {
		t.Error(got, get("tls-protocols"))
	}
	if got := tlsName(t, a, addr, tls.VersionTLS12); got != "" {
		t.Error("a client of TLS 1.2 was let in")
	}
	if got := admin.say("CONFIG SET tls-ca-cert-file " + a.File + " tls-auth-clients optional tls-session-caching no"); got != "OK" || get("tls-auth-clients") != "optional" {
		t.Error(got, get("tls-auth-clients"))
	}

	// The port is given up, and is there again with what it had.
	if got := admin.say("CONFIG SET tls-port 0"); got != "OK" || get("tls-port") != "0" || get("tls-cert-file") != a.Path("second.pem") {
		t.Error(got, get("tls-port"), get("tls-cert-file"))
	}
	if got := tlsName(t, a, addr, 0); got != "" {
		t.Error("a client was let in at no port")
	}
	if got := admin.say("CONFIG SET tls-port " + port + " tls-key-file " + a.Path("none.key")); !strings.Contains(got, errTLS.Error()) {
		t.Error(got)
	}
	if got := admin.say("CONFIG SET bind 127.0.0.1 tls-port " + port); got != "OK" {
		t.Error(got)
	}
	if got := tlsName(t, a, addr, 0); got != "second" {
		t.Errorf("a client meets %q", got)
	}
}

// TestConfigTLSOfSeveral: the first listener with TLS is shown, and what is set counts for
// all of them, which keep what was not set.
func TestConfigTLSOfSeveral(t *testing.T) {
	a := testutil.NewAuthority(t)
	a.Issue("server", "server.pem", "server.key")
	a.Issue("other", "other.pem", "other.key")
	s, addr := serveTLS(t, a, Options{}, TLSOptions{}, nil)
	other, err := NewTLS(TLSOptions{CertFile: a.Path("other.pem"), KeyFile: a.Path("other.key")})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	testutil.Eventually(t, "the first listener", func() bool { return tlsName(t, a, addr, 0) == "server" })
	go func() { _ = s.ServeTLS(l, other) }()
	testutil.Eventually(t, "the second listener", func() bool { return tlsName(t, a, l.Addr().String(), 0) == "other" })
	set := func(pairs ...[2]string) error { return s.db.Admin().Config().Set(pairs...) }
	if err := set([2]string{"tls-cert-file", a.Path("none.pem")}); err == nil {
		t.Error("a certificate that is not there was taken")
	}
	if err := set([2]string{"tls-protocols", "TLSv1.3"}); err != nil {
		t.Fatal(err)
	}
	for at, name := range map[string]string{addr: "server", l.Addr().String(): "other"} {
		if got := tlsName(t, a, at, 0); got != name {
			t.Errorf("a client meets %q, want %q", got, name)
		}
		if got := tlsName(t, a, at, tls.VersionTLS12); got != "" {
			t.Errorf("a client of TLS 1.2 was let in by %s", name)
		}
	}
	if got := s.db.Admin().Config().Get("tls-cert-file")[0][1]; got != a.Path("server.pem") {
		t.Errorf("CONFIG GET shows %s", got)
	}
}
