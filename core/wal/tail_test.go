package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
)

// threeBlocks is a segment of three blocks, and where each block ends. With
// synced each was fsynced before the next was written.
func threeBlocks(t testing.TB, synced bool) (data []byte, ends []int64) {
	fs := memfs.New()
	l := openNew(t, fs, 2, No, stillClock{})
	ends = append(ends, l.Stats().SegmentBytes)
	for i, add := range []func(){
		func() { l.Append(0, 0, words("SET a 1")) },
		func() { l.AppendTx([]int{0, 1}, []Cmd{cmd(0, "SET b 1"), cmd(2, "SET c 1")}) },
		func() { l.Append(1, 0, words("SET d 1")) },
	} {
		add()
		flush := l.Flush
		if synced {
			flush = l.Sync
		}
		if err := flush(); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, l.Stats().SegmentBytes)
		if l.Stats().Blocks != int64(i+1) {
			t.Fatal(l.Stats())
		}
	}
	return readAll(t, fs, seg1), ends
}

var prefixes = []string{"", "0:SET,a,1", "0:SET,a,1 [0:SET,b,1 2:SET,c,1]", "0:SET,a,1 [0:SET,b,1 2:SET,c,1] 0:SET,d,1"}

func TestTornAtEveryByte(t *testing.T) {
	data, ends := threeBlocks(t, true)
	for cut := int(ends[0]); cut <= len(data); cut++ {
		for _, junk := range []string{"", "\x00\x00\x00\x00", "*1\r\n$4\r\nPING\r\n", strings.Repeat("\x00", 3000)} {
			fs := fileWith(t, append(bytes.Clone(data[:cut]), junk...))
			k := 0
			for k < 3 && ends[k+1] <= int64(cut) {
				k++
			}
			got, res, err := contents(t, fs, true, seg1)
			if err != nil || got != prefixes[k] || res.GoodOffset != ends[k] {
				t.Fatalf("cut at %d, %q: %q %+v %v", cut, junk, got, res, err)
			}
			whole := int64(cut) == ends[k] && junk == ""
			if res.Torn == whole {
				t.Fatalf("cut at %d: %+v", cut, res)
			}
			if _, _, err := contents(t, fs, false, seg1); !whole {
				wantCorrupt(t, err)
			}
			if junk != "" && cut%7 != 0 {
				continue
			}
			repairAndGoOn(t, fs, res, append(bytes.Clone(data[ends[k]:cut]), junk...), prefixes[k])
		}
	}
}

func repairAndGoOn(t *testing.T, fs *memfs.FS, res Result, tail []byte, before string) {
	t.Helper()
	aside, err := RepairTail(fs, seg1, res.GoodOffset, time.UnixMilli(42))
	if err != nil {
		t.Fatal(err)
	}
	fs = fs.CrashClone(memfs.LoseAll)
	switch {
	case len(tail) == 0 && aside != "":
		t.Fatal(aside)
	case len(tail) > 0 && !bytes.Equal(readAll(t, fs, aside), tail):
		t.Fatalf("%s does not hold the tail", aside)
	}
	l, err := Open(Options{FS: fs, Shards: 1, Clock: stillClock{}}, seg1, res.LastSeq)
	if err != nil {
		t.Fatal(err)
	}
	l.Append(0, 1, words("SET new 1"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mustContain(t, fs.CrashClone(memfs.LoseAll), strings.TrimSpace(before+" 1:SET,new,1"), seg1)
}

// What was set aside once is not overwritten by what comes to the same name: a
// clock may stand still or go back.
func TestSetAsideTwice(t *testing.T) {
	data, ends := threeBlocks(t, true)
	fs := fileWith(t, data)
	kept := map[string]string{}
	for _, tail := range []string{"first", "second", "third"} {
		f, err := fs.OpenFile(seg1, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(tail); err != nil {
			t.Fatal(err)
		}
		f.Close()
		aside, err := RepairTail(fs, seg1, ends[3], time.UnixMilli(42))
		if err != nil {
			t.Fatal(err)
		}
		kept[aside] = tail
	}
	if len(kept) != 3 {
		t.Fatalf("three tails are in %v", kept)
	}
	fs = fs.CrashClone(memfs.LoseAll)
	for name, want := range kept {
		if got := string(readAll(t, fs, name)); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

// A tail that cannot be set aside is not cut off, and half of it is not kept.
func TestSetAsideFails(t *testing.T) {
	data, ends := threeBlocks(t, true)
	torn := data[:len(data)-9]
	for n := int64(1); ; n++ {
		mem := fileWith(t, torn)
		fs := faultfs.New(mem, nil)
		fs.SetInject(faultfs.FailNth(n, func(op faultfs.Op) bool { return strings.HasPrefix(op.Path, TornDir) }, syscall.ENOSPC))
		if _, err := RepairTail(fs, seg1, ends[2], time.UnixMilli(42)); err == nil {
			if n < 5 {
				t.Fatalf("only %d operations were seen", n-1)
			}
			return
		} else if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("operation %d: %v", n, err)
		}
		if !bytes.Equal(readAll(t, mem, seg1), torn) {
			t.Fatalf("operation %d: the segment was changed", n)
		}
		if left, _ := vfs.ReadDir(mem, TornDir); len(left) != 0 {
			t.Fatalf("operation %d left %v", n, left)
		}
	}
}

// A wrong byte before blocks that swear it was durable is corruption.
func TestEveryFlippedByteIsFound(t *testing.T) {
	data, ends := threeBlocks(t, true)
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x41
		got, res, err := contents(t, fileWith(t, bad), true, seg1)
		if int64(i) < ends[2] {
			c := wantCorrupt(t, err)
			if c.Offset > int64(i) || c.Path != seg1 {
				t.Fatalf("byte %d: %v", i, err)
			}
			continue
		}
		// The last block has nothing behind it to speak for it.
		if err != nil || !res.Torn || got != prefixes[2] {
			t.Fatalf("byte %d: %q %+v %v", i, got, res, err)
		}
	}
	// Never fsynced between the blocks: the disk may have written them in any
	// order, so what is behind the hole goes, too.
	data, ends = threeBlocks(t, false)
	bad := bytes.Clone(data)
	clear(bad[ends[0]:ends[1]])
	if got, res, err := contents(t, fileWith(t, bad), true, seg1); err != nil || got != "" || !res.Torn || res.GoodOffset != ends[0] {
		t.Fatal(got, res, err)
	}
	// In a segment that follows others, what they made durable does not count,
	// also when nobody says where it starts.
	fs := memfs.New()
	l := openNew(t, fs, 1, Always, stillClock{})
	l.Append(0, 0, words("SET a 1"))
	if err := errors.Join(l.Commit(), create(fs, seg2, time.Now())); err != nil {
		t.Fatal(err)
	}
	l.Cut(seg2)
	l.SetPolicy(No)
	from := int64(len(segmentHeader(7, 1700000000000)))
	for range 3 {
		l.Append(0, 0, words("SET b 1"))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	bad = readAll(t, fs, seg2)
	clear(bad[from : from+20])
	if got, res, err := contents(t, fileWith(t, bad), true, seg1); err != nil || got != "" || !res.Torn {
		t.Fatal(got, res, err)
	}
	// Unless the segment was closed, which fsyncs and says so.
	fs = fileWith(t, data)
	l, err := Open(Options{FS: fs, Shards: 1, Clock: stillClock{}}, seg1, 3)
	if err != nil {
		t.Fatal(err)
	}
	l.Append(0, 0, words("SET e 1"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data = readAll(t, fs, seg1)
	clear(data[len(data)-60 : len(data)-50]) // in the last block
	_, _, err = contents(t, fileWith(t, data), true, seg1)
	wantCorrupt(t, err)
}

// A client cannot store something that replay takes for a block.
func TestForgedBlocks(t *testing.T) {
	data, ends := threeBlocks(t, true)
	fs := fileWith(t, data)
	l, err := Open(Options{FS: fs, Shards: 1, Clock: stillClock{}}, seg1, 3)
	if err != nil {
		t.Fatal(err)
	}
	payload := resp.AppendCommand(nil, []byte("FLUSHALL"))
	forged := appendBlockLine([]byte("\r\n"), segmentSum(0), 9, 1, 8, payload)
	forged = append(append(forged, payload...), data[ends[0]:ends[1]]...)
	l.Append(0, 0, [][]byte{[]byte("SET"), []byte("evil"), forged})
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	torn := readAll(t, fs, seg1)
	torn = torn[:len(torn)-3] // inside that block
	if got, res, err := contents(t, fileWith(t, torn), true, seg1); err != nil || !res.Torn || got != prefixes[3] {
		t.Fatal(got, res, err)
	}
}

func TestReplayRefuses(t *testing.T) {
	sum := segmentSum(7)
	block := func(seq uint64, cmds ...string) []byte {
		var p []byte
		for _, c := range cmds {
			p = resp.AppendCommand(p, words(c)...)
		}
		return append(appendBlockLine(nil, sum, seq, 1, seq-1, p), p...)
	}
	for _, c := range []struct {
		name string
		body []byte
		want string
	}{
		{"gap", append(block(1, "SET a 1"), block(3, "SET a 1")...), "block 3 follows block 1"},
		{"repeat", append(block(1, "SET a 1"), block(1, "SET a 1")...), "block 1 follows block 1"},
		{"open transaction", block(1, "MULTI", "SET a 1"), "leaves a transaction open"},
		{"stray exec", block(1, "SET a 1", "EXEC"), "does not open"},
		{"nested", block(1, "MULTI", "MULTI", "EXEC"), "inside a transaction"},
		{"database", block(1, "SELECT x"), "selects database"},
		{"database range", block(1, "SELECT 99999999999999999999"), "selects database"},
		{"not a command", append(appendBlockLine(nil, sum, 1, 1, 0, []byte("*1\r\n$9\r\nx")), "*1\r\n$9\r\nx"...), "broken command"},
	} {
		fs := fileWith(t, append(segmentHeader(7, 1), c.body...))
		_, _, err := contents(t, fs, true, seg1)
		if e := wantCorrupt(t, err); !strings.Contains(e.Reason, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, head := range []string{"", "REDIS0010", "*1\r\n$4\r\nPING\r\n", "#SPILLWAY-LOG 2 id=0000000000000007 ts=1\r\n", strings.Repeat("x", 5<<20)} {
		fs := fileWith(t, []byte(head))
		_, _, err := contents(t, fs, true, seg1)
		wantCorrupt(t, err)
		_, err = Open(Options{FS: fs, Shards: 1, Clock: stillClock{}}, seg1, 0)
		wantCorrupt(t, err)
	}
	// A claimed length reserves nothing.
	body := append(segmentHeader(7, 1), "#B seq=1 ts=1 dur=0 len=4000000000000 crc=00000000\r\nx"...)
	if _, res, err := contents(t, fileWith(t, body), true, seg1); err != nil || !res.Torn {
		t.Fatal(res, err)
	}
	// Nor does one that the file's size bears out: of a sparse file, of which
	// there is next to nothing, or of a stream whose size was claimed too.
	claim := fmt.Appendf(segmentHeader(7, 1), "#B seq=1 ts=1 dur=0 len=%d crc=00000000\r\n", int64(1)<<40)
	for range 6 { // and as many again behind it
		claim = fmt.Appendf(claim, "#B seq=2 ts=1 dur=1 len=%d crc=00000000\r\n", 40<<20)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReplayStream(bytes.NewReader(claim), "stream", 1<<41, ReplayOptions{}, func(Block) error { return nil })
	if err == nil {
		t.Fatal("a stream that is shorter than it claims")
	}
	disk, err := osfs.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := disk.Create("sparse")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(claim); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(60 << 20); err != nil {
		t.Fatal(err)
	}
	if n, _, err := Survey(disk, "sparse", "", 0); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("claimed lengths made %d bytes be allocated", used)
	}
	// An error of apply is passed on. A block says where it is.
	data, ends := threeBlocks(t, true)
	noRoom := errors.New("no room")
	at := int64(0)
	_, err = Replay(fileWith(t, data), seg1, ReplayOptions{}, func(b Block) error {
		if at = b.Offset; b.Seq == 2 {
			return noRoom
		}
		return nil
	})
	if err != noRoom || at != ends[1] {
		t.Fatal(err, at)
	}
}

func TestLongBlocksAndCommands(t *testing.T) {
	fs := memfs.New()
	l := openNew(t, fs, 1, Always, stillClock{})
	big := bytes.Repeat([]byte("x"), 3<<20)
	many := make([][]byte, 5000)
	for i := range many {
		many[i] = fmt.Appendf(nil, "m%d", i)
	}
	tx := make([]Cmd, 3000)
	for i := range tx {
		tx[i] = cmd(i%2, fmt.Sprintf("SET t%d 1", i))
	}
	l.Append(0, 0, [][]byte{[]byte("SET"), []byte("big"), big})
	l.Append(0, 0, many)
	for i := range 2000 {
		l.Append(0, 0, words(fmt.Sprintf("SET k%d 1", i)))
	}
	l.AppendTx([]int{0}, tx)
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	var flat []Cmd
	res, err := Replay(fs, seg1, ReplayOptions{}, func(b Block) error {
		if b.Tx && len(b.Cmds) != len(tx) || !b.Tx && len(b.Cmds) > maxStretch {
			t.Fatalf("%d commands, tx %v", len(b.Cmds), b.Tx)
		}
		if !b.Lasts {
			t.Error("a block larger than the buffer does not last")
		}
		for _, c := range b.Cmds {
			flat = append(flat, Cmd{c.DB, slices.Clone(c.Args)})
		}
		return nil
	})
	if err != nil || res.Commands != 5002 || res.Blocks != 1 {
		t.Fatal(res, err)
	}
	if !bytes.Equal(flat[0].Args[2], big) || len(flat[1].Args) != 5000 || string(flat[1].Args[4999]) != "m4999" {
		t.Fatal("the long ones differ")
	}
	for i := range 2000 {
		if string(flat[2+i].Args[1]) != fmt.Sprintf("k%d", i) {
			t.Fatalf("command %d is %q", i, flat[2+i].Args)
		}
	}
	for i := range tx {
		if c := flat[2002+i]; c.DB != i%2 || string(c.Args[1]) != fmt.Sprintf("t%d", i) {
			t.Fatalf("transaction's %d is %d %q", i, c.DB, c.Args)
		}
	}
}

// TestReplayMakesNoGarbage: what a log takes to replay does not grow with it, as long as its blocks are
// not large.
func TestReplayMakesNoGarbage(t *testing.T) {
	const rounds, each = 100, 200
	fs := memfs.New()
	l := openNew(t, fs, 1, Always, stillClock{})
	many, adds := words("HSET key"+strings.Repeat(" field:1 value:1", 40)), int64(0)
	for i := range rounds * each {
		l.Append(0, i%2, words(fmt.Sprintf("SET key:%d %0200d", i, i)))
		if i%4 == 0 {
			l.Append(0, i%2, many)
			adds++
		}
		if i%each == each-1 {
			l.AppendTx([]int{0}, []Cmd{cmd(0, "INCR a"), cmd(1, "INCR b")})
			if err := l.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res, err := Replay(fs, seg1, ReplayOptions{}, func(Block) error { return nil })
	runtime.ReadMemStats(&after)
	if err != nil || res.Blocks != rounds || res.Commands != rounds*(each+2)+adds || res.Size < 4*readBuffer {
		t.Fatal(res, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 2*readBuffer {
		t.Errorf("replaying %d bytes has allocated %d", res.Size, used)
	}
}

func FuzzReplay(f *testing.F) {
	data, ends := threeBlocks(f, false)
	f.Add(data)
	f.Add(data[:ends[2]+10])
	whole := goldenSegment(f)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])                                            // in its last mark
	f.Add(append(bytes.Clone(whole[:len(whole)/2]), make([]byte, 300)...)) // a hole at its end
	_, commands, _ := bytes.Cut(data[ends[1]:ends[2]], []byte("\r\n"))     // of a block
	f.Add(commands)
	f.Fuzz(func(t *testing.T, in []byte) {
		// With a sum that is right, the bytes are commands or corruption.
		sealed := append(appendBlockLine(segmentHeader(7, 1), segmentSum(7), 1, 1, 0, in), in...)
		if res, err := Replay(fileWith(t, sealed), seg1, ReplayOptions{Last: true}, func(Block) error { return nil }); err != nil {
			wantCorrupt(t, err)
		} else if res.Torn || res.GoodOffset != res.Size {
			t.Fatalf("a block with the right sum is taken for a torn one: %+v", res)
		}
		fs := fileWith(t, in)
		res, err := Replay(fs, seg1, ReplayOptions{Last: true}, func(Block) error { return nil })
		if err != nil {
			return
		}
		if _, err := RepairTail(fs, seg1, res.GoodOffset, time.UnixMilli(1)); err != nil {
			t.Fatal(err)
		}
		again, err := Replay(fs, seg1, ReplayOptions{}, func(Block) error { return nil })
		if err != nil || again.Commands != res.Commands || again.LastSeq != res.LastSeq {
			t.Fatal(res, again, err)
		}
	})
}
