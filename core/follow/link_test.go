package follow_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/follow"
	"github.com/spillwaydb/spillway/core/resp"
)

// realClock is what a link over a network goes by.
type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) NewTicker(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// master answers what a link asks: OK, and INFO with what it is given. Commands of
// replicas that have no answer are handed on.
func master(t *testing.T, info string) (addr string, acks <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	out := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := resp.NewReader(bufio.NewReader(c))
		for {
			args, _, err := r.Next()
			if err != nil {
				return
			}
			words := make([]string, len(args))
			for i, a := range args {
				words[i] = string(a)
			}
			reply := "+OK\r\n"
			switch {
			case words[0] == "INFO":
				reply = info
			case len(words) > 1 && words[1] == "ACK":
				out <- strings.Join(words, " ")
				continue
			}
			if _, err := c.Write([]byte(reply)); err != nil {
				return
			}
		}
	}()
	return l.Addr().String(), out
}

// TestFACK: a master that knows it is told what is durable, for WAITAOF, and no other.
func TestFACK(t *testing.T) {
	t.Parallel()
	version := func(v string) string {
		text := "# Server\r\nredis_version:" + v + "\r\nredis_mode:standalone\r\n"
		return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
	}
	const plain, with = "REPLCONF ACK 77", "REPLCONF ACK 77 FACK 77"
	for info, want := range map[string]string{
		version("7.2.4"):  with,
		version("8.0.0"):  with,
		version("7.0.15"): plain,
		version("6.2.6"):  plain,
		version("none"):   plain,
		"-NOPERM this user has no permissions to run the 'info' command\r\n": plain,
		"$0\r\n\r\n":            plain,
		"$99999999\r\n":         "",
		"$-1\r\n":               "",
		"+what do you want\r\n": "",
	} {
		addr, acks := master(t, info)
		l, err := follow.Dial(context.Background(), follow.Source{Address: addr, Clock: realClock{}})
		if (err != nil) != (want == "") {
			t.Errorf("%.40q: %v", info, err)
		}
		if err != nil {
			continue
		}
		if err := l.Ack(77); err != nil {
			t.Error(err)
		} else if got := <-acks; got != want {
			t.Errorf("%.40q is told %q, want %q", info, got, want)
		}
		_ = l.Close()
	}
}
