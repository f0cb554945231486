package host_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
)

func part(gen uint64) sink.Part {
	return sink.Part{Job: 1, Kind: sink.KindSnapshot, Generation: gen, Shards: 1, Name: "shard-0000.rdb"}
}

func putPart(t testing.TB, s sink.Sink, gen uint64, data []byte) sink.SetPart {
	t.Helper()
	r, err := s.Put(t.Context(), part(gen), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return sink.SetPart{Part: part(gen), Bytes: int64(len(data)), SinkReceipt: r}
}

// noProcessesLeft makes t fail if it ends with children of this process that
// were not there before, or of init that carry the hostile mark.
func noProcessesLeft(t testing.TB) {
	t.Helper()
	before := descendants(t)
	t.Cleanup(func() {
		await(t, func() bool { return len(descendants(t)) <= len(before) }, func() string {
			return fmt.Sprintf("processes left: %v, before: %v", descendants(t), before)
		})
	})
}

// descendants are the living processes that are children of this one, or whose
// environment says that they were started by this suite.
func descendants(t testing.TB) (out []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatalf("no /proc to look for processes in: %v", err)
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // gone meanwhile
		}
		name, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		env, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		marked := bytes.Contains(env, []byte(hostileEnv+"=")) && bytes.Contains(env, []byte("SPILLWAY_TEST_PID="+strconv.Itoa(os.Getpid())))
		if len(f) > 1 && (f[1] == strconv.Itoa(os.Getpid()) || marked) {
			out = append(out, name+")")
		}
	}
	return out
}

// noFilesLeft makes t fail if it ends with more open files than it has now.
func noFilesLeft(t testing.TB) {
	t.Helper()
	open := func() []string {
		names, err := filepath.Glob("/proc/self/fd/*")
		if err != nil || len(names) == 0 {
			t.Fatalf("no /proc to count files in: %v", err)
		}
		var out []string
		for _, n := range names {
			if to, err := os.Readlink(n); err == nil && to != "anon_inode:[eventpoll]" && to != "anon_inode:[eventfd]" {
				out = append(out, to)
			}
		}
		return out
	}
	before := open()
	t.Cleanup(func() {
		await(t, func() bool { return len(open()) <= len(before) }, func() string {
			return fmt.Sprintf("open files: %v, before: %v", open(), before)
		})
	})
}
