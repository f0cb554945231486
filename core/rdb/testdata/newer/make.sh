#!/bin/sh
# Makes the files beside it: ./make.sh NAME SERVER [ARGUMENT...], for instance
#   ./make.sh redis-8.0.6 redis-server
#   ./make.sh redis-8.0.6-cluster redis-server --cluster-enabled yes
#   ./make.sh valkey-9.1.2 valkey-server
# SERVER is asked over a Unix socket; redis-cli is needed. The .dump files are the
# payloads of DUMP, in hexadecimal, a line for each key.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
name=$1 server=$2
shift 2
dir=$(mktemp -d)
port=0
case "$*" in *cluster-enabled*) port=7957 ;; esac
"$server" --port $port --bind 127.0.0.1 --unixsocket "$dir/s" --dir "$dir" --save '' --hash-max-listpack-entries 8 "$@" >/dev/null &
pid=$!
trap 'kill $pid; rm -rf "$dir"' EXIT
cli() { redis-cli -s "$dir/s" "$@" >/dev/null; }
until redis-cli -s "$dir/s" PING 2>/dev/null | grep -q PONG; do sleep 0.1; done
if [ $port != 0 ]; then
	cli CLUSTER ADDSLOTSRANGE 0 16383
	until redis-cli -s "$dir/s" CLUSTER INFO | grep -q cluster_state:ok; do sleep 0.2; done
fi
cli HSET small a 1 b two c 3
cli HPEXPIREAT small 9999999999999 FIELDS 1 a
cli HPEXPIREAT small 9999999990000 FIELDS 1 b
cli HSET large f0 v f1 v f2 v f3 v f4 v f5 v f6 v f7 v f8 v f9 v
cli HPEXPIREAT large 9999999999999 FIELDS 2 f1 f2
cli HPEXPIREAT large 9999999990001 FIELDS 1 f7
cli HSET once a 1 b 2
cli HPEXPIREAT once 9999999999999 FIELDS 1 a
cli HPERSIST once FIELDS 1 a
cli HSET plain a 1
cli SADD set a b c
cli XADD stream 1-1 f v
cli XGROUP CREATE stream g 0
cli XREADGROUP GROUP g c STREAMS stream '>'
cli SET key value PXAT 9999999999999
if [ $port = 0 ]; then
	cli FUNCTION LOAD "#!lua name=lib
redis.register_function('f', function() return 1 end)"
fi
cli SAVE
cp "$dir/dump.rdb" "$here/$name.rdb"
for key in small large once plain set stream key; do
	echo "$key $(redis-cli -s "$dir/s" DUMP $key | head -c -1 | xxd -p | tr -d '\n')"
done >"$here/$name.dump"
