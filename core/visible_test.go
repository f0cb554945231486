package core_test

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// slowLog is a disk whose fsyncs of the log, from arm on, wait for one answer.
type slowLog struct {
	mu      sync.Mutex
	armed   bool
	reached chan struct{}
	answer  chan error
}

func (s *slowLog) arm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.reached, s.answer = true, make(chan struct{}), make(chan error)
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
	close(s.reached)
	return <-s.answer
}

// TestReadWaits: under always nobody is told of a write that is not durable,
// the reader as little as the writer. Under everysec a read waits for nothing,
// and on a log that has failed it is answered from memory.
func TestReadWaits(t *testing.T) {
	for _, read := range []string{"GET {k}", "MGET {k} other", "KEYS *", "EXISTS {k}", "MULTI;GET {k};EXEC"} {
		for _, c := range []struct {
			policy wal.Policy
			fails  error
			waits  bool
		}{
			{wal.Always, nil, true},
			{wal.Always, syscall.EIO, true},
			{wal.EverySec, nil, false},
		} {
			t.Run(fmt.Sprint(read, " ", c.policy, " ", c.fails), func(t *testing.T) {
				disk, slow := memfs.New(), &slowLog{}
				clock := &coretest.Clock{}
				db, err := core.Open(core.Options{
					FS: faultfs.New(disk, slow.inject), Shards: 2, AppendOnly: true, Fsync: c.policy, Clock: clock, ManualTick: true,
				})
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				session := func() func(lines string) string {
					s := db.NewSession(nil, nil)
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
				writer, reader := session(), session()
				before := reader(read)
				slow.arm()
				defer close(slow.answer)
				written, seen := make(chan string, 1), make(chan string, 1)
				go func() { written <- writer("SET {k} new") }()
				if c.policy == wal.EverySec {
					if got := <-written; got != `"OK"` {
						t.Fatal(got)
					}
				} else {
					<-slow.reached
				}
				go func() { seen <- reader(read) }()
				if c.waits {
					select {
					case got := <-seen:
						t.Errorf("it was told %s while that was not durable", got)
						seen <- got
					case <-time.After(50 * time.Millisecond):
					}
					slow.answer <- c.fails
				}
				if got := <-seen; got == before {
					t.Errorf("it was told %s, which is old", got)
				} else if strings.Contains(got, "MISCONF") {
					t.Errorf("a read was refused: %s", got)
				}
				if c.policy == wal.EverySec {
					return
				}
				if got := <-written; (got == `"OK"`) != (c.fails == nil) {
					t.Errorf("the writer was told %s", got)
				}
			})
		}
	}
}
