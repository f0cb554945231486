package wal

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// A failed write or fsync is final for its segment, is told to everybody, and
// is healed by a cut, nothing of the old segment being touched again.
func TestFailureIsFinalUntilCut(t *testing.T) {
	eio := syscall.EIO
	onSegment := func(k faultfs.OpKind) func(faultfs.Op) bool {
		return func(op faultfs.Op) bool { return op.Kind == k && op.Path == seg1 }
	}
	for _, c := range []struct {
		name  string
		match func(faultfs.Op) bool
		err   error
		op    string
	}{
		{"write", onSegment(faultfs.OpWrite), eio, "write"},
		{"short write", onSegment(faultfs.OpWrite), &faultfs.Short{N: 70, Err: eio}, "write"},
		{"fsync", onSegment(faultfs.OpSync), eio, "fsync"},
		{"fsync that happened", onSegment(faultfs.OpSync), &faultfs.After{Err: eio}, "fsync"},
	} {
		for _, p := range []Policy{Always, EverySec} {
			t.Run(fmt.Sprintf("%s %v", c.name, p), func(t *testing.T) {
				mem := memfs.New()
				fs := faultfs.New(mem, nil)
				l := openNew(t, fs, 2, p, stillClock{})
				l.Append(0, 0, words("SET safe 1"))
				if err := l.Sync(); err != nil {
					t.Fatal(err)
				}
				safe := l.Mark()
				fs.SetInject(faultfs.FailNth(1, c.match, c.err))
				l.Append(0, 0, words("SET lost 1"))
				lost := l.Mark()
				var err error
				if p == Always {
					err = l.Commit()
				} else {
					err = l.Sync()
				}
				var fe *FailedError
				if !errors.As(err, &fe) || fe.Op != c.op || fe.Path != seg1 || !errors.Is(err, eio) || l.Healthy() {
					t.Fatal(err)
				}
				fs.Reset()
				l.Append(1, 0, words("SET dropped 1"))
				l.AppendTx([]int{0, 1}, []Cmd{cmd(0, "SET dropped 2"), cmd(0, "SET dropped 3")})
				for _, f := range []func() error{l.Commit, l.Sync, l.Flush, l.Err, func() error { return l.CommitTo(lost) }} {
					if got := f(); got != err {
						t.Fatalf("got %v, want %v", got, err)
					}
				}
				if err := l.CommitTo(safe); err != nil {
					t.Fatal("what was durable is no more:", err)
				}
				l.file.tick() // the fsync of every second is not due any more
				if st := l.Stats(); st.PendingBytes != 0 {
					t.Fatalf("%+v", st)
				}
				if err := create(fs, seg2, time.Now()); err != nil {
					t.Fatal(err)
				}
				l.Cut(seg2)
				l.Append(1, 0, words("SET new 1"))
				if err := l.WaitCut(); err != nil || !l.Healthy() {
					t.Fatal(err)
				}
				if err := l.Commit(); err != nil {
					t.Fatal(err)
				}
				if err := l.CommitTo(lost); err == nil {
					t.Fatal("a write that was dropped is acknowledged")
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				for _, op := range fs.Trace() {
					if path.Base(op.Path) == path.Base(seg1) && op.Kind.Mutates() {
						t.Fatalf("the failed segment was touched: %v", op)
					}
				}
				mustContain(t, mem.CrashClone(memfs.LoseAll), "0:SET,new,1", seg2)
				if _, _, err := contents(t, mem.CrashClone(memfs.KeepAll), true, seg1, seg2); err == nil {
					t.Fatal("the gap between the segments is not seen")
				}
			})
		}
	}
}

// The fsync of every second fails while a cut is at the same segment: the cut
// must not take its own fsync, which would find nothing dirty any more and
// succeed, for the word of the disk, and swear in the file that all is safe.
func TestFsyncFailsUnderACut(t *testing.T) {
	mem := memfs.New()
	fs := faultfs.New(mem, nil)
	l := openNew(t, fs, 1, EverySec, stillClock{})
	if err := create(fs, seg2, time.Now()); err != nil {
		t.Fatal(err)
	}
	l.Append(0, 0, words("SET lost 1"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	var (
		entered = make(chan struct{})
		written = make(chan struct{})
		block   sync.Once
		syncs   atomic.Int64
	)
	fs.SetInject(func(op faultfs.Op) error {
		switch {
		case op.Path != seg1:
		case op.Kind == faultfs.OpSync && syncs.Add(1) == 1:
			close(entered)
			<-written
			return syscall.EIO
		case op.Kind == faultfs.OpWrite:
			block.Do(func() { close(written) }) // the cut's; its fsync waits for the other
		}
		return nil
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.file.tick()
	}()
	<-entered
	l.Append(0, 0, words("SET lost 2"))
	mark := l.Mark()
	l.Cut(seg2)
	var fe *FailedError
	if err := l.WaitCut(); !errors.As(err, &fe) || fe.Op != "fsync" || fe.Path != seg1 {
		t.Fatalf("the cut says %v", err)
	}
	<-done
	if err := l.CommitTo(mark); err == nil {
		t.Fatal("acknowledged")
	}
	if n := syncs.Load(); n != 1 {
		t.Errorf("the segment was fsynced again, %d times", n-1)
	}
	if data := readAll(t, mem, seg1); strings.Contains(string(data), "#S seq=") {
		t.Errorf("the segment swears that it is safe:\n%s", data)
	}
}

// A cut that cannot be carried out fails the log, and the next one heals it.
func TestCutFails(t *testing.T) {
	fs := memfs.New()
	l := openNew(t, fs, 1, Always, stillClock{})
	for range 2 {
		l.Cut(seg2) // nobody has created it
		l.Append(0, 0, words("SET lost 1"))
		if err := l.WaitCut(); err == nil || l.Healthy() {
			t.Fatal("went on in a segment that is not there")
		}
		if err := l.Commit(); err == nil {
			t.Fatal("acknowledged")
		}
	}
	if err := create(fs, seg2, time.Now()); err != nil {
		t.Fatal(err)
	}
	l.Cut(seg2)
	if err := l.WaitCut(); err != nil {
		t.Fatal(err)
	}
	l.Append(0, 0, words("SET a 1"))
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	mustContain(t, fs.CrashClone(memfs.LoseAll), "0:SET,a,1", seg2)
	if err := create(fs, seg2, time.Now()); err == nil {
		t.Fatal("a segment was created over another")
	}
}

// The disk fails and comes back under load; nothing acknowledged is missing
// from the segment it was acknowledged in, and nobody hangs.
func TestFailuresUnderLoad(t *testing.T) {
	mem := memfs.New()
	fs := faultfs.New(mem, nil)
	l := openNew(t, fs, 4, Always, realClock{})
	var (
		wg    sync.WaitGroup
		locks [4]sync.Mutex
		stop  = make(chan struct{})
		mu    sync.Mutex
		acked []string
	)
	for s := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d.%d", s, k)
				n := (s + k) % 4
				locks[n].Lock()
				l.Append(n, 0, words("SET x "+id))
				mark := l.Mark()
				locks[n].Unlock()
				if l.CommitTo(mark) == nil {
					mu.Lock()
					acked = append(acked, id)
					mu.Unlock()
				}
			}
		}()
	}
	segs := []string{seg1}
	for n := 2; n < 40; n++ {
		time.Sleep(2 * time.Millisecond)
		if n%2 == 0 {
			kind := []faultfs.OpKind{faultfs.OpWrite, faultfs.OpSync}[n/2%2]
			fs.SetInject(faultfs.FailNth(1, func(op faultfs.Op) bool { return op.Kind == kind }, syscall.EIO))
			time.Sleep(2 * time.Millisecond)
			fs.SetInject(nil)
		}
		p := fmt.Sprintf("log/%08d.aof", n)
		if err := create(fs, p, time.Now()); err != nil {
			t.Fatal(err)
		}
		for i := range locks {
			locks[i].Lock()
		}
		l.Cut(p)
		for i := range locks {
			locks[i].Unlock()
		}
		if err := l.WaitCut(); err == nil {
			segs = append(segs, p)
		}
	}
	close(stop)
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	after := mem.CrashClone(memfs.LoseAll)
	for _, p := range segs {
		if _, err := Replay(after, p, ReplayOptions{Last: true}, func(b Block) error {
			for _, c := range b.Cmds {
				have[string(c.Args[2])] = true
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range acked {
		if !have[id] {
			t.Fatalf("%s was acknowledged and is gone; %d were", id, len(acked))
		}
	}
	t.Logf("%d acknowledged over %d segments", len(acked), len(segs))
}

// One fsync serves everybody who waits, and who comes while it runs is served
// by the next one.
func TestGroupCommit(t *testing.T) {
	fs := faultfs.New(memfs.New(), nil)
	l := openNew(t, fs, 1, Always, stillClock{})
	hold, entered := make(chan struct{}), make(chan struct{}, 100)
	fs.SetInject(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync {
			entered <- struct{}{}
			<-hold
		}
		return nil
	})
	var wg sync.WaitGroup
	commit := func() {
		l.Append(0, 0, words("SET a 1"))
		mark := l.Mark()
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := l.CommitTo(mark); err != nil {
				t.Error(err)
			}
		}()
	}
	commit()
	<-entered
	for range 50 {
		commit()
	}
	testutil.Eventually(t, "waiting", func() bool {
		l.group.mu.Lock()
		defer l.group.mu.Unlock()
		return len(l.group.followers) == 50
	})
	close(hold)
	wg.Wait()
	if st := l.Stats(); st.Fsyncs != 2 || st.Blocks != 2 {
		t.Fatalf("%+v", st)
	}
}

// With a disk that is stuck, clients are held back before memory runs out.
func TestBackPressure(t *testing.T) {
	fs := faultfs.New(memfs.New(), nil)
	l := openNew(t, fs, 1, EverySec, stillClock{})
	hold := make(chan struct{})
	fs.SetInject(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpWrite {
			<-hold
		}
		return nil
	})
	var n, released atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		arg := [][]byte{[]byte("SET"), []byte("k"), []byte(strings.Repeat("x", 1<<20))}
		for range 100 {
			l.Append(0, 0, arg)
			_ = l.Commit()
			n.Add(1)
		}
	}()
	go func() {
		testutil.Eventually(t, "held back", func() bool { return l.Stats().PendingBytes > maxPending && n.Load() < 70 })
		time.Sleep(20 * time.Millisecond)
		released.Store(n.Load())
		close(hold)
	}()
	<-done
	if r := released.Load(); r < 60 || r > 70 {
		t.Fatalf("held back after %d MiB", r)
	}
	if err := l.Sync(); err != nil || l.Stats().PendingBytes != 0 {
		t.Fatal(err, l.Stats())
	}
}
