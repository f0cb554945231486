package wal

import (
	"testing"
	"time"

	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestSealAfterQuietMark: a log gone quiet marks its end without an fsync. When
// it is cut then, the mark must be durable before a later segment is, or half of
// it would be damage in the middle of the log.
func TestSealAfterQuietMark(t *testing.T) {
	for seed := range int64(64) {
		fs := memfs.New()
		l := openNew(t, fs, 1, Always, stillClock{})
		l.Append(0, 0, words("SET a 1"))
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
		l.file.tick()
		if err := create(fs, seg2, time.Now()); err != nil {
			t.Fatal(err)
		}
		l.Cut(seg2)
		l.Append(0, 0, words("SET b 2"))
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
		got, _, err := contents(t, fs.CrashClone(seed), true, seg1, seg2)
		if err != nil || got != "0:SET,a,1 0:SET,b,2" {
			t.Fatalf("disk seed %d: %s: %v", seed, got, err)
		}
	}
}

// TestHarden: bytes that were read and are on no disk are, after Harden.
func TestHarden(t *testing.T) {
	fs := memfs.New()
	l := openNew(t, fs, 1, Always, stillClock{})
	big := make([]byte, 3<<20)
	for range 3 {
		l.Append(0, 0, [][]byte{[]byte("SET"), []byte("k"), big})
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	f, err := fs.OpenFile(seg1, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	l.Append(0, 0, words("SET lost 1"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	f.(interface{ DropDirty() }).DropDirty() // as a failed fsync does
	_, res, err := contents(t, fs, true, seg1)
	if err != nil {
		t.Fatal(err)
	}
	if res.SafeOffset >= res.GoodOffset || res.SafeOffset < 6<<20 {
		t.Fatalf("of %d bytes %d are safe; want all but those of the last two blocks", res.GoodOffset, res.SafeOffset)
	}
	if err := Harden(fs, seg1, res.SafeOffset, res.GoodOffset); err != nil {
		t.Fatal(err)
	}
	_, again, err := contents(t, fs.CrashClone(memfs.LoseAll), true, seg1)
	if err != nil || again.Commands != 4 || again.GoodOffset != res.GoodOffset {
		t.Fatalf("after a power loss: %+v, %v; want %+v", again, err, res)
	}
}
