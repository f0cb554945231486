package sftp_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	pkgsftp "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
	"github.com/spillwaydb/spillway/plugins/sftp"
)

// refused wants a permanent error with words, and without the secret.
func refused(t *testing.T, o sftp.Options, words string) {
	t.Helper()
	_, err := mk(t, o).List(bg)
	if err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "geheim") {
		t.Errorf("List: %v, want a permanent error with %q", err, words)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestHostKey: a server that is not known, or is another than it was, is not
// talked to.
func TestHostKey(t *testing.T) {
	srv := servers.StartSSH(t)
	o := options(srv, t.TempDir())
	o.KnownHosts = write(t, "empty", "")
	refused(t, o, "ssh-keyscan")
	o.KnownHosts = filepath.Join(t.TempDir(), "none")
	refused(t, o, "known hosts")
	other := servers.Key(t, filepath.Join(t.TempDir(), "other"))
	o.KnownHosts = write(t, "other", knownhosts.Line([]string{srv.Addr()}, other.PublicKey())+"\n")
	refused(t, o, "somebody may be in between")

	// The default is the user's own file.
	home := t.TempDir()
	t.Setenv("HOME", home)
	o.KnownHosts = ""
	refused(t, o, "known hosts")
	known, err := os.ReadFile(srv.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(home, ".ssh"), 0o700), os.WriteFile(filepath.Join(home, ".ssh", "known_hosts"), known, 0o600)); err != nil {
		t.Fatal(err)
	}
	plugintest.PutOne(t, mk(t, o), 1, []byte("x"))
}

// TestKeys: the key file, the usual files, a passphrase, the agent.
func TestKeys(t *testing.T) {
	srv := servers.StartSSH(t)
	key, err := os.ReadFile(srv.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("SSH_AUTH_SOCK", "")
	o := options(srv, t.TempDir())

	o.KeyFile = filepath.Join(home, "not", "there")
	if _, err := sftp.New(o); err == nil {
		t.Error("a key file that is not there is taken")
	}
	servers.Key(t, filepath.Join(home, "stranger"))
	o.KeyFile = "~/stranger"
	refused(t, o, "does not let "+srv.User+" in")
	o.KeyFile = ""
	refused(t, o, "does not let "+srv.User+" in")

	raw, err := ssh.ParseRawPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyring := agent.NewKeyring()
	if err := keyring.Add(agent.AddedKey{PrivateKey: raw}); err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keyring, c) }()
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", sock)
	plugintest.PutOne(t, mk(t, o), 1, []byte("by the agent"))
	t.Setenv("SSH_AUTH_SOCK", "")

	if err := errors.Join(os.Mkdir(filepath.Join(home, ".ssh"), 0o700), os.WriteFile(filepath.Join(home, ".ssh", "id_ed25519"), key, 0o600)); err != nil {
		t.Fatal(err)
	}
	plugintest.PutOne(t, mk(t, o), 2, []byte("by the usual file"))
}

// lesser is an SSH server without fsync@openssh.com, which takes a password.
func lesser(t *testing.T) (addr, knownHosts string) {
	t.Helper()
	host := servers.Key(t, filepath.Join(t.TempDir(), "host"))
	cfg := &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if string(password) != "geheim" {
			return nil, errors.New("no")
		}
		return nil, nil
	}}
	cfg.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	serve := func(nc net.Conn) error {
		defer nc.Close()
		_, chans, reqs, err := ssh.NewServerConn(nc, cfg)
		if err != nil {
			return err
		}
		go ssh.DiscardRequests(reqs)
		for ch := range chans {
			c, reqs, err := ch.Accept()
			if err != nil {
				return err
			}
			go func() {
				for r := range reqs {
					_ = r.Reply(r.Type == "subsystem", nil)
				}
			}()
			s, err := pkgsftp.NewServer(c)
			if err != nil {
				return err
			}
			if err := s.Serve(); err != nil && err != io.EOF {
				return err
			}
			c.Close()
		}
		return nil
	}
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { _ = serve(nc) })
		}
	})
	addr = l.Addr().String()
	return addr, write(t, "known", knownhosts.Line([]string{addr}, host.PublicKey())+"\n")
}

// TestPasswordAndLesserServer: a password lets in; a server that cannot fsync is
// refused, unless the operator says otherwise, and then it is said in the log.
func TestPasswordAndLesserServer(t *testing.T) {
	addr, known := lesser(t)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("SSH_AUTH_SOCK", "")
	var log bytes.Buffer
	o := sftp.Options{URL: "sftp://me@" + addr + t.TempDir(), KnownHosts: known, Password: "geheimer"}
	refused(t, o, "does not let me in")
	o.Password = ""
	t.Setenv("SPILLWAY_SFTP_PASSWORD", "geheim")
	refused(t, o, "fsync@openssh.com")
	o.AllowUnsafeServer = true
	o.Logger = hclog.New(&hclog.LoggerOptions{Output: &log})
	s := mk(t, o)
	plugintest.Publish(t, s, plugintest.PutOne(t, s, 1, plugintest.Payload(3<<20)))
	plugintest.WantGenerations(t, s, 1)
	if n := strings.Count(log.String(), "fsync@openssh.com"); n != 1 {
		t.Errorf("%d warnings: %s", n, log.String())
	}
	if err := s.(io.Closer).Close(); err != nil {
		t.Error(err)
	}
	t.Run("conformance", func(t *testing.T) {
		plugintest.TestSink(t, func(t testing.TB) sink.Sink {
			o := o
			o.URL, o.Logger = "sftp://me@"+addr+t.TempDir(), nil
			return mk(t, o)
		})
	})
}
