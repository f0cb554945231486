package main

import (
	"path/filepath"
	"testing"
)

// TestHollow: the server without a store stands beside others in workloads that it can answer.
func TestHollow(t *testing.T) {
	hollow := filepath.Join(programs, "spillway-bench") + " hollow"
	_, complaint, r, err := runBench(t, nil, "--rounds", "1", "--peer", "hollow="+hollow, "--workloads", "^(SET|GET|PING_INLINE|PING_MBULK), P16$", "throughput")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	if r.Servers[1].Version == "" || r.Servers[1].Version == "unknown" {
		t.Errorf("it is %+v", r.Servers[1])
	}
	measured := map[string]bool{}
	for _, f := range r.Figures {
		if f.Median["hollow"] > 0 {
			measured[f.Workload] = true
		}
	}
	if len(measured) != 4 {
		t.Errorf("measured: %v", measured)
	}
}

func TestNextCommand(t *testing.T) {
	const set = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\n*1\r\nv\r\n"
	for in, want := range map[string]struct {
		name string
		size int
	}{
		set:                     {"SET", len(set)},
		set + "*1\r\n$4\r\nPI":  {"SET", len(set)},
		"PING\r\n" + set:        {"PING", 6},
		"*1\r\n$4\r\nPING\r\n":  {"PING", 14},
		"PIN":                   {"", 0},
		set[:len(set)-1]:        {"", 0},
		set[:len("*3\r\n$3\r")]: {"", 0},
		"*2":                    {"", 0},
	} {
		name, size := nextCommand([]byte(in))
		if size != want.size || size > 0 && string(name) != want.name {
			t.Errorf("%q: %q of %d bytes, want %+v", in, name, size, want)
		}
	}
}
