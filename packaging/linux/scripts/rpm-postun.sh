#!/bin/sh
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload >/dev/null 2>&1
  [ "$1" -eq 0 ] || systemctl try-restart spillway.service >/dev/null 2>&1
fi
:
