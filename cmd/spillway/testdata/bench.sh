#!/usr/bin/env bash
# Side by side with redis-server: both pinned to CPU 0, the client to CPU 1,
# alternating, ROUNDS times. Prints ratios (spillway / redis) of medians, and
# the server's CPU microseconds per operation. See docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")/../../.."
ROUNDS=${ROUNDS:-3} KEYS=${KEYS:-5000000} N1=${N1:-200000} NP=${NP:-2000000}
dir=$(mktemp -d) ours=16380 theirs=16379
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
go build -o "$dir/spillway" ./cmd/spillway
taskset -c 0 "$dir/spillway" serve --dir "$dir/data" --port $ours --save "" --appendonly "${APPENDONLY:-no}" --appendfsync "${FSYNC:-everysec}" --loglevel warning & pids+=($!)
mkdir "$dir/redis"
taskset -c 0 redis-server --dir "$dir/redis" --port $theirs --save "" --appendonly "${APPENDONLY:-no}" --appendfsync "${FSYNC:-everysec}" --loglevel warning >/dev/null & pids+=($!)
for p in $ours $theirs; do until redis-cli -p $p ping >/dev/null 2>&1; do sleep 0.1; done; done

ticks() { awk '{print $14+$15}' "/proc/$1/stat"; }
rss() { awk '/VmRSS/ {print $2*1024}' "/proc/$1/status"; }
median() { sort -n | awk '{a[NR]=$1} END {print a[int((NR+1)/2)]}'; }
hz=$(getconf CLK_TCK)
pid_of() { [ "$1" = $ours ] && echo "${pids[0]}" || echo "${pids[1]}"; }

# one PORT PIPELINE TEST: "ops/s cpu-us/op"
one() {
  local pid n before ops
  pid=$(pid_of "$1"); n=$([ "$2" = 1 ] && echo "$N1" || echo "$NP"); before=$(ticks "$pid")
  ops=$(taskset -c 1 redis-benchmark -p "$1" -c 50 -d 64 -r 1000000 -n "$n" -P "$2" -t "$3" --csv 2>/dev/null | awk -F'"' 'NR==2 {print $4}')
  awk -v ops="$ops" -v d=$(( $(ticks "$pid") - before )) -v n="$n" -v hz="$hz" 'BEGIN {printf "%s %.3f\n", ops, d/hz*1e6/n}'
}

printf '%-10s %12s %12s %7s %10s %10s %7s\n' test spillway redis ratio 'us/op' 'redis' ratio
for pipeline in 1 16 64; do
  for test in set get; do
    : > "$dir/a"; : > "$dir/b"
    for _ in $(seq "$ROUNDS"); do one $ours $pipeline $test >> "$dir/a"; one $theirs $pipeline $test >> "$dir/b"; done
    a=$(cut -d' ' -f1 "$dir/a" | median) b=$(cut -d' ' -f1 "$dir/b" | median)
    ca=$(cut -d' ' -f2 "$dir/a" | median) cb=$(cut -d' ' -f2 "$dir/b" | median)
    awk -v t="$test P$pipeline" -v a="$a" -v b="$b" -v ca="$ca" -v cb="$cb" 'BEGIN {printf "%-10s %12.0f %12.0f %7.2f %10.2f %10.2f %7.2f\n", t, a, b, a/b, ca, cb, ca/cb}'
  done
done

# The same keys on both sides, loaded in order, for memory and BGSAVE.
for p in $ours $theirs; do redis-cli -p $p flushall >/dev/null; done
sleep 1
fill() { awk -v n="$KEYS" 'BEGIN {v=sprintf("%064d",7); for (i=0;i<n;i++) printf "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$64\r\n%s\r\n", i, v}' | redis-cli -p "$1" --pipe >/dev/null; }
base=(); for p in $ours $theirs; do base+=("$(rss "$(pid_of $p)")"); done
for p in $ours $theirs; do fill $p; done
i=0; per=()
for p in $ours $theirs; do per+=("$(awk -v a="$(rss "$(pid_of $p)")" -v b="${base[$i]}" -v n="$KEYS" 'BEGIN {printf "%.1f", (a-b)/n}')"); i=$((i+1)); done
awk -v a="${per[0]}" -v b="${per[1]}" 'BEGIN {printf "bytes per key: spillway %s, redis %s, ratio %.2f (resident growth)\n", a, b, a/b}'

# Latency of writers while BGSAVE runs.
for round in $(seq "$ROUNDS"); do
  for p in $ours $theirs; do
    taskset -c 1 redis-benchmark -p $p -c 50 -d 64 -r "$KEYS" -n "$NP" -P 16 -t set -q >/dev/null 2>&1 & load=$!
    sleep 0.2; start=$(date +%s%N); redis-cli -p $p bgsave >/dev/null
    probe=$(taskset -c 1 redis-benchmark -p $p -c 1 -d 64 -r "$KEYS" -n 3000 -t set --csv 2>/dev/null | awk -F'"' 'NR==2 {print "p99 " $14 " ms, max " $16 " ms"}')
    while redis-cli -p $p info persistence | grep -q rdb_bgsave_in_progress:1; do sleep 0.02; done
    took=$(( ($(date +%s%N) - start) / 1000000 ))
    wait $load || true
    [ $p = $ours ] && name=spillway || name=redis
    echo "BGSAVE under load, round $round, $name: done within ${took} ms; a prober's SET meanwhile: $probe"
  done
done
redis-cli -p $ours info persistence | grep -a spillway_last_freeze_usec
