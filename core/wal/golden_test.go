package wal

import (
	"bytes"
	"os"
	"testing"

	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// goldenSegment is what version 1 wrote on its first day for goldenAppends. The
// file is never regenerated: a new format gets a new number and a new file.
func goldenSegment(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/golden/v1.aof")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// goldenAppends makes every kind of line and block that a segment can have.
func goldenAppends(t testing.TB, l *Log) {
	t.Helper()
	for _, f := range []func() error{
		func() error { // two shards and two databases in a block
			l.Append(0, 0, words("SET a 1"))
			l.Append(1, 3, words("SET b 2"))
			return l.Sync()
		},
		func() error { // transactions over several shards and on one
			l.AppendTx([]int{0, 1}, []Cmd{cmd(3, "SET c 3"), cmd(15, "RPUSH d 4 5")})
			l.AppendTx([]int{1}, []Cmd{cmd(0, "SET e 6"), cmd(0, "DEL a")})
			return l.Sync()
		},
		func() error { // a single command as a transaction; bytes that look like ours
			l.AppendTx([]int{0}, []Cmd{cmd(0, "PEXPIREAT e 1893456000000")})
			l.Append(1, 0, [][]byte{[]byte("SET"), []byte("#bin\r\n\x00\xff"), []byte("\r\n#B seq=9 ts=1 dur=8 len=0 crc=00000000\r\n")})
			return l.Flush() // not durable
		},
		func() error { l.Append(0, 1, words("SET f")); return l.Flush() },
		func() error { l.file.tick(); l.file.tick(); return l.Err() }, // fsync, then a mark
		l.Close,
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGoldenIsRead: the format's meaning has not changed.
func TestGoldenIsRead(t *testing.T) {
	fs := fileWith(t, goldenSegment(t))
	got, res, err := contents(t, fs, false, seg1)
	if err != nil {
		t.Fatal(err)
	}
	const want = "0:SET,a,1 3:SET,b,2 [3:SET,c,3 15:RPUSH,d,4,5] [0:SET,e,6 0:DEL,a] " +
		"0:PEXPIREAT,e,1893456000000 0:SET,#bin\r\n\x00\xff,\r\n#B seq=9 ts=1 dur=8 len=0 crc=00000000\r\n 1:SET,f"
	if got != want {
		t.Errorf("it holds\n%q\nwant\n%q", got, want)
	}
	if res.Blocks != 4 || res.FirstSeq != 1 || res.LastSeq != 4 || res.Torn || res.GoodOffset != res.Size {
		t.Errorf("%+v", res)
	}
	if _, err := Replay(fs, seg1, ReplayOptions{ID: "5b1d09c2e4f7a638"}, func(Block) error { return nil }); err != nil {
		t.Error(err)
	}
	// And it can be gone on with.
	l, err := Open(Options{FS: fs, Shards: 1, Clock: stillClock{}}, seg1, res.LastSeq)
	if err != nil {
		t.Fatal(err)
	}
	l.Append(0, 2, words("SET g 7"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mustContain(t, fs.CrashClone(memfs.LoseAll), want+" 2:SET,g,7", seg1)
}

// TestGoldenIsWritten: what is written today is, byte by byte, what was.
func TestGoldenIsWritten(t *testing.T) {
	want := goldenSegment(t)
	header := want[:bytes.IndexByte(want, '\n')+1]
	if again := segmentHeader(0x5b1d09c2e4f7a638, stillClock{}.Now().UnixMilli()); !bytes.Equal(again, header) {
		t.Errorf("the first line is %q, was %q", again, header)
	}
	fs := fileWith(t, header)
	l, err := Open(Options{FS: fs, Shards: 2, Policy: EverySec, Clock: stillClock{}}, seg1, 0)
	if err != nil {
		t.Fatal(err)
	}
	goldenAppends(t, l)
	if got := readAll(t, fs, seg1); !bytes.Equal(got, want) {
		t.Errorf("written:\n%q\nwas:\n%q", got, want)
	}
}
