package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAddressesThatCannotBe: what serve cannot listen on, check refuses with the
// place in the file and why, and serve does with the same status before it has
// made anything.
func TestAddressesThatCannotBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tcp := func(address string) string { return fmt.Sprintf(`listener "tcp" "a" { address = %q }`, address) }
	unix := func(path string) string { return fmt.Sprintf(`listener "unix" "a" { path = %q }`, path) }
	for name, c := range map[string]struct {
		hcl, want string
		flags     []string
	}{
		"no port":               {hcl: tcp("localhost"), want: ":1:32\n"},
		"a port too high":       {hcl: tcp("127.0.0.1:65536"), want: `"65536" is no port`},
		"no address":            {hcl: tcp("127.0.0.256:1"), want: `"127.0.0.256" is not an IPv4 address`},
		"another machine's":     {hcl: tcp("192.0.2.1:6380"), want: "this machine does not have the address"},
		"another machine's, v6": {hcl: tcp("[2001:db8::1]:6380"), want: ":1:32\n"},
		"a name of nobody":      {hcl: tcp("no such host:6380"), want: `the host "no such host" has no address`},
		"no directory":          {hcl: unix(filepath.Join(dir, "none", "s")), want: "none is not there"},
		"a file there":          {hcl: unix(file), want: "is not a socket"},
		"a path too long":       {hcl: unix("/tmp/" + strings.Repeat("x", 200)), want: "has at most"},
		"twice":                 {hcl: tcp("127.0.0.1:6380") + "\n" + strings.Replace(tcp("0.0.0.0:6380"), `"a"`, `"b"`, 1), want: `listener "a" listens on 127.0.0.1:6380 already`},
		"metrics as well":       {hcl: tcp("127.0.0.1:6380") + "\nmetrics { address = \":6380\" }", want: ":2:21\n"},
		"metrics elsewhere":     {hcl: `metrics { address = "192.0.2.1:9121" }`, want: "this machine does not have the address"},
		"--bind":                {flags: []string{"--bind", "127.0.0.1 192.0.2.1"}, want: "192.0.2.1:6380: this machine does not have the address"},
		"--bind no address":     {flags: []string{"--bind", "127.0.0.256"}, want: "is not an IPv4 address"},
		"--unixsocket":          {flags: []string{"--unixsocket", filepath.Join(dir, "none", "s")}, want: "is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			args := append([]string{"-config", writeConfig(t, c.hcl), "--dir", data}, c.flags...)
			for _, command := range []string{"check", "serve"} {
				out, code := spillway(t, append([]string{command}, args...)...)
				if code != 2 || !strings.Contains(out, c.want) || !strings.Contains(out, "nothing was started") {
					t.Errorf("%s: exit status %d, want %q:\n%s", command, code, c.want, out)
				}
			}
			if _, err := os.Stat(data); err == nil {
				t.Error("a data directory was made")
			}
		})
	}
}

// TestCheckInUse: an address that somebody listens on is no mistake of the
// configuration, most often it is the daemon's; check says so and does not
// disturb the one who listens.
func TestCheckInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	file := writeConfig(t, fmt.Sprintf(`listener "tcp" "a" { address = %q }`, address))
	if out, code := spillway(t, "check", "-config", file); code != 0 || !strings.Contains(out, address+": another process listens there now") {
		t.Errorf("exit status %d:\n%s", code, out)
	}
	out, code := spillway(t, "check", "--json", "-config", file)
	var p plan
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 0 || len(p.Busy) != 1 || p.Busy[0] != address {
		t.Errorf("check --json: exit status %d, %v:\n%s", code, err, out)
	}
	if out, code := spillway(t, "serve", "-config", file, "--dir", t.TempDir()); code != 1 || !strings.Contains(out, "address already in use") {
		t.Errorf("serve: exit status %d:\n%s", code, out)
	}
}

// TestBindFamilies: 0.0.0.0 is all of IPv4, :: all of IPv6, and both together
// are possible, as with Redis.
func TestBindFamilies(t *testing.T) {
	t.Parallel()
	v6, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		_ = v6.Close()
	}
	reaches := func(host string, d *daemon) bool {
		_, port, _ := net.SplitHostPort(d.addr)
		c, err := net.Dial("tcp", net.JoinHostPort(host, port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	d := startDaemon(t, t.TempDir(), "--bind", "* -::* -192.0.2.1") // as in redis.conf; the last is for examples
	if !reaches("127.0.0.1", d) || v6 != nil && !reaches("::1", d) {
		t.Errorf("--bind * -::*: IPv4 %v, IPv6 %v", reaches("127.0.0.1", d), reaches("::1", d))
	}
	equal(t, "CONFIG GET bind", d.do("CONFIG", "GET", "bind"), map[any]any{"bind": "* -::* -192.0.2.1"})
	equal(t, "CONFIG SET bind", d.do("CONFIG", "SET", "bind", "*"), "OK")
	if !reaches("127.0.0.1", d) || reaches("::1", d) {
		t.Errorf("CONFIG SET bind *: IPv4 %v, IPv6 %v", reaches("127.0.0.1", d), reaches("::1", d))
	}
	d.stop()
	d = startDaemon(t, t.TempDir(), "--bind", "0.0.0.0")
	if !reaches("127.0.0.1", d) || reaches("::1", d) {
		t.Errorf("--bind 0.0.0.0: IPv4 %v, IPv6 %v", reaches("127.0.0.1", d), reaches("::1", d))
	}
	d.stop()
	if v6 == nil {
		t.Skip("this machine has no IPv6: --bind 0.0.0.0 :: is not tried")
	}
	d = startDaemon(t, t.TempDir(), "--bind", "0.0.0.0 ::")
	if !reaches("127.0.0.1", d) || !reaches("::1", d) {
		t.Errorf("--bind 0.0.0.0 ::: IPv4 %v, IPv6 %v", reaches("127.0.0.1", d), reaches("::1", d))
	}
	d.stop()
}

// TestConfigurationIsTheOrigin: the relative paths of a configuration begin where it is,
// wherever the daemon is started from.
func TestConfigurationIsTheOrigin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name, sum := buildPlugin(t, "cmd/spillway-plugin-zstd")
	for to, text := range map[string]string{
		"pw.txt": "hush\n", "known_hosts": "", "users.acl": "user app on nopass +@all ~*\nuser default on >hush +@all ~*\n", "plugins.hcl": `
server {
  password = file("pw.txt")
  acl_file = "users.acl"
}
listener "tcp" "main" { address = "127.0.0.1:0" }
listener "unix" "local" { path = "s.sock" }
plugin "tools" {
  command  = ["./tools"]
  checksum = "` + sum + `"
}
filesystem "os" "data" { root = "made" }
pipeline "checkpoint" {
  sink "filesystem" "local" { uses = filesystem.os.data }
  sink "sftp" "vault" {
    url         = "sftp://b@127.0.0.1:1/srv"
    known_hosts = "known_hosts"
    key_file    = "id"
    required    = false
  }
}`} {
		if err := os.WriteFile(filepath.Join(dir, to), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(filepath.Join(filepath.Dir(binary), name))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tools"), program, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, code := spillway(t, "check", "-config", filepath.Join(dir, "plugins.hcl")) // in another directory
	if code != 2 || !strings.Contains(out, filepath.Join(dir, "id")) {
		t.Errorf("a key file that is not there: exit status %d:\n%s", code, out)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "id")).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v; apt-get install openssh-client\n%s", err, out)
	}
	d := launch(t, "-config", filepath.Join(dir, "plugins.hcl"), "--adopt") // nobody answers at the vault
	d.waitReady()
	if got := d.withPassword("hush").do("ACL", "USERS"); fmt.Sprint(got) != "[app default]" {
		t.Errorf("users: %v", got)
	}
	for _, made := range []string{"made/LOCK", "s.sock"} {
		if _, err := os.Stat(filepath.Join(dir, made)); err != nil {
			t.Errorf("%s is not beside the configuration: %v", made, err)
		}
	}
}
