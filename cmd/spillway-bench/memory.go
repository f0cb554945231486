package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
)

// memory loads the same keys into both and compares the growth of resident memory.
func (b *bench) memory() error {
	ours, theirs, err := b.servers("memory", "no", true)
	if err != nil {
		return err
	}
	return both(ours, theirs, func() error {
		b.title(fmt.Sprintf("memory of %d keys of 16 bytes with values of 64", b.keys))
		var per [2][]float64
		for i, s := range []*server{ours, theirs} {
			before, err := s.rss()
			if err != nil {
				return err
			}
			if err := s.fill(b.keys); err != nil {
				return err
			}
			after, err := s.rss()
			if err != nil {
				return err
			}
			per[i] = append(per[i], (after-before)/float64(b.keys))
		}
		b.report("resident bytes per key", "B", per[0], per[1])
		return nil
	})
}

// fill sets key:000000000000 to key n-1, the names redis-benchmark uses, to
// values of 64 bytes.
func (s *server) fill(n int) error {
	c, err := net.Dial("tcp", s.addr())
	if err != nil {
		return err
	}
	defer c.Close()
	got := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.Discard, c, int64(n)*int64(len("+OK\r\n")))
		got <- err
	}()
	w := bufio.NewWriterSize(c, 1<<20)
	value := fmt.Sprintf("%064d", 7)
	for i := range n {
		_, _ = fmt.Fprintf(w, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$64\r\n%s\r\n", i, value) // Flush has the error
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return <-got
}
