#!/usr/bin/env bash
# What make deps runs: the programs of the system that tests compare with, as far
# as they are missing. Nothing that is installed is upgraded. Packages that bring a
# service, or a timer, are not installed: their programs are unpacked into bin/.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/sbin:/sbin:$PWD/bin DEBIAN_FRONTEND=noninteractive
sudo=$(test "$(id -u)" = 0 || echo sudo)

packages=() unpacked=()
want() { # PROGRAM PACKAGE
  command -v "$1" >/dev/null || packages+=("$2")
}
want redis-check-rdb redis-tools # redis-server is the same program
want redis-benchmark redis-tools
want redis-cli redis-tools
want tclsh tcl
want zstd zstd
want lz4 lz4
want age age
want xz xz-utils
want protoc protobuf-compiler
want ssh-keygen openssh-client
want node nodejs
want npm npm
want rpm rpm
want curl curl
want openssl openssl
want ip iproute2
want skopeo skopeo
/usr/bin/python3 -c 'import grpc, google.protobuf, cryptography' 2>/dev/null ||
  packages+=(python3-grpcio python3-protobuf python3-cryptography)
/usr/bin/python3 -c 'import redis, rq' 2>/dev/null ||
  packages+=(python3-redis python3-rq)
command -v sshd >/dev/null || unpacked+=(openssh-server)
command -v mkfs.ext4 >/dev/null || unpacked+=(e2fsprogs)
command -v mkfs.xfs >/dev/null || unpacked+=(xfsprogs)
command -v promtool >/dev/null && command -v prometheus >/dev/null || unpacked+=(prometheus)

install() { # PACKAGE...
  $sudo apt-get install -y -qq --no-upgrade --no-install-recommends "$@"
}

if ((${#packages[@]} + ${#unpacked[@]})); then
  mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u | sed '/^$/d')
  echo "deps: to be installed with apt-get, where it is missing: ${packages[*]:-nothing}"
  echo "deps: to be unpacked into bin/, so that no service comes with it: ${unpacked[*]:-nothing}"
  $sudo apt-get update -qq
  if ((${#packages[@]})); then
    install "${packages[@]}"
  fi
fi

for package in "${unpacked[@]}"; do
  dir=bin/debs/$package
  rm -rf "$dir" && mkdir -p "$dir"
  (cd "$dir" && apt-get download -qq "$package" && dpkg -x ./*.deb .)
  # Of what it depends on, the libraries: they bring no service.
  mapfile -t libs < <(dpkg-deb -f "$dir"/*.deb Pre-Depends Depends | grep -oE '\blib[a-z0-9.+-]+' | grep -v '^libpam-\|^libjs-' | sort -u)
  if ((${#libs[@]})); then
    install "${libs[@]}"
  fi
  for program in "$dir"/{,usr/}sbin/{sshd,mkfs.ext4,mkfs.xfs} "$dir"/usr/lib/openssh/sshd-{session,auth} "$dir"/usr/bin/{prometheus,promtool}; do
    if [[ -f $program ]]; then
      ln -sfn "$PWD/$program" "bin/$(basename "$program")"
    fi
  done
done

command -v redis-server >/dev/null || ln -sfn "$(command -v redis-check-rdb)" bin/redis-server

# As root sshd gives its privileges up to a user of this name.
if [[ $(id -u) = 0 ]] && ! getent passwd sshd >/dev/null; then
  echo "deps: adding the system user sshd, which sshd needs"
  useradd --system --home-dir /run/sshd --no-create-home --shell /usr/sbin/nologin sshd
fi
