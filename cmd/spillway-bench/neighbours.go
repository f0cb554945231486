package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// large is how many elements the collections of neighbours have.
const large = 1_000_000

// costly are the commands of neighbours, in this order: the last ones remove what the
// others are about.
var costly = []string{
	"KEYS nothing*", "KEYS *", "SCAN 0 COUNT 1000000", "SMEMBERS set", "SORT set LIMIT 0 10", "LRANGE list 0 -1", "DEL set list", "FLUSHALL",
}

// neighbours compares what commands that take long cost everybody else: the latency of
// a prober's SET while one client sends them.
func (b *bench) neighbours() error {
	ours, theirs, err := b.servers("neighbours", b.appendOnly, true)
	if err != nil {
		return err
	}
	return both(ours, theirs, func() error {
		b.title(fmt.Sprintf("%d keys, a set and a list of %d elements; a prober's SET, open loop, every %v", b.keys, large, probeEvery))
		figures := make(map[string]*[3][2][]float64)
		for range b.rounds {
			for i, s := range []*server{ours, theirs} {
				if err := errors.Join(s.fill(b.keys), s.fillLarge()); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				for _, line := range costly {
					f := figures[line]
					if f == nil {
						f = new([3][2][]float64)
						figures[line] = f
					}
					p, start, end, err := s.disturb(b.keys, line)
					if err != nil {
						return fmt.Errorf("%s: %s: %w", s.name, line, err)
					}
					f[0][i] = append(f[0][i], p.quantile(0.999, start.Add(-probeEvery), end))
					f[1][i] = append(f[1][i], p.quantile(0.5, start.Add(-probeEvery), end))
					f[2][i] = append(f[2][i], float64(end.Sub(start).Microseconds())/1000)
				}
			}
		}
		for _, line := range costly {
			for n, name := range []string{"p99.9", "p50", "it takes"} {
				b.report(line+": "+name, "ms", figures[line][n][0], figures[line][n][1])
			}
		}
		return nil
	})
}

// fillLarge makes the set of numbers and the list that costly commands are about.
func (s *server) fillLarge() error {
	ctx, pipe := context.Background(), s.rdb.Pipeline()
	const chunk = 1000
	for i := 0; i < large; i += chunk {
		elements := make([]any, chunk)
		for n := range elements {
			elements[n] = i + n
		}
		pipe.SAdd(ctx, "set", elements...)
		pipe.RPush(ctx, "list", elements...)
		if i/chunk%50 == 49 {
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
	}
	_, err := pipe.Exec(ctx)
	return err
}

// disturb runs a prober, and a command in the middle.
func (s *server) disturb(keys int, line string) (p *prober, start, end time.Time, err error) {
	c, err := net.Dial("tcp", s.addr())
	if err != nil {
		return nil, start, end, err
	}
	defer c.Close()
	if p, err = s.probe(keys, probeEvery); err != nil {
		return nil, start, end, err
	}
	time.Sleep(100 * probeEvery)
	start = time.Now()
	err = passOver(c, line)
	end = time.Now()
	time.Sleep(10 * probeEvery)
	return p, start, end, errors.Join(err, p.end())
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
