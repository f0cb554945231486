package wal

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestScan: what a finished segment holds, and that each of its bytes counts.
func TestScan(t *testing.T) {
	fs := memfs.New()
	at := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)
	id, err := Create(fs, seg1, at)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := Scan(fs, seg1, id)
	if want := (Span{ID: id, Created: at, Size: empty.Size}); err != nil || empty != want || empty.Size == 0 {
		t.Fatalf("%+v, %v; want %+v", empty, err, want)
	}
	l, err := Open(Options{FS: fs, Shards: 2, Policy: Always, Clock: stillClock{}}, seg1, 40)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		l.Append(i%2, 0, words("SET k v"))
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	now := stillClock{}.Now().UTC().Truncate(time.Millisecond)
	got, err := Scan(fs, seg1, id)
	want := Span{ID: id, Created: at, Blocks: 3, FirstSeq: 41, LastSeq: 43, First: now, Last: now, Size: got.Size}
	if err != nil || got != want {
		t.Fatalf("%+v, %v; want %+v", got, err, want)
	}
	var bad *CorruptError
	if _, err := Scan(fs, seg1, "0123456789abcdef"); !errors.As(err, &bad) {
		t.Errorf("another segment: %v", err)
	}
	f, err := fs.OpenFile(seg1, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	whole := make([]byte, got.Size)
	if _, err := f.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		if i >= len(magic)+16 && i < int(empty.Size) {
			continue // the time of the header has no checksum
		}
		if _, err := f.WriteAt([]byte{whole[i] ^ 1}, int64(i)); err != nil {
			t.Fatal(err)
		}
		if _, err := Scan(fs, seg1, ""); !errors.As(err, &bad) {
			t.Fatalf("a flipped bit at %d: %v", i, err)
		}
		if _, err := f.WriteAt(whole[i:i+1], int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	for n := got.Size - 1; n > empty.Size; n-- {
		if err := f.Truncate(n); err != nil {
			t.Fatal(err)
		}
		if s, err := Scan(fs, seg1, id); err == nil && s.Blocks == 3 && s.Size != n || err != nil && !errors.As(err, &bad) {
			t.Fatalf("cut at %d: %+v, %v", n, s, err)
		}
	}
}
