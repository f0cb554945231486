package main

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// hollow is a server without a store: it finds where a command ends, and answers. It serves
// from one loop of epoll(7), as all servers of the family do, with a read and a write for
// what a client has sent at once. So what it takes is what a server of this kind
// cannot go below, and how far another is from it is what there is to gain.
type hollow struct {
	poll, listener int
	clients        map[int32][]byte // the part of a command that has come, by descriptor
	in, out        []byte
	commands       int
}

// hollowValue is the reply to each GET: as long as the values of most workloads.
var hollowValue = "$64\r\n" + value64 + "\r\n"

// hollowCommand is the command that runs one. It takes redis-server's options, as a --peer does, and
// heeds --port alone.
func hollowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "hollow", Short: "A server without a store, for --peer: no server can take less (SET, GET and PING only)",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			port := "6380"
			for i, a := range args[:max(len(args)-1, 0)] {
				if a == "--port" {
					port = args[i+1]
				}
			}
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				return fmt.Errorf("--port %q: want a number", port)
			}
			return serveHollow(int(n))
		},
	}
}

func serveHollow(port int) error {
	runtime.LockOSThread()
	h := &hollow{clients: make(map[int32][]byte), in: make([]byte, 64<<10)}
	var err error
	if h.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if err = unix.Bind(h.listener, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		err = unix.Listen(h.listener, 1024)
	}
	if err == nil {
		h.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	}
	if err == nil {
		err = h.watch(h.listener)
	}
	events := make([]unix.EpollEvent, 256)
	for err == nil {
		var n int
		if n, err = unix.EpollWait(h.poll, events, -1); errors.Is(err, unix.EINTR) {
			n, err = 0, nil
		}
		for _, e := range events[:max(n, 0)] {
			if int(e.Fd) == h.listener {
				err = h.accept()
			} else {
				h.serve(e.Fd)
			}
		}
	}
	return err
}

func (h *hollow) watch(fd int) error {
	return unix.EpollCtl(h.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}) // descriptors are small
}

func (h *hollow) accept() error {
	fd, _, err := unix.Accept4(h.listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	return h.watch(fd)
}

// serve answers what a client has sent. It waits for one that does not read.
func (h *hollow) serve(fd int32) {
	n, err := unix.Read(int(fd), h.in)
	if n <= 0 || err != nil {
		delete(h.clients, fd)
		_ = unix.Close(int(fd))
		return
	}
	b := h.in[:n]
	if begun := h.clients[fd]; begun != nil {
		b = append(begun, b...)
		delete(h.clients, fd)
	}
	h.out = h.out[:0]
	for len(b) > 0 {
		name, size := nextCommand(b)
		if size == 0 {
			break
		}
		b = b[size:]
		h.answer(name)
	}
	if len(b) > 0 {
		h.clients[fd] = bytes.Clone(b)
	}
	for out := h.out; len(out) > 0; {
		n, err := unix.Write(int(fd), out)
		if err != nil {
			return // its end will be read
		}
		out = out[n:]
	}
}

// answer appends the reply to a command of this name.
func (h *hollow) answer(name []byte) {
	h.commands++
	switch {
	case len(name) == 3 && name[0]|0x20 == 'g':
		h.out = append(h.out, hollowValue...)
	case bytes.EqualFold(name, []byte("ping")):
		h.out = append(h.out, "+PONG\r\n"...)
	case bytes.EqualFold(name, []byte("info")):
		text := fmt.Sprintf("hollow_version:%s\r\ntotal_commands_processed:%d\r\n", strings.TrimPrefix(runtime.Version(), "go"), h.commands)
		h.out = fmt.Appendf(h.out, "$%d\r\n%s\r\n", len(text), text)
	case bytes.EqualFold(name, []byte("hello")):
		h.out = append(h.out, "-ERR unknown command\r\n"...) // so that a client asks for no newer protocol
	default:
		h.out = append(h.out, "+OK\r\n"...)
	}
}

// nextCommand returns the name of the first command in b and how long the command is: 0 for one
// that is not whole.
func nextCommand(b []byte) (name []byte, size int) {
	line := bytes.IndexByte(b, '\n') + 1
	if line == 0 {
		return nil, 0
	}
	if b[0] != '*' {
		return bytes.TrimSpace(b[:line]), line
	}
	words, size := digits(b[1:line]), line
	for i := range words {
		line := bytes.IndexByte(b[size:], '\n') + 1
		if line == 0 {
			return nil, 0
		}
		length := digits(b[size+1 : size+line])
		size += line
		if len(b) < size+length+2 {
			return nil, 0
		}
		if i == 0 {
			name = b[size : size+length]
		}
		size += length + 2
	}
	return name, size
}

// digits reads the digits that b begins with.
func digits(b []byte) (n int) {
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}
