package wal

import (
	"fmt"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
)

// BenchmarkCommit is what the log costs 50 sessions that each append and
// commit, on the real disk under the test's temporary directory.
func BenchmarkCommit(b *testing.B) {
	for _, p := range []Policy{Always, EverySec} {
		for _, pipeline := range []int{1, 16} {
			b.Run(fmt.Sprintf("%v/P%d", p, pipeline), func(b *testing.B) {
				fs, err := osfs.New(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				benchCommit(b, fs, p, pipeline)
			})
		}
	}
}

func benchCommit(b *testing.B, fs vfs.FS, p Policy, pipeline int) {
	const sessions, shards = 50, 2
	l := openNew(b, fs, shards, p, realClock{})
	args := words("SET key:000001 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	var locks [shards]sync.Mutex
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for s := range sessions {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := s * pipeline; i < b.N; i += sessions * pipeline {
				n := s % shards
				locks[n].Lock()
				for range pipeline {
					l.Append(n, 0, args)
				}
				mark := l.Mark()
				locks[n].Unlock()
				if err := l.CommitTo(mark); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/float64(max(1, l.Stats().Fsyncs)), "writes/fsync")
}

// BenchmarkReplay reads back commands that were written by a busy server.
func BenchmarkReplay(b *testing.B) {
	fs, err := osfs.New(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	l := openNew(b, fs, 1, No, realClock{})
	const n = 200_000
	for i := range n {
		l.Append(0, 0, words(fmt.Sprintf("SET key:%d xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", i)))
		if i%100 == 99 {
			_ = l.Flush()
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Replay(fs, seg1, ReplayOptions{}, func(Block) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/cmd")
}

// BenchmarkCommitSettled is a commit for what is durable already, as of a session
// that has only read: the fast path.
func BenchmarkCommitSettled(b *testing.B) {
	for _, p := range []Policy{Always, EverySec} {
		b.Run(p.String(), func(b *testing.B) {
			l := openNew(b, memfs.New(), 2, p, realClock{})
			l.Append(0, 0, words("SET a 1"))
			mark := l.Mark()
			if err := l.Sync(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := l.CommitTo(mark); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCommitAlone is the latency of a session that nobody shares an fsync
// with, on a disk that takes no time.
func BenchmarkCommitAlone(b *testing.B) {
	l := openNew(b, memfs.New(), 2, Always, realClock{})
	args := words("SET key:000001 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	b.ReportAllocs()
	for b.Loop() {
		l.Append(1, 0, args)
		if err := l.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}
