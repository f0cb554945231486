package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var shBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")

// TestFirstDay: docs/first-day.md, every block of it pasted into one shell, in a copy
// of this machine that has a network of its own, and what it says comes, in order.
func TestFirstDay(t *testing.T) {
	page, err := os.ReadFile("../docs/first-day.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"dpkg", "redis-cli", "redis-benchmark", "redis-check-rdb", "openssl", "curl", "ip", "setpriv", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("NOT RUN: needs " + program)
		}
	}
	if out, err := exec.Command("unshare", "--net", "true").CombinedOutput(); err != nil {
		t.Skipf("NOT RUN: may not have a network of its own here (unshare --net: %v: %s)", err, strings.TrimSpace(string(out)))
	}
	// What make deps has put elsewhere than into the machine.
	tools := make(map[string]string)
	for _, name := range []string{"versitygw", "prometheus", "promtool"} {
		path, err := exec.LookPath(name)
		if err != nil {
			if path, err = filepath.Abs("../bin/" + name); err == nil {
				path, err = filepath.EvalSymlinks(path)
			}
		}
		if err != nil {
			t.Skipf("NOT RUN: there is no %s here (make deps)", name)
		}
		tools[name] = path
	}
	blocks := shBlock.FindAllStringSubmatch(string(page), -1)
	if n := strings.Count(string(page), "```"); n != 2*len(blocks) || n < 20 {
		t.Fatalf("%d fences in the page, and %d blocks of sh", n, len(blocks))
	}
	var paste strings.Builder
	for _, b := range blocks {
		paste.WriteString(b[1])
	}
	walk := paste.String()
	const deb = "spillway_*_amd64.deb"
	if strings.Count(walk, deb) != 1 {
		t.Fatalf("the page installs no %s", deb)
	}
	walk = strings.Replace(walk, deb, "$PACKAGES/old.deb", 1)
	out := sandboxWith(t, tools, `
`+systemctl+`
chmod 755 "$OWN" "$OWN/bin"
[ -x /usr/bin/redis-server ] || ln -s /usr/bin/redis-check-rdb "$OWN/bin/redis-server"
cat > "$OWN/walk" <<'END_OF_WALK'
set -eo pipefail
ip link set lo up
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"; tail -n 30 $OWN/daemon.log' ERR
`+walk+`
echo "== done"
END_OF_WALK
export PATH="$OWN/bin:$PATH"
exec unshare --net bash "$OWN/walk" < /dev/null
`)
	said := out
	for _, want := range []string{
		"spillway 1.0.0 ", "offsite: blob", // installed, and the configuration is one
		"is its own master", "random keys compared", // moved in
		"NOPERM",                    // by the user over TLS
		"snapshot",                  // a backup, elsewhere
		"ok\n", "<title>Spillway ·", // the page
		"SUCCESS",                         // the rules
		`alertname="SpillwaySinkBehind"`,  // S3 was gone; and as the walk goes on, the alert has ended
		"max_memory",                      // the reload
		"maxmemory\n1073741824\n",         // which a restart keeps,
		"slowlog-max-len\n1000\n",         // as it does what CONFIG REWRITE has written
		"Everything is as it was written", // the backup
		"a string of 3 bytes\nyes\n",      // the restored directory has the last write
		"the data stays in /var/lib/spillway", "MANIFEST", "== done",
	} {
		var found bool
		if _, said, found = strings.Cut(said, want); !found {
			t.Fatalf("it does not say %q where it should:\n%s", want, out)
		}
	}
}
