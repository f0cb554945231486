package main

// systemctl makes $OWN/bin/systemctl, which does with the one unit what systemd would, as far
// as the tests need it, where there is none. TestSystemd has a real one.
const systemctl = `cat > $OWN/bin/systemctl <<'END_OF_SYSTEMCTL'
#!/bin/bash
set -e
unit=$(ls /lib/systemd/system/spillway.service /usr/lib/systemd/system/spillway.service 2>/dev/null | head -n 1)
field() { cat $unit /etc/systemd/system/spillway.service.d/*.conf 2>/dev/null | sed -n "s/^$1=//p" | sed '/^$/d' | tail -n 1; }
start() {
  rm -f $OWN/daemon.status
  : > $OWN/daemon.log
  chmod 666 $OWN/daemon.log
  cd "$(field WorkingDirectory)"
  umask "$(field UMask)"
  {
    env -i PATH=/usr/bin $(cat /etc/spillway/environment 2>/dev/null) setpriv --reuid "$(field User)" --regid "$(field Group)" --clear-groups --no-new-privs \
      --bounding-set=-all $(field ExecStart) &
    echo $! > $OWN/daemon.pid
    wait $! && status=0 || status=$?
    (umask 022; echo $status > $OWN/daemon.status)
  } >> $OWN/daemon.log 2>&1 < /dev/null &
  until grep -q 'Ready to accept' $OWN/daemon.log; do
    if [ -e $OWN/daemon.status ]; then cat $OWN/daemon.log >&2; exit 1; fi
    sleep 0.05
  done
}
stop() { # its status is the daemon's
  [ -e $OWN/daemon.pid ] || return 0
  kill -TERM $(cat $OWN/daemon.pid) 2>/dev/null || :
  until [ -s $OWN/daemon.status ]; do sleep 0.05; done
  rm $OWN/daemon.pid
  return $(cat $OWN/daemon.status)
}
case $1 in
  daemon-reload) ;;
  start) start ;;
  stop) stop ;;
  restart) stop; start ;;
  show) field "$2" ;;
  --root=*) exec /usr/bin/systemctl "$@" ;; # from the package's scripts
  *) echo "systemctl $1 is not known here" >&2; exit 1 ;;
esac
END_OF_SYSTEMCTL
chmod 755 $OWN/bin/systemctl
`
