package main

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// feed is a kind of data: command i of it. What it appends must answer without an error.
type feed func(b []byte, i int) []byte

// appendCommand appends a command as clients send it.
func appendCommand(b []byte, args ...string) []byte {
	b = append(strconv.AppendInt(append(b, '*'), int64(len(args)), 10), "\r\n"...)
	for _, a := range args {
		b = append(strconv.AppendInt(append(b, '$'), int64(len(a)), 10), "\r\n"...)
		b = append(append(b, a...), "\r\n"...)
	}
	return b
}

// feed sends n commands, pipelined, and waits for their replies.
func (s *server) feed(n int, command feed) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	got := make(chan error, 1)
	go func() {
		err := skipReplies(bufio.NewReaderSize(c, 1<<16), n)
		if err != nil {
			_ = c.Close() // and so ends what is being sent
		}
		got <- err
	}()
	w := bufio.NewWriterSize(c, 1<<18)
	var b []byte
	for i := range n {
		b = command(b[:0], i)
		if _, err = w.Write(b); err != nil {
			break
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return errors.Join(<-got, err)
	}
	return <-got
}

// skipReplies reads n replies, of any type but errors.
func skipReplies(r *bufio.Reader, n int) error {
	for ; n > 0; n-- {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) < 3 {
			return fmt.Errorf("a reply begins with %q", line)
		}
		switch line[0] {
		case '+', ':':
		case '$', '*':
			length, err := strconv.Atoi(string(line[1 : len(line)-2]))
			if err != nil {
				return err
			}
			if line[0] == '*' {
				n += max(length, 0)
			} else if length >= 0 {
				if _, err := r.Discard(length + 2); err != nil {
					return err
				}
			}
		case '-':
			return fmt.Errorf("it replied %q", strings.TrimSpace(string(line)))
		default:
			return fmt.Errorf("a reply begins with %q", line)
		}
	}
	return nil
}

// stringsOf sets key:000000000000 and so on, the names redis-benchmark uses.
func stringsOf(size int) feed {
	value := strings.Repeat("x", size)
	return func(b []byte, i int) []byte { return appendCommand(b, "SET", key(i), value) }
}

func key(i int) string     { return fmt.Sprintf("key:%012d", i) }
func element(i int) string { return fmt.Sprintf("element:%012d", i) }

// value64 is a value as large as those of most workloads.
var value64 = strings.Repeat("x", 64)

// The collections that redis-benchmark's commands are about, one element a command.
var (
	listElements   = feed(func(b []byte, _ int) []byte { return appendCommand(b, "RPUSH", "mylist", value64) })
	setMembers     = feed(func(b []byte, i int) []byte { return appendCommand(b, "SADD", "myset", element(i)) })
	sortedElements = feed(func(b []byte, i int) []byte { return appendCommand(b, "ZADD", "myzset", strconv.Itoa(i), element(i)) })
	streamEntries  = feed(func(b []byte, _ int) []byte { return appendCommand(b, "XADD", "mystream", "*", "field", value64) })
)
