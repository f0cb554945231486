package core_test

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// slowLog is a disk whose fsyncs of the log, from arm on, wait for one answer.
type slowLog struct {
	mu     sync.Mutex
	armed  bool
	answer chan error
}

func (s *slowLog) arm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.answer = true, make(chan error)
}

func (s *slowLog) inject(op faultfs.Op) error {
	if op.Kind != faultfs.OpSync || !strings.HasPrefix(op.Path, "log/") {
		return nil
	}
	s.mu.Lock()
	armed := s.armed
	s.armed = false
	s.mu.Unlock()
	if !armed {
		return nil
	}
	return <-s.answer
}

// TestReadWaits: under always nobody is told of a write that is not durable,
// the reader as little as the writer. A read of another shard waits for nothing,
// nor does any under everysec, and on a log that has failed it is answered from
// memory.
func TestReadWaits(t *testing.T) {
	const elsewhere = "GET {a}" // on the other shard
	for _, read := range []string{"GET {k}", "MGET {k} {a}", "KEYS *", "EXISTS {k}", "MULTI;GET {k};EXEC", elsewhere} {
		for _, c := range []struct {
			policy wal.Policy
			fails  error
			waits  bool
		}{
			{wal.Always, nil, read != elsewhere},
			{wal.Always, syscall.EIO, read != elsewhere},
			{wal.EverySec, nil, false},
		} {
			t.Run(fmt.Sprint(read, " ", c.policy, " ", c.fails), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { readWaits(t, read, read != elsewhere, c.policy, c.fails, c.waits) })
			})
		}
	}
}

// readWaits has a client read while the fsync of another's write is under way,
// which then fails or succeeds. changes tells whether the read sees the write.
func readWaits(t *testing.T, read string, changes bool, policy wal.Policy, fails error, waits bool) {
	slow := &slowLog{}
	db, err := core.Open(core.Options{
		FS: faultfs.New(memfs.New(), slow.inject), Shards: 2, Fsync: policy, Clock: &coretest.Clock{}, ManualTick: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	client := func() func(lines string) string {
		s := db.Session()
		return func(lines string) (got string) {
			for line := range strings.SplitSeq(lines, ";") {
				v, err := s.Do(strings.Fields(line)...)
				if err != nil {
					return err.Error()
				}
				got = v.String()
			}
			return got
		}
	}
	start := func(do func(string) string, lines string) <-chan string {
		got := make(chan string, 1)
		go func() { got <- do(lines) }()
		synctest.Wait() // it has its reply, or waits for the disk
		return got
	}
	writer, reader := client(), client()
	before := reader(read)
	slow.arm()
	defer close(slow.answer)
	written := start(writer, "SET {k} new")
	if wrote := len(written) == 1; wrote != (policy == wal.EverySec) {
		t.Fatalf("the writer has its reply: %t", wrote)
	}
	seen := start(reader, read)
	if waiting := len(seen) == 0; waiting != waits {
		t.Errorf("the reader waits: %t, want %t", waiting, waits)
	}
	if policy == wal.Always {
		slow.answer <- fails
	}
	got := <-seen
	if (got != before) != changes || strings.HasPrefix(got, "(error)") {
		t.Errorf("the reader is told %s, before the write it was %s", got, before)
	}
	if got := <-written; (got == `"OK"`) != (fails == nil) {
		t.Errorf("the writer is told %s", got)
	}
}
