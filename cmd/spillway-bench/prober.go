package main

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

// prober sends SETs at fixed times whatever becomes of the ones before: an
// open loop, so that a stall counts every request it delays. A latency is the
// time from when a request was due to when its reply was read.
type prober struct {
	conn    net.Conn
	keys    int
	every   time.Duration
	stop    atomic.Bool
	stopped chan error
	samples []sample // the reader's, until stopped
}

type sample struct {
	due  time.Time
	took time.Duration
}

func (s *server) probe(keys int, every time.Duration) (*prober, error) {
	c, err := net.Dial("tcp", s.addr())
	if err != nil {
		return nil, err
	}
	p := &prober{conn: c, keys: keys, every: every, stopped: make(chan error, 1)}
	due := make(chan time.Time, 1<<20)
	go p.send(due)
	go func() { p.stopped <- p.receive(due) }()
	return p, nil
}

func (p *prober) send(due chan<- time.Time) {
	defer close(due)
	next := time.Now()
	for i := 0; !p.stop.Load(); i++ {
		next = next.Add(p.every)
		time.Sleep(time.Until(next))
		due <- next
		if _, err := fmt.Fprintf(p.conn, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$5\r\nprobe\r\n", i*7919%p.keys); err != nil {
			return
		}
	}
}

func (p *prober) receive(due <-chan time.Time) error {
	r := bufio.NewReader(p.conn)
	for d := range due {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if line != "+OK\r\n" {
			return fmt.Errorf("the prober was told %q", line)
		}
		p.samples = append(p.samples, sample{d, time.Since(d)})
	}
	return nil
}

// end stops the prober and waits for its last reply.
func (p *prober) end() error {
	p.stop.Store(true)
	defer p.conn.Close()
	return <-p.stopped
}

// quantile is a latency in milliseconds among requests due in an interval.
func (p *prober) quantile(q float64, from, to time.Time) float64 {
	var took []time.Duration
	for _, s := range p.samples {
		if s.due.After(from) && s.due.Before(to) {
			took = append(took, s.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return float64(took[min(int(q*float64(len(took))), len(took)-1)].Microseconds()) / 1000
}
