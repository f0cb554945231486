package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// boot has systemd as the first process of namespaces of its own, with the service's own
// units and empty targets in place of the machine's, so that it starts nothing else and sets
// nothing of the machine. It runs $OWN/walk as a service, and ends with it; what that and
// spillway say is in $OWN/said and $OWN/daemon.log, of the manager in $OWN/console.
const boot = `
rm -rf /etc/systemd/system/*.wants /lib/systemd/system/*.wants /lib/systemd/system-generators /usr/lib/systemd/system-generators /etc/systemd/system-generators
for target in sysinit basic multi-user network-online network sockets timers paths slices shutdown umount final; do
  printf '[Unit]\nDefaultDependencies=no\n' > /etc/systemd/system/$target.target
done
cat > /etc/systemd/system/walk.service <<END
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=infinity
Environment=OWN=$OWN PACKAGES=$PACKAGES DEBIAN_FRONTEND=noninteractive HOME=/root
ExecStart=/bin/bash $OWN/walk
ExecStopPost=-/bin/systemctl exit 0 --force --force
StandardOutput=file:$OWN/said
StandardError=inherit
END
mkdir -p /etc/systemd/system/spillway.service.d
cat > /etc/systemd/system/spillway.service.d/said.conf <<END
[Service]
StandardOutput=append:$OWN/daemon.log
StandardError=append:$OWN/daemon.log
END
: > $OWN/console
cat > $OWN/boot <<'END'
set -e
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t sysfs -o ro sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mkdir $OWN/dev
mount -t tmpfs -o mode=755 tmpfs $OWN/dev
for name in null zero full random urandom tty; do
  : > $OWN/dev/$name
  mount --bind /dev/$name $OWN/dev/$name
done
mkdir $OWN/dev/shm $OWN/dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts $OWN/dev/pts
ln -s pts/ptmx $OWN/dev/ptmx # without one a unit gets no devices of its own, and does not start
ln -s /proc/self/fd $OWN/dev/fd
: > $OWN/dev/console
mount --bind $OWN/console $OWN/dev/console
mount --rbind $OWN/dev /dev
mount --make-rshared / # or a credential stays in the namespace of who has put it there
exec env -i container=spillway PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=walk.service --log-target=console --show-status=no
END
timeout -k 5 240 unshare --mount --pid --fork --kill-child --cgroup --net --uts --ipc sh $OWN/boot < /dev/null || :
`

// TestSystemd: the deb under a real systemd: enabled, started and ready when the data are
// there, as its user, in its sandbox; reloaded; killed, panicked and hung, and started
// again; not started with a mistake; upgraded, stopped with its data saved, and gone.
func TestSystemd(t *testing.T) {
	for _, program := range []string{"dpkg", "redis-cli", "/lib/systemd/systemd", "deb-systemd-invoke"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("NOT RUN: needs " + program)
		}
	}
	if os.Getuid() == 0 {
		if out, err := exec.Command("unshare", "--mount", "--cgroup", "--pid", "--fork", "--net", "sh", "-c",
			"mount -t tmpfs tmpfs /mnt && mkdir /mnt/c /mnt/s && mount -t sysfs -o ro sysfs /mnt/s && mount -t cgroup2 cgroup2 /mnt/c && mkdir /mnt/c/probe.$$ && rmdir /mnt/c/probe.$$").CombinedOutput(); err != nil {
			t.Skipf("NOT RUN: may not have control groups of its own here: %v: %s", err, strings.TrimSpace(string(out)))
		}
	}
	out := sandbox(t, `
rm -f /usr/sbin/policy-rc.d # of a container's image: nothing is started
cat > $OWN/walk <<'END_OF_WALK'
set -eo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"; systemctl status spillway.service; tail -n 30 $OWN/daemon.log' ERR
say() { echo "== $*"; }
is() { # WHAT GOT WANT
  [ "$2" = "$3" ] || { echo "FAIL: $1 is '$2', want '$3'"; false; }
}
show() { systemctl show --value -p "$1" spillway.service; }
cli() { redis-cli -e -p 6380 "$@"; }
restarted() { # by systemd, for the first time or again, without anybody's help
  until [ "$(show NRestarts)" -ge 1 ] && [ "$(show ActiveState)" = active ]; do
    if [ "$(show ActiveState)" = failed ]; then echo "FAIL: it is not started again"; false; fi
    sleep 0.05
  done
  is "the data" "$(cli MGET greeting later | tr '\n' ' ')" "hello yes "
}
is "the first process" "$(cat /proc/1/comm)" systemd

say install
mkdir -p /etc/credstore
(umask 077; echo geheim > /etc/credstore/spillway.password)
dpkg -i $PACKAGES/old.deb
is "the service" "$(systemctl is-enabled spillway.service)" enabled
is "the service, which is ready when its data are there" "$(show ActiveState) $(show SubState)" "active running"
is "what it says of itself" "$(show StatusText)" "Serving clients"
export REDISCLI_AUTH=geheim
is "a reply" "$(cli SET greeting hello)" OK
is "without the credential" "$(env -u REDISCLI_AUTH redis-cli -p 6380 GET greeting | cut -d' ' -f1)" NOAUTH
is "a save" "$(cli SAVE)" OK

say sandbox
pid=$(show MainPID)
is "the user" "$(stat -c %U /proc/$pid)" spillway
is "capabilities" "$(sed -n 's/^CapBnd:\t//p' /proc/$pid/status)" 0000000000000000
is "no new privileges" "$(sed -n 's/^NoNewPrivs:\t//p' /proc/$pid/status)" 1
is "system calls are filtered" "$(sed -n 's/^Seccomp:\t//p' /proc/$pid/status)" 2
is "what is mounted to write to" "$(awk '$6 ~ /(^|,)rw(,|$)/ { print $5 }' /proc/$pid/mountinfo | grep -Ev "^/(dev|proc|run|sys)(/|\$)|^/(var/)?tmp\$|^$OWN/" | sort | tr '\n' ' ')" "/var/lib/spillway "

say reload
sed -i 's/^  max_memory .*/  max_memory = "1gb"/' /etc/spillway/plugins.hcl
systemctl reload spillway.service
until [ "$(cli CONFIG GET maxmemory | tail -n 1)" = 1073741824 ]; do sleep 0.05; done
is "the process" "$(show MainPID)" $pid

say killed
is "a reply" "$(cli SET later yes)" OK
systemctl kill --signal=KILL spillway.service
restarted

say panicked # which ends a Go program with the status of a mistake in the configuration, but for the unit's GOTRACEBACK
systemctl restart spillway.service
is "restarts" "$(show NRestarts)" 0
systemctl kill --signal=QUIT spillway.service # has its stacks printed as a panic has
restarted

say hung
printf '[Service]\nWatchdogSec=5s\n' > /etc/systemd/system/spillway.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart spillway.service
systemctl kill --signal=STOP spillway.service
restarted
rm /etc/systemd/system/spillway.service.d/watchdog.conf
systemctl daemon-reload

say a mistake
sed -i 's/max_memory/max_memroy/' /etc/spillway/plugins.hcl
if systemctl restart spillway.service; then echo "FAIL: it starts with a mistake in its configuration"; false; fi
is "a start with a mistake in the configuration" "$(show ActiveState) $(show ExecMainStatus)" "failed 2"
sed -i 's/max_memroy/max_memory/' /etc/spillway/plugins.hcl
systemctl reset-failed spillway.service
systemctl start spillway.service

say upgrade
dpkg -i $PACKAGES/new.deb
is "the service" "$(show ActiveState)" active
is "what runs" "$(cli INFO server | sed -n 's/^spillway_version:\(.*\)\r/\1/p')" 1.1.0
is "the data" "$(cli MGET greeting later | tr '\n' ' ')" "hello yes "

say stop
systemctl stop spillway.service
is "the end" "$(show ActiveState) $(show Result)" "inactive success"
systemctl start spillway.service
is "the data" "$(cli MGET greeting later | tr '\n' ' ')" "hello yes "

say remove
dpkg -r spillway
if pgrep -x spillway; then echo "FAIL: it runs on"; false; fi
[ -e /var/lib/spillway/MANIFEST ]
say done
END_OF_WALK
`+boot+`
cat $OWN/said $OWN/console
`)
	if !strings.Contains(out, "== done") {
		t.Errorf("it has not come to its end:\n%s", out)
	}
	t.Log(out)
}
