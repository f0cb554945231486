package core_test

import (
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/wal"
)

// TestWaitAOF: once WAITAOF says that a write is on the disk, it survives a loss of
// power, whatever the policy; and it errs as Redis 7.2 does.
func TestWaitAOF(t *testing.T) {
	for _, policy := range []wal.Policy{wal.Always, wal.EverySec, wal.No} {
		h := coretest.New(t, func(o *core.Options) { o.Fsync = policy })
		want := func(reply string, line ...string) {
			t.Helper()
			if got := h.Do(line...); got != reply {
				t.Errorf("%v: %s: %s, want %s", policy, line, got, reply)
			}
		}
		for i := range 5 {
			h.Do("SET", "k", string(rune('0'+i)))
			want("[1 0]", "WAITAOF", "1", "0", "0")
			h.Crash(int64(i))
			want(`"`+string(rune('0'+i))+`"`, "GET", "k")
		}
		want("[1 0]", "WAITAOF", "1", "0", "0") // of a client that has written nothing
		want("[1 0]", "WAITAOF", "1", "0", "1")
		h.Do("SET", "k", "x")
		h.Do("MULTI")
		h.Do("WAITAOF", "0", "0", "0")
		if got := h.Do("EXEC"); got != "[[1 0]]" && (policy == wal.Always || got != "[[0 0]]") { // it does not wait, and others may have synced
			t.Errorf("%v: in a transaction %s", policy, got)
		}
		want("(error) ERR value is out of range, value must between 0 and 1", "WAITAOF", "2", "0", "0")
		want("(error) ERR value is not an integer or out of range", "WAITAOF", "x", "0", "0")
		want("(error) ERR value is out of range, must be positive", "WAITAOF", "0", "-1", "0")
		want("(error) ERR timeout is negative", "WAITAOF", "0", "0", "-1")
		want("(error) ERR timeout is not an integer or out of range", "WAITAOF", "0", "0", "x")
	}
	h := coretest.New(t, func(o *core.Options) { o.NoLog = true })
	if got := h.Do("WAITAOF", "1", "0", "0"); got != "(error) ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled." {
		t.Error(got)
	}
	if got := h.Do("WAITAOF", "0", "0", "0"); got != "[0 0]" {
		t.Error(got)
	}
}
