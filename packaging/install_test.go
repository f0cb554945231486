package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// sandbox runs a script in a copy of this machine's root that is written to memory
// and gone afterwards: in a mount namespace of its own, with the machine's files below
// and a tmpfs on top. Nothing that the script does is seen outside. What the script
// needs besides has names that no machine's root can have already: $PACKAGES, and $OWN
// for files of its own.
func sandbox(t *testing.T, script string, env ...string) string {
	t.Helper()
	return sandboxWith(t, nil, script, env...)
}

// sandboxWith is sandbox with programs that are outside of this machine's root, by the
// names that they get in $OWN/bin.
func sandboxWith(t *testing.T, tools map[string]string, script string, env ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, for an overlay over this machine's root")
	}
	dir := t.TempDir()
	const enter = `set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
`
	try := exec.Command("unshare", "--mount", "sh", "-c", enter, "-", dir)
	if out, err := try.CombinedOutput(); err != nil {
		t.Skipf("needs a kernel that lets it mount an overlay over this machine's root: %v\n%s", err, out)
	}
	// What is outside of the root filesystem comes along by hand: the packages.
	const inside = enter + `
mkdir -p "$1/root/proc" "$1/root/dev" "$1/root/tmp"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
rm -rf "$1/root/run/systemd"
rm -f "$1/root/var/lib/man-db/auto-update" # to index the machine's manual pages takes minutes
own=$(cd "$1/root" && mktemp -d tmp/XXXXXX)
mkdir "$1/root/$own/packages"
mount --bind "$2" "$1/root/$own/packages"
mkdir "$1/root/$own/bin"
root=$1
shift 2
while [ $# -gt 0 ]; do
  : > "$root/root/$own/bin/$1"
  mount --bind "$2" "$root/root/$own/bin/$1"
  shift 2
done
set -- "$root"
cat > "$1/root/$own/script"
export OWN="/$own" PACKAGES="/$own/packages"
exec chroot "$1/root" /bin/sh -e "$OWN/script"
`
	args := []string{"--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inside, "-", dir, packagesDir(t)}
	for name, path := range tools {
		args = append(args, name, path)
	}
	cmd := exec.Command("unshare", args...)
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "HOME=/root"}, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

// packagesDir has the packages of two versions: old.deb, new.deb, old.rpm, new.rpm.
// The new one's program is another.
func packagesDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(filepath.Dir(made.out), "packages")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	next := testRelease(made.root, dir, "1.1.0")
	stage := next.stage(runtime.GOARCH)
	output(t, "sh", "-c", `mkdir -p "$1" "$2" && cp -r "$3"/. "$1"`, "-", stage, next.out, made.stage(runtime.GOARCH))
	if err := next.build(runtime.GOARCH, filepath.Join(stage, "bin"), "spillway"); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"deb", "rpm"} {
		if err := next.pack(format, filepath.Join(next.linux(), "spillway.yaml"), runtime.GOARCH); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range [][2]string{
		{made.path(t, "spillway_*.deb"), "old.deb"}, {next.path(t, "spillway_*.deb"), "new.deb"},
		{made.path(t, "spillway-1*.rpm"), "old.rpm"}, {next.path(t, "spillway-1*.rpm"), "new.rpm"},
	} {
		output(t, "cp", l[0], filepath.Join(dir, l[1]))
	}
	return dir
}

// life is what both kinds of package go through, by functions that each defines:
// installed, upgraded, removed and installed again, with the daemon started as the
// unit says, under its user.
const life = systemctl + `
say() { echo "== $*"; }
is() { # WHAT GOT WANT
  [ "$2" = "$3" ] || { echo "FAIL: $1 is '$2', want '$3'"; exit 1; }
}
start() { $OWN/bin/systemctl start; } # by its path: the package's scripts find none
stop() { $OWN/bin/systemctl stop; }
cli() { redis-cli -p "$PORT" "$@"; }

say install
install_old
is "the user" "$($OWN/bin/systemctl show User)" spillway
is "the directory of the data" "$(stat -c '%U:%G %a' /var/lib/spillway)" "spillway:spillway 700"
is "the directory of the configuration" "$(stat -c '%U:%G %a' /etc/spillway)" "root:spillway 750"
is "the configuration" "$(stat -c '%U:%G %a' /etc/spillway/plugins.hcl)" "root:spillway 640"
is "the user's shell" "$(getent passwd spillway | cut -d: -f6-)" "/var/lib/spillway:/usr/sbin/nologin"
case $(spillway version) in "spillway 1.0.0 "*) ;; *) echo "FAIL: $(spillway version)"; exit 1 ;; esac
spillway check --config /etc/spillway/plugins.hcl > $OWN/check
grep -q '/var/lib/spillway (data directory' $OWN/check || { cat $OWN/check; exit 1; }
zcat -t /usr/share/man/man1/spillway-serve.1.gz
bash -n /usr/share/bash-completion/completions/spillway

say start
start
is "a reply" "$(cli SET greeting hello)" OK
is "a save" "$(cli SAVE)" OK
is "a reply" "$(cli SET later yes)" OK
is "what it wrote" "$(stat -c '%U %a' /var/lib/spillway/MANIFEST)" "spillway 600"
is "CONFIG SET" "$(cli CONFIG SET slowlog-max-len 1234)" OK
is "CONFIG REWRITE, by a user who cannot write to /etc" "$(cli CONFIG REWRITE)" OK
is "what that wrote" "$(stat -c '%U %a' /var/lib/spillway/spillway.auto.hcl)" "spillway 600"

say upgrade
upgrade
is "the version" "$(spillway version | cut -d' ' -f2)" 1.1.0
grep -q "127.0.0.1:$PORT" /etc/spillway/plugins.hcl || { echo "FAIL: the changed configuration is gone"; exit 1; }
is "the old program's reply" "$(cli GET greeting)" hello
stop
start
is "the data" "$(cli MGET greeting later | tr '\n' ' ')" "hello yes "
is "what CONFIG REWRITE has kept" "$(cli CONFIG GET slowlog-max-len | tail -n 1)" 1234
grep -q 'version=1.1.0' $OWN/daemon.log
stop

say remove
remove
[ ! -e /usr/bin/spillway ] && [ ! -e "$unit" ]
[ -e /var/lib/spillway/MANIFEST ] || { echo "FAIL: the data is gone"; exit 1; }

say again
install_old
start
is "the data" "$(cli GET later)" yes
stop
say done
`

// TestDeb: the package's life on a Debian system.
func TestDeb(t *testing.T) {
	for _, program := range []string{"dpkg", "redis-cli"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs " + program)
		}
	}
	out := sandbox(t, `
unit=/lib/systemd/system/spillway.service
wants=/etc/systemd/system/multi-user.target.wants/spillway.service
install_old() {
  dpkg -i $PACKAGES/old.deb
  [ -L $wants ] || { echo "FAIL: the service is not enabled"; exit 1; }
  sed -i "s/127.0.0.1:6380/127.0.0.1:$PORT/" /etc/spillway/plugins.hcl
}
upgrade() { dpkg -i $PACKAGES/new.deb; }
remove() {
  dpkg -r spillway
  [ -e /etc/spillway/plugins.hcl ] || { echo "FAIL: without a purge the configuration stays"; exit 1; }
  dpkg -P spillway 2>&1 | grep 'the data stays in /var/lib/spillway'
  [ ! -e /etc/spillway ] && [ ! -L $wants ] || { echo "FAIL: a purge leaves"; ls -R /etc/spillway $wants; exit 1; }
}
`+life+`
say empty
rm -rf /var/lib/spillway/*
dpkg -P spillway
[ ! -e /var/lib/spillway ]
`, "PORT="+freePort(t))
	if !strings.Contains(out, "== done") {
		t.Errorf("it has not come to its end:\n%s", out)
	}
}

// TestRPM: the package's life as rpm sees it, whose database is made for it.
func TestRPM(t *testing.T) {
	for _, program := range []string{"rpm", "redis-cli"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs " + program)
		}
	}
	out := sandbox(t, `
unit=/usr/lib/systemd/system/spillway.service
rpm --initdb
install_old() {
  rpm -i --nodeps $PACKAGES/old.rpm
  rpm -V --nodeps spillway
  sed -i "s/127.0.0.1:6380/127.0.0.1:$PORT/" /etc/spillway/plugins.hcl
}
upgrade() { rpm -U --nodeps $PACKAGES/new.rpm; }
remove() { rpm -e spillway; rm -f /etc/spillway/plugins.hcl.rpmsave; }
`+life, "PORT="+freePort(t))
	if !strings.Contains(out, "== done") {
		t.Errorf("it has not come to its end:\n%s", out)
	}
}
