#!/usr/bin/env bash
# What make bench-peers runs: the servers that spillway-bench compares with, in
# bin/peers. They are Debian's packages, each unpacked beside the libc and the
# libraries of its own release, and run with those: nothing is installed, apt's lists
# and the machine's packages are neither read nor changed. apt verifies the release's
# signature with Debian's keyring, and by it every package.
#
# A peer that is there is left alone; rm -r bin/peers has them fetched anew.
# Exit status: 0 when all are there, 3 when they cannot be had here, 1 for a fault.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=${PEERS_DIR:-bin/peers} mirror=${PEERS_MIRROR:-http://deb.debian.org/debian}
keyring=${PEERS_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}

# NAME SUITE PACKAGE, whose program has the name of the package.
table='
redis-7  bookworm redis-server
redis-8  sid      redis-server
valkey-9 sid      valkey-server
'

cannot() { # WHY
  echo "peers: NOT FETCHED: $*" >&2
  exit 3
}

missing=$(while read -r name suite package; do
  if [[ -n $name && ! -x $peers/$name ]]; then echo "$name $suite $package"; fi
done <<<"$table")

if [[ -n $missing ]]; then
  for program in apt-get apt-cache dpkg-deb; do
    command -v $program >/dev/null || cannot "$program is not here, and the peers are Debian's packages; give spillway-bench servers of your own with --peer name=command"
  done
  test -r $keyring || cannot "$keyring is not here (package debian-archive-keyring), and nothing is fetched that cannot be verified"
  echo "peers: from $mirror, verified by apt with $keyring, to $peers; nothing is installed:"
  while read -r name suite package; do echo "peers:   $name is $package of Debian $suite"; done <<<"$missing"
fi
mkdir -p "$peers"
peers=$(cd "$peers" && pwd)
trap 'rm -rf "$peers/.apt"' EXIT # lists, which would be old another time

# in_suite SUITE PROGRAM ARG... runs a program of apt that sees this suite alone.
in_suite() {
  local root=$peers/.apt/$1 program=$2
  shift 2
  "$program" -qq -o Acquire::Retries=2 -o APT::Sandbox::User= -o APT::Update::Error-Mode=any -o Acquire::Languages=none \
    -o Dir::Etc::SourceList="$root/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::State::Lists="$root/lists" -o Dir::State::Status="$root/status" -o Dir::Cache="$root/cache" "$@"
}

update() { # SUITE, once
  local root=$peers/.apt/$1 said
  test ! -e "$root/updated" || return 0
  mkdir -p "$root/lists/partial" "$root/cache/archives/partial"
  : >"$root/status"
  echo "deb [signed-by=$keyring] $mirror $1 main" >"$root/sources.list"
  said=$(in_suite "$1" apt-get update 2>&1) || cannot "apt-get update of $mirror $1: $(tail -n 1 <<<"$said")"
  : >"$root/updated"
}

# libraries SUITE PACKAGE prints the libraries that a package needs, and those that
# these need.
libraries() {
  local found=$2 seen=
  while [[ $found != "$seen" ]]; do
    seen=$found
    # shellcheck disable=SC2086 # a list
    found=$(in_suite "$1" apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances $seen |
      sed -n 's/^ *|\?\(Pre\)\?Depends: \(lib[^ ]*\|lua-[^ ]*\|zlib1g\|[a-z]*-tools\)$/\2/p' | cat - <(tr ' ' '\n' <<<"$seen") | sort -u | tr '\n' ' ')
    found=${found% }
  done
  echo "$found"
}

fetch() { # NAME SUITE PACKAGE
  local dir=$peers/.$1 said packages loader
  update "$2"
  packages=$(libraries "$2" "$3")
  rm -rf "$dir" && mkdir -p "$dir/debs" "$dir/root"
  # shellcheck disable=SC2086 # a list
  said=$(cd "$dir/debs" && in_suite "$2" apt-get download $packages 2>&1) || cannot "apt-get download of $3 from $2: $(tail -n 1 <<<"$said")"
  for deb in "$dir"/debs/*.deb; do dpkg-deb -x "$deb" "$dir/root"; done
  rm -r "$dir/debs"
  loader=$(find "$dir/root" -type f -name 'ld-linux*.so.*' | head -n 1)
  test -n "$loader" || { echo "peers: $1: libc6 of $2 has no ld-linux" >&2; exit 1; }
  local paths
  paths=$(find "$dir/root" -type f -name '*.so.*' ! -name '*.py' -printf '%h\n' | sort -u | paste -sd:)
  cat >"$dir/run" <<RUN
#!/bin/sh
exec '$loader' --argv0 '$3' --library-path '$paths' '$dir/root/usr/bin/$3' "\$@"
RUN
  chmod +x "$dir/run"
  said=$("$dir/run" --version 2>&1) || { echo "peers: $1 does not run here: $said" >&2; exit 1; }
  mv "$dir/run" "$peers/$1" # whole, or not there
  echo "peers: $peers/$1: $said"
}

while read -r name suite package; do
  if [[ -n $name ]]; then fetch "$name" "$suite" "$package"; fi
done <<<"$missing"
while read -r name _; do
  if [[ -n $name ]]; then echo "--peer $name=$peers/$name"; fi
done <<<"$table"
