package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestLook: a mirror with an archived log answers what keys held at a moment, in a
// process that starts no daemon and changes nothing.
func TestLook(t *testing.T) {
	t.Parallel()
	data, mirror := t.TempDir(), t.TempDir()
	d := startConfig(t, mirrored(data, mirror, "stage \"zstd\" {}", true)+fmt.Sprintf(`
filesystem "os" "archive" { root = %q }
pipeline "archive" {
  on = ["segment"]
  seal_after = "1s"
  sink "filesystem" "archive" { uses = filesystem.os.archive }
}`, mirror), "--shards", "4", "--save", "", "--appendfsync", "always") // a reply is behind its block's time
	d.waitLog("checkpoint committed") // the first one by itself, which the archive begins with
	populate(t, d.rdb)
	for _, line := range []string{"HSET cart:42 apple 3 pear 1", "HPEXPIRE cart:42 3600000 FIELDS 1 pear", "ZADD board 1.5 ann inf bob", "XADD events 1-1 what login",
		"XGROUP CREATE events g 0", "XREADGROUP GROUP g me STREAMS events >"} {
		d.do(words(line)...)
	}
	d.do("SET", "bytes", "\x00\xff")
	d.do("SAVE")
	d.do("HSET", "cart:42", "apple", "4")
	then := ""
	for alive := int64(0); alive <= 0; alive = d.do("PTTL", "soon").(int64) { // at that moment
		d.do("SET", "soon", "x", "PX", 1000)
		then = d.now()
	}
	d.waitFor("a key to expire", func() bool { return d.rdb.Exists(context.Background(), "soon").Val() == 0 })
	d.do("DEL", "cart:42")
	d.do("SET", "new", "1")
	d.do("RPUSH", "list:small", "more")
	d.do("EXPIRE", "int", "1000")
	want := dataset(t, d.rdb)
	d.stop() // which seals what is left

	look := func(args ...string) (string, int) { return onlyStdout(t, append(args, "--quiet")...) }
	at := []string{"--from", mirror, "--at", then}
	for args, lines := range map[string]string{
		"get cart:42":  "apple\t4\npear\t1\t",
		"get board":    "ann\t1.5\nbob\tinf\n",
		"get events":   "1-1\twhat\tlogin\n",
		"get soon":     "x\n",
		"get -n 5 int": "-12345678901\n",
	} {
		if out, code := look(append(strings.Fields(args), at...)...); code != 0 || !strings.HasPrefix(out, lines) {
			t.Errorf("%s: exit %d, %q", args, code, out)
		}
	}
	if out, code := look("get", "cart:42", "--from", mirror); code != 1 || out != "" {
		t.Errorf("the latest has cart:42: exit %d, %q", code, out)
	}
	out, code := look("get", "new", "cart:42", "bytes", "--from", mirror, "--json")
	var doc struct {
		Keys []struct {
			Type   string
			Base64 bool
			Value  any
		}
		Missing []string
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != 1 || len(doc.Keys) != 2 || len(doc.Missing) != 1 || doc.Keys[0].Value != "1" || !doc.Keys[1].Base64 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}

	// The same keys as the daemon had, from a checkpoint with its log and from the directory.
	for _, from := range [][]string{{"--from", mirror}, {"--dir", data}} {
		out, code := look(append([]string{"scan", "--json"}, from...)...)
		if n := strings.Count(out, "\n"); code != 0 || n != len(want) {
			t.Errorf("scan %v: exit %d, %d keys, want %d", from, code, n, len(want))
		}
	}
	if out, _ := look(append([]string{"scan", "{m}*", "-n", "5", "--type", "string"}, at...)...); out != "" {
		t.Errorf("a key that was renamed is there: %q", out)
	}
	if out, _ := look(append([]string{"scan", "cart:*", "-n", "0"}, at...)...); out != "cart:42\n" {
		t.Errorf("%q", out)
	}

	out, code = look("diff", then, "--from", mirror, "--exit-code", "-n", "0")
	for _, line := range []string{"- cart:42\thash of 2\n", "- soon\tstring of 1\n", "+ new\tstring of 1\n", "~ list:small\tlist of 39 → list of 40: value\n", "~ int\tstring of 1: deadline\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("diff does not say %q", line)
		}
	}
	if n := strings.Count(out, "\n"); code != 3 || n != 5 {
		t.Errorf("exit %d, %d differences:\n%s", code, n, out)
	}
	if out, code := look("diff", "latest", "--from", mirror, "--with", data, "--exit-code"); code != 0 || out != "" {
		t.Errorf("the mirror and the directory differ: exit %d\n%s", code, out)
	}

	// What was deleted comes back.
	other := startDaemon(t, t.TempDir(), "--save", "")
	other.do("SET", "cart:42", "in the way")
	commands, _ := look(append([]string{"get", "cart:42", "events", "--resp"}, at...)...)
	pipe := exec.Command("redis-cli", "-u", "redis://"+other.addr, "--pipe")
	pipe.Stdin = strings.NewReader(commands)
	if msg, err := pipe.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	ctx := context.Background()
	if h := other.rdb.HGetAll(ctx, "cart:42").Val(); len(h) != 2 || h["apple"] != "4" {
		t.Errorf("%v", h)
	}
	if ttl := other.rdb.HPTTL(ctx, "cart:42", "pear").Val(); len(ttl) != 1 || ttl[0] <= 0 {
		t.Errorf("the field's deadline: %v", ttl)
	}
	if p := other.rdb.XPending(ctx, "events", "g").Val(); p == nil || p.Count != 1 {
		t.Errorf("%+v", p)
	}
}

// TestLookUsage: what cannot be meant is refused before anything is opened.
func TestLookUsage(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"get", "get k --json --resp", "scan a b", "scan --values", "scan --type strings", "diff", "diff 1 2 3", "diff yesterday"} {
		if out, code := spillway(t, strings.Fields(line)...); code != 2 {
			t.Errorf("%s: exit %d\n%s", line, code, out)
		}
	}
}

// onlyStdout runs the binary and returns what it prints for programs.
func onlyStdout(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Stdout = t.TempDir(), &out
	_ = cmd.Run() // the exit code tells
	return out.String(), cmd.ProcessState.ExitCode()
}

// now is the daemon's time, in Unix seconds with a fraction, behind all that it has
// executed.
func (d *daemon) now() string {
	d.t.Helper()
	now, err := d.rdb.Time(context.Background()).Result()
	if err != nil {
		d.t.Fatal(err)
	}
	return strconv.FormatFloat(float64(now.UnixMicro())/1e6, 'f', 6, 64)
}

func words(line string) (args []any) {
	for _, w := range strings.Fields(line) {
		args = append(args, w)
	}
	return args
}
