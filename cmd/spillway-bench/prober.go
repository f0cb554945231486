package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
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
	first   time.Time    // when the first request is due
	until   atomic.Int64 // Unix nanoseconds when it ends, 0 for not yet
	stopped chan error
	samples []sample // the receiver's, until stopped
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
	wait, err := readable(c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	p := &prober{
		conn: c, prefix: prefix, keys: keys, first: time.Now().Add(probeEvery),
		stopped: make(chan error, 1), samples: make([]sample, 0, 1<<16), // so that it seldom has to grow
	}
	collect := debug.SetGCPercent(-1) // see goFirst
	sent := make(chan error, 1)
	go func() { sent <- p.send() }()
	go func() {
		err := p.receive(wait)
		_ = c.Close() // whatever is being sent fails
		err = errors.Join(err, <-sent)
		debug.SetGCPercent(collect)
		p.stopped <- err
	}()
	return p, nil
}

// lastReply is that of what a prober sends last.
const lastReply = "+PONG\r\n"

// send sleeps in the kernel, on a thread of its own: Go's timers are up to a
// millisecond late.
func (p *prober) send() error {
	_, back := goFirst()
	defer back()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // it would be 50 µs otherwise
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }()
	due := p.first
	for i := 0; ; i++ {
		if until := p.until.Load(); until != 0 && due.UnixNano() > until {
			_, err := p.conn.Write([]byte("PING\r\n"))
			return err
		}
		if wait := unix.NsecToTimespec(int64(time.Until(due))); wait.Nano() > 0 {
			_ = unix.Nanosleep(&wait, nil) // sooner, if a signal comes
		}
		if _, err := fmt.Fprintf(p.conn, "*3\r\n$3\r\nSET\r\n$16\r\n%s%012d\r\n$5\r\nprobe\r\n", p.prefix, i*7919%p.keys); err != nil {
			return err
		}
		due = due.Add(probeEvery)
	}
}

// receive has a thread of its own as well, which wait has wait in the kernel.
func (p *prober) receive(wait func()) error {
	_, back := goFirst()
	defer back()
	r := bufio.NewReader(p.conn)
	for due := p.first; ; due = due.Add(probeEvery) {
		if r.Buffered() == 0 {
			wait()
		}
		line, err := r.ReadSlice('\n')
		took := time.Since(due)
		switch {
		case err != nil:
			return err
		case string(line) == lastReply:
			return nil
		case string(line) != "+OK\r\n":
			return fmt.Errorf("the prober was told %q", line)
		}
		p.samples = append(p.samples, sample{due, took})
	}
}

// goFirst gives the goroutine a thread for itself, which goes before all that shares its processor, until back is
// called. It tells whether the thread does: not everybody may have that. The thread has to outlive the
// servers, of which the kernel ends those that it has started.
//
// A load at low priority is not enough. Where the kernel does not preempt by itself it goes on until
// the next tick, of which there is one in 4 ms, and the prober waited up to three of them for the sending
// and the reading together: more than the server took, and the more the faster the server was, which kept
// the load busy.
//
// Such a thread must not spin for another one of this process, which has no turn on the same processor
// meanwhile: it would do so until the kernel steps in, after a second. It spins for the collector when that scans
// its stack, so that nothing is collected while a prober is at work.
func goFirst() (first bool, back func()) {
	runtime.LockOSThread()
	set := func(policy, priority uint32) bool {
		return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0) == nil
	}
	return set(unix.SCHED_FIFO, 1), func() {
		set(unix.SCHED_NORMAL, 0)
		runtime.UnlockOSThread()
	}
}

// readable returns what waits until a socket has something to read. A goroutine that reads is woken by whichever
// thread polls for the Go runtime, and that one does not go first. With TLS it does not wait: there may
// be more to read than the socket has.
func readable(c net.Conn) (wait func(), err error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return func() {}, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	poll := func(fd uintptr) {
		for err := error(unix.EINTR); errors.Is(err, unix.EINTR); {
			_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		}
	}
	return func() { _ = raw.Control(poll) }, nil
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
