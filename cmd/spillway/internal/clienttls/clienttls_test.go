package clienttls_test

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/clienttls"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// handshake lets a client and a server meet. shown is the name in the certificate of the
// client, which the server verifies with the authority if it is given one.
func handshake(client *tls.Config, cert tls.Certificate, clients *testutil.Authority) (shown string, err error) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	server := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12} // of 1.3 a client would not wait for the verdict
	if clients != nil {
		server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, clients.Pool
	}
	theirs := make(chan error, 1)
	s := tls.Server(b, server)
	go func() {
		err := s.Handshake()
		if err != nil {
			_ = b.Close()
		}
		theirs <- err
	}()
	ours := tls.Client(a, client).Handshake()
	if ours != nil {
		_ = a.Close()
	}
	if err := errors.Join(ours, <-theirs); err != nil {
		return "", err
	}
	if peers := s.ConnectionState().PeerCertificates; len(peers) > 0 {
		shown = peers[0].Subject.CommonName
	}
	return shown, nil
}

// TestConfig: servers are judged by the authorities and the name, and files that are
// replaced count for connections that begin later, once they can be used.
func TestConfig(t *testing.T) {
	t.Parallel()
	first, second := testutil.NewAuthority(t), testutil.NewAuthority(t)
	old, fresh := first.Issue("server", "s.pem", "s.key"), second.Issue("server", "s.pem", "s.key")
	first.Issue("one", "c.pem", "c.key")
	f := clienttls.Files{CA: filepath.Join(t.TempDir(), "ca.pem"), Cert: first.Path("c.pem"), Key: first.Path("c.key")}
	replace := func(path string, text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	contents := func(path string) []byte {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	replace(f.CA, contents(first.File))
	var log testutil.Buffer
	logger := hclog.New(&hclog.LoggerOptions{Output: &log})
	c, err := f.Config("127.0.0.1", logger)
	if err != nil {
		t.Fatal(err)
	}
	if name, err := handshake(c, old, first); err != nil || name != "one" {
		t.Errorf("the server gets %q, %v", name, err)
	}
	if _, err := handshake(c, fresh, first); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a server of another authority: %v", err)
	}
	other, err := f.Config("other.example", logger)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(other, old, first); err == nil || !strings.Contains(err.Error(), "other.example") {
		t.Errorf("a server of another name: %v", err)
	}
	clienttls.Trust(other)
	if _, err := handshake(other, fresh, first); err != nil {
		t.Errorf("any server: %v", err)
	}

	replace(f.CA, []byte("half a f"))
	for range 2 {
		if name, err := handshake(c, old, first); err != nil || name != "one" {
			t.Errorf("with a broken file the server gets %q, %v", name, err)
		}
	}
	if n := log.Count("cannot be used: error="); n != 1 || !strings.Contains(log.String(), f.CA+": no certificate is in it") {
		t.Errorf("the log says:\n%s", log.String())
	}
	replace(f.CA, contents(second.File))
	first.Issue("two", "c.pem", "c.key")
	if name, err := handshake(c, fresh, first); err != nil || name != "two" {
		t.Errorf("with other files the server gets %q, %v", name, err)
	}
	if _, err := handshake(c, old, first); err == nil {
		t.Error("what was trusted before still is")
	}
}

// TestPin: one certificate, and no other, whatever its name.
func TestPin(t *testing.T) {
	t.Parallel()
	a := testutil.NewAuthority(t)
	cert, another := a.Issue("one", "one.pem", "one.key"), a.Issue("two", "two.pem", "two.key")
	c, err := clienttls.Files{}.Config("some.where", nil)
	if err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("another one")
	if err := clienttls.Pin(c, a.Path("one.pem"), wrong); err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(c, cert, nil); err != nil {
		t.Error(err)
	}
	if _, err := handshake(c, another, nil); !errors.Is(err, wrong) {
		t.Errorf("another certificate: %v", err)
	}
	for file, want := range map[string]string{"one.key": "no certificate is in it", "none.pem": "no such file"} {
		if err := clienttls.Pin(c, a.Path(file), wrong); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestFilesThatCannotBeUsed says which, and why.
func TestFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	a := testutil.NewAuthority(t)
	a.Issue("one", "one.pem", "one.key")
	a.Issue("two", "two.pem", "two.key")
	none := a.Path("none.pem")
	for want, f := range map[string]clienttls.Files{
		"the authorities " + none + ": no such file or directory":                                       {CA: none},
		"the authorities " + a.Path("one.key") + ": no certificate is in it":                            {CA: a.Path("one.key")},
		"the certificate " + a.Path("one.pem") + " and the key " + a.Path("two.key") + ": tls: private": {Cert: a.Path("one.pem"), Key: a.Path("two.key")},
		"the certificate " + none + " and the key " + none + ": no such file":                           {Cert: none, Key: none},
		"want the file of its private key as well":                                                      {Cert: a.Path("one.pem")},
		"want the file of its certificate as well":                                                      {Key: a.Path("one.key")},
	} {
		if _, err := f.Config("localhost", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
