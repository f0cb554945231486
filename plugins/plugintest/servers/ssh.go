package servers

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SSH is OpenSSH's sshd, with keys made for the test.
type SSH struct {
	*Process
	// User may log in, with the key in KeyFile.
	User, KeyFile string
	// KnownHosts is a file with the server's host key.
	KnownHosts string
}

// StartSSH starts an SSH server that offers SFTP.
func StartSSH(t testing.TB) *SSH {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	host, client := Key(t, in("host_key")), Key(t, in("client_key"))
	addr, port := freeAddr(t)
	for name, text := range map[string]string{
		"authorized_keys": string(ssh.MarshalAuthorizedKey(client.PublicKey())),
		"known_hosts":     knownhosts.Line([]string{addr}, host.PublicKey()) + "\n",
		"sshd_config": fmt.Sprintf("ListenAddress 127.0.0.1\nPort %s\nHostKey %s\nAuthorizedKeysFile %s\n", port, in("host_key"), in("authorized_keys")) +
			"PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n" +
			"MaxStartups 100\nUseDNS no\nSubsystem sftp internal-sftp\n" + helpers(t),
	} {
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if me.Uid == "0" {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where sshd puts its privileges down
			t.Fatal(err)
		}
	}
	p := start(t, "sshd", addr, nil, installed(t, "sshd", "/usr/sbin/sshd"), "-D", "-e", "-f", in("sshd_config"))
	return &SSH{Process: p, User: me.Username, KeyFile: in("client_key"), KnownHosts: in("known_hosts")}
}

// helpers names the programs of an sshd in the repository's bin that it would
// look for where its package is installed. Before OpenSSH 9.8 there are none.
func helpers(t testing.TB) (lines string) {
	t.Helper()
	for option, name := range map[string]string{"SshdSessionPath": "sshd-session", "SshdAuthPath": "sshd-auth"} {
		path := filepath.Join(root(t), "bin", name)
		if _, err := os.Stat(path); err == nil {
			lines += option + " " + path + "\n"
		}
	}
	return lines
}

// URL is the sink's URL of a directory.
func (s *SSH) URL(dir string) string { return "sftp://" + s.User + "@" + s.Addr() + dir }

// Key makes a key and stores it under name.
func Key(t testing.TB, name string) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
