#!/bin/sh
# As Debian has it: the service is enabled and started when it is installed, unless
# an administrator or policy-rc.d says otherwise, and restarted when it is upgraded.
set -e
case $1 in
configure | abort-upgrade | abort-deconfigure | abort-remove) ;;
*) exit 0 ;;
esac
if command -v deb-systemd-helper >/dev/null; then
  deb-systemd-helper unmask spillway.service >/dev/null || :
  if deb-systemd-helper --quiet was-enabled spillway.service; then
    deb-systemd-helper enable spillway.service >/dev/null || :
  else
    deb-systemd-helper update-state spillway.service >/dev/null || :
  fi
fi
if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null || :
  if [ -z "$2" ]; then
    deb-systemd-invoke start spillway.service || :
  elif systemctl --quiet is-active spillway.service; then
    deb-systemd-invoke restart spillway.service || :
  fi
fi
