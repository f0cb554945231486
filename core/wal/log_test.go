package wal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

func TestRoundTrip(t *testing.T) {
	fs := memfs.New()
	l := openNew(t, fs, 4, Always, stillClock{})
	l.Append(0, 0, words("SET a 1"))
	l.Append(0, 3, words("SET b 2"))
	l.Append(2, 3, words("SET c 3"))
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	l.Append(1, 0, words("SET d 4"))
	l.AppendTx([]int{0, 1}, []Cmd{cmd(0, "SET e 5"), cmd(7, "SET f 6")})
	l.AppendTx([]int{2, 3}, []Cmd{cmd(7, "MSET g 7 h 8")})
	l.AppendTx([]int{3}, []Cmd{cmd(7, "SET i 9"), cmd(7, "DEL j")})
	l.Append(0, 1, words("SET k 0"))
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	res := mustContain(t, fs.CrashClone(memfs.LoseAll), "0:SET,a,1 3:SET,b,2 3:SET,c,3 0:SET,d,4 [0:SET,e,5 7:SET,f,6] 7:MSET,g,7,h,8 1:SET,k,0 [7:SET,i,9 7:DEL,j]", seg1)
	if res.Blocks != 2 || res.Commands != 10 || res.FirstSeq != 1 || res.LastSeq != 2 || res.Torn || res.GoodOffset != res.Size {
		t.Fatalf("%+v", res)
	}
	st := l.Stats()
	if st.Blocks != 2 || st.Fsyncs != 2 || st.PendingBytes != 0 || st.LastSeq != 2 || st.SegmentBytes != res.Size {
		t.Fatalf("%+v of %+v", st, res)
	}
	// Committing what is durable costs nothing.
	if err := l.Commit(); err != nil || l.Stats().Fsyncs != 2 {
		t.Fatal(err, l.Stats())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	res2, err := Replay(fs, seg1, ReplayOptions{}, func(Block) error { return nil })
	if err != nil || res2.LastSeq != 2 {
		t.Fatal(res2, err)
	}

	l, err = Open(Options{FS: fs, Shards: 1, Clock: stillClock{}}, seg1, res2.LastSeq)
	if err != nil {
		t.Fatal(err)
	}
	l.Append(0, 7, words("SET z 1"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got, _, err := contents(t, fs.CrashClone(memfs.LoseAll), false, seg1)
	if err != nil || !strings.HasSuffix(got, "[7:SET,i,9 7:DEL,j] 7:SET,z,1") {
		t.Fatal(got, err)
	}
}

func TestCut(t *testing.T) {
	fs := memfs.New()
	l := openNew(t, fs, 2, Always, stillClock{})
	l.Append(0, 0, words("SET a 1"))
	l.AppendTx([]int{0, 1}, []Cmd{cmd(0, "SET b 1"), cmd(0, "SET c 1")})
	l.Append(1, 0, words("SET d 1"))
	for _, p := range []string{seg2, seg3} {
		if err := create(fs, p, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	l.Cut(seg2)
	l.Append(0, 0, words("SET e 2"))
	if err := l.WaitCut(); err != nil {
		t.Fatal(err)
	}
	l.Append(1, 0, words("SET f 2"))
	l.Cut(seg3)
	l.Append(1, 0, words("SET g 3"))
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	after := fs.CrashClone(memfs.LoseAll)
	if got, _, err := contents(t, after, true, seg3); err != nil || got != "0:SET,g,3" {
		t.Fatal(got, err)
	}
	res := mustContain(t, after, "0:SET,a,1 [0:SET,b,1 0:SET,c,1] 0:SET,d,1 0:SET,e,2 0:SET,f,2 0:SET,g,3", seg1, seg2, seg3)
	if res.LastSeq != l.Stats().LastSeq {
		t.Fatal(res, l.Stats())
	}
	// A segment that was left is sealed: a missing end is not taken for a torn one.
	got, _, err := contents(t, after, true, seg1, seg3)
	if c := wantCorrupt(t, err); !strings.Contains(c.Reason, "follows") {
		t.Fatal(got, err)
	}
}

func TestClose(t *testing.T) {
	fs := memfs.New()
	l := openNew(t, fs, 1, EverySec, stillClock{})
	l.Append(0, 0, words("SET a 1"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Append(0, 0, words("SET lost 1"))
	if err := l.Commit(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	l.SetPolicy(Always)
	if err := l.Commit(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	l.Cut(seg2)
	if err := l.WaitCut(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil || l.Healthy() {
		t.Fatal(err)
	}
	mustContain(t, fs.CrashClone(memfs.LoseAll), "0:SET,a,1", seg1)
}

func TestPolicies(t *testing.T) {
	for _, p := range []Policy{EverySec, No} {
		fs := memfs.New()
		l := openNew(t, fs, 1, p, realClock{})
		l.Append(0, 0, words("SET a 1"))
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
		testutil.Eventually(t, "written", func() bool { return l.Stats().Blocks == 1 })
		if p == EverySec {
			testutil.Eventually(t, "fsynced", func() bool { return l.Stats().Fsyncs == 1 })
			mustContain(t, fs.CrashClone(memfs.LoseAll), "0:SET,a,1", seg1)
			testutil.Eventually(t, "marked", func() bool { return bytes.Contains(readAll(t, fs, seg1), []byte("#S seq=1 ")) })
		}
		if got, err := ParsePolicy(strings.ToUpper(p.String())); err != nil || got != p {
			t.Fatal(got, err)
		}
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		mustContain(t, fs.CrashClone(memfs.LoseAll), "0:SET,a,1", seg1)
	}
	if _, err := ParsePolicy("sometimes"); err == nil {
		t.Fatal("accepted")
	}
	// Under Always, appends that nobody commits are made durable too.
	fs := memfs.New()
	l := openNew(t, fs, 1, Always, realClock{})
	l.Append(0, 0, words("DEL expired"))
	testutil.Eventually(t, "fsynced", func() bool { return l.Stats().Fsyncs == 1 })
}

func TestAppendAllocatesNothing(t *testing.T) {
	l := openNew(t, memfs.New(), 2, No, stillClock{})
	args := words("SET key:000001 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	tx := []Cmd{{0, args}, {1, args}}
	for range 200 { // grow the buffers
		l.Append(0, 0, args)
		l.AppendTx([]int{0, 1}, tx)
	}
	_ = l.Flush()
	for range 3 {
		l.Append(0, 0, args)
		_ = l.Flush()
	}
	locked := []int{0, 1}
	if n := testing.AllocsPerRun(50, func() {
		l.Append(1, 0, args)
		l.AppendTx(locked, tx)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	l := openNew(b, memfs.New(), 2, No, stillClock{})
	args := words("SET key:000001 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		l.Append(1, 0, args)
		if n++; n%2000 == 0 {
			bf := &l.buffers[1]
			bf.run.buf, bf.counted = bf.run.buf[:0], 0
		}
	}
}
