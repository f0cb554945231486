package main

import (
	"encoding/csv"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// throughput runs redis-benchmark's SET and GET with 50 clients over a million
// keys of 64 bytes, at pipelines of 1, 16 and 64.
func (b *bench) throughput() error {
	ours, theirs, err := b.servers("throughput", b.appendOnly, true)
	if err != nil {
		return err
	}
	return both(ours, theirs, func() error {
		b.title("throughput, and the server's CPU time per operation")
		for _, s := range []*server{ours, theirs} {
			if _, _, err := s.benchmark("set", 64, 2_000_000); err != nil { // GETs shall find something
				return err
			}
		}
		for _, pipeline := range []int{1, 16, 64} {
			n := b.pipelined
			if pipeline == 1 {
				n = b.ops
			}
			for _, test := range []string{"set", "get"} {
				var ops, cpu [2][]float64
				for range b.rounds {
					for i, s := range []*server{ours, theirs} {
						o, c, err := s.benchmark(test, pipeline, n)
						if err != nil {
							return err
						}
						ops[i], cpu[i] = append(ops[i], o), append(cpu[i], c)
					}
				}
				name := fmt.Sprintf("%s, pipeline %d", strings.ToUpper(test), pipeline)
				b.report(name, "op/s", ops[0], ops[1])
				b.report(name+", CPU", "µs/op", cpu[0], cpu[1])
			}
		}
		return nil
	})
}

// benchmark runs redis-benchmark once and returns operations a second and the
// server's CPU microseconds per operation.
func (s *server) benchmark(test string, pipeline, n int) (ops, cpu float64, err error) {
	before, err := s.cpu()
	if err != nil {
		return 0, 0, err
	}
	out, err := loadCommand(s, test, pipeline, n, 1_000_000).Output()
	if err != nil {
		return 0, 0, fmt.Errorf("redis-benchmark: %w", err)
	}
	after, err := s.cpu()
	if err != nil {
		return 0, 0, err
	}
	rows, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil || len(rows) < 2 || len(rows[1]) < 2 {
		return 0, 0, fmt.Errorf("redis-benchmark said %q: %w", out, err)
	}
	ops, err = strconv.ParseFloat(rows[1][1], 64)
	return ops, float64((after - before).Microseconds()) / float64(n), err
}

func loadCommand(s *server, test string, pipeline, n, keys int) *exec.Cmd {
	return exec.Command("taskset", "-c", loadCPU, "redis-benchmark", "-p", s.port, "-c", "50", "-d", "64",
		"-r", strconv.Itoa(keys), "-n", strconv.Itoa(n), "-P", strconv.Itoa(pipeline), "-t", test, "--csv")
}
