package model

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// Random returns a random command that the model knows, on few keys of every
// type, so that a sequence of them meets its own effects, wrong types and
// expired keys included. MULTI, EXEC and DISCARD are among them.
func Random(rng *rand.Rand) []string {
	line := templates[rng.IntN(len(templates))]
	return filled(rng, line)
}

// filled is a template's command.
func filled(rng *rand.Rand, line string) []string {
	args := strings.Fields(line)
	for i, a := range args {
		if i > 0 {
			args[i] = fill(rng, a)
		}
	}
	return args
}

// RandomServed returns a command that waits, unless there is something to take, and
// one that may serve it: often in another shard, and by a script too.
func RandomServed(rng *rand.Rand) (waits, by []string) {
	key := strconv.Itoa(rng.IntN(4))
	with := func(lines ...string) []string {
		return filled(rng, strings.ReplaceAll(lines[rng.IntN(len(lines))], "#", key))
	}
	switch rng.IntN(4) {
	case 0:
		return with("BZPOPMIN z# 0", "BZPOPMIN {z} z# 0"), with("ZADD z# {f} {m} {f} {m}", "ZINCRBY z# {f} {m}", "GEOADD z# {lon} {lat} {m}", "RENAME {z} z#")
	case 1:
		return with("XREADGROUP GROUP {g} {c} BLOCK 0 STREAMS x# >", "XREADGROUP GROUP {g} {c} COUNT 1 BLOCK 0 NOACK STREAMS x# >"),
			with("XADD x# 3-* {m} {v}", "XADD x# MAXLEN 2 3-* {m} {v}")
	}
	return with("BLPOP l# 0", "BRPOP {l} l# 0", "BLMOVE l# {l} LEFT RIGHT 0", "BLMOVE l# {l} RIGHT LEFT 0", "BLMOVE l# l# RIGHT LEFT 0"),
		with("RPUSH l# {m}", "LPUSH l# {m} {v} {m}", "RENAME {l} l#", "COPY {l} l#", "LMOVE {l} l# LEFT LEFT", "EVAL lua:push 1 l# {m}")
}

// The placeholders of templates: keys k (any type, so that most names of a type
// hold it), numbers, members, groups and consumers g and c, times in milliseconds,
// scripts by their names.
func fill(rng *rand.Rand, a string) string {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	key := func(t string) string {
		if rng.IntN(25) == 0 {
			t = pick("s", "n", "l", "h", "e", "z", "x")
		}
		return t + strconv.Itoa(rng.IntN(4))
	}
	switch a {
	case "{s}", "{n}", "{l}", "{h}", "{e}", "{z}", "{x}":
		return key(a[1:2])
	case "{k}":
		return key(pick("s", "n", "l", "h", "e", "z", "x"))
	case "{v}":
		return pick("a", "bb", "", "x y", "\x00\r\n", strings.Repeat("v", rng.IntN(200)))
	case "{m}":
		return pick("a", "b", "c", "d", "e", "10", "-7", "m n")
	case "{digest}":
		return digestOf(fill(rng, pick("{v}", "{u}")))
	case "{i}":
		return strconv.Itoa(rng.IntN(9) - 4)
	case "{u}":
		return strconv.Itoa(rng.IntN(4))
	case "{f}":
		return pick("1", "2", "-3", "0.5", "2.25", "10")
	case "{g}":
		return pick("g1", "g2")
	case "{c}":
		return pick("c1", "c2", "c3")
	case "{id}": // of an entry: all are of one millisecond
		return "3-" + strconv.Itoa(rng.IntN(30))
	case "{ms}":
		return strconv.Itoa(1 + rng.IntN(4000))
	case "{far}": // behind the end of every history, for fields
		return strconv.Itoa(1_000_000_000 + 1000*rng.IntN(5))
	case "{sec}":
		return strconv.Itoa(1 + rng.IntN(4))
	case "{bit}":
		return strconv.Itoa(rng.IntN(100))
	case "{field}":
		return pick("u", "i") + strconv.Itoa(1+rng.IntN(20))
	case "{overflow}":
		return pick("WRAP", "SAT", "FAIL")
	case "{lon}": // three towns that are far from each other, and places in them
		return pick("-60", "10", "100") + "." + strconv.Itoa(rng.IntN(90))
	case "{lat}":
		return pick("-40", "10", "60") + "." + strconv.Itoa(rng.IntN(90))
	case "{lib}":
		return libraries[rng.IntN(len(libraries))].lua
	}
	if name, is := strings.CutPrefix(a, "lua:"); is {
		return scripts[name].lua
	}
	return a
}

var templates = strings.Split(strings.TrimSpace(`
SET {s} {v}
SET {s} {v} PX {ms}
SET {s} {v} EX {sec} NX
SET {s} {v} XX GET
SET {s} {v} KEEPTTL
SETNX {s} {v}
SETEX {s} {sec} {v}
PSETEX {s} {ms} {v}
SET {s} {v} IFEQ {v}
SET {s} {v} IFNE {v} GET
SET {s} {v} IFDEQ {digest} KEEPTTL
SET {n} {u} IFDNE {digest} PX {ms}
DELEX {k}
DELEX {s} IFEQ {v}
DELEX {n} IFNE {u}
DELEX {s} IFDEQ {digest}
DELEX {n} IFDNE {digest}
DIGEST {s}
MSETEX 2 {s} {v} {n} {u} PX {ms}
MSETEX 3 {s} {v} {s} {v} {n} {u} KEEPTTL
MSETEX 2 {s} {v} {s} {v} NX
MSETEX 1 {s} {v} XX EX {sec}
GETSET {s} {v}
GETDEL {s}
GETEX {s} PX {ms}
GETEX {s} PERSIST
GET {k}
MGET {s} {s} {k}
MSET {s} {v} {s} {v} {n} {u}
MSETNX {s} {v} {s} {v}
APPEND {s} {v}
STRLEN {s}
SETRANGE {s} {u} {v}
GETRANGE {s} {i} {i}
INCR {n}
INCR {n}
DECR {n}
INCRBY {n} {i}
DECRBY {n} {u}
INCRBYFLOAT {n} {f}
RPUSH {l} {m}
RPUSH {l} {m} {m} {v}
LPUSH {l} {m}
RPUSHX {l} {m}
LPUSHX {l} {m}
LPOP {l}
RPOP {l} {u}
LLEN {l}
LRANGE {l} {i} {i}
LINDEX {l} {i}
LSET {l} {i} {v}
LINSERT {l} BEFORE {m} {v}
LINSERT {l} AFTER {m} {v}
LREM {l} {i} {m}
LTRIM {l} {u} -2
LMOVE {l} {l} LEFT RIGHT
LMOVE {l} {l} RIGHT RIGHT
RPOPLPUSH {l} {l}
HSET {h} {m} {v}
HSET {h} {m} {u} {m} {v} {m} {u}
HSETNX {h} {m} {v}
HGET {h} {m}
HEXISTS {h} {m}
HLEN {h}
HGETALL {h}
HDEL {h} {m} {m}
HINCRBY {h} {m} {i}
HINCRBYFLOAT {h} {m} {f}
HPEXPIRE {h} {far} FIELDS 1 {m}
HPEXPIRE {h} {far} FIELDS 2 {m} {m}
HPEXPIRE {h} {far} NX FIELDS 1 {m}
HPEXPIRE {h} {far} GT FIELDS 2 {m} {m}
HPEXPIRE {h} {far} LT FIELDS 1 {m}
HPEXPIRE {h} 0 FIELDS 1 {m}
HPEXPIRETIME {h} FIELDS 2 {m} {m}
HPERSIST {h} FIELDS 2 {m} {m}
HGETEX {h} PX {far} FIELDS 2 {m} {m}
HGETEX {h} PERSIST FIELDS 1 {m}
HGETDEL {h} FIELDS 2 {m} {m}
HSETEX {h} PX {far} FIELDS 2 {m} {v} {m} {v}
HSETEX {h} KEEPTTL FIELDS 1 {m} {u}
HSETEX {h} FNX PX {far} FIELDS 1 {m} {v}
HSETEX {h} FXX PX 0 FIELDS 1 {m} {v}
SADD {e} {m} {m}
SADD {e} {m} {m} {m}
SREM {e} {m}
SCARD {e}
SISMEMBER {e} {m}
SMEMBERS {e}
SPOP {e}
SPOP {e} {u}
SMOVE {e} {e} {m}
SINTERSTORE {e} {e} {e}
SUNIONSTORE {e} {e} {e}
SDIFFSTORE {e} {e} {e}
ZADD {z} {f} {m}
ZADD {z} {f} {m} {f} {m} {f} {m}
ZADD {z} GT CH {f} {m} {f} {m}
ZADD {z} NX {f} {m}
ZADD {z} XX LT {f} {m}
ZINCRBY {z} {f} {m}
ZREM {z} {m}
ZCARD {z}
ZSCORE {z} {m}
ZRANGE {z} {i} {i} WITHSCORES
ZPOPMIN {z}
ZPOPMAX {z} {u}
ZREMRANGEBYRANK {z} {u} {u}
ZREMRANGEBYSCORE {z} {i} {i}
ZUNIONSTORE {z} 2 {z} {z}
XADD {x} 3-* {m} {v}
XADD {x} 3-* {m} {v} {m} {u}
XADD {x} 3-* {m} {v} {m} {u}
XADD {x} NOMKSTREAM 3-* {m} {v}
XADD {x} MAXLEN {u} 3-* {m} {v}
XADD {x} {id} {m} {v}
XTRIM {x} MAXLEN {u}
XTRIM {x} MINID {id}
XDEL {x} {id} {id}
XTRIM {x} MAXLEN {u} ACKED
XTRIM {x} MINID {id} DELREF
XDELEX {x} KEEPREF IDS 1 {id}
XDELEX {x} DELREF IDS 2 {id} {id}
XDELEX {x} ACKED IDS 2 {id} {id}
XACKDEL {x} {g} KEEPREF IDS 1 {id}
XACKDEL {x} {g} DELREF IDS 2 {id} {id}
XACKDEL {x} {g} ACKED IDS 2 {id} {id}
XREADGROUP GROUP {g} {c} CLAIM 0 COUNT 2 STREAMS {x} >
XSETID {x} {id}
XLEN {x}
XRANGE {x} - +
XGROUP CREATE {x} {g} 0 MKSTREAM
XGROUP CREATE {x} {g} $
XGROUP SETID {x} {g} {id}
XGROUP DESTROY {x} {g}
XGROUP CREATECONSUMER {x} {g} {c}
XGROUP DELCONSUMER {x} {g} {c}
XREADGROUP GROUP {g} {c} COUNT 2 STREAMS {x} >
XREADGROUP GROUP {g} {c} STREAMS {x} >
XREADGROUP GROUP {g} {c} NOACK COUNT 2 STREAMS {x} >
XREADGROUP GROUP {g} {c} STREAMS {x} 0
XACK {x} {g} {id} {id}
XCLAIM {x} {g} {c} 0 {id} {id}
XCLAIM {x} {g} {c} 0 {id} FORCE JUSTID
XAUTOCLAIM {x} {g} {c} 0 0 COUNT 2
XPENDING {x} {g}
SETBIT {s} {bit} 1
SETBIT {s} {bit} 0
GETBIT {s} {bit}
BITCOUNT {k}
BITOP AND {s} {s} {s}
BITOP OR {s} {s} {n}
BITOP XOR {s} {s} {s} {k}
BITOP NOT {s} {s}
BITOP DIFF {s} {s} {n} {s}
BITOP DIFF1 {s} {s} {s}
BITOP ANDOR {s} {s} {s} {n}
BITOP ONE {s} {s} {s} {s}
BITFIELD {s} SET {field} {bit} {i} INCRBY {field} {bit} 100 GET {field} {bit}
BITFIELD {s} OVERFLOW {overflow} INCRBY {field} {bit} 100 OVERFLOW {overflow} SET {field} {bit} -3
GEOADD {z} {lon} {lat} {m}
GEOADD {z} {lon} {lat} {m}
GEOSEARCHSTORE {z} {z} FROMLONLAT {lon} {lat} BYRADIUS 1000 km
EVAL lua:move 3 {l} {e} {h}
EVAL lua:spread 3 {s} {n} {s} {m} {ms}
EVAL lua:draw 3 {e} {l} {z}
EVAL lua:forgive 2 {k} {s}
EVAL lua:undeclared 0 {u}
EVAL lua:elsewhere 1 {n} {u}
FUNCTION LOAD {lib}
FUNCTION LOAD REPLACE {lib}
FUNCTION DELETE counting
FUNCTION FLUSH
FCALL bump 2 {h} {n} {m}
FCALL bump 2 {h} {n} {m}
FCALL shift 2 {l} {l}
DEL {k} {k}
UNLINK {k}
EXISTS {k} {k}
TYPE {k}
RENAME {k} {k}
RENAMENX {k} {k}
COPY {k} {k}
COPY {k} {k} REPLACE
COPY {k} {k} DB {u} REPLACE
MOVE {k} {u}
EXPIRE {k} {sec}
PEXPIRE {k} {ms}
PEXPIRE {k} {ms} NX
PEXPIRE {k} {ms} GT
EXPIRE {k} {sec} LT
PEXPIRE {k} {i}
PERSIST {k}
PTTL {k}
PEXPIRETIME {k}
SELECT {u}
SELECT 0
SELECT 0
SWAPDB {u} {u}
FLUSHDB
MULTI
MULTI
MULTI
EXEC
EXEC
EXEC
EXEC
EXEC
EXEC
EXEC
EXEC
DISCARD
`), "\n")
