package wal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

const seg1, seg2, seg3 = "log/00000001.aof", "log/00000002.aof", "log/00000003.aof"

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }
func (realClock) NewTicker(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// stillClock never ticks: only what callers lead happens, but for what wakes
// the writer.
type stillClock struct{}

func (stillClock) Now() time.Time { return time.UnixMilli(1700000000000) }
func (stillClock) NewTicker(time.Duration) (<-chan time.Time, func()) {
	return nil, func() {}
}

func openNew(t testing.TB, fs vfs.FS, shards int, p Policy, clock Clock) *Log {
	t.Helper()
	if err := create(fs, seg1, clock.Now()); err != nil {
		t.Fatal(err)
	}
	l, err := Open(Options{FS: fs, Shards: shards, Policy: p, Clock: clock}, seg1, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func words(s string) [][]byte {
	var out [][]byte
	for _, w := range strings.Fields(s) {
		out = append(out, []byte(w))
	}
	return out
}

func cmd(db int, s string) Cmd { return Cmd{DB: db, Args: words(s)} }

// contents replays segments and shows each command as "db:words", transactions
// in brackets.
func contents(t testing.TB, fs vfs.FS, last bool, paths ...string) (string, Result, error) {
	t.Helper()
	var out []string
	var res Result
	for i, p := range paths {
		var err error
		res, err = Replay(fs, p, ReplayOptions{Last: last && i == len(paths)-1, StartSeq: res.LastSeq}, func(b Block) error {
			out = append(out, show(b))
			return nil
		})
		if err != nil {
			return strings.Join(out, " "), res, err
		}
	}
	return strings.Join(out, " "), res, nil
}

func show(b Block) string {
	var cmds []string
	for _, c := range b.Cmds {
		var w []string
		for _, a := range c.Args {
			w = append(w, string(a))
		}
		cmds = append(cmds, fmt.Sprintf("%d:%s", c.DB, strings.Join(w, ",")))
	}
	s := strings.Join(cmds, " ")
	if b.Tx {
		return "[" + s + "]"
	}
	return s
}

func mustContain(t testing.TB, fs vfs.FS, want string, paths ...string) Result {
	t.Helper()
	got, res, err := contents(t, fs, true, paths...)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("log holds\n %s\nwant\n %s", got, want)
	}
	return res
}

func wantCorrupt(t testing.TB, err error) *CorruptError {
	t.Helper()
	var c *CorruptError
	if !errors.As(err, &c) {
		t.Fatalf("got %v, want a CorruptError", err)
	}
	return c
}

func readAll(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fs, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fileWith(t testing.TB, b []byte) *memfs.FS {
	t.Helper()
	fs := memfs.New()
	if err := vfs.MkdirAllSync(fs, "log", 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(seg1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close(), fs.SyncDir("log")); err != nil {
		t.Fatal(err)
	}
	return fs
}

// create is Create for those who do not mind what it is called.
func create(fs vfs.FS, path string, now time.Time) error {
	_, err := Create(fs, path, now)
	return err
}
