package coretest_test

import (
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
)

// everything uses every type, transactions, expiry and all three ways to take
// a checkpoint.
func everything(r *coretest.Run) {
	r.MustDo("SET", "str", "a")
	r.MustDo("RPUSH", "list", "a", "b", "c")
	r.MustDo("HSET", "hash", "f", "1", "g", "2")
	r.BGSave()
	r.MustDo("SADD", "set", "a", "b", "c")
	r.MustDo("ZADD", "zset", "1.5", "a", "2", "b")
	r.MustDo("SPOP", "set")
	r.Do("MULTI")
	r.Do("INCR", "n")
	r.Do("LMOVE", "list", "other", "LEFT", "RIGHT")
	r.Do("RENAME", "str", "string")
	r.Do("EXEC")
	r.MustDo("PEXPIRE", "hash", "1500")
	r.MustDo("SET", "gone", "soon", "EX", "1")
	r.RewriteAOF()
	r.MustDo("COPY", "list", "copy")
	r.Advance(1200e6)
	r.MustDo("INCRBYFLOAT", "n", "0.5")
	r.Restart()
	r.Do("FLUSHDB")
	r.MustDo("RPUSH", "list", "x")
	r.Save()
	r.MustDo("LPUSH", "list", "y")
}

func TestEveryCrashPoint(t *testing.T) {
	if n := coretest.EveryCrashPoint(t, everything); n.Struck < 100 || n.Recoveries < 4*n.Struck {
		t.Errorf("only %+v", n)
	}
}

func TestEveryFault(t *testing.T) {
	if n := coretest.EveryFault(t, everything); n.Struck < 500 {
		t.Errorf("only %+v", n)
	}
}
