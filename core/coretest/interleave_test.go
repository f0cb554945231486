package coretest

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

var (
	crowdSeed  = flag.Uint64("crowd.seed", 0, "run the crowd of this seed only")
	crowdCount = flag.Int("crowd.count", 0, "run so many crowds (default 60, with SPILLWAY_LAB=long 5000)")
)

// crowd is an engine in a bubble of testing/synctest with several clients that
// write, some that ask for checkpoints, its own tick, workers and log, on a
// disk and with a stage that take as long as the seed says. All of it happens
// in an order that follows from the seed.
//
// The writers keep books, so that whatever is found after a power loss can be
// told to be right or wrong.
type crowd struct {
	seed  uint64
	bug   Bug
	disk  *slowDisk
	sinks *slowDisk // of the second sink, which keeps every set
	db    *core.DB
	fsync wal.Policy
	until time.Time

	mu       sync.Mutex
	writers  []*writer
	replies  map[string]int // to requests for a checkpoint
	problems []string
}

const (
	crowdWriters  = 4
	crowdAccounts = 6
	crowdMoney    = 100 // on each account at first
)

// writer is one client's book: what it asked for, and of that, what it was told
// has been done, and when.
type writer struct {
	id      int
	sess    *core.Session
	rng     *rand.Rand
	issued  int
	acked   map[int]time.Time // pushes
	moved   map[string]bool   // transfers asked for: acknowledged or not
	counted int               // increments of the shared counter, acknowledged
	tried   int               // and asked for
	refused int
}

// slowStage passes bytes on, a few at a time and with pauses.
type slowStage struct{ seed uint64 }

func (slowStage) Info() sink.Info { return sink.Info{Name: "slow", Version: "1", Suffix: ".slow"} }

func (s slowStage) Encode(_ context.Context, p sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	n := mix(s.seed ^ p.Generation<<16 ^ uint64(p.Shard))
	for {
		_, err := io.CopyN(dst, src, int64(64+n%1000))
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		n = mix(n)
		time.Sleep(time.Duration(n % 3_000_000))
	}
}

func (slowStage) Decode(_ context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, src io.Reader) error {
	_, err := io.Copy(dst, src)
	return err
}

func (c *crowd) options(fs vfs.FS) core.Options {
	return core.Options{
		FS: fs, Shards: 4, Fsync: c.fsync, ContinueOnSaveError: true,
		Stages:  []sink.Stage{slowStage{c.seed}},
		Targets: []sink.Target{{Name: "sinks", Sink: sink.NewFSSink("sinks", c.sinks.fs, "sets"), Required: true}},
	}
}

func (c *crowd) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// run lets the crowd loose, takes the power away and checks what is left.
func (c *crowd) run() error {
	rng := rand.New(rand.NewPCG(c.seed, 7))
	c.fsync = []wal.Policy{wal.Always, wal.Always, wal.EverySec}[rng.IntN(3)]
	c.disk, c.sinks = newSlowDisk(memfs.New(), c.seed), newSlowDisk(memfs.New(), c.seed+1)
	c.replies = map[string]int{}
	db, err := core.Open(c.options(c.bug.wrap(c.disk.fs)))
	if err != nil {
		return err
	}
	c.db = db
	if err := c.openAccounts(); err != nil {
		_ = db.Close()
		return err
	}
	c.disk.with(func() {
		c.disk.crash, c.disk.crashSeed = int64(1+rng.IntN(900)), int64(rng.IntN(50))
		if rng.IntN(3) == 0 {
			c.disk.fault, c.disk.err, c.disk.times = int64(1+rng.IntN(300)), pick(rng, "EIO", "ENOSPC", "short", "late"), int64(1+rng.IntN(5))
		}
	})
	c.until = time.Now().Add(time.Duration(2+rng.IntN(10)) * time.Second)
	var wg sync.WaitGroup
	for i := range crowdWriters {
		w := &writer{id: i, sess: db.Session(), rng: rand.New(rand.NewPCG(c.seed, uint64(100+i))), acked: map[int]time.Time{}, moved: map[string]bool{}}
		c.writers = append(c.writers, w)
		wg.Go(func() { c.write(w) })
	}
	for i := range 2 {
		wg.Go(func() { c.save(db.Session(), rand.New(rand.NewPCG(c.seed, uint64(200+i)))) })
	}
	wg.Go(func() { c.audit(db.Session()) })
	wg.Wait()
	c.disk.with(func() {
		if !c.disk.dead {
			c.disk.pullPlug()
		}
	})
	_ = db.Close()
	if len(c.problems) > 0 {
		return fmt.Errorf("while it ran: %s", strings.Join(c.problems, "\n"))
	}
	if err := c.checkLeft(); err != nil {
		return fmt.Errorf("after the power loss: %w", err)
	}
	return c.checkSets()
}

func (c *crowd) openAccounts() error {
	args := []string{"MSET"}
	for i := range crowdAccounts {
		args = append(args, account(i), strconv.Itoa(crowdMoney))
	}
	v, err := c.db.Session().Do(args...)
	if err == nil {
		err = v.Err()
	}
	if err == nil {
		err = c.db.Save(context.Background()) // under everysec too they are there from here on
	}
	return err
}

func account(i int) string { return fmt.Sprint("account", i) }

// over tells whether the clients are to stop.
func (c *crowd) over() bool { return c.disk.isDead() || !time.Now().Before(c.until) }

// do runs a command. ok tells that it was acknowledged: replied to without an
// error while the power was still there.
func (c *crowd) do(w *writer, args ...string) (v resp.Value, ok bool) {
	v, err := w.sess.Do(args...)
	if err != nil {
		c.problem("%q: %v", args, err)
		return v, false
	}
	if v.Kind == resp.KindError {
		if !isRefusal(v) {
			c.problem("%q: %s", args, v)
		}
		w.refused++
	}
	return v, v.Kind != resp.KindError && !c.disk.isDead()
}

// write is a writer's life.
func (c *crowd) write(w *writer) {
	for !c.over() {
		switch w.rng.IntN(4) {
		case 0:
			w.issued++
			n := w.issued
			if _, ok := c.do(w, "RPUSH", fmt.Sprint("pushes", w.id), strconv.Itoa(n)); ok {
				w.acked[n] = time.Now()
			}
		case 1:
			c.transfer(w)
		case 2:
			// What another writer had reached, written down: no effect
			// without its cause.
			other := w.rng.IntN(crowdWriters)
			if v, ok := c.do(w, "LLEN", fmt.Sprint("pushes", other)); ok {
				c.do(w, "SET", fmt.Sprintf("seen%d:%d", w.id, other), v.Text())
			}
		case 3:
			c.count(w)
		}
		time.Sleep(time.Duration(w.rng.IntN(40_000_000)))
	}
}

// transfer moves money between two accounts, and writes down that it did.
func (c *crowd) transfer(w *writer) {
	from, to := w.rng.IntN(crowdAccounts), w.rng.IntN(crowdAccounts)
	sum := strconv.Itoa(1 + w.rng.IntN(5))
	id := fmt.Sprintf("%d-%d", w.id, len(w.moved))
	w.moved[id] = false
	queued := true
	for _, args := range [][]string{{"MULTI"}, {"DECRBY", account(from), sum}, {"INCRBY", account(to), sum}, {"RPUSH", "transfers", id}} {
		_, ok := c.do(w, args...)
		queued = queued && ok
	}
	v, err := w.sess.Do("EXEC")
	if err != nil {
		c.problem("EXEC: %v", err)
	}
	w.moved[id] = queued && v.Kind == resp.KindArray && !c.disk.isDead()
}

// count increments a counter that all share, by WATCH.
func (c *crowd) count(w *writer) {
	c.do(w, "WATCH", "counter")
	v, _ := c.do(w, "GET", "counter")
	n, _ := strconv.Atoi(v.Text())
	time.Sleep(time.Duration(w.rng.IntN(3_000_000)))
	c.do(w, "MULTI")
	if _, ok := c.do(w, "SET", "counter", strconv.Itoa(n+1)); !ok {
		_, _ = w.sess.Do("DISCARD")
		return
	}
	w.tried++
	if v, ok := c.do(w, "EXEC"); ok && v.Kind == resp.KindArray {
		w.counted++
	}
}

// save asks for checkpoints, more often than they can be taken.
func (c *crowd) save(sess *core.Session, rng *rand.Rand) {
	for !c.over() {
		time.Sleep(time.Duration(rng.IntN(1_500_000_000)))
		v, err := sess.Do(pick(rng, "SAVE", "BGSAVE", "BGREWRITEAOF"))
		if err != nil {
			c.problem("%v", err)
			return
		}
		c.mu.Lock()
		c.replies[v.Text()]++
		c.mu.Unlock()
		if v.Kind == resp.KindError && c.disk.faults() == 0 && !c.disk.isDead() && !strings.Contains(v.Text(), "in progress") && !strings.Contains(v.Text(), "child process is active") {
			c.problem("a checkpoint was refused or failed: %s", v)
		}
	}
}

func (d *slowDisk) faults() (n int) {
	d.with(func() { n = d.struck })
	return n
}

// audit looks at all accounts at once, again and again.
func (c *crowd) audit(sess *core.Session) {
	for !c.over() {
		args := []string{"MGET"}
		for i := range crowdAccounts {
			args = append(args, account(i))
		}
		v, err := sess.Do(args...)
		if err != nil {
			c.problem("%v", err)
			return
		}
		sum := 0
		for _, e := range v.Elems {
			n, _ := strconv.Atoi(e.Text())
			sum += n
		}
		if sum != crowdAccounts*crowdMoney {
			c.problem("a client sees money come or go: %s", v)
		}
		time.Sleep(150 * time.Millisecond)
	}
}

// checkLeft opens an engine on what the power loss has left.
func (c *crowd) checkLeft() error {
	db, err := core.Open(c.options(newSlowDisk(c.disk.left, c.seed+2).fs))
	if err != nil {
		return err
	}
	defer db.Close()
	if err := c.consistent(db); err != nil {
		return err
	}
	return c.complete(db)
}

// consistent checks what must hold in any state that the engine has ever been in.
func (c *crowd) consistent(db *core.DB) error {
	do := asker(db)
	sum := 0
	for i := range crowdAccounts {
		n, _ := strconv.Atoi(do("GET", account(i)).Text())
		sum += n
	}
	if sum != crowdAccounts*crowdMoney {
		return fmt.Errorf("the accounts hold %d, and %d were put there: half a transaction", sum, crowdAccounts*crowdMoney)
	}
	seen := map[string]bool{}
	for _, e := range do("LRANGE", "transfers", "0", "-1").Elems {
		if seen[e.Text()] {
			return fmt.Errorf("transfer %s is there twice", e.Text())
		}
		seen[e.Text()] = true
	}
	for _, w := range c.writers {
		last := 0
		pushes := do("LRANGE", fmt.Sprint("pushes", w.id), "0", "-1").Elems
		for _, e := range pushes {
			n, _ := strconv.Atoi(e.Text())
			if n <= last || n > w.issued {
				return fmt.Errorf("writer %d: %d behind %d, of %d that were pushed", w.id, n, last, w.issued)
			}
			last = n
		}
		for _, other := range c.writers {
			n, _ := strconv.Atoi(do("GET", fmt.Sprintf("seen%d:%d", other.id, w.id)).Text())
			if n > len(pushes) {
				return fmt.Errorf("writer %d has seen %d pushes of writer %d, of which there are %d", other.id, n, w.id, len(pushes))
			}
		}
	}
	return nil
}

// complete checks that nothing is missing that was acknowledged, but for what
// the policy allows to be lost.
func (c *crowd) complete(db *core.DB) error {
	do := asker(db)
	faults := c.disk.faults()
	promised := func(at time.Time) bool {
		return c.fsync == wal.Always || faults == 0 && at.Before(c.disk.died.Add(-2500*time.Millisecond))
	}
	counted, tried := 0, 0
	for _, w := range c.writers {
		there := map[int]bool{}
		for _, e := range do("LRANGE", fmt.Sprint("pushes", w.id), "0", "-1").Elems {
			n, _ := strconv.Atoi(e.Text())
			there[n] = true
		}
		for n, at := range w.acked {
			if !there[n] && promised(at) {
				return fmt.Errorf("writer %d: push %d was acknowledged %s before the power went, and is lost", w.id, n, c.disk.died.Sub(at))
			}
		}
		counted += w.counted
		tried += w.tried
	}
	if c.fsync != wal.Always {
		return nil
	}
	var transfers []string
	for _, e := range do("LRANGE", "transfers", "0", "-1").Elems {
		transfers = append(transfers, e.Text())
	}
	for _, w := range c.writers {
		for id, acked := range w.moved {
			if acked && !slices.Contains(transfers, id) {
				return fmt.Errorf("transfer %s was acknowledged and is lost", id)
			}
		}
	}
	if n, _ := strconv.Atoi(do("GET", "counter").Text()); n < counted || n > tried {
		return fmt.Errorf("the counter is %d; it was incremented %d times, and %d times at most", n, counted, tried)
	}
	return nil
}

// checkSets restores every set that the second sink has, without any log: each
// is one instant of the whole keyspace.
func (c *crowd) checkSets() error {
	sets, err := sink.NewFSSink("sinks", c.sinks.mem, "sets").List(context.Background())
	if err != nil {
		return err
	}
	for _, set := range sets {
		fs := memfs.New()
		for _, p := range set.Parts {
			b, err := vfs.ReadFile(c.sinks.mem, fmt.Sprintf("sets/%s/%s", sink.DirName(set.ID), p.Part.Name))
			if err != nil {
				return err
			}
			name := manifest.SetDir(set.ID)
			if err := vfs.MkdirAllSync(fs, name, 0o700); err != nil {
				return err
			}
			if err := vfs.WriteFileAtomic(fs, name+"/"+p.Part.Name, b, 0o600); err != nil {
				return err
			}
		}
		m := &manifest.Manifest{Base: &set, NextGeneration: set.ID.Generation + 1, NextSegment: 1}
		if err := manifest.NewStore(fs, time.Now).Commit(m); err != nil {
			return err
		}
		db, err := core.Open(core.Options{FS: fs, Shards: 2, DecodeStages: []sink.Stage{slowStage{}}, ManualTick: true})
		if err != nil {
			return fmt.Errorf("restoring %s: %w", set.ID, err)
		}
		err = c.consistent(db)
		_ = db.Close()
		if err != nil {
			return fmt.Errorf("%s alone is no consistent cut: %w", set.ID, err)
		}
	}
	c.replies["sets"] += len(sets)
	return nil
}

func asker(db *core.DB) func(args ...string) resp.Value {
	sess := db.Session()
	return func(args ...string) resp.Value {
		v, err := sess.Do(args...)
		if err != nil {
			return resp.Value{Kind: resp.KindError, Str: []byte(err.Error())}
		}
		return v
	}
}

// runCrowd runs the crowd of a seed in a bubble.
func runCrowd(t *testing.T, seed uint64, bug Bug) (c *crowd, err error) {
	c = &crowd{seed: seed, bug: bug}
	stop := hangGuard(fmt.Sprintf("the crowd of seed %d", seed))
	defer stop()
	synctest.Test(t, func(*testing.T) { err = c.run() })
	return c, err
}

// TestInterleavings lets the checkpoint protocol, the log's goroutines, the
// shards' workers, the tick and several clients meet in ever new orders, each of
// which a seed can bring back: go test -run TestInterleavings -crowd.seed=N.
func TestInterleavings(t *testing.T) {
	if *crowdSeed != 0 {
		if _, err := runCrowd(t, *crowdSeed, Bug{}); err != nil {
			t.Fatal(err)
		}
		return
	}
	count, first := 60, uint64(1)
	if long() {
		count, first = 5000, uint64(time.Now().UnixNano()) // any number will do
	}
	if *crowdCount > 0 {
		count = *crowdCount
	}
	var next atomic.Uint64
	var mu sync.Mutex
	replies := map[string]int{}
	t.Run("crowds", func(t *testing.T) {
		for w := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint("worker", w), func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1); n <= uint64(count) && !t.Failed(); n = next.Add(1) { // positive
					seed := first + n - 1
					c, err := runCrowd(t, seed, Bug{})
					if err != nil {
						t.Errorf("seed %d: %v\nagain: go test ./core/coretest -run '^TestInterleavings$' -crowd.seed=%d", seed, err, seed)
					}
					mu.Lock()
					for r, k := range c.replies {
						replies[r] += k
					}
					for _, w := range c.writers {
						replies["acknowledged"] += len(w.acked) + w.counted
						replies["refused"] += w.refused
					}
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("%v", replies)
	for _, want := range []string{
		"OK", "Background saving started", "Background append only file rewriting started",
		"ERR Background save already in progress", "ERR Background append only file rewriting already in progress", "sets", "acknowledged", "refused",
	} {
		if replies[want] == 0 {
			t.Errorf("%q did not occur: the test shows nothing", want)
		}
	}
}
