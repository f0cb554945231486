package core_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/follow"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// follower is an engine that follows a server, on a disk that loses power.
type follower struct {
	t      *testing.T
	disk   *memfs.FS
	source *testutil.Wire
	fsync  wal.Policy
	shards int
	db     *core.DB
}

// always is dial, which ends the test where it fails.
func always(dial func() net.Conn) func() (net.Conn, error) {
	return func() (net.Conn, error) { return dial(), nil }
}

func (f *follower) open() {
	f.t.Helper()
	o := core.DefaultOptions(f.disk)
	o.Fsync, o.Shards, o.Save = f.fsync, f.shards, nil
	o.Follow = &core.Follow{Source: follow.Source{Address: f.source.Address}}
	var err error
	if f.db, err = core.Open(o); err != nil {
		f.t.Fatal(err)
	}
}

// lose has the machine lose power.
func (f *follower) lose(seed int64) {
	after := f.disk.CrashClone(seed)
	_ = f.db.Close() // of the old disk
	f.disk = after
	f.open()
}

// do runs a command that must not fail.
func (f *follower) do(args ...string) resp.Value {
	f.t.Helper()
	s := f.db.Session()
	defer s.Close()
	v, err := s.Do(args...)
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		f.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// TestFollowing: an engine that follows a redis-server has, after power losses, cut
// connections and restarts at any moment, exactly what that has: no command is lost, and
// none is executed twice.
func TestFollowing(t *testing.T) {
	for _, fsync := range []wal.Policy{wal.Always, wal.EverySec} {
		t.Run(fmt.Sprint(fsync), func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			dial := testutil.Redis(t, "--repl-backlog-size", "10mb", "--repl-diskless-sync-delay", "0")
			ask := askRedis(t, dial())
			for i := range 500 {
				ask("RPUSH", fmt.Sprint("list:", i%20), fmt.Sprint("before ", i))
			}
			f := &follower{t: t, disk: memfs.New(), source: testutil.NewWire(t, always(dial)), fsync: fsync, shards: 1 + rng.IntN(4)}
			f.open()
			defer func() { _ = f.db.Close() }()
			for range 12 {
				for range rng.IntN(300) {
					somethingElse(rng, ask)
				}
				switch rng.IntN(5) {
				case 0:
					f.source.Cut()
				case 1:
					f.lose(rng.Int64())
				case 2:
					if err := f.db.Close(); err != nil {
						t.Fatal(err)
					}
					f.shards = 1 + rng.IntN(4)
					f.open()
				case 3:
					f.await(ask)
					if v := f.do("GET", "n"); v.Text() != ask("GET", "n").Text() {
						t.Fatalf("n is %s", v.Text())
					}
					testutil.Eventually(t, "the end of the last rewrite", func() bool {
						inFlight, _ := f.db.Checkpoints()
						return !inFlight
					})
					f.do("BGREWRITEAOF")
				}
			}
			f.await(ask)
			f.compare(ask)
			f.do("REPLICAOF", "NO", "ONE")
			f.do("INCR", "n")
			f.lose(1)
			if r := f.db.Replica(); r != nil {
				t.Errorf("it follows again: %+v", r)
			}
		})
	}
}

// somethingElse writes.
func somethingElse(rng *rand.Rand, ask func(...string) resp.Value) {
	list := fmt.Sprint("list:", rng.IntN(20))
	switch rng.IntN(7) {
	case 0, 1:
		ask("INCR", "n")
	case 2:
		ask("MULTI")
		ask("DECR", "left")
		ask("INCR", "right")
		ask("EXEC")
	case 3:
		ask("RPUSH", list, fmt.Sprint(rng.Int()))
	case 4:
		ask("LPOP", list)
	case 5:
		ask("EVAL", "redis.call('INCRBY', KEYS[1], 3) redis.call('APPEND', KEYS[2], 'x')", "2", "sum", "text")
	case 6:
		ask("SET", fmt.Sprint("k", rng.IntN(50)), fmt.Sprint(rng.Int()), "PX", "3600000")
	}
}

// await returns when everything that the source has executed is here.
func (f *follower) await(ask func(...string) resp.Value) {
	f.t.Helper()
	var want int64
	for line := range strings.Lines(ask("INFO", "replication").Text()) {
		if rest, ok := strings.CutPrefix(line, "master_repl_offset:"); ok {
			_, _ = fmt.Sscan(rest, &want)
		}
	}
	testutil.Eventually(f.t, "all is here", func() bool {
		r := f.db.Replica()
		if r.Err != "" && r.State == string(follow.Stopped) {
			f.t.Fatal(r.Err)
		}
		return r.State == string(follow.Connected) && r.Offset >= want
	})
}

// compare wants both sides to have the same keys with the same values.
func (f *follower) compare(ask func(...string) resp.Value) {
	f.t.Helper()
	if a, b := f.do("DBSIZE").Int, ask("DBSIZE").Int; a != b {
		f.t.Errorf("%d keys, the source has %d", a, b)
	}
	for _, key := range ask("KEYS", "*").Elems {
		k := key.Text()
		get := []string{"GET", k}
		if strings.HasPrefix(k, "list:") {
			get = []string{"LRANGE", k, "0", "-1"}
		}
		if a, b := f.do(get...).String(), ask(get...).String(); a != b {
			f.t.Errorf("%s is %.200s, the source has %.200s", k, a, b)
		}
		if a, b := f.do("PEXPIRETIME", k).Int, ask("PEXPIRETIME", k).Int; a != b {
			f.t.Errorf("%s expires at %d, at the source %d", k, a, b)
		}
	}
}

// TestFollowingRefuses: clients of an engine that follows can read and not write, and an
// engine with data of its own does not follow.
func TestFollowingRefuses(t *testing.T) {
	dial := testutil.Redis(t)
	ask := askRedis(t, dial())
	ask("SET", "k", "v")
	f := &follower{t: t, disk: memfs.New(), source: testutil.NewWire(t, always(dial)), fsync: wal.Always, shards: 2}
	f.open()
	f.await(ask)
	s := f.db.Session()
	if v, err := s.Do("SET", "k", "mine"); err != nil || v.Err() == nil || !strings.HasPrefix(v.Text(), "READONLY") {
		t.Errorf("a client may write: %v, %v", v, err)
	}
	s.Close()
	if v := f.do("GET", "k"); v.Text() != "v" {
		t.Errorf("k is %v", v)
	}
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}

	disk := memfs.New()
	db, err := core.Open(core.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	s = db.Session()
	if _, err := s.Do("SET", "own", "data"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	o := core.DefaultOptions(disk)
	o.Follow = &core.Follow{Source: follow.Source{Address: f.source.Address}}
	if db, err := core.Open(o); err == nil {
		_ = db.Close()
		t.Error("an engine with data of its own follows")
	}
}
