package command

import (
	"slices"
	"strings"
	"testing"
)

// replaySamples drives every verb that can be in a log into one, in several
// states of the key. A command may be logged under another name; what counts
// is that each verb of LoggedVerbs turns up.
var replaySamples = []string{
	// strings
	"SET s v", "SET s w EX 100", "SET s x KEEPTTL", "SET s y NX", "SET s2 y NX PX 5", "SET s2 z XX GET", "SET ifq a", "SET ifq b IFEQ a EX 100", "SET ifq c IFEQ nosuch", "SET ifq d IFNE z KEEPTTL", "SET ifq2 d IFNE d", "DELIFEQ ifq x", "DELIFEQ ifq2 d", "DIGEST ifq2", "SET ifd hello", "SET ifd b IFDEQ 9555e8555c62dcfd EX 100", "SET ifd c IFDNE 9555e8555c62dcfd", "DELEX ifd IFEQ c", "DELEX ifd", "MSETEX 2 mx1 a mx2 b EX 100", "MSETEX 2 mx1 c mx2 d XX KEEPTTL", "MSETEX 2 mx1 c mx3 d NX", "MSETEX 2 mx1 e mx3 f", "SETNX s3 v", "SETEX s4 10 v",
	"PSETEX s5 10 v", "GETSET s2 q", "GETEX s2 EX 10", "GETEX s2 PERSIST", "GETEX s2 PXAT 1", "GETDEL s3", "MSET m1 a m2 b", "MSETNX m3 a m4 b",
	"INCR n", "DECR n", "INCRBY n 5", "DECRBY n 7", "INCRBYFLOAT n 1.5", "INCRBYFLOAT f 10.1", "APPEND s abc", "APPEND new abc",
	"SETRANGE s 2 zz", "SETRANGE pad 5 zz",
	// bitmaps
	"SETBIT bm 100 1", "SETBIT bm 7 0", "SETBIT n 3 1", "BITOP OR bo bm s", "BITOP NOT bo bo", "BITOP DIFF bo bm s", "BITOP DIFF1 bo bm s", "BITOP ANDOR bo bm s n", "BITOP ONE bo bm s n", "BITOP AND bo nosuch", "BITFIELD bf SET u8 #3 200 INCRBY i5 3 7",
	"BITFIELD bf OVERFLOW FAIL INCRBY u2 1000 5", "BITFIELD bf OVERFLOW SAT INCRBY u8 #3 100 GET u8 0",
	// HyperLogLogs
	"PFADD pf a b c", "PFADD pf a d", "PFADD pf2 x", "PFMERGE pf3 pf pf2", "PFDEBUG TODENSE pf3", "PFADD pf3 y z", "PFCOUNT pf2 pf3",
	// positions
	"GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "GEOADD g NX CH 1 1 Palermo 2 2 x", "GEOSEARCHSTORE gs g FROMLONLAT 15 37 BYRADIUS 200 km",
	"GEOSEARCHSTORE gs g FROMMEMBER Palermo BYBOX 400 400 km STOREDIST", "GEORADIUS g 15 37 200 km STORE gr", "GEORADIUS g 15 37 1 m STORE gr", "GEORADIUSBYMEMBER g x 1 km STOREDIST gm",
	// sorting
	"RPUSH so 3 1 2", "SORT so STORE so2", "SORT so BY nosort DESC GET # GET w_* STORE so2", "SORT nosuch STORE so2", "SORT so ALPHA LIMIT 1 1 STORE so",
	// keys
	"DEL m1 nosuch", "UNLINK m2", "EXPIRE m3 100", "PEXPIRE m3 1000", "EXPIREAT m3 1800000000", "PEXPIREAT m3 1800000000001",
	"PERSIST m3", "EXPIRE m4 -1", "RENAME m3 m5", "SET m6 1", "RENAMENX m5 m7", "COPY m7 m8", "COPY m7 m8 DB 2 REPLACE", "MOVE m8 1",
	"SET mig v", "MIGRATE h 1 mig 0 1000 COPY", "MIGRATE h 1 mig 0 1000", "MSET mig2 v mig3 v", "MIGRATE h 1 \"\" 0 1000 KEYS mig2 nosuch mig3",
	"SWAPDB 1 3", "SET s6 v PX 50",
	// hashes
	"HSET h f v g w", "HSETNX h x y", "HMSET h a 1 b 2", "HDEL h a", "HINCRBY h n 5", "HINCRBYFLOAT h n 1.5",
	"HEXPIRE h 100 FIELDS 2 f g", "HPEXPIRE h 5000 NX FIELDS 2 f x", "HEXPIREAT h 1800000000 GT FIELDS 1 f", "HPEXPIREAT h 1800000000001 LT FIELDS 2 b none", "HPERSIST h FIELDS 2 x n",
	"HPEXPIRE h 0 FIELDS 1 x", "HINCRBY h n 5", "HPEXPIRE h 700 FIELDS 1 n", "HINCRBY h n 5", "HINCRBYFLOAT h n 1.5", "HSET h f w", "HGETEX h PX 900 FIELDS 2 f none",
	"HGETEX h PERSIST FIELDS 1 f", "HGETEX h EXAT 1 FIELDS 1 b", "HSETEX h FXX EX 9 FIELDS 2 f 1 n 2", "HSETEX h KEEPTTL FIELDS 2 f 2 m 3", "HSETEX h PXAT 1 FIELDS 1 m 3",
	"HSETEX hx FNX FIELDS 2 f 2 g 3", "HEXPIRE hx 9 FIELDS 1 g", "COPY hx hy", "RENAME hy hz", "HGETDEL hx FIELDS 2 f none", "HGETDEL hx FIELDS 1 g", "HSETEX hx PX 0 FIELDS 1 f v",
	// lists
	"RPUSH l a b c d e f a", "LPUSH l z", "RPUSHX l y", "LPUSHX l x", "LPOP l", "RPOP l 2", "LSET l 0 q", "LINSERT l BEFORE c bc", "LREM l 1 a",
	"LTRIM l 0 3", "LMOVE l l2 LEFT RIGHT", "RPOPLPUSH l l2", "RPOPLPUSH l2 l2", "LMOVE l l LEFT RIGHT", "LMPOP 2 nosuch l LEFT",
	"RPUSH bl a b c d e f g", "BLPOP nosuch bl 0", "BRPOP bl 0", "BLMOVE bl bl2 left RIGHT 0", "BRPOPLPUSH bl bl2 0", "BLMPOP 0 2 nosuch bl LEFT COUNT 2", "BLMOVE bl2 bl2 LEFT RIGHT 0",
	// sets
	"SADD t a b c d e f", "SADD u c d 1 2", "SREM t a", "SPOP t", "SPOP t 2", "SMOVE u t 1", "SADD t k", "SADD u k", "SINTERSTORE ti t u", "SUNIONSTORE tu t u", "SDIFFSTORE td tu u",
	"SPOP u 100",
	// sorted sets
	"ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", "ZADD z GT CH 10 a", "ZADD z INCR 2.5 b", "ZINCRBY z 1.25 c", "ZREM z d", "ZPOPMIN z", "ZPOPMAX z", "ZMPOP 2 nosuch z MIN",
	"ZADD bz 1 a 2 b 3 c 4 d 5 e", "BZPOPMIN nosuch bz 0", "BZPOPMAX bz 0", "BZMPOP 0 2 nosuch bz MIN COUNT 2",
	"ZRANGESTORE zs z 0 -1", "ZADD zr 1 a 2 b 3 c 4 d 5 e", "ZREMRANGEBYRANK zr 0 0", "ZREMRANGEBYSCORE zr 2 2",
	"ZADD zl 0 a 0 b 0 c", "ZREMRANGEBYLEX zl [a [b",
	// streams
	"XADD x 1-1 f v g w", "XADD x 1-* f v", "XADD x * f v g w", "XADD x MAXLEN ~ 2 * f v", "XADD x MAXLEN 3 * other 5", "XADD x NOMKSTREAM MINID 1-2 * f v",
	"XADD x2 NOMKSTREAM * f v", "XTRIM x MAXLEN 2", "XTRIM x MINID ~ 5", "XGROUP CREATE x g 0", "XGROUP CREATE x g2 $ ENTRIESREAD 3", "XGROUP CREATE x3 g $ MKSTREAM",
	"XGROUP CREATECONSUMER x g c0", "XREADGROUP GROUP g c1 COUNT 1 STREAMS x >", "XREADGROUP GROUP g c2 STREAMS x x3 > >", "XREADGROUP GROUP g c1 STREAMS x 0",
	"XREADGROUP GROUP g c3 STREAMS x 0", "XADD x 99999999999999-1 f v", "XADD x 99999999999999-2 f v", "XADD x 99999999999999-3 f v", "XREADGROUP GROUP g2 d NOACK COUNT 1 STREAMS x >",
	"XREADGROUP GROUP g2 e NOACK STREAMS x >", "XREADGROUP GROUP g c3 STREAMS x >", "XCLAIM x g c1 0 99999999999999-1 99999999999999-2 IDLE 500 RETRYCOUNT 7",
	"XCLAIM x g2 c9 0 99999999999999-1 FORCE JUSTID TIME 12345", "XCLAIM x g2 c9 0 99999999999999-1 LASTID 99999999999999-9", "XACK x g 99999999999999-3 7-7",
	"XDEL x 99999999999999-2", "XCLAIM x g c1 0 99999999999999-2", "XDEL x 99999999999999-1", "XAUTOCLAIM x g c4 0 - COUNT 2", "XAUTOCLAIM x g c4 0 - JUSTID",
	"XGROUP SETID x g 5 ENTRIESREAD 2", "XGROUP DELCONSUMER x g c4", "XGROUP DESTROY x g2", "XSETID x 999999999999999-5 ENTRIESADDED 100 MAXDELETEDID 5-5", "COPY x x9", "RENAME x9 x10",
	"XADD y 1-1 f v", "XADD y 1-2 f v", "XADD y 1-3 f v", "XADD y 1-4 f v", "XGROUP CREATE y g 0", "XGROUP CREATE y h 0", "XREADGROUP GROUP g c COUNT 3 STREAMS y >",
	"XREADGROUP GROUP h c COUNT 2 STREAMS y >", "XACK y g 1-1", "XACK y h 1-1", "XADD y MAXLEN ~ 1 ACKED * f v", "XADD y MAXLEN 1 ACKED * f v", "XDELEX y ACKED IDS 2 1-2 1-9",
	"XDEL y 1-2", "XDELEX y DELREF IDS 1 1-2", "XDELEX y KEEPREF IDS 1 1-3", "XACKDEL y g DELREF IDS 2 1-3 1-9", "XREADGROUP GROUP g c2 CLAIM 0 COUNT 2 STREAMS y >",
	"XREADGROUP GROUP g c3 CLAIM 0 NOACK STREAMS y >", "XACKDEL y g ACKED IDS 1 1-4", "XTRIM y MAXLEN = 1 DELREF", "XTRIM y MINID ~ 9 ACKED", "XTRIM y MAXLEN ~ 0 DELREF",
	"ZADD zu 1 a 2 b", "ZADD zv 3 b 4 c", "ZUNIONSTORE zw 2 zu zv", "ZINTERSTORE zx 2 zu zv", "ZDIFFSTORE zy 2 zu zv",
}

// TestEffectsReplay is the promise that no verb can be logged that a start
// would not apply: every command's effects, replayed without a clock, lead to
// the same keyspace.
func TestEffectsReplay(t *testing.T) {
	x, twin := newTester(t, 4), newTester(t, 2)
	seen := map[string]bool{}
	step := func(line string) {
		t.Helper()
		x.do(line)
		for _, e := range x.last {
			seen[strings.ToLower(string(e.Args[0]))] = true
		}
		twin.replay(x.last)
		if want, got := strings.Join(x.state(), "\n"), strings.Join(twin.state(), "\n"); want != got {
			t.Fatalf("after %s the log\n%sreplays to another state\nwant:\n%s\ngot:\n%s", line, effectsString(x.last), want, got)
		}
	}
	for _, line := range replaySamples {
		if Lookup([]byte(strings.Fields(line)[0])) == nil {
			t.Errorf("%s: unknown command", line)
			continue
		}
		step(line)
	}
	payload := string(x.run("DUMP", "s").Str)
	for _, c := range [][]string{{"RESTORE", "r", "0", payload}, {"RESTORE", "r", "100", payload, "REPLACE"}, {"RESTORE", "r", "1", payload, "REPLACE", "ABSTTL"}} {
		if v := x.run(c...); v.Err() != nil {
			t.Fatalf("%q: %v", c, v)
		}
		seen[strings.ToLower(string(x.last[0].Args[0]))] = true
		twin.replay(x.last)
	}
	x.now += 1000
	step("GET s6") // expired: logs a DEL
	step("SELECT 2")
	step("SET k v")
	step("FLUSHDB")
	step("SELECT 0")
	step("FLUSHALL")

	for _, verb := range LoggedVerbs() {
		if !seen[verb] {
			t.Errorf("%s can be logged but no sample logs it", verb)
		}
	}
	logged := LoggedVerbs()
	for verb := range seen {
		if !slices.Contains(logged, verb) {
			t.Errorf("%s was logged but LoggedVerbs does not list it", verb)
		}
	}
}

// TestExpiredIsWhatTheLogSays replays deadlines that are long past: nothing
// may vanish but by a DEL in the log.
func TestExpiredIsWhatTheLogSays(t *testing.T) {
	x := newTester(t, 2)
	x.ctx.Replaying, x.now = true, 0
	for _, line := range []string{"SET a 1 PXAT 5", "SET b 1", "PEXPIREAT b 7", "INCR a", "RESTORE c 9 \"\\x00\\x01x\\x0a\\x00" + seal(t, "\x00\x01x") + "\" REPLACE ABSTTL"} {
		if v := x.do(line); strings.HasPrefix(v, "(error)") {
			t.Errorf("%s: %s", line, v)
		}
	}
	for key, want := range map[string]string{"a": "5", "b": "7", "c": "9"} {
		if got := x.do("PEXPIRETIME " + key); got != want {
			t.Errorf("deadline of %s: %s, want %s", key, got, want)
		}
	}
	if got := x.do("GET a"); got != `"2"` {
		t.Errorf("GET a: %s", got)
	}
}
