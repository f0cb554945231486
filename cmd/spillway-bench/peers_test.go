package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// peersScript is what make bench-peers runs.
const peersScript = "../../internal/peers.sh"

// runPeers runs it with these programs in place of the machine's, and a directory for
// the peers.
func runPeers(t *testing.T, dir string, programs map[string]string, env ...string) (out string, status int) {
	t.Helper()
	path := t.TempDir()
	for _, tool := range []string{"bash", "cat", "chmod", "dirname", "find", "head", "mkdir", "mv", "paste", "rm", "sed", "sh", "sort", "tail", "tr"} {
		at, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(at, filepath.Join(path, tool)); err != nil {
			t.Fatal(err)
		}
	}
	keyring := filepath.Join(path, "keyring.gpg")
	if err := os.WriteFile(keyring, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(path, name), []byte("#!/bin/sh\n"+script), 0o700); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
	}
	cmd := exec.Command(peersScript)
	cmd.Env = append([]string{"PATH=" + path, "PEERS_DIR=" + dir, "PEERS_KEYRING=" + keyring}, env...)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(b), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b), 0
}

// fakeApt has packages: each says of which release it is, and brings a loader that
// tells what it is told to run.
var fakeApt = map[string]string{
	"apt-get": `for last; do :; done
		case "$*" in
		*download*) for o; do case $o in Dir::Etc::SourceList=*) grep -o 'signed-by=.*' "${o#*=}" > "$last.deb"; esac; done ;;
		esac`,
	"apt-cache": `echo "redis-server"; echo "  Depends: adduser"; echo " |Depends: libfoo1"; echo "  PreDepends: libc6"`,
	"dpkg-deb": `mkdir -p "$3/usr/bin" "$3/lib/x"
		cp "$2" "$3/usr/bin/redis-server"; cp "$2" "$3/usr/bin/valkey-server"
		printf '#!/bin/sh\necho "loaded: $*"; cat "$5"\n' > "$3/lib/x/ld-linux-x.so.2"; chmod +x "$3/lib/x/ld-linux-x.so.2"`,
	"cp": `exec cat "$1" > "$2"`, "grep": `exec sed -n 's/.*\[\(signed-by=.*\)/\1/p' "$3"`,
}

// TestPeersOffline: what cannot be fetched is said with its reason, and status 3, and
// what one can do.
func TestPeersOffline(t *testing.T) {
	offline := map[string]string{"apt-cache": "", "dpkg-deb": "", "apt-get": "echo 'W: something'; echo 'E: Could not resolve deb.debian.org' >&2; exit 100"}
	for _, c := range []struct {
		programs map[string]string
		env      []string
		want     []string
	}{
		{nil, nil, []string{"peers: NOT FETCHED: apt-get is not here", "--peer name=command"}},
		{offline, nil, []string{"peers: from http://deb.debian.org/debian, verified by apt with ", "redis-7 is redis-server of Debian bookworm", "valkey-9 is valkey-server of Debian sid",
			"peers: NOT FETCHED: apt-get update of http://deb.debian.org/debian bookworm: E: Could not resolve deb.debian.org"}},
		{offline, []string{"PEERS_KEYRING=/nowhere/keyring"}, []string{"peers: NOT FETCHED: /nowhere/keyring is not here", "nothing is fetched that cannot be verified"}},
	} {
		dir := filepath.Join(t.TempDir(), "peers")
		out, status := runPeers(t, dir, c.programs, c.env...)
		if status != 3 {
			t.Errorf("status %d, want 3:\n%s", status, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("there is no %q in:\n%s", want, out)
			}
		}
		if found, err := os.ReadDir(dir); len(found) > 0 {
			t.Errorf("there are %v (%v)", found, err)
		}
	}
}

// TestPeers: all are there afterwards, of their releases, run by loaders of their own;
// and what is there is not fetched again.
func TestPeers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "peers")
	out, status := runPeers(t, dir, fakeApt)
	if status != 0 {
		t.Fatalf("status %d:\n%s", status, out)
	}
	for name, want := range map[string]string{"redis-7": "bookworm", "redis-8": "sid", "valkey-9": "sid"} {
		said, err := exec.Command(filepath.Join(dir, name), "--port", "1").CombinedOutput()
		if err != nil || !strings.Contains(string(said), " --port 1\n") || !strings.Contains(string(said), "keyring.gpg] http://deb.debian.org/debian "+want+" main") {
			t.Errorf("%s: %v: %s", name, err, said)
		}
		if line := "--peer " + name + "=" + filepath.Join(dir, name); !strings.Contains(out, line) {
			t.Errorf("there is no %q in:\n%s", line, out)
		}
	}
	out, status = runPeers(t, dir, nil)
	if status != 0 || strings.Contains(out, "from http") || strings.Count(out, "--peer ") != 3 {
		t.Errorf("again: status %d:\n%s", status, out)
	}
}
