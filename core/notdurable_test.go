package core_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestNotDurable: a client that is told MISCONF may repeat its command, since it
// was not executed; one whose command was executed, and is not durable, is told so,
// in every form a command can have and under every policy. What it did can be seen,
// happens once, and is durable when the failure is over.
func TestNotDurable(t *testing.T) {
	for _, policy := range []wal.Policy{wal.Always, wal.EverySec, wal.No} {
		for form, c := range map[string]struct{ send, met, after string }{
			"a command":                {"INCR n", "NOTDURABLE", "MISCONF"},
			"a transaction":            {"MULTI;INCR n;GET n;EXEC", "+OK +QUEUED +QUEUED NOTDURABLE", "+OK MISCONF +QUEUED EXECABORT"},
			"a pipeline":               {"GET a;INCR n;LPUSH a x;GET n", "1 NOTDURABLE WRONGTYPE 2", "1 MISCONF MISCONF 2"},
			"a pipeline of writes":     {"APPEND b x;INCR n;SETNX a 1", "NOTDURABLE NOTDURABLE :0", "MISCONF MISCONF MISCONF"},
			"with replies left out":    {"CLIENT REPLY SKIP;APPEND b x;INCR n;GET b", "NOTDURABLE x", "MISCONF x"},
			"a write that does not":    {"INCR n;DEL nothing;GET n", "NOTDURABLE :0 2", "MISCONF MISCONF 2"},
			"a transaction, pipelined": {"GET a;MULTI;INCR n;EXEC;GET n", "1 +OK +QUEUED NOTDURABLE 2", "1 +OK MISCONF EXECABORT 2"},
		} {
			t.Run(fmt.Sprint(policy, " ", form), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { notDurable(t, policy, c.send, c.met, c.after) })
			})
		}
	}
}

// notDurable has a client send a batch when the log has failed and nobody has met
// that yet, and once more afterwards.
func notDurable(t *testing.T, policy wal.Policy, send, met, after string) {
	fs := memfs.New()
	disk := faultfs.New(fs, nil)
	open := func(disk *faultfs.FS) *core.DB {
		db, err := core.Open(core.Options{FS: disk, Shards: 2, Fsync: policy, ManualTick: true})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open(disk)
	s := db.Session()
	batch := func(lines string) string {
		var out resp.Writer
		for line := range strings.SplitSeq(lines, ";") {
			var args [][]byte
			for _, w := range strings.Fields(line) {
				args = append(args, []byte(w))
			}
			s.Run(args, &out)
		}
		s.Finish(&out)
		var got []string
		for line := range strings.Lines(string(out.Buf)) {
			first, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			if first[0] != '$' { // the length of a string
				got = append(got, strings.TrimPrefix(first, "-"))
			}
		}
		return strings.Join(got, " ")
	}
	want := func(send, want string) {
		t.Helper()
		if got := batch(send); got != want {
			t.Errorf("%s: %s, want %s", send, got, want)
		}
	}
	want("SET a 1;INCR n;SET gone 1 PX 100", "+OK :1 +OK")
	time.Sleep(200 * time.Millisecond)
	disk.SetInject(func(op faultfs.Op) error {
		if strings.HasPrefix(op.Path, "log/") && (op.Kind == faultfs.OpWrite || op.Kind == faultfs.OpSync) {
			return syscall.EIO
		}
		return nil
	})
	if policy != wal.Always { // the log fails with the removal of an expired key, and nobody knows
		db.Tick()
		time.Sleep(3 * time.Second)
	}
	want(send, met)
	other := db.Session()
	if v, err := other.Do("GET", "n"); err != nil || v.String() != `"2"` {
		t.Errorf("another client reads %s: %v", v, err)
	}
	want(send, after)
	disk.SetInject(nil)
	if err := db.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	want("INCR n", ":3")
	if policy == wal.No {
		if err := db.Save(context.Background()); err != nil { // nothing else makes it durable
			t.Fatal(err)
		}
	}
	time.Sleep(3 * time.Second)
	left := fs.CrashClone(memfs.LoseAll)
	_ = db.Close()
	db = open(faultfs.New(left, nil))
	s = db.Session()
	want("GET n", "3")
	_ = db.Close()
}
