package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stamped is a TCP connection that knows when what it has read arrived at this machine's
// network layer, whenever its reader had a turn on a processor (SO_TIMESTAMPNS, socket(7)). A
// reader that shares its processor with a load waits for that, up to 12 ms in the p99.9, and
// longer the busier a fast server keeps the load.
type stamped struct {
	*net.TCPConn
	raw     syscall.RawConn
	arrived time.Time // the last byte of what was read last; zero if the kernel did not say
}

// dialStamped connects.
func dialStamped(addr string) (*stamped, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &stamped{TCPConn: c.(*net.TCPConn)}
	if s.raw, err = s.SyscallConn(); err == nil {
		var e error
		err = errors.Join(s.raw.Control(func(fd uintptr) {
			e = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		}), e)
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("to have arrivals timed by the kernel: %w", err)
	}
	return s, nil
}

// Read is net.Conn's, and sets arrived.
func (s *stamped) Read(b []byte) (n int, err error) {
	var oob [64]byte
	var control int
	if e := s.raw.Read(func(fd uintptr) bool {
		n, control, _, _, err = unix.Recvmsg(int(fd), b, oob[:], 0)
		return !errors.Is(err, unix.EAGAIN)
	}); e != nil {
		return 0, e
	}
	if err != nil {
		return 0, err
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	s.arrived = stampOf(oob[:control])
	return n, nil
}

// stampOf is the time in what a message came with.
func stampOf(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}
	}
	for _, m := range messages {
		var t unix.Timespec
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_TIMESTAMPNS {
			continue
		}
		if _, err := binary.Decode(m.Data, binary.NativeEndian, &t); err == nil {
			return time.Unix(t.Unix())
		}
	}
	return time.Time{}
}
