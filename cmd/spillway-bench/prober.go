package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// probeEvery is the time between two requests of a prober.
const probeEvery = time.Millisecond

// prober sends SETs at fixed times whatever becomes of the ones before: an
// open loop, so that a stall counts every request it delays. A latency is the
// time from when a request was due to when its reply was read.
type prober struct {
	conn    net.Conn
	prefix  string
	keys    int
	until   atomic.Int64 // Unix nanoseconds when it ends, 0 for not yet
	stopped chan error
	samples []sample // the reader's, until stopped
}

type sample struct {
	due  time.Time
	took time.Duration
}

// probe begins to probe with SETs of keys with a prefix of four bytes and a number.
func (s *server) probe(prefix string, keys int) (*prober, error) {
	c, err := s.dial()
	if err != nil {
		return nil, err
	}
	p := &prober{conn: c, prefix: prefix, keys: keys, stopped: make(chan error, 1)}
	due := make(chan time.Time, 1<<20)
	sent := make(chan error, 1)
	go func() { sent <- p.send(due) }()
	go func() {
		err := p.receive(due)
		_ = c.Close() // whatever is being sent fails
		p.stopped <- errors.Join(err, <-sent)
	}()
	return p, nil
}

// send sleeps in the kernel, on a thread of its own: Go's timers are up to a
// millisecond late.
func (p *prober) send(due chan<- time.Time) error {
	defer close(due)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return err
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }() // the default again
	next := time.Now()
	for i := 0; ; i++ {
		next = next.Add(probeEvery)
		if until := p.until.Load(); until != 0 && next.UnixNano() > until {
			return nil
		}
		if wait := unix.NsecToTimespec(int64(time.Until(next))); wait.Nano() > 0 {
			_ = unix.Nanosleep(&wait, nil) // sooner, if a signal comes
		}
		select {
		case due <- next:
		default:
			return errors.New("the prober has had no reply to a million requests")
		}
		if _, err := fmt.Fprintf(p.conn, "*3\r\n$3\r\nSET\r\n$16\r\n%s%012d\r\n$5\r\nprobe\r\n", p.prefix, i*7919%p.keys); err != nil {
			return err
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

// end stops the prober when it has sent what was due until now, and waits for its last
// reply. To end it again does nothing.
func (p *prober) end() error {
	p.until.CompareAndSwap(0, time.Now().UnixNano())
	err := <-p.stopped
	p.stopped <- err
	return err
}

// between are the latencies of requests due in an interval, in milliseconds, sorted.
// There have to be some.
func (p *prober) between(from, to time.Time) (latencies, error) {
	var took latencies
	for _, s := range p.samples {
		if !s.due.Before(from) && s.due.Before(to) {
			took = append(took, float64(s.took.Microseconds())/1000)
		}
	}
	if len(took) == 0 {
		return nil, fmt.Errorf("no request of the prober was due within %v: too few operations to tell a latency", to.Sub(from))
	}
	slices.Sort(took)
	return took, nil
}

// around is between, with one request more on each side: some were due, however short
// the interval is, and one of these was in its way.
func (p *prober) around(from, to time.Time) (latencies, error) {
	return p.between(from.Add(-probeEvery), to.Add(probeEvery))
}

// latencies are sorted, and not none.
type latencies []float64

// quantile is the smallest latency that at least a share q of all does not exceed.
func (l latencies) quantile(q float64) float64 {
	return l[min(int(q*float64(len(l))), len(l)-1)]
}
