package core

import (
	"bufio"
	"net"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/command"
)

// exchangeChunk is how much of a request is written in one step, each of which has
// the whole timeout.
const exchangeChunk = 64 << 10

// Exchange implements command.Engine. Every request has a connection of its own.
func (a admin) Exchange(addr string, request []byte, replies int, timeout time.Duration) (lines []string, err error) {
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, &command.ExchangeError{Doing: "connecting", Err: err}
	}
	defer func() { _ = conn.Close() }()
	step := func() error { return conn.SetDeadline(SystemClock{}.Now().Add(timeout)) } // of the network, whatever clock the engine has
	for len(request) > 0 {
		n := min(len(request), exchangeChunk)
		if err = step(); err == nil {
			_, err = conn.Write(request[:n])
		}
		if err != nil {
			return nil, &command.ExchangeError{Doing: "writing", Err: err}
		}
		request = request[n:]
	}
	for in := bufio.NewReader(conn); len(lines) < replies; {
		var line string
		if err = step(); err == nil {
			line, err = in.ReadString('\n')
		}
		if err != nil {
			return lines, &command.ExchangeError{Doing: "reading", Err: err}
		}
		lines = append(lines, strings.TrimRight(line, "\r\n"))
	}
	return lines, nil
}
