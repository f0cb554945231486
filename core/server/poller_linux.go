package server

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller tells a loop which of its sockets have something to say, and lets other
// goroutines interrupt its waiting. It is an epoll instance, and an eventfd in it.
//
// What it reports is named by the client's number, which is never given twice: a
// report about a descriptor that was closed meanwhile, and may be another client's by
// now, names a client that is not there any more.
//
// Nobody waits in the kernel for it: the instance is itself a descriptor that is
// polled, so that who waits is a goroutine, and its processor is free at once. A thread that waited there would
// keep it until Go's sysmon takes it away, which stays awake to do that.
//
// The runtime polls nothing while it has something to run: prod looks in its stead, for those who work
// meanwhile (internal/turn).
//
// What the Go runtime polls is not the instance but a gate before it, another instance that has only
// the first in it. While the gate is open everything that a socket has to say wakes a
// thread of the runtime that waits for events, also where the loop is at work and will find
// it by itself: on several processors, or while the disk is waited for, that is a thread a request. So
// shut closes the gate, and wait opens it.
type poller struct {
	epoll, event int
	gate         int
	open         bool               // the gate may be
	file         *os.File           // of gate, and closes it
	parked       syscall.RawConn    // of file
	look         func(uintptr) bool // fetches events; false: there are none, and the goroutine is to be parked
	until        time.Time          // the deadline of file, zero for none
	prodding     atomic.Uint32      // what prod and wait have to do with each other: up, waits, woken or told
	events       []unix.EpollEvent
	n            int    // so many of events are there
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
	gate, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		_, _ = unix.Close(epoll), unix.Close(event)
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	p := &poller{epoll: epoll, event: event, gate: gate, events: make([]unix.EpollEvent, turnMax), one: binary.NativeEndian.AppendUint64(nil, 1)}
	p.look = func(uintptr) bool { return p.fetch() > 0 || !p.letThrough() }
	if err := p.lendToRuntime(); err != nil {
		p.close()
		return nil, fmt.Errorf("having the epoll instance polled: %w", err)
	}
	// Closed at first.
	if err := unix.EpollCtl(gate, unix.EPOLL_CTL_ADD, epoll, &unix.EpollEvent{Events: unix.EPOLLONESHOT}); err != nil {
		p.close()
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
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
	if p.file != nil {
		_ = p.file.Close()
	} else {
		_ = unix.Close(p.gate)
	}
}

// control changes what is reported of a descriptor. Any goroutine.
func (p *poller) control(op, fd int, events uint32, number int64) error {
	return unix.EpollCtl(p.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(number), Pad: int32(number >> 32)})
}

// lendToRuntime has the Go runtime poll the gate.
func (p *poller) lendToRuntime() error {
	if err := unix.SetNonblock(p.gate, true); err != nil { // or NewFile would not try
		return err
	}
	p.file = os.NewFile(uintptr(p.gate), "epoll")
	if err := p.file.SetReadDeadline(time.Time{}); err != nil { // it has not worked
		return err
	}
	var err error
	p.parked, err = p.file.SyscallConn()
	return err
}

// reports returns what there is to report, at once.
func (p *poller) reports() []unix.EpollEvent { return p.events[:p.fetch()] }

func (p *poller) fetch() int {
	p.n, _ = epollNow(p.epoll, p.events) // after an error there are none: whoever calls comes again
	return p.n
}

// letThrough opens the gate. What there is to report by now passes it at once: the kernel looks when it is
// opened, so that who found nothing before cannot miss it. It is false when the kernel refuses.
func (p *poller) letThrough() bool {
	if !p.open {
		p.open = unix.EpollCtl(p.gate, unix.EPOLL_CTL_MOD, p.epoll, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT}) == nil
	}
	return p.open
}

// shut closes the gate, if there is still something to report: the kernel closes it behind
// what it lets through, once. What was reported and not yet read is reported again, and so counts.
func (p *poller) shut() {
	if !p.open {
		return
	}
	var passed [1]unix.EpollEvent
	if n, err := epollNow(p.gate, passed[:]); n == 1 && err == nil {
		p.open = false
	}
}

// wait returns the reports when there are some, and none when that much time has passed;
// 0 is for ever.
func (p *poller) wait(patience time.Duration) []unix.EpollEvent {
	for p.n = 0; ; {
		p.setPatience(patience)
		p.prodding.Store(waits)
		_ = p.parked.Read(p.look) // the error is that of the deadline
		if p.prodding.CompareAndSwap(waits, up) || p.prodded() {
			return p.events[:p.n]
		}
	}
}

// States of poller.prodding.
const (
	up    uint32 = iota // nobody waits
	waits               // somebody does, or is about to
	woken               // prod wakes him
	told                // prod has
)

// prod wakes who waits if there is something to report, which the runtime would tell him only when it has nothing else
// to run. Any goroutine, also once the poller is closed.
func (p *poller) prod() {
	if p.prodding.Load() == waits && readable(p.gate) && p.prodding.CompareAndSwap(waits, woken) {
		_ = p.file.SetReadDeadline(time.Unix(1, 0)) // it is over: the one way to wake who waits for a file
		p.prodding.Store(told)
	}
}

// prodded undoes what prod has done to who has waited, and tells whether there is something to report. There is not where prod
// has looked before the last wait ended, and this one is what it woke.
func (p *poller) prodded() bool {
	for p.prodding.Load() != told {
		runtime.Gosched()
	}
	p.prodding.Store(up)
	p.until = time.Time{}
	_ = p.file.SetReadDeadline(p.until)
	return p.n > 0 || p.fetch() > 0
}

// setPatience has waits end by patience from now, or before: a deadline that has still to
// come is kept, since a new one costs as much as a command.
func (p *poller) setPatience(patience time.Duration) {
	if patience == 0 && p.until.IsZero() {
		return
	}
	now := time.Now() //nolint:forbidigo // as deadlines of package net
	switch {
	case patience == 0:
		p.until = time.Time{}
	case now.Before(p.until) && !now.Add(patience).Before(p.until):
		return
	default:
		p.until = now.Add(patience)
	}
	_ = p.file.SetReadDeadline(p.until)
}

// number is the client that a report is about.
func number(e *unix.EpollEvent) int64 { return int64(uint32(e.Fd)) | int64(e.Pad)<<32 }

// interrupt ends a wait, or the next one. Any goroutine.
func (p *poller) interrupt() { _, _ = unix.Write(p.event, p.one) }
