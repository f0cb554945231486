package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestSoak runs a mixed load with a checkpoint every so often and wants memory,
// file descriptors and files on disk to stay where they are. SPILLWAY_SOAK is
// how long, such as 1h; without it a few seconds.
func TestSoak(t *testing.T) {
	length, every := 6*time.Second, 500*time.Millisecond
	if v := os.Getenv("SPILLWAY_SOAK"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			t.Fatal(err)
		}
		length, every = d, max(every, min(time.Minute, d/20))
	}
	dir := t.TempDir()
	d := startDaemon(t, dir, "--save", "", "--appendfsync", "everysec")
	var (
		stop atomic.Bool
		wg   sync.WaitGroup
		ops  atomic.Int64
	)
	for w := range 4 {
		wg.Add(1)
		go func() { defer wg.Done(); mixedLoad(t, d, uint64(w), &stop, &ops) }()
	}
	var rss, fds []int
	begin, checkpoints := time.Now(), 0
	for time.Since(begin) < length {
		time.Sleep(every)
		job := []string{"BGSAVE", "BGREWRITEAOF"}[checkpoints%2]
		// The growth of the log asks for rewrites too. One that is in flight
		// is as good as the one that is refused because of it.
		if err := d.rdb.Do(context.Background(), job).Err(); err != nil && !inFlight.MatchString(err.Error()) {
			t.Errorf("%s: %v", job, err)
		}
		d.waitFor("the checkpoint", func() bool {
			return d.info("rdb_bgsave_in_progress") == "0" && d.info("aof_rewrite_in_progress") == "0"
		})
		if a, b := d.info("rdb_last_bgsave_status"), d.info("aof_last_bgrewrite_status"); a != "ok" || b != "ok" {
			t.Fatalf("checkpoint %d: %s, %s\n%s", checkpoints, a, b, d.log.String())
		}
		checkpoints++
		rss, fds = append(rss, d.rssKB()), append(fds, d.openFiles())
	}
	stop.Store(true)
	wg.Wait()
	d.do("SAVE")
	t.Logf("%d operations, %d checkpoints in %v; RSS %d → %d MB, descriptors %d → %d", ops.Load(), checkpoints,
		time.Since(begin).Round(time.Second), rss[len(rss)/2]>>10, rss[len(rss)-1]>>10, fds[len(fds)/2], fds[len(fds)-1])
	if checkpoints < 5 {
		t.Fatalf("only %d checkpoints: the test shows nothing", checkpoints)
	}
	// The second half against the first: what grows, grows in both.
	if a, b := peak(rss[:len(rss)/2]), peak(rss[len(rss)/2:]); b > a+a/4+16<<10 {
		t.Errorf("resident memory grows: %d KB in the first half, %d KB in the second", a, b)
	}
	if a, b := peak(fds[:len(fds)/2]), peak(fds[len(fds)/2:]); b > a+8 {
		t.Errorf("file descriptors leak: %d in the first half, %d in the second", a, b)
	}
	d.stop()
	for pattern, most := range map[string]int{"checkpoints/*": 3, "log/*": 1, "*.tmp": 0, "checkpoints/*/*.tmp": 0} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(found) > most {
			t.Errorf("%d files like %s stay behind, want at most %d: %v", len(found), pattern, most, err)
		}
	}
}

// inFlight is what a request gets while another job is in flight.
var inFlight = regexp.MustCompile(`already in progress|Another child process is active`)

func peak(v []int) int {
	m := 0
	for _, n := range v {
		m = max(m, n)
	}
	return m
}

// mixedLoad uses a bounded set of keys of every type.
func mixedLoad(t *testing.T, d *daemon, seed uint64, stop *atomic.Bool, ops *atomic.Int64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	ctx := context.Background()
	for !stop.Load() {
		p := d.rdb.Pipeline()
		for range 32 {
			k, m := strconv.Itoa(rng.IntN(500)), strconv.Itoa(rng.IntN(300))
			switch rng.IntN(12) {
			case 0, 1:
				p.Set(ctx, "s:"+k, strings.Repeat(m, 1+rng.IntN(100)), 0)
			case 2:
				p.Set(ctx, "e:"+k, m, time.Duration(1+rng.IntN(500))*time.Millisecond)
			case 3:
				p.HSet(ctx, "h:"+k, m, m)
			case 4:
				p.HDel(ctx, "h:"+k, m)
			case 5:
				p.RPush(ctx, "l:"+k, m)
				p.LTrim(ctx, "l:"+k, -200, -1)
			case 6:
				p.LPop(ctx, "l:"+k)
			case 7:
				p.SAdd(ctx, "set:"+k, m)
			case 8:
				p.SRem(ctx, "set:"+k, m)
			case 9:
				p.ZIncrBy(ctx, "z:"+k, 1, m)
			case 10:
				p.Del(ctx, []string{"s:", "h:", "l:", "set:", "z:"}[rng.IntN(5)]+k)
			default:
				p.Get(ctx, "s:"+k)
				p.HGetAll(ctx, "h:"+k)
			}
		}
		cmds, _ := p.Exec(ctx) // an absent key is an error to go-redis
		for _, c := range cmds {
			if err := c.Err(); err != nil && err.Error() != "redis: nil" {
				t.Errorf("%v: %v", c.Args(), err)
				return
			}
		}
		ops.Add(int64(len(cmds)))
	}
}

// rssKB is the daemon's resident memory.
func (d *daemon) rssKB() int { d.t.Helper(); return d.procStatus("VmRSS") }

// openFiles is how many descriptors the daemon has.
func (d *daemon) openFiles() int {
	d.t.Helper()
	l, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	return len(l)
}
