package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// connected is the line that generate says when it has its connections.
const connected = "connected\n"

// generator is the load that redis-benchmark has no word for: reads and writes mixed,
// from a number of connections that are there before the clock starts.
type generator struct {
	addr                                      string
	clients, pipeline, keys, size, reads, ops int
	left                                      atomic.Int64
}

// generated is what generate says at its end, one line of JSON.
type generated struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds"` // of this process
}

// generateCommand is the command that throughput runs for mixed loads, in a process of
// its own so that it has a processor of its own, as redis-benchmark has. It connects,
// says so, begins when it is told by a line, says what it took, and keeps its
// connections until its input ends.
func generateCommand() *cobra.Command {
	g := &generator{}
	cmd := &cobra.Command{
		Use: "generate", Short: "The load of mixed workloads, which throughput runs", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return g.run(cmd.InOrStdin(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&g.addr, "addr", "127.0.0.1:6380", "the server")
	f.IntVar(&g.clients, "clients", 50, "connections")
	f.IntVar(&g.pipeline, "pipeline", 1, "commands sent at once")
	f.IntVar(&g.keys, "keys", 1_000_000, "keys, chosen at random")
	f.IntVar(&g.size, "size", 64, "bytes of a value")
	f.IntVar(&g.reads, "reads", 80, "percent of GETs; the others are SETs")
	f.IntVar(&g.ops, "ops", 100_000, "commands in all")
	return cmd
}

func (g *generator) run(in io.Reader, out io.Writer) error {
	conns := make([]net.Conn, 0, g.clients)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range g.clients {
		c, err := net.Dial("tcp", g.addr)
		if err != nil {
			return err
		}
		conns = append(conns, c)
		// One command each: the server has accepted it then.
		if _, err = c.Write([]byte("PING\r\n")); err == nil {
			_, err = io.ReadFull(c, make([]byte, len("+PONG\r\n")))
		}
		if err != nil {
			return err
		}
	}
	if _, err := io.WriteString(out, connected); err != nil {
		return err
	}
	input := bufio.NewReader(in)
	if _, err := input.ReadString('\n'); err != nil {
		return err
	}
	g.left.Store(int64(g.ops))
	began, cpu := time.Now(), ownCPU()
	failed := make(chan error, g.clients)
	var all sync.WaitGroup
	for i, c := range conns {
		all.Go(func() {
			if err := g.client(c, uint64(i)); err != nil {
				failed <- err
			}
		})
	}
	all.Wait()
	did := generated{Seconds: time.Since(began).Seconds(), CPU: (ownCPU() - cpu).Seconds()}
	close(failed)
	if err := <-failed; err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(did); err != nil {
		return err
	}
	if _, err := input.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("waiting for the end of the input: %w", err)
	}
	return nil
}

// client sends commands, a pipeline at a time, until all have been sent.
func (g *generator) client(c net.Conn, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 1))
	value := strings.Repeat("x", g.size)
	var b []byte
	r := bufio.NewReaderSize(c, min(4096, 256+g.pipeline*(g.size+32)))
	for {
		n := g.pipeline
		if left := int(g.left.Add(-int64(n))); left < 0 {
			n += left
		}
		if n <= 0 {
			return nil
		}
		b = b[:0]
		for range n {
			key := random.IntN(g.keys)
			if random.IntN(100) < g.reads {
				b = appendKey(append(b, "*2\r\n$3\r\nGET\r\n"...), key)
			} else {
				b = appendKey(append(b, "*3\r\n$3\r\nSET\r\n"...), key)
				b = fmt.Appendf(b, "$%d\r\n%s\r\n", g.size, value)
			}
		}
		if _, err := c.Write(b); err != nil {
			return err
		}
		if err := skipReplies(r, n); err != nil {
			return err
		}
	}
}

// appendKey appends the name that key has, as an argument.
func appendKey(b []byte, n int) []byte {
	b = append(b, "$16\r\nkey:000000000000"...)
	for at := len(b) - 1; n > 0; at, n = at-1, n/10 {
		b[at] = byte('0' + n%10)
	}
	return append(b, "\r\n"...)
}

// ownCPU is the processor time of this process.
func ownCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err) // Linux always has it
	}
	return time.Duration(t.Nano())
}
