package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

func newOrder(t testing.TB, shards int, clock Clock) *Order {
	t.Helper()
	o, err := NewOrder(OrderOptions{Shards: shards, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

// recorder is a taker that notes what it gets, and whose fate is the test's.
type recorder struct {
	need  Need
	take  func(*RawBlock) error
	sync  func() error
	mu    sync.Mutex
	after uint64
	begun int
	seqs  []uint64
	cmds  []string // as "db:words"
	db    int
	bad   error
}

func (r *recorder) Begin(after uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.after, r.db = after, -1
	r.begun++
}

func (r *recorder) Take(b *RawBlock) error {
	if r.take != nil {
		if err := r.take(b); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if want := r.after + uint64(len(r.seqs)) + 1; b.Seq != want || r.begun != 1 {
		r.bad = fmt.Errorf("block %d, want %d; begun %d times", b.Seq, want, r.begun)
	}
	r.seqs = append(r.seqs, b.Seq)
	stream := b.AppendCommands(nil, r.db)
	for _, args := range parse(stream) {
		if len(args) == 2 && args[0] == "SELECT" {
			r.db, _ = strconv.Atoi(args[1])
			continue
		}
		r.cmds = append(r.cmds, fmt.Sprintf("%d:%s", r.db, strings.Join(args, ",")))
	}
	if len(b.Data) > 0 && r.db != b.LastDB {
		r.bad = fmt.Errorf("block %d says it ends in database %d, and ends in %d", b.Seq, b.LastDB, r.db)
	}
	return nil
}

func (r *recorder) Need() Need { return r.need }

func (r *recorder) Sync() error {
	if r.sync != nil {
		return r.sync()
	}
	return nil
}

// got is all that the recorder has got, checked.
func (r *recorder) got(t testing.TB) string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bad != nil {
		t.Error(r.bad)
	}
	return strings.Join(r.cmds, " ")
}

func parse(stream []byte) (cmds [][]string) {
	var p resp.Parser
	for len(stream) > 0 {
		args, n, err := p.Next(stream, nil)
		if err != nil || n == 0 {
			return append(cmds, []string{fmt.Sprintf("broken: %v %q", err, stream)})
		}
		var words []string
		for _, a := range args {
			words = append(words, string(a))
		}
		cmds, stream = append(cmds, words), stream[n:]
	}
	return cmds
}

// TestOrderWithoutTakers: nothing is kept and nobody waits, yet no two states of
// the data have the same number.
func TestOrderWithoutTakers(t *testing.T) {
	o := newOrder(t, 3, stillClock{})
	args := words("SET a 1")
	if n := testing.AllocsPerRun(100, func() {
		o.Append(1, 0, args)
		if o.Taken() {
			t.Error("taken")
		}
		o.Skip(2)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	before := o.Seq()
	o.AppendTx([]int{0, 2}, []Cmd{cmd(0, "SET a 1"), cmd(0, "SET b 1")})
	o.AppendTx([]int{1}, []Cmd{cmd(0, "SET a 1"), cmd(0, "SET b 1")})
	o.Append(0, 7, args)
	if err := o.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := o.Seq(); got != before+3 {
		t.Fatalf("it is at %d after three of them at %d", got, before)
	}
	if p := o.pending.Load(); p != 0 || o.dirty.Load() || len(o.queue.items) > 0 {
		t.Fatalf("%d bytes are kept", p)
	}

	b := NewBacklog(1 << 20)
	m := o.Join(b)
	o.Append(0, 7, args)
	after, err := m.Wait()
	if err != nil || after != before+3 {
		t.Fatalf("it joined after %d: %v", after, err)
	}
	held, err := b.From(after + 1)
	if err != nil || len(held) != 1 || held[0].Seq != after+1 || held[0].DB != 7 {
		t.Fatalf("%+v: %v", held, err)
	}
	m.Leave()
	if got := o.Seq(); got != after+1 {
		t.Fatalf("it is at %d after block %d", got, after+1)
	}
	o.Append(0, 7, args)
	if o.Taken() || o.Seq() != after+2 {
		t.Fatalf("it is at %d", o.Seq())
	}
}

// TestTakersSeeTheSame: the segment file, a backlog and a taker with a queue of
// its own get the same blocks, whenever they joined.
func TestTakersSeeTheSame(t *testing.T) {
	fs := memfs.New()
	o := newOrder(t, 2, stillClock{})
	o.Append(0, 0, words("SET before 1"))
	b, r := NewBacklog(1<<20), new(recorder)
	joined := o.Join(b)
	o.Append(0, 0, words("SET a 1"))
	o.AppendTx([]int{0, 1}, []Cmd{cmd(3, "SET b 1"), cmd(4, "SET c 1")})
	queued := o.Join(r)
	o.Append(1, 0, words("SET d 1"))
	if err := create(fs, seg1, stillClock{}.Now()); err != nil {
		t.Fatal(err)
	}
	l, err := o.OpenLog(fs, seg1, Always)
	if err != nil {
		t.Fatal(err)
	}
	l.Begin()
	o.Append(0, 0, words("SET e 1"))
	o.Append(1, 5, words("SET f 1"))
	if err := o.Commit(); err != nil {
		t.Fatal(err)
	}
	o.Append(1, 5, words("SET g 1"))
	l.End()
	o.Append(1, 5, words("SET h 1"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := o.Commit(); err != nil {
		t.Fatal(err)
	}
	joined.Leave()
	queued.Leave()
	o.Append(1, 5, words("SET after 1"))
	o.Flush()

	const start, last = "0:SET,a,1 3:MULTI 3:SET,b,1 4:SET,c,1 4:EXEC", "0:SET,e,1 5:SET,f,1 5:SET,g,1"
	all := new(recorder)
	held, err := b.From(2)
	if err != nil {
		t.Fatal(err)
	}
	all.Begin(1)
	for i := range held {
		_ = all.Take(&held[i])
	}
	if got, want := all.got(t), start+" 0:SET,d,1 "+last+" 5:SET,h,1"; got != want {
		t.Errorf("the backlog holds\n %s\nwant\n %s", got, want)
	}
	if got, want := r.got(t), "0:SET,d,1 "+last+" 5:SET,h,1"; !strings.HasPrefix(want, got) {
		t.Errorf("the queue had\n %s\nwant\n %s", got, want)
	}
	res := mustContain(t, fs.CrashClone(memfs.LoseAll), last, seg1)
	if res.FirstSeq != held[2].Seq || res.LastSeq != held[3].Seq {
		t.Errorf("the file has blocks %d to %d; the backlog %d to %d", res.FirstSeq, res.LastSeq, held[0].Seq, held[len(held)-1].Seq)
	}
}

// TestAwaited: a commit waits for whichever has it last, the file or the other
// one, and those who come meanwhile share the next wait.
func TestAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openNew(t, memfs.New(), 1, EverySec, stillClock{})
		answer, asked := make(chan error), make(chan struct{}, 100)
		r := &recorder{need: Awaited, sync: func() error {
			asked <- struct{}{}
			return <-answer
		}}
		m := l.Join(r)
		var done atomic.Int64
		write := func() {
			l.Append(0, 0, words("SET a 1"))
			mark := l.Mark()
			go func() {
				if err := l.CommitTo(mark); err != nil {
					t.Error(err)
				}
				done.Add(1)
			}()
			synctest.Wait()
		}
		write()
		for range 10 {
			write()
		}
		if done.Load() != 0 || len(asked) != 1 {
			t.Fatalf("%d are done, %d asked", done.Load(), len(asked))
		}
		answer <- nil
		synctest.Wait()
		if done.Load() != 1 || len(asked) != 2 {
			t.Fatalf("%d are done, %d asked", done.Load(), len(asked))
		}
		l.SetPolicy(Always) // and now for the file, too
		answer <- nil
		synctest.Wait()
		if done.Load() != 11 || len(asked) != 2 {
			t.Fatalf("%d are done, %d asked", done.Load(), len(asked))
		}
		if l.Stats().Fsyncs == 0 {
			t.Error("the file was not fsynced")
		}
		write()
		close(answer)
		synctest.Wait()
		m.Leave()
		write()
		if done.Load() != 13 || len(asked) != 3 {
			t.Fatalf("%d are done, %d asked", done.Load(), len(asked))
		}
	})
}

// TestTakerFails: when a taker fails that commits depend on, they fail as they do
// for a failed file: from what it had safely on, at once, and until it leaves.
// Whatever else takes blocks goes on.
func TestTakerFails(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name     string
		need     Need
		takeFail bool
	}{
		{"awaited, in Take", Awaited, true},
		{"awaited, in Sync", Awaited, false},
		{"required, in Take", Required, true},
		{"optional, in Take", Optional, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := memfs.New()
			l := openNew(t, fs, 1, Always, stillClock{})
			var broken atomic.Bool
			ask := func() error {
				if broken.Load() {
					return boom
				}
				return nil
			}
			r := &recorder{need: c.need}
			if c.takeFail {
				r.take = func(*RawBlock) error { return ask() }
			} else {
				r.sync = ask
			}
			m := l.Join(r)
			l.Append(0, 0, words("SET safe 1"))
			safe := l.Mark()
			if err := l.CommitTo(safe); err != nil {
				t.Fatal(err)
			}
			broken.Store(true)
			testutil.Eventually(t, "failed", func() bool { // one with a queue fails with the block after
				l.Append(0, 0, words("SET lost 1"))
				_ = l.CommitTo(l.Mark())
				return m.Err() != nil
			})
			if !errors.Is(m.Err(), boom) {
				t.Fatal(m.Err())
			}
			l.Append(0, 0, words("SET later 1"))
			want := boom
			if c.need == Optional {
				want = nil
			}
			if err := l.CommitTo(l.Mark()); !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if err := l.CommitTo(safe); err != nil && c.need != Required { // which never said that it is
				t.Fatal("what was safe is no more:", err)
			}
			if !l.Healthy() {
				t.Fatal("the file has failed with it")
			}
			got, _, err := contents(t, fs.CrashClone(memfs.LoseAll), true, seg1)
			if err != nil || !strings.HasSuffix(got, "0:SET,later,1") {
				t.Fatalf("the file holds %s: %v", got, err)
			}
			m.Leave()
			l.Append(0, 0, words("SET again 1"))
			if err := l.Commit(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestFileFailsAlone: the order outlives its file. A backlog gets every block,
// those of the failure as well, and the file goes on behind a gap.
func TestFileFailsAlone(t *testing.T) {
	for _, kind := range []faultfs.OpKind{faultfs.OpWrite, faultfs.OpSync} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			mem := memfs.New()
			fs := faultfs.New(mem, nil)
			l := openNew(t, fs, 1, Always, stillClock{})
			b := NewBacklog(1 << 20)
			m := l.Join(b)
			write := func(s string) error {
				l.Append(0, 0, words("SET "+s+" 1"))
				return l.Commit()
			}
			if err := write("safe"); err != nil {
				t.Fatal(err)
			}
			fs.SetInject(faultfs.FailNth(1, func(op faultfs.Op) bool { return op.Kind == kind }, &faultfs.After{Err: syscall.EIO}))
			for _, s := range []string{"lost", "dropped"} {
				if err := write(s); !errors.Is(err, syscall.EIO) {
					t.Fatalf("%s: %v", s, err)
				}
			}
			fs.Reset()
			if err := create(fs, seg2, stillClock{}.Now()); err != nil {
				t.Fatal(err)
			}
			l.Append(0, 0, words("SET pending 1"))
			l.Cut(seg2)
			if err := l.WaitCut(); err != nil {
				t.Fatal(err)
			}
			if err := write("new"); err != nil {
				t.Fatal(err)
			}
			m.Leave()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			r := new(recorder)
			held, err := b.From(1)
			if err != nil {
				t.Fatal(err)
			}
			for i := range held {
				if i == 0 {
					r.Begin(0)
				}
				_ = r.Take(&held[i])
			}
			if got, want := r.got(t), "0:SET,safe,1 0:SET,lost,1 0:SET,dropped,1 0:SET,pending,1 0:SET,new,1"; got != want {
				t.Errorf("the backlog holds\n %s\nwant\n %s", got, want)
			}
			mustContain(t, mem.CrashClone(memfs.LoseAll), "0:SET,new,1", seg2)
			if _, _, err := contents(t, mem.CrashClone(memfs.KeepAll), true, seg1, seg2); err == nil {
				t.Error("the gap between the segments is not seen")
			}
		})
	}
}

// TestSlowTaker: one that commits do not wait for holds nobody up, and is given up
// when its queue is full.
func TestSlowTaker(t *testing.T) {
	for _, need := range []Need{Optional, Required} {
		l := openNew(t, memfs.New(), 1, Always, stillClock{})
		hold := make(chan struct{})
		r := &recorder{need: need, take: func(*RawBlock) error { <-hold; return nil }}
		l.maxQueued = 8 << 16
		m := l.Join(r)
		arg := [][]byte{[]byte("SET"), []byte("k"), make([]byte, 1<<16)}
		var err error
		blocks := 0
		for ; m.Err() == nil && blocks < 20; blocks++ {
			if err != nil {
				t.Fatal(err)
			}
			l.Append(0, 0, arg)
			err = l.Commit()
		}
		if !errors.Is(m.Err(), errSlow) || blocks < 7 || blocks > 9 {
			t.Errorf("after %d blocks: %v", blocks, m.Err())
		}
		if failed := need == Required; (err != nil) != failed {
			t.Errorf("the commit says %v", err)
		}
		close(hold)
		m.Leave()
	}
}

// TestTakersUnderLoad: sessions append, the log is cut, and takers come and go,
// all at once. Whoever joins gets, from the state at its join on, everything that
// was executed, in the order in which it was, in blocks without a gap.
func TestTakersUnderLoad(t *testing.T) {
	const shards, sessions, rounds = 4, 4, 5
	fs := memfs.New()
	o := newOrder(t, shards, realClock{})
	var (
		locks   [shards]sync.Mutex
		at      [shards]int // guarded by the shard's lock
		stop    atomic.Bool
		writers sync.WaitGroup
	)
	lockAll := func() {
		for i := range locks {
			locks[i].Lock()
		}
	}
	unlockAll := func() {
		for i := range locks {
			locks[i].Unlock()
		}
	}
	set := func(n int) Cmd {
		at[n]++
		return cmd(n%2, fmt.Sprintf("SET %d %d", n, at[n]))
	}
	for s := range sessions {
		writers.Add(1)
		go func() {
			defer writers.Done()
			rng := rand.New(rand.NewPCG(1, uint64(s)))
			for !stop.Load() {
				a, b := rng.IntN(shards), rng.IntN(shards)
				if a < b {
					locks[a].Lock()
					locks[b].Lock()
					o.AppendTx([]int{a, b}, []Cmd{set(a), set(b)})
					locks[b].Unlock()
				} else {
					locks[a].Lock()
					c := set(a)
					o.Append(a, c.DB, c.Args)
				}
				mark := o.Mark()
				locks[a].Unlock()
				if err := o.CommitTo(mark); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	// check wants a taker's commands to go on from the state at its join.
	check := func(r *recorder, from [shards]int) {
		_ = r.got(t)
		for _, c := range r.cmds {
			_, words, _ := strings.Cut(c, ":")
			if words == "MULTI" || words == "EXEC" {
				continue
			}
			var n, v int
			if _, err := fmt.Sscanf(words, "SET,%d,%d", &n, &v); err != nil {
				t.Errorf("%s: %v", c, err)
				return
			}
			if from[n]++; v != from[n] {
				t.Errorf("shard %d is at %d, and %s comes", n, from[n]-1, c)
				return
			}
		}
	}
	var takers sync.WaitGroup
	for k := range 3 {
		takers.Add(1)
		go func() {
			defer takers.Done()
			for range rounds {
				var (
					r    = &recorder{need: Need(k)}
					b    = NewBacklog(1 << 30)
					from [shards]int
				)
				lockAll()
				m, held := o.Join(r), o.Join(b)
				from = at
				unlockAll()
				after, err := m.Wait()
				if err != nil {
					t.Error(err)
				}
				for enough := false; !enough; {
					blocks, err := b.From(after + 1)
					if enough = len(blocks) > 5 || err != nil; err != nil {
						t.Error(err)
					}
					o.Flush()
				}
				m.Leave()
				held.Leave()
				check(r, from)
				blocks, err := b.From(after + 1)
				if err != nil {
					t.Error(err)
				}
				again := new(recorder)
				again.Begin(after)
				for i := range blocks {
					_ = again.Take(&blocks[i])
				}
				check(again, from)
			}
		}()
	}
	// The file: switched on, cut, switched off.
	var last [shards]int
	for n := 0; n < rounds; n++ {
		paths := []string{fmt.Sprintf("log/%d.aof", 2*n), fmt.Sprintf("log/%d.aof", 2*n+1)}
		for _, p := range paths {
			if err := create(fs, p, realClock{}.Now()); err != nil {
				t.Fatal(err)
			}
		}
		l, err := o.OpenLog(fs, paths[0], Policy(n%3))
		if err != nil {
			t.Fatal(err)
		}
		lockAll()
		l.Begin()
		from := at
		unlockAll()
		o.Flush()
		lockAll()
		l.Cut(paths[1])
		unlockAll()
		if err := l.WaitCut(); err != nil {
			t.Fatal(err)
		}
		lockAll()
		l.End()
		last = at
		unlockAll()
		if err = l.Close(); err != nil {
			t.Fatal(err)
		}
		got, _, err := contents(t, fs, true, paths...)
		if err != nil {
			t.Fatal(err)
		}
		upTo := from
		for _, c := range strings.Fields(got) {
			var db, n, v int
			if _, err := fmt.Sscanf(strings.Trim(c, "[]"), "%d:SET,%d,%d", &db, &n, &v); err != nil {
				t.Fatal(c, err)
			}
			if upTo[n]++; v != upTo[n] {
				t.Fatalf("shard %d is at %d, and the file has %s", n, upTo[n]-1, c)
			}
		}
		for n := range last {
			if upTo[n] != last[n] {
				t.Fatalf("shard %d: the file ends at %d, and it was switched off at %d", n, upTo[n], last[n])
			}
		}
	}
	takers.Wait()
	stop.Store(true)
	writers.Wait()
	if o.Flush(); o.Taken() || o.pending.Load() != 0 {
		t.Errorf("all have left, and %d bytes are pending", o.pending.Load())
	}
}

// BenchmarkAppendUntaken is what the order costs a keyspace that keeps no log.
func BenchmarkAppendUntaken(b *testing.B) {
	o := newOrder(b, 2, realClock{})
	args := words("SET key:000001 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	b.Run("Append", func(b *testing.B) {
		for b.Loop() {
			o.Append(1, 0, args)
		}
	})
	b.Run("Append and CommitTo", func(b *testing.B) {
		for b.Loop() {
			o.Append(1, 0, args)
			if err := o.CommitTo(o.Mark()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkBacklog is what a session's command costs with a backlog and no file.
func BenchmarkBacklog(b *testing.B) {
	o := newOrder(b, 2, realClock{})
	o.Join(NewBacklog(1 << 20))
	args := words("SET key:000001 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	b.ReportAllocs()
	for b.Loop() {
		o.Append(1, 0, args)
		if err := o.CommitTo(o.Mark()); err != nil {
			b.Fatal(err)
		}
	}
}
