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

const (
	// proberLanes is how many connections a prober sends on in turn. What arrives while an
	// earlier reply is still unread may be given the later one's time, so a connection's turn
	// comes again when its reader, which waits for the load at times, has long read the last.
	proberLanes = 32
	// unanswered is how many requests of a lane may be without a reply.
	unanswered = 1 << 12
	// stampTries is how many replies the kernel may leave without a time before it is taken
	// at its word: it begins to tell times a little after it was asked to.
	stampTries = 1000
)

// prober sends SETs at fixed times whatever becomes of the ones before: an open loop, so that
// a stall counts every request it delays. A latency is the time from when a request was
// given to the kernel to when the kernel had its reply. The prober shares its processor with the
// load, as a rule, and waits for it when it is to send and when it is to read: neither is the
// server's doing, and neither is counted. How late it sends is told beside.
type prober struct {
	lanes   []*lane
	prefix  string
	keys    int
	until   atomic.Int64 // Unix nanoseconds when it ends, 0 for not yet
	stopped chan error
	samples []sample // by the time they were due, once stopped
}

// lane is one of a prober's connections.
type lane struct {
	net.Conn // with TLS if that is what is measured
	stamps   *stamped
	replies  *bufio.Reader
	waiting  chan sample // sent, and not replied to yet
	samples  []sample    // its reader's, until stopped
}

type sample struct {
	due  time.Time
	sent time.Time
	took time.Duration
}

// probe begins to probe with SETs of keys with a prefix of four bytes and a number.
func (s *server) probe(prefix string, keys int) (*prober, error) {
	p := &prober{prefix: prefix, keys: keys, stopped: make(chan error, 1)}
	for range proberLanes {
		l, err := s.lane()
		if err != nil {
			p.hangUp()
			return nil, err
		}
		p.lanes = append(p.lanes, l)
	}
	outcomes := make(chan error, len(p.lanes)+1)
	go func() { outcomes <- p.send() }()
	for _, l := range p.lanes {
		go func() { outcomes <- l.receive() }()
	}
	go func() {
		var err error
		for range cap(outcomes) {
			if e := <-outcomes; e != nil && err == nil {
				err = e
				p.hangUp() // whatever is being sent or waited for fails, in consequence
			}
		}
		p.hangUp()
		for _, l := range p.lanes {
			p.samples = append(p.samples, l.samples...)
		}
		slices.SortFunc(p.samples, func(a, b sample) int { return a.due.Compare(b.due) })
		p.stopped <- err
	}()
	return p, nil
}

func (p *prober) hangUp() {
	for _, l := range p.lanes {
		_ = l.Close()
	}
}

// lane connects, and waits until the kernel tells when replies arrive.
func (s *server) lane() (*lane, error) {
	l := &lane{waiting: make(chan sample, unanswered)}
	var err error
	l.Conn, err = s.dialBy(func(addr string) (net.Conn, error) {
		l.stamps, err = dialStamped(addr)
		return l.stamps, err
	})
	if err != nil {
		return nil, err
	}
	l.replies = bufio.NewReader(l)
	for range stampTries {
		if _, err = l.Write([]byte(ping)); err == nil {
			err = l.expect(pong)
		}
		if err != nil || !l.stamps.arrived.IsZero() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err == nil && l.stamps.arrived.IsZero() {
		err = errors.New("the kernel does not tell when a reply arrived (SO_TIMESTAMPNS)")
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

const (
	ping = "*1\r\n$4\r\nPING\r\n"
	pong = "+PONG\r\n"
)

func (l *lane) expect(reply string) error {
	line, err := l.replies.ReadString('\n')
	if err == nil && line != reply {
		err = fmt.Errorf("the prober was told %q", line)
	}
	return err
}

// send sends, and in the end a PING on each lane. It sleeps in the kernel, on a thread of its
// own: Go's timers are up to a millisecond late.
func (p *prober) send() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return err
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }() // the default again
	next := time.Now()
	var request []byte
	for i := 0; ; i++ {
		next = next.Add(probeEvery)
		if until := p.until.Load(); until != 0 && next.UnixNano() > until {
			break
		}
		l := p.lanes[i%len(p.lanes)]
		request = fmt.Appendf(request[:0], "*3\r\n$3\r\nSET\r\n$16\r\n%s%012d\r\n$5\r\nprobe\r\n", p.prefix, i*7919%p.keys)
		if wait := unix.NsecToTimespec(int64(time.Until(next))); wait.Nano() > 0 {
			_ = unix.Nanosleep(&wait, nil) // sooner, if a signal comes
		}
		select {
		case l.waiting <- sample{due: next, sent: time.Now()}:
		default:
			return fmt.Errorf("the prober has had no reply to %d requests", len(p.lanes)*unanswered)
		}
		if _, err := l.Write(request); err != nil {
			return err
		}
	}
	for _, l := range p.lanes {
		close(l.waiting)
		if _, err := l.Write([]byte(ping)); err != nil {
			return err
		}
	}
	return nil
}

// receive reads replies until that of the PING. It reads before it looks at what was sent, so
// that sending wakes nobody.
func (l *lane) receive() error {
	for {
		line, err := l.replies.ReadString('\n')
		if err != nil {
			return err
		}
		s, more := <-l.waiting
		switch {
		case more && line == "+OK\r\n":
			s.took = l.stamps.arrived.Sub(s.sent)
			l.samples = append(l.samples, s)
		case !more && line == pong:
			return nil
		default:
			return fmt.Errorf("the prober was told %q", line)
		}
	}
}

// end stops the prober when it has sent what was due until now, and waits for its last
// reply. To end it again does nothing.
func (p *prober) end() error {
	p.until.CompareAndSwap(0, time.Now().UnixNano())
	err := <-p.stopped
	p.stopped <- err
	return err
}

// late is how late the requests that around is about were sent, in milliseconds, sorted: what
// the prober waited for the load, in which it measured nothing.
func (p *prober) late(from, to time.Time) (latencies, error) {
	return p.of(from.Add(-probeEvery), to.Add(probeEvery), func(s sample) time.Duration { return s.sent.Sub(s.due) })
}

// between are the latencies of requests due in an interval, in milliseconds, sorted.
// There have to be some.
func (p *prober) between(from, to time.Time) (latencies, error) {
	return p.of(from, to, func(s sample) time.Duration { return s.took })
}

func (p *prober) of(from, to time.Time, of func(sample) time.Duration) (latencies, error) {
	var took latencies
	for _, s := range p.samples {
		if !s.due.Before(from) && s.due.Before(to) {
			took = append(took, float64(of(s).Microseconds())/1000)
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
