package session_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/ticks"
)

// countingClock counts how often it is looked at.
type countingClock struct {
	*coretest.Clock
	now, since atomic.Int64
}

func (c *countingClock) Now() time.Time {
	c.now.Add(1)
	return c.Clock.Now()
}

func (c *countingClock) Since(t time.Time) time.Duration {
	c.since.Add(1)
	return c.Clock.Now().Sub(t)
}

// onWrite is a function that is called when a line is logged.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// batch runs commands as a server does that has received them at once.
func (c *client) batch(lines ...string) {
	c.t.Helper()
	var cmds [][][]byte
	for _, l := range lines {
		cmds = append(cmds, words(l))
	}
	c.Prefetch(cmds)
	for i, args := range cmds {
		if c.Run(args, &c.out) != command.Done {
			c.t.Fatalf("%s: %q", lines[i], c.out.Buf)
		}
	}
	c.Finish(&c.out)
	c.out.Taken()
}

// TestOneSlowCommand: of the commands of a batch the slow one is in SLOWLOG, the latency
// history and the time of its command, and its neighbours are not, although the clock is
// looked at once between two.
func TestOneSlowCommand(t *testing.T) {
	for _, precise := range []bool{false, true} {
		t.Run(fmt.Sprint("Since=", precise), func(t *testing.T) {
			var slow func()
			h := coretest.New(t, func(o *core.Options) {
				clock := o.Clock.(*coretest.Clock)
				if precise {
					o.Clock = &countingClock{Clock: clock}
				}
				slow = func() { clock.Advance(time.Second) } // what takes so long is a line of the log
				o.Logger = hclog.New(&hclog.LoggerOptions{Output: onWrite(func() { slow() })})
			})
			slow = func() { h.Clock.Advance(time.Second) }
			c := newClient(t, h)
			c.says("CONFIG SET latency-monitor-threshold 5", "+OK\r\n")
			const script = `EVAL redis.log(redis.LOG_WARNING,'slow') 0`
			c.batch("SET a 1", "SET b 1", "PSETEX c 500 1", script, "GET a", "SET d 1", script, "GET b", "EXISTS c")
			if got := string(c.ask("SLOWLOG LEN")); got != ":2\r\n" {
				t.Errorf("SLOWLOG LEN: %q, want the two scripts", got)
			}
			if got := string(c.ask("SLOWLOG GET")); strings.Count(got, "redis.log") != 2 {
				t.Errorf("SLOWLOG GET: %q", got)
			}
			if got := string(c.ask("LATENCY LATEST")); !strings.Contains(got, "\ncommand\r\n") || strings.Contains(got, "fast-command") {
				t.Errorf("LATENCY LATEST: %q", got)
			}
			stats := string(c.ask("INFO commandstats"))
			for _, want := range []string{"eval:calls=2,usec=2000000,", "set:calls=3,usec=0,", "get:calls=2,usec=0,", "psetex:calls=1,usec=0,"} {
				if !strings.Contains(stats, "cmdstat_"+want) {
					t.Errorf("not %q, but\n%s", want, stats)
				}
			}
			if got := string(c.ask("EXISTS c")); got != ":0\r\n" {
				t.Error("a key has not expired that a slow command outlived")
			}
		})
	}
}

// ask is the reply to a command.
func (c *client) ask(line string) []byte {
	c.t.Helper()
	defer c.out.Taken()
	c.run(line)
	return c.out.Buf
}

// TestLooksAtTheClock: a batch looks at the time of day once, and at what has passed
// since once for each command.
func TestLooksAtTheClock(t *testing.T) {
	var clock *countingClock
	h := coretest.New(t, func(o *core.Options) {
		clock = &countingClock{Clock: o.Clock.(*coretest.Clock)}
		o.Clock, o.NoLog, o.Shards = clock, true, 4
	})
	c := newClient(t, h)
	for _, n := range []int64{1, 3, 16} {
		var lines []string
		for i := range n {
			lines = append(lines, []string{"SET k%d 1", "GET k%d", "INCR k%d"}[i%3])
			lines[i] = fmt.Sprintf(lines[i], i)
		}
		now, since := clock.now.Load(), clock.since.Load()
		c.batch(lines...)
		if now, since = clock.now.Load()-now, clock.since.Load()-since; now != 1 || since != n {
			t.Errorf("%d commands: the clock was asked %d times for the time, and %d times for what has passed", n, now, since)
		}
	}
}

// machineClock counts how often the machine's clock is asked what has passed.
type machineClock struct {
	core.SystemClock
	since atomic.Int64
}

func (c *machineClock) Since(t time.Time) time.Duration {
	c.since.Add(1)
	return c.SystemClock.Since(t)
}

// TestTicks: where the processor's ticks can be read, a batch that takes little asks the clock once, and its commands are
// told to have taken no longer than the batch has.
func TestTicks(t *testing.T) {
	clock := new(machineClock)
	h := coretest.New(t, func(o *core.Options) { o.Clock, o.NoLog = clock, true })
	c := newClient(t, h)
	var lines []string
	for i := range 16 {
		lines = append(lines, fmt.Sprintf("SET k%d 1", i))
	}
	if !ticks.Usable() {
		before := clock.since.Load()
		c.batch(lines...)
		if asked := clock.since.Load() - before; asked != 16 {
			t.Fatalf("no ticks can be read, and 16 commands have asked the clock %d times", asked)
		}
		return
	}
	for {
		before := clock.since.Load()
		c.says("CONFIG RESETSTAT", "+OK\r\n")
		began := time.Now()
		c.batch(lines...)
		took := time.Since(began)
		if clock.since.Load() > before {
			continue // the length of a tick is being learned, or the batch was held up
		}
		var usec int64
		stats := string(c.ask("INFO commandstats"))
		if _, at, ok := strings.Cut(stats, "cmdstat_set:calls=16,usec="); !ok {
			t.Fatalf("INFO commandstats: %q", stats)
		} else if _, err := fmt.Sscan(strings.Split(at, ",")[0], &usec); err != nil {
			t.Fatal(err)
		}
		if most := took + took/100 + time.Microsecond; time.Duration(usec)*time.Microsecond > most {
			t.Fatalf("commands of a batch that took %v are told to have taken %d µs", took, usec)
		}
		return
	}
}
