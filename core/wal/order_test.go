package wal

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// Sessions write single commands and transactions over several shards, while
// the log is cut and the machine crashes again and again. Whatever is found
// after a crash must be a past state: for each shard the commands in the order
// they were executed, transactions whole, no command without those its session
// wrote before it to any shard, and under Always every acknowledged one.
func TestOrderUnderConcurrencyAndCrashes(t *testing.T) {
	for _, p := range []Policy{Always, EverySec, No} {
		t.Run(p.String(), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			runOrder(t, p, seed)
		})
	}
}

type history struct {
	mu    sync.Mutex
	order []string // executed on this shard
}

func runOrder(t *testing.T, p Policy, seed uint64) {
	const shards, sessions, perSession = 5, 6, 400
	fs := memfs.New()
	l := openNew(t, fs, shards, p, realClock{})
	var (
		hist  [shards]history
		acked [sessions]atomic.Int64
		wg    sync.WaitGroup
		stop  = make(chan struct{})
	)
	for s := range sessions {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(seed, uint64(s)))
			for k := 1; k <= perSession; k++ {
				id := fmt.Sprintf("%d.%d", s, k)
				n := 1 + rng.IntN(3)
				locked := rng.Perm(shards)[:n]
				if rng.IntN(2) == 0 {
					locked = locked[:1]
				}
				sortInts(locked)
				for _, i := range locked {
					hist[i].mu.Lock()
				}
				var cmds []Cmd
				for _, i := range locked {
					hist[i].order = append(hist[i].order, id)
					cmds = append(cmds, cmd(rng.IntN(3), fmt.Sprintf("SET %d %s", i, id)))
				}
				if len(cmds) == 1 && rng.IntN(2) == 0 {
					l.Append(locked[0], cmds[0].DB, cmds[0].Args)
				} else {
					l.AppendTx(locked, cmds)
				}
				for _, i := range locked {
					hist[i].mu.Unlock()
				}
				if rng.IntN(3) == 0 {
					if err := l.Commit(); err != nil {
						t.Error(err)
						return
					}
					acked[s].Store(int64(k))
				}
			}
		}()
	}
	segs := []string{seg1}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(stop)
	}()
	go func() { // the checkpointer: cuts, with every shard locked
		defer close(done)
		for n := 2; n < 6; n++ {
			path := fmt.Sprintf("log/%08d.aof", n)
			if err := create(fs, path, realClock{}.Now()); err != nil {
				t.Error(err)
				return
			}
			for i := range hist {
				hist[i].mu.Lock()
			}
			l.Cut(path)
			for i := range hist {
				hist[i].mu.Unlock()
			}
			if err := l.WaitCut(); err != nil {
				t.Error(err)
				return
			}
			segs = append(segs, path)
		}
	}()
	for crash := int64(2); ; crash++ {
		before := make([]int64, sessions)
		for s := range before {
			before[s] = acked[s].Load()
		}
		if p != Always {
			clear(before)
		}
		checkCrash(t, fs.CrashClone(crash%40), crash%40, before, hist[:])
		select {
		case <-stop:
			<-done
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			for s := range before {
				before[s] = perSession
			}
			checkCrash(t, fs.CrashClone(memfs.LoseAll), 0, before, hist[:])
			return
		default:
		}
		if t.Failed() {
			<-stop
			return
		}
	}
}

func checkCrash(t *testing.T, fs *memfs.FS, seed int64, acked []int64, hist []history) {
	t.Helper()
	var segs []string
	for n := 1; n < 6; n++ {
		p := fmt.Sprintf("log/%08d.aof", n)
		if _, err := fs.Stat(p); err != nil {
			break
		}
		// A segment being created when the machine died is in no manifest.
		if _, _, err := readID(fs, p); err != nil {
			break
		}
		segs = append(segs, p)
	}
	// The last segment with blocks may be torn, those behind it are empty.
	blocks := make([]int64, len(segs))
	for i := range segs {
		res, err := Replay(fs, segs[i], ReplayOptions{Last: true}, func(Block) error { return nil })
		if err != nil {
			t.Errorf("crash %d, %s: %v", seed, segs[i], err)
			return
		}
		blocks[i] = res.Blocks
	}
	last := len(segs) - 1
	for last > 0 && blocks[last] == 0 {
		last--
	}
	var shards [16][]string
	session := make([]int64, len(acked))
	var seq uint64
	for i, s := range segs {
		res, err := Replay(fs, s, ReplayOptions{Last: i >= last, StartSeq: seq}, func(b Block) error {
			seen := map[string]int{}
			for _, c := range b.Cmds {
				n, _ := strconv.Atoi(string(c.Args[1]))
				id := string(c.Args[2])
				shards[n] = append(shards[n], id)
				seen[id]++
				sk := strings.Split(id, ".")
				who, _ := strconv.Atoi(sk[0])
				k, _ := strconv.ParseInt(sk[1], 10, 64)
				session[who] = max(session[who], k)
			}
			if b.Tx && len(seen) != 1 {
				return fmt.Errorf("transaction holds %v", seen)
			}
			return nil
		})
		if err != nil {
			t.Errorf("crash %d, %s: %v", seed, s, err)
			return
		}
		seq = res.LastSeq
	}
	have := map[string]bool{}
	for n := range hist {
		hist[n].mu.Lock()
		order := hist[n].order[:len(hist[n].order):len(hist[n].order)]
		hist[n].mu.Unlock()
		if len(shards[n]) > len(order) {
			t.Errorf("crash %d, shard %d: %d commands of %d", seed, n, len(shards[n]), len(order))
			return
		}
		for i, id := range shards[n] {
			have[id] = true
			if order[i] != id {
				t.Errorf("crash %d, shard %d: command %d is %s, was %s", seed, n, i, id, order[i])
				return
			}
		}
	}
	for s, upTo := range session {
		if upTo < acked[s] {
			t.Errorf("crash %d: session %d was told that %d is durable, but %d is the last", seed, s, acked[s], upTo)
		}
		for k := int64(1); k <= upTo; k++ {
			if id := fmt.Sprintf("%d.%d", s, k); !have[id] {
				t.Errorf("crash %d: %d.%d is there but not %s, which came before", seed, s, upTo, id)
				return
			}
		}
	}
}

func sortInts(a []int) {
	for i := range a {
		for j := i; j > 0 && a[j] < a[j-1]; j-- {
			a[j], a[j-1] = a[j-1], a[j]
		}
	}
}
