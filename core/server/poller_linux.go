package server

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// poller tells a loop which of its sockets have something to say, and lets other
// goroutines interrupt its waiting. It is an epoll instance, and an eventfd in it.
//
// What it reports is named by the client's number, which is never given twice: a
// report about a descriptor that was closed meanwhile, and may be another client's by
// now, names a client that is not there any more.
type poller struct {
	epoll, event int
	events       []unix.EpollEvent
	one          []byte // what is written to event: a 1
}

// eventNumber is what reports about the eventfd say; clients are numbered from 1.
const eventNumber = 0

// turnMax is how many sockets a turn takes on, which bounds how long the first reply
// of it waits for the last command.
const turnMax = 128

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &poller{epoll: epoll, event: event, events: make([]unix.EpollEvent, turnMax), one: binary.NativeEndian.AppendUint64(nil, 1)}
	// At its edges: what is written to it need not be read.
	if err := p.control(unix.EPOLL_CTL_ADD, event, unix.EPOLLIN|unix.EPOLLET, eventNumber); err != nil {
		p.close()
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return p, nil
}

func (p *poller) close() {
	_ = unix.Close(p.event)
	_ = unix.Close(p.epoll)
}

// control changes what is reported of a descriptor. Any goroutine.
func (p *poller) control(op, fd int, events uint32, number int64) error {
	return unix.EpollCtl(p.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(number), Pad: int32(number >> 32)})
}

// wait returns the reports that there are: at once with 0 milliseconds, else when
// there is one, when it is interrupted or when that time has passed; -1 is for ever.
func (p *poller) wait(milliseconds int) []unix.EpollEvent {
	n, err := unix.EpollWait(p.epoll, p.events, milliseconds)
	if err != nil {
		return nil // EINTR: whoever calls comes again
	}
	return p.events[:n]
}

// number is the client that a report is about.
func number(e *unix.EpollEvent) int64 { return int64(uint32(e.Fd)) | int64(e.Pad)<<32 }

// interrupt ends a wait, or the next one. Any goroutine.
func (p *poller) interrupt() { _, _ = unix.Write(p.event, p.one) }
