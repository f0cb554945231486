//go:build linux && (amd64 || arm64) && syscalls

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/sysfault"
)

// life is one client's history with one data directory: what it asked for, what
// it was told, and what must be there because of that. Its steps are the
// vocabulary of the scenarios. They wait for what they begin, so that a scenario
// makes the same calls each time, and do nothing once the daemon is gone.
type life struct {
	t     *testing.T
	root  string // all files of this life are below it
	hcl   string
	sinks []*sinkRecord
	fault *fault

	flags []string // of the daemon
	calm  bool     // nothing is made to fail, nor counted, yet

	d     *daemon
	watch *sysfault.Watch

	writes []attempt
	next   int
	on     bool // writes are logged: the answer to one means that it is durable

	lastErr error // of a write
}

// attempt is a write, by its number, and what is known of it.
type attempt struct {
	id             int
	acked, durable bool
	refused        bool // the daemon said that it was not executed
	executed       bool // the daemon said that it was, without being durable
}

// start starts the daemon, watched, unless a fault has kept an earlier one from
// stopping.
func (l *life) start() {
	l.t.Helper()
	if l.d != nil {
		return
	}
	start := (*exec.Cmd).Start
	if !l.calm {
		start = func(cmd *exec.Cmd) (err error) {
			l.watch, err = sysfault.Start(cmd, l.root, l.fault.decide)
			return err
		}
	}
	l.boot(start)
	l.on = true // by the configuration
}

// restart starts it without anybody in its way; it must start, and hold what
// it must.
func (l *life) restart() {
	l.t.Helper()
	l.boot((*exec.Cmd).Start)
	if l.d.ended() {
		l.t.Fatalf("%s: it does not start any more:\n%s", l.fault, l.d.log.String())
	}
	l.on = true
	l.check()
}

// boot returns once the daemon serves or has ended.
func (l *life) boot(start func(*exec.Cmd) error) {
	l.t.Helper()
	l.d = launchBy(l.t, start, binary, append([]string{"--config", l.hcl}, l.flags...)...)
	l.d.waitFor("the daemon to serve or end", func() bool {
		return l.d.ended() || strings.Contains(l.d.log.String(), "Ready to accept connections")
	})
}

// kill ends the daemon with SIGKILL, and waits until all that its calls began
// is over.
func (l *life) kill() {
	l.t.Helper()
	l.d.kill()
	l.d.rdb.Close()
	if l.watch != nil {
		if err := l.watch.Wait(); err != nil {
			l.t.Fatalf("%s: %v", l.fault, err)
		}
		l.watch = nil
	}
	l.look()
}

// stop ends the daemon as SIGTERM does. Under a fault it may be called off; a
// second signal would not be.
func (l *life) stop() {
	l.t.Helper()
	calledOff := func() bool { return strings.Contains(l.d.log.String(), "the shutdown is called off") }
	if l.ended() || calledOff() {
		return
	}
	_ = l.d.cmd.Process.Signal(syscall.SIGTERM) // a fault may have ended it just now
	l.d.waitFor("the end of the daemon", func() bool { return l.d.ended() || l.fault.struck.Load() && calledOff() })
	if !l.d.ended() {
		return
	}
	if l.d.cmd.ProcessState.Success() && l.on {
		l.durable()
	}
	l.kill()
	if !l.fault.dead() {
		l.d = nil // to be started again
	}
}

// loseDisk takes the data directory away. The daemon is stopped, and so the
// archive has all of it.
func (l *life) loseDisk() {
	l.t.Helper()
	if err := os.RemoveAll(filepath.Join(l.root, "data")); err != nil {
		l.t.Fatal(err)
	}
	l.flags = []string{"--restore-if-empty", "--restore-from", "vault"}
}

func (l *life) ended() bool { return l.d != nil && l.d.ended() }

// do sends a command. While no fault has struck it must succeed.
func (l *life) do(args ...any) error {
	l.t.Helper()
	err := l.d.rdb.Do(context.Background(), args...).Err()
	if err != nil && !l.fault.struck.Load() {
		l.t.Fatalf("%v: %v, without a fault\n%s", args, err, l.d.log.String())
	}
	return err
}

// info is a field of INFO, "" when the daemon is gone.
func (l *life) info(field string) string {
	info, err := l.d.rdb.Info(context.Background(), "all").Result()
	if err != nil {
		return ""
	}
	return infoField(info, field)
}

// waitFor waits for what the daemon does by itself, unless a fault has kept it
// from that.
func (l *life) waitFor(what string, field string, cond func(v string) bool) {
	l.t.Helper()
	l.d.waitFor(what, func() bool {
		if l.ended() || l.fault.struck.Load() {
			return true
		}
		v := l.info(field)
		return v != "" && cond(v)
	})
}

// write makes n writes, each a transaction of two keys, which live on different
// shards: INCR and RPUSH betray a lost write and a double replay.
func (l *life) write(n int) {
	l.t.Helper()
	for range n {
		if l.ended() {
			return
		}
		l.next++
		a := attempt{id: l.next}
		_, err := l.d.rdb.TxPipelined(context.Background(), func(p redis.Pipeliner) error {
			p.Incr(context.Background(), "counter")
			p.RPush(context.Background(), "list", strconv.Itoa(a.id))
			return nil
		})
		if err != nil && !l.fault.struck.Load() {
			l.t.Fatalf("write %d: %v, without a fault\n%s", a.id, err, l.d.log.String())
		}
		l.lastErr = err
		a.acked = err == nil
		a.refused = err != nil && notExecuted(err)
		a.executed = err != nil && executed(err)
		l.writes = append(l.writes, a)
		if a.acked && l.on {
			l.durable()
		}
	}
}

// durable notes that every write so far that is in memory is on disk: the log
// goes on from a base that has all before it.
func (l *life) durable() {
	for i, a := range l.writes {
		l.writes[i].durable = a.durable || a.acked || a.executed
	}
}

// save takes a checkpoint, after one that the daemon has begun by itself.
func (l *life) save() {
	l.t.Helper()
	if l.ended() {
		return
	}
	var err error
	l.d.waitFor("a checkpoint", func() bool {
		err = l.d.rdb.Save(context.Background()).Err()
		return err == nil || !underWay(err)
	})
	if err == nil {
		l.durable()
	} else if !l.fault.struck.Load() {
		l.t.Fatalf("SAVE: %v, without a fault\n%s", err, l.d.log.String())
	}
	l.look()
}

// underWay tells the refusal of a checkpoint because there is one under way.
func underWay(err error) bool {
	return strings.Contains(err.Error(), "in progress") || strings.Contains(err.Error(), "is active")
}

// rewrite takes one by BGREWRITEAOF.
func (l *life) rewrite() {
	l.t.Helper()
	if l.ended() || l.do("BGREWRITEAOF") != nil {
		return
	}
	l.waitFor("the rewrite", "aof_rewrite_in_progress", func(v string) bool { return v == "0" })
	l.look()
}

// logOff switches the log off, which takes nothing away that is durable.
func (l *life) logOff() {
	l.t.Helper()
	if l.ended() {
		return
	}
	l.on = false
	if l.do("CONFIG", "SET", "appendonly", "no") == nil {
		l.waitFor("the end of the log", "aof_enabled", func(v string) bool { return v == "0" })
	}
}

// logOn switches it on. From the answer on, and not before, what is acknowledged
// is durable.
func (l *life) logOn() {
	l.t.Helper()
	if l.ended() {
		return
	}
	saves := l.info("rdb_saves")
	if l.do("CONFIG", "SET", "appendonly", "yes") == nil {
		l.on = true
		l.waitFor("the base of the log", "rdb_saves", func(v string) bool { return v != saves })
	}
	l.look()
}

// seal writes as much as makes the log's segment a sealed one, and waits until
// the archive has it.
func (l *life) seal() {
	l.t.Helper()
	if l.ended() {
		return
	}
	last := l.info("archive_last_segment")
	if l.do("SET", "filler", strings.Repeat("x", sealSize)) == nil {
		l.waitFor("the archive", "archive_last_segment", func(v string) bool { return v != last })
	}
	l.look()
}

// look asks every sink whether what was published is there.
func (l *life) look() {
	l.t.Helper()
	ended := l.d.ended()
	generation := ""
	if !ended {
		generation = l.info("spillway_checkpoint_generation")
	}
	for _, s := range l.sinks {
		err := s.look(func(g uint64) bool { return ended || strconv.FormatUint(g, 10) == generation })
		if err != nil {
			l.t.Fatalf("%s: %v\n%s", l.fault, err, l.d.log.String())
		}
	}
}

// heal ends the fault. The daemon has to get over it: a checkpoint succeeds, and
// after it writes do.
func (l *life) heal() {
	l.t.Helper()
	l.fault.healed.Store(true)
	if l.ended() {
		return
	}
	l.d.waitFor("a checkpoint to succeed after the fault", func() bool {
		err := l.d.rdb.Save(context.Background()).Err()
		if err != nil && !underWay(err) {
			l.t.Fatalf("%s: SAVE after the fault: %v\n%s", l.fault, err, l.d.log.String())
		}
		return err == nil
	})
	l.durable()
	l.inMemory()
	l.mustWrite()
	l.look()
}

// mustWrite makes a write that must succeed.
func (l *life) mustWrite() {
	l.t.Helper()
	before := len(l.writes)
	l.write(1)
	if len(l.writes) == before || !l.writes[before].acked {
		l.t.Fatalf("%s: a write after the fault fails: %v\n%s", l.fault, l.lastErr, l.d.log.String())
	}
}

// check compares a daemon that has just started with what was acknowledged, and
// takes over what it says about the rest.
func (l *life) check() {
	l.t.Helper()
	there := l.read()
	at := 0
	for _, id := range there { // in the order of the requests, and no other
		i := slices.IndexFunc(l.writes[at:], func(a attempt) bool { return a.id == id })
		if i < 0 {
			l.wrong(there, "write %d was not made, or is there twice, or out of turn", id)
		}
		for _, a := range l.writes[at : at+i] {
			if a.acked || a.executed {
				l.wrong(there, "write %d was executed and is missing, although %d is there", a.id, id)
			}
		}
		if l.writes[at+i].refused {
			l.wrong(there, "write %d was refused and is there", id)
		}
		at += i + 1
	}
	for _, a := range l.writes[at:] {
		if a.durable {
			l.wrong(there, "write %d is durable, as was said, and is missing", a.id)
		}
	}
	l.writes = slices.DeleteFunc(l.writes, func(a attempt) bool { return !slices.Contains(there, a.id) })
	for i := range l.writes { // it has been read back from disk
		l.writes[i].acked, l.writes[i].durable = true, true
	}
}

// inMemory compares what clients see with what they were told: what was
// acknowledged, and what was executed without being durable, is there, what was
// refused is not.
func (l *life) inMemory() {
	l.t.Helper()
	there := l.read()
	for _, a := range l.writes {
		has := slices.Contains(there, a.id)
		switch {
		case a.acked && !has:
			l.wrong(there, "write %d was acknowledged and is not to be seen", a.id)
		case a.executed && !has:
			l.wrong(there, "write %d was executed, as the daemon said, and is not to be seen", a.id)
		case a.refused && has:
			l.wrong(there, "write %d was refused and is to be seen", a.id)
		}
	}
}

// read is the list, whose length is the counter's.
func (l *life) read() (ids []int) {
	l.t.Helper()
	ctx := context.Background()
	counter, err := l.d.rdb.Get(ctx, "counter").Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		l.t.Fatalf("%s: %v\n%s", l.fault, err, l.d.log.String())
	}
	items, err := l.d.rdb.LRange(ctx, "list", 0, -1).Result()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", l.fault, err, l.d.log.String())
	}
	for _, s := range items {
		id, _ := strconv.Atoi(s)
		ids = append(ids, id)
	}
	if counter != len(ids) {
		l.wrong(ids, "half a transaction: the counter is %d", counter)
	}
	return ids
}

func (l *life) wrong(there []int, format string, args ...any) {
	l.t.Helper()
	l.t.Fatalf("%s: %s\nthere is %v\nof %+v\n%s", l.fault, fmt.Sprintf(format, args...), there, l.writes, l.d.log.String())
}

// What an error says about the command: MISCONF and EXECABORT that it was
// refused, NOTDURABLE that it was executed, all else nothing.
func notExecuted(err error) bool {
	return strings.HasPrefix(err.Error(), "MISCONF") || strings.HasPrefix(err.Error(), "EXECABORT")
}

func executed(err error) bool { return strings.HasPrefix(err.Error(), "NOTDURABLE") }
