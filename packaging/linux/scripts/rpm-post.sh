#!/bin/sh
# As Red Hat has it: a preset says whether the service is enabled, and nothing is
# started by an installation.
if [ "$1" -eq 1 ] && command -v systemctl >/dev/null; then
  systemctl --no-reload preset spillway.service >/dev/null 2>&1
fi
[ ! -d /run/systemd/system ] || systemctl daemon-reload >/dev/null 2>&1 || :
