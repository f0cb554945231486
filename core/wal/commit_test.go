package wal

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// slowDisk is a clock, and the faults of a disk, by which every fsync takes a
// millisecond. Nothing ticks but late, by which an assembly ends.
type slowDisk struct {
	now        atomic.Int64
	late       chan time.Time
	assemblies atomic.Int64
	syncs      atomic.Int64
	onSync     func(n int64) // called within the nth fsync
}

func (d *slowDisk) Now() time.Time { return time.Unix(1700000000, d.now.Load()) }

func (d *slowDisk) NewTicker(after time.Duration) (<-chan time.Time, func()) {
	if after > maxGroupWait {
		return nil, func() {}
	}
	d.assemblies.Add(1)
	return d.late, func() {}
}

func (d *slowDisk) inject(op faultfs.Op) error {
	if op.Kind == faultfs.OpSync {
		d.onSync(d.syncs.Add(1))
		d.now.Add(int64(time.Millisecond))
	}
	return nil
}

func (d *slowDisk) open(t *testing.T) *Log {
	fs := faultfs.New(memfs.New(), nil)
	l := openNew(t, fs, 1, Always, d)
	fs.SetInject(d.inject)
	return l
}

// until is eventually for what happens often, from any goroutine.
func until(t *testing.T, what string, ok func() bool) {
	for range 200_000 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Microsecond)
	}
	t.Errorf("not %s after ten seconds", what)
}

func waiting(t *testing.T, l *Log, n int) {
	until(t, "waiting", func() bool {
		l.group.mu.Lock()
		defer l.group.mu.Unlock()
		return len(l.group.followers) == n
	})
}

// Sessions that go on as soon as they are acknowledged share one fsync, and do
// not alternate in two halves.
func TestSessionsAssemble(t *testing.T) {
	const sessions = 50
	var l *Log
	d := &slowDisk{late: make(chan time.Time)}
	d.onSync = func(n int64) {
		if n == 1 {
			waiting(t, l, sessions-1)
		}
	}
	l = d.open(t)
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex // the shard's lock
		writes atomic.Int64
		stop   atomic.Bool
	)
	for range sessions {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !stop.Load() {
				mu.Lock()
				l.Append(0, 0, words("SET a 1"))
				mark := l.Mark()
				mu.Unlock()
				if err := l.CommitTo(mark); err != nil {
					t.Error(err)
					return
				}
				writes.Add(1)
			}
		}()
	}
	until(t, "fsynced a hundred times", func() bool { return d.syncs.Load() >= 100 })
	stop.Store(true)
	close(d.late) // who has left is not waited for
	wg.Wait()
	per := float64(writes.Load()) / float64(d.syncs.Load())
	t.Logf("%.1f writes per fsync", per)
	if per < sessions/2 {
		t.Errorf("%d sessions have %.1f writes per fsync", sessions, per)
	}
}

// Sessions that take longer to come back than an fsync takes are waited for
// now and then, and nothing else changes for those who do wait.
func TestFewAssembleInVain(t *testing.T) {
	const rounds = 200
	var l *Log
	d := &slowDisk{late: make(chan time.Time)}
	close(d.late)
	d.onSync = func(n int64) {
		if n < rounds {
			waiting(t, l, 1) // the other one has come back only now
		}
	}
	l = d.open(t)
	var wg sync.WaitGroup
	for s := range int64(2) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for mine := s; mine < rounds; mine += 2 { // fsyncs take turns
				until(t, "the other one's turn", func() bool { return d.syncs.Load() >= mine })
				l.Append(0, 0, words("SET a 1"))
				if err := l.CommitTo(l.Mark()); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	if n := d.assemblies.Load(); n < 2 || n > 10 {
		t.Errorf("%d assemblies in %d rounds", n, rounds)
	}
}
