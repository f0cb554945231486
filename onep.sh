#!/bin/bash
# onep.sh NAME autonice DIR args: exp build, slow log only
name=$1; echo $2 > /proc/self/autogroup; shift 2
rm -f slow.$name
SLOW=/tmp/exp/slow.$name timeout 200 /tmp/disk-exp/bin/spillway-bench "$@" 2>&1 | grep -E "Other|p99|p50|duration|written" 
