package wal

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestEverySecHolds: under everysec a write waits while what is older than its
// second is not durable, be it that the fsync does not return or the write before
// it. It fails if that fails, and under no it never waits.
func TestEverySecHolds(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy Policy
		op     faultfs.OpKind
		slow   int64 // how many of them take long
		err    error
		waits  bool
	}{
		{"an fsync takes long, and the next", EverySec, faultfs.OpSync, 2, nil, true},
		{"a write takes long", EverySec, faultfs.OpWrite, 1, nil, true},
		{"an fsync fails in the end", EverySec, faultfs.OpSync, 1, syscall.EIO, true},
		{"nobody asked for an fsync", No, faultfs.OpWrite, 1, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := faultfs.New(memfs.New(), nil)
				l := openNew(t, fs, 1, c.policy, realClock{})
				answer := make(chan error)
				defer close(answer)
				var asked atomic.Int64
				fs.SetInject(func(op faultfs.Op) error {
					if op.Kind != c.op || asked.Add(1) > c.slow {
						return nil
					}
					return <-answer
				})
				write := func() <-chan error {
					done := make(chan error, 1)
					l.Append(0, 0, words("SET a 1"))
					go func() { done <- l.Commit() }()
					synctest.Wait()
					return done
				}
				time.Sleep(syncEvery / 2)
				for _, age := range []string{"new", "a second old"} {
					done := write()
					if len(done) == 0 {
						t.Fatalf("a write waits although what is not durable is %s", age)
					}
					time.Sleep(syncEvery)
				}
				// The first write is two seconds old now, and the disk has been
				// at it for one.
				time.Sleep(syncEvery / 4)
				first, second := write(), write()
				if waits := len(first) == 0; waits != c.waits {
					t.Fatalf("a write waits: %v, want %v", waits, c.waits)
				}
				if !c.waits {
					return
				}
				answer <- c.err
				synctest.Wait()
				for _, done := range []<-chan error{first, second} {
					if len(done) == 0 {
						t.Error("a write waits for more than was overdue")
					} else if err := <-done; !errors.Is(err, c.err) {
						t.Errorf("a write that waited: %v, want %v", err, c.err)
					}
				}
			})
		})
	}
}

// TestNothingOverdue: what nobody was to fsync so far is not overdue when
// everysec begins, and neither is what a failed log has lost when it is whole
// again.
func TestNothingOverdue(t *testing.T) {
	for name, begin := range map[string]func(*Log, *faultfs.FS){
		"after no": func(l *Log, _ *faultfs.FS) { l.SetPolicy(EverySec) },
		"after a failure": func(l *Log, fs *faultfs.FS) {
			l.SetPolicy(EverySec)
			fs.SetInject(func(faultfs.Op) error { return syscall.EIO })
			time.Sleep(3 * syncEvery)
			fs.SetInject(nil)
			if err := create(fs, seg2, time.Now()); err != nil {
				t.Error(err)
			}
			l.Cut(seg2)
			l.Append(0, 0, words("SET b 1"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := faultfs.New(memfs.New(), nil)
				l := openNew(t, fs, 1, No, realClock{})
				l.Append(0, 0, words("SET a 1"))
				_ = l.Commit()
				time.Sleep(3*syncEvery + syncEvery/2)
				begin(l, fs)
				time.Sleep(3 * syncEvery)
				if got := l.file.overdue.Load(); got != 0 || !l.Healthy() {
					t.Errorf("%d is overdue; the log: %v", got, l.Err())
				}
			})
		})
	}
}

// TestFsyncTakesWhatIsBeingWritten: what was appended before a beat and is being written at it is
// durable at the next, and nobody waits for it then.
func TestFsyncTakesWhatIsBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := faultfs.New(memfs.New(), nil)
		l := openNew(t, fs, 1, EverySec, realClock{})
		var written, fsynced atomic.Int64
		fs.SetInject(func(op faultfs.Op) error {
			switch op.Kind {
			case faultfs.OpWrite:
				written.Add(1)
				time.Sleep(syncEvery / 10)
			case faultfs.OpSync:
				fsynced.Add(1)
			}
			return nil
		})
		time.Sleep(syncEvery - syncEvery/20)
		l.Append(0, 0, words("SET a 1"))
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(syncEvery / 2) // the beat comes in the middle of the write
		if w, s := written.Load(), fsynced.Load(); w != 1 || s != 1 {
			t.Errorf("%d writes and %d fsyncs at the beat, want one of each", w, s)
		}
		time.Sleep(syncEvery)
		if got := l.file.overdue.Load(); got != 0 {
			t.Errorf("%d is overdue", got)
		}
	})
}
