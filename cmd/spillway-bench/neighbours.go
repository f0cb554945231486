package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// mostNeighbours is how many keys, and elements of a collection, neighbours has at most;
// the set named large has largeSet times as many.
const (
	mostNeighbours = 1_000_000
	largeSet       = 5
)

// costly are the commands of neighbours, in this order: the last ones remove what the
// others are about.
var costly = []string{
	"INFO", "CONFIG GET *", "KEYS nothing*", "KEYS *", "SCAN 0 COUNT 1000000", "SMEMBERS set", "SMEMBERS large", "DUMP set", "LRANGE list 0 -1",
	"SORT set LIMIT 0 10", "SORT set STORE sorted", "SORT set BY key:* LIMIT 0 10", "ZRANGESTORE copy zset 0 -1", "DEL set list", "UNLINK large", "FLUSHALL",
}

// neighbours compares what commands that take long cost everybody else: the latency of
// a prober's SET while one client sends them.
func (b *bench) neighbours() error {
	n := min(b.keys, mostNeighbours)
	done := b.report.begin()
	err := b.with(options{scenario: "neighbours", appendOnly: b.appendOnly, fsync: b.fsync, pinned: true}, func(f fleet) error {
		return f.rounds(b.rounds, func(s *server) error {
			b.progress("neighbours: %s, %d keys, a set, a sorted set and a list of as many elements, and a set of %d times as many", s.name, n, largeSet)
			for _, data := range []struct {
				n int
				feed
			}{
				{n, stringsOf(64)}, {n / chunk, chunks("SADD", "set", 1)}, {n / chunk, chunks("RPUSH", "list", 1)},
				{n / chunk, chunks("ZADD", "zset", 2)}, {largeSet * n / chunk, chunks("SADD", "large", 1)},
			} {
				if err := s.feed(data.n, data.feed); err != nil {
					return err
				}
			}
			for _, line := range costly {
				if err := s.disturb(n, line); err != nil {
					return fmt.Errorf("%s: %w", line, err)
				}
			}
			return nil
		})
	})
	if err != nil {
		b.report.undo(done)
	}
	return err
}

// chunk is how many elements a command of chunks has.
const chunk = 1000

// chunks adds numbers to a collection, each of them so many times in a row: a member of a
// sorted set is its score.
func chunks(command, to string, times int) feed {
	return func(b []byte, i int) []byte {
		args := []string{command, to}
		for n := range chunk {
			for range times {
				args = append(args, strconv.Itoa(i*chunk+n))
			}
		}
		return appendCommand(b, args...)
	}
}

// disturb runs a prober, and a command in the middle, and notes both.
func (s *server) disturb(keys int, line string) error {
	c, err := net.Dial("tcp", s.addr())
	if err != nil {
		return err
	}
	defer c.Close()
	p, err := s.probe("key:", keys)
	if err != nil {
		return err
	}
	time.Sleep(100 * probeEvery)
	start := time.Now()
	err = passOver(c, line)
	end := time.Now()
	time.Sleep(10 * probeEvery)
	if err := errors.Join(err, p.end()); err != nil {
		return err
	}
	took, err := p.around(start, end)
	if err != nil {
		return err
	}
	note := func(metric string, ms float64) {
		s.bench.report.add(figure{Scenario: "neighbours", Workload: line, Metric: metric, Unit: "ms"}, s.name, ms)
	}
	note("p50 meanwhile", took.quantile(0.5))
	note("p99.9 meanwhile", took.quantile(0.999))
	note("the command takes", float64(end.Sub(start).Microseconds())/1000)
	return nil
}

// passOver sends a command and reads its reply without looking at it: what a client
// makes of a long reply would be measured too.
func passOver(c net.Conn, line string) error {
	const last = "the reply has ended"
	if _, err := c.Write([]byte(line + "\r\nECHO " + strconv.Quote(last) + "\r\n")); err != nil {
		return err
	}
	buf, tail := make([]byte, 1<<20), []byte(nil)
	end := "\r\n" + last + "\r\n"
	for first := true; !bytes.HasSuffix(tail, []byte(end)); first = false {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		if first && strings.HasPrefix(string(buf[:n]), "-") {
			return errors.New(string(buf[:n]))
		}
		tail = append(tail, buf[:n]...)
		tail = append(tail[:0], tail[max(0, len(tail)-len(end)):]...)
	}
	return nil
}
