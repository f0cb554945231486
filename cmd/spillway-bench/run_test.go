package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fakeEnv has the test's own program be a server that goes wrong so.
const fakeEnv = "SPILLWAY_BENCH_FAKE"

// programs are those that TestMain builds: the bench and the daemon.
var programs string

func TestMain(m *testing.M) {
	if how := os.Getenv(fakeEnv); how != "" {
		os.Exit(fakeServer(how, os.Args[1:]))
	}
	dir, err := os.MkdirTemp("", "spillway-bench-test")
	if err != nil {
		panic(err)
	}
	programs = dir
	code := 1
	if out, err := exec.Command("go", "build", "-ldflags=-s", "-o", dir+"/", ".", "../spillway").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// runBench runs the built program, tiny, and returns what it printed and its report.
func runBench(t *testing.T, env []string, args ...string) (out, complaint string, r *report, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.Command(filepath.Join(programs, "spillway-bench"), append([]string{
		"--spillway", filepath.Join(programs, "spillway"), "--json", file, "--ops", "500", "--keyspace", "1000", "--keys", "1000", "--settle", "30ms",
	}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if b, e := os.ReadFile(file); e == nil {
		r = &report{}
		if e := json.Unmarshal(b, r); e != nil {
			t.Fatalf("%v in %s", e, b)
		}
	}
	return stdout.String(), stderr.String(), r, err
}

// TestRun runs everything there is beside a redis-server: every workload has figures of
// both, and their ratios are of these. In the long laboratory that is all workloads and
// two rounds, and otherwise what --quick has with a thousand connections at most, and one.
func TestRun(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("redis-server is needed to test the bench: apt-get install redis-server (%v)", err)
	}
	dir := t.TempDir()
	markdown, plot := filepath.Join(dir, "tables.md"), filepath.Join(dir, "some", "plot.svg")
	args, rounds, long := []string{"--quick", "--rounds", "1", "--max-clients", "1000"}, 1, os.Getenv("SPILLWAY_LAB") == "long"
	if long {
		args, rounds = []string{"--rounds", "2"}, 2
	}
	out, complaint, r, err := runBench(t, nil, append(args, "--markdown", markdown, "--plot", plot)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	names := []string{"spillway", "redis"}
	for i, s := range r.Servers {
		if s.Name != names[i] || !strings.HasPrefix(s.Version, names[i]+" ") {
			t.Errorf("server %d is %+v", i, s)
		}
	}
	if len(r.Servers) != 2 || r.Failed != "" || r.Machine.CPUs == 0 || r.Machine.Kernel == "" || r.Machine.LoadTool == "" {
		t.Errorf("the report begins with %+v", r)
	}
	have := make(map[string]*figure)
	for _, f := range r.Figures {
		have[f.Scenario+": "+f.Workload+": "+f.Metric] = f
		if f.Metric == "freeze at the cut" {
			continue // no other server has one
		}
		for _, name := range names {
			want := rounds
			if f.Scenario == "memory" {
				want = 1
			}
			if got := f.Rounds[name]; len(got) != want || f.Median[name] != median(got) {
				t.Errorf("%s: %s: %s: rounds of %s are %v, their median %v", f.Scenario, f.Workload, f.Metric, name, got, f.Median[name])
			}
		}
		ours, theirs := f.Rounds["spillway"], f.Rounds["redis"]
		if slices.Contains(theirs, 0) {
			continue
		}
		each := make([]float64, len(theirs))
		for i := range theirs {
			each[i] = ours[i] / theirs[i]
		}
		if got, want := f.Ratio["redis"], (ratio{median(each), slices.Min(each), slices.Max(each)}); got != want {
			t.Errorf("%s: %s: %s: the ratio is %+v, want %+v", f.Scenario, f.Workload, f.Metric, got, want)
		}
	}
	if why := "--max-clients is 1000"; !long && (len(r.Skipped) != 1 || r.Skipped[0].Why != why || !strings.Contains(out, why)) {
		t.Errorf("not measured: %v, want the one with more than 1000 clients", r.Skipped)
	}
	var want []string
	for _, w := range workloads() {
		if w.long && !long {
			continue
		}
		if slices.ContainsFunc(r.Skipped, func(s skipped) bool { return s.Workload == w.name && w.clients > 1000 }) {
			t.Logf("%s: not measured", w.name) // asked for, or this process may not open so many files
			continue
		}
		for _, metric := range []string{"operations a second", "CPU of the server per operation", inKernel, "p50", "p99", "p99.9", "longest", "resident", loadShare} {
			want = append(want, "throughput: "+w.name+": "+metric)
		}
	}
	for _, d := range datasets() {
		want = append(want, "memory: "+d.name+", per "+d.per+": resident")
	}
	for _, line := range costly {
		want = append(want, "neighbours: "+line+": p99.9 meanwhile")
	}
	want = append(want, "bgsave: BGSAVE of 1000 keys under a SET load at pipeline 16: p99.9 during",
		"rewrite: BGREWRITEAOF of 1000 keys under a SET load at pipeline 16: p99.9 during",
		"load: strings, keys of 16 bytes and values of 64, 1000 of them, all CPUs: keys a second", "replay: strings, keys of 16 bytes and values of 64, 1000 of them, all CPUs: CPU per key")
	for _, name := range want {
		if have[name] == nil {
			t.Errorf("there is no figure %s", name)
		}
	}
	for _, name := range []string{"SET, P1", "SET, P64", "80 % GET, 20 % SET, P1"} {
		if f := have["throughput: "+name+": CPU of the server per operation"]; f != nil && slices.Min(slices.Concat(f.Rounds["spillway"], f.Rounds["redis"])) <= 0 {
			t.Errorf("%s took no CPU: %v", name, f.Rounds)
		}
	}

	if b, err := os.ReadFile(markdown); err != nil || string(b) != out || !strings.Contains(out, "| SET, P64 |") {
		t.Errorf("%v: --markdown wrote %q, and this was printed: %q", err, b, out)
	}
	drawn, err := os.ReadFile(plot)
	if err != nil || strings.Count(string(drawn), "<path ") != 4 {
		t.Errorf("%v: the plot is %s", err, drawn)
	}
	again := filepath.Join(dir, "again.svg")
	saved := filepath.Join(dir, "saved.json")
	if err := os.WriteFile(saved, r.json(), 0o600); err != nil {
		t.Fatal(err)
	}
	rendered, err := exec.Command(filepath.Join(programs, "spillway-bench"), "render", saved, "--plot", again).CombinedOutput()
	redrawn, e := os.ReadFile(again)
	if err != nil || e != nil || string(rendered) != out || string(redrawn) != string(drawn) {
		t.Errorf("%v, %v: render makes something else of it:\n%s", err, e, rendered)
	}
}

// TestRounds: the servers' rounds are pairs.
func TestRounds(t *testing.T) {
	_, complaint, r, err := runBench(t, nil, "--rounds", "3", "--workloads", "^[SG]ET, P16$", "throughput")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	if len(r.Figures) != 2*9 {
		t.Errorf("there are %d figures", len(r.Figures))
	}
	for _, f := range r.Figures {
		want, ok := paired(f.Rounds["spillway"], f.Rounds["redis"])
		if f.Metric == inKernel {
			ok = true // a round this short may have taken less than the kernel counts
		}
		if !ok || f.Ratio["redis"] != want || len(f.Rounds["redis"]) != 3 {
			t.Errorf("%s: %s: %+v, want the ratio %+v", f.Workload, f.Metric, f, want)
		}
	}
}

// TestServersThatFail: a server that does not start, ends, or refuses what it is sent,
// ends the run, with its last words and without a figure of what it did.
func TestServersThatFail(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for how, want := range map[string][]string{
		"refuse": {"throughput: SET, P1: faulty: ", "it ended with exit status 3", "the last it logged:\n  this one does not start"},
		"end":    {"throughput: SET, P1: faulty: ", "it ended with exit status 3", "the last it logged:\n  this one starts\n  out of order"},
		"error":  {"throughput: SET, P1: faulty: ", "out of memory", "the last it logged:\n  this one starts"},
	} {
		out, complaint, r, err := runBench(t, []string{fakeEnv + "=" + how}, "--rounds", "1", "--peer", "faulty="+self, "throughput")
		var status *exec.ExitError
		if !errors.As(err, &status) || status.ExitCode() != 1 {
			t.Errorf("%s: %v", how, err)
		}
		for _, w := range want {
			if !strings.Contains(complaint, w) {
				t.Errorf("%s: there is no %q in:\n%s", how, w, complaint)
			}
		}
		if r == nil || len(r.Figures) != 0 || r.Failed == "" || !strings.Contains(out, "This run failed") {
			t.Errorf("%s: the report is %+v, and this was printed:\n%s", how, r, out)
		}
	}
}

// fakeServer answers clients until it has had some SETs, more than are there before a
// round, and then goes wrong.
func fakeServer(how string, args []string) int {
	if how == "refuse" {
		fmt.Println("this one does not start")
		return 3
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+args[slices.Index(args, "--port")+1])
	if err != nil {
		fmt.Println(err)
		return 4
	}
	fmt.Println("this one starts")
	sets := make(chan struct{}, 1100)
	for {
		c, err := l.Accept()
		if err != nil {
			return 4
		}
		go func() {
			for r := bufio.NewReader(c); ; {
				words, err := readCommand(r)
				if err != nil {
					_ = c.Close()
					return
				}
				reply := "+OK\r\n"
				switch strings.ToUpper(words[0]) {
				case "HELLO":
					reply = "-ERR unknown command\r\n"
				case "PING":
					reply = "+PONG\r\n"
				case "INFO":
					reply = "$17\r\nredis_version:1\r\n\r\n"
				case "SET":
					select {
					case sets <- struct{}{}:
					default:
						if how == "end" {
							fmt.Println("out of order")
							os.Exit(3)
						}
						reply = "-OOM out of memory\r\n"
					}
				}
				if _, err := io.WriteString(c, reply); err != nil {
					return
				}
			}
		}()
	}
}

// readCommand reads a command, inline or not.
func readCommand(r *bufio.Reader) ([]string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "*") {
		return append(strings.Fields(line), ""), nil
	}
	n, err := strconv.Atoi(line[1:])
	words := make([]string, 0, n)
	for ; n > 0 && err == nil; n-- {
		if _, err = r.ReadString('\n'); err == nil { // the length: no argument here has a line break
			var word string
			word, err = r.ReadString('\n')
			words = append(words, strings.TrimSpace(word))
		}
	}
	return words, err
}
