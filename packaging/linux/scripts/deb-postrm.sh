#!/bin/sh
# Data is never removed: a purge takes the configuration, and directories that are
# empty.
set -e
if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null || :
fi
[ "$1" = purge ] || exit 0
if command -v deb-systemd-helper >/dev/null; then
  deb-systemd-helper purge spillway.service >/dev/null || :
  deb-systemd-helper unmask spillway.service >/dev/null || :
fi
rmdir /etc/spillway 2>/dev/null || :
if [ -d /var/lib/spillway ] && ! rmdir /var/lib/spillway 2>/dev/null; then
  echo "spillway: the data stays in /var/lib/spillway" >&2
fi
