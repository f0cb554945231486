#!/bin/sh
# deb and rpm: the user that files of the package belong to.
set -e
getent group spillway >/dev/null || groupadd --system spillway
getent passwd spillway >/dev/null ||
  useradd --system --gid spillway --home-dir /var/lib/spillway --no-create-home \
    --shell /usr/sbin/nologin --comment Spillway spillway
