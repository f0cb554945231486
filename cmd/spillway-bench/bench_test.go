package main

import (
	"bufio"
	"strings"
	"testing"
)

func TestSpecs(t *testing.T) {
	list, err := specs("true", []string{"a=sh -c x", "b-9=true"})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 || list[0].name != ourName || list[0].command[1] != "serve" || list[1].name != "a" || len(list[1].command) != 3 || !strings.HasPrefix(list[1].command[0], "/") {
		t.Errorf("%v", list)
	}
	for peer, want := range map[string]string{
		"redis-server": "want name=command", "=redis-server": "want name=command", "a=": "want name=command",
		"../a=true": "has none of", "spillway=true": "two servers spillway", "a=no-such-program": "a: exec",
	} {
		if _, err := specs("true", []string{peer}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--peer %s: %v, want %q", peer, err, want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := specs("true", nil); err == nil || !strings.Contains(err.Error(), "make bench-peers") {
		t.Errorf("without a redis-server: %v", err)
	}
}

func TestChoose(t *testing.T) {
	threads := func(cpu int) string { return []string{"0,1", "0,1", "2,3", "2,3", "4,5", "4,5"}[cpu] }
	alone := func(cpu int) string { return []string{"0", "1", "2", "3"}[cpu] }
	for _, c := range []struct {
		all                  []int
		core                 func(int) string
		server, load, prober int
		pinned, same         bool
	}{
		{[]int{1}, alone, 0, 0, 0, false, false},
		{[]int{0, 1}, alone, 0, 1, 1, true, false},
		{[]int{0, 1}, threads, 0, 1, 1, true, true},
		{[]int{1, 2, 3}, alone, 1, 2, 3, true, false},
		{[]int{0, 1, 2, 3}, threads, 0, 2, 2, true, false},
		{[]int{0, 1, 2, 3, 4, 5}, threads, 0, 2, 4, true, false},
	} {
		p := choose(c.all, c.core)
		if p.Pinned != c.pinned || p.Server != c.server || p.Load != c.load || p.Prober != c.prober || p.SameCore != c.same {
			t.Errorf("of %v: %+v, want %+v", c.all, p, c)
		}
	}
}

// TestWorkloads: each has a name of its own, which figures are told apart by, and all
// that its load needs.
func TestWorkloads(t *testing.T) {
	seen := make(map[string]bool)
	for _, w := range workloads() {
		if seen[w.name] {
			t.Errorf("there are two %q", w.name)
		}
		seen[w.name] = true
		if w.clients == 0 || w.pipeline == 0 || w.size == 0 || (w.load == nil) == (w.reads == 0) || w.load == nil && w.tls {
			t.Errorf("%q is not whole: %+v", w.name, w)
		}
	}
	for _, want := range []string{"SET, P1", "GET, P64", "MSET of 10, P1", "XREADGROUP, 1 entry, P16", "80 % GET, 20 % SET, 10000 clients, P1", "GET, 1 MiB, P1", "SET, TLS, P16", "SET, appendfsync always, P16"} {
		if !seen[want] {
			t.Errorf("there is no %q", want)
		}
	}
}

func TestSkipReplies(t *testing.T) {
	const replies = "+OK\r\n:7\r\n$-1\r\n$0\r\n\r\n$5\r\na\r\nbc\r\n*-1\r\n*2\r\n*1\r\n:1\r\n$1\r\nx\r\n"
	r := bufio.NewReaderSize(strings.NewReader(replies+"+next\r\n"), 16)
	if err := skipReplies(r, 7); err != nil {
		t.Fatal(err)
	}
	if line, _ := r.ReadString('\n'); line != "+next\r\n" {
		t.Errorf("it stopped before %q", line)
	}
	for input, want := range map[string]string{"-ERR no\r\n": "ERR no", "?\r\n": "begins with", "$x\r\n": "invalid syntax", "": "EOF", "$3\r\nab": "EOF"} {
		if err := skipReplies(bufio.NewReader(strings.NewReader(input)), 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", input, err, want)
		}
	}
}

func TestPlausible(t *testing.T) {
	at := func(commands, errors string) map[string]string {
		return map[string]string{"total_commands_processed": commands, "total_error_replies": errors}
	}
	if err := plausible(at("10", "1"), at("110", "1"), 100); err != nil {
		t.Error(err)
	}
	if err := plausible(nil, nil, 100); err != nil {
		t.Errorf("a server that does not count: %v", err)
	}
	if err := plausible(at("10", "1"), at("109", "1"), 100); err == nil || err.Error() != "it counted 99 commands, and 100 were sent" {
		t.Error(err)
	}
	if err := plausible(at("10", "1"), at("200", "2"), 100); err == nil || !strings.Contains(err.Error(), "replied with errors") {
		t.Error(err)
	}
}

func TestAppendKey(t *testing.T) {
	for _, n := range []int{0, 7, 12_345, 999_999_999_999} {
		if got, want := string(appendKey(nil, n)), string(appendCommand(nil, key(n)))[len("*1\r\n"):]; got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	if v := version(map[string]string{"redis_version": "7.2.4", "valkey_version": "9.1.2", "server_name": "valkey"}); v != "valkey 9.1.2" {
		t.Error(v)
	}
	if v := version(map[string]string{"redis_version": "7.0.15", "spillway_version": "0.1"}); v != "spillway 0.1" {
		t.Error(v)
	}
}
