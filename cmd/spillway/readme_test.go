package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

var fence = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")

// TestReadmeTour pastes the commands of the README's tour into a shell at once,
// each block after the other and all with no pause, as somebody does who wants
// to see it run. What a step says has to come, in order.
func TestReadmeTour(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tour, _ := strings.Cut(string(readme), "\n## Five minutes\n")
	tour, _, _ = strings.Cut(tour, "\n## ")
	var paste strings.Builder
	for _, m := range fence.FindAllStringSubmatch(tour, -1) {
		paste.WriteString(m[1])
	}
	if n := strings.Count(tour, "```"); n == 0 || n != 2*len(fence.FindAllString(tour, -1)) {
		t.Fatalf("%d fences in the tour, and not all of blocks of sh", n)
	}
	// Other tests have built the program, and somebody may run one.
	dir, port := t.TempDir(), freePort(t)
	script := paste.String()
	for old, instead := range map[string]string{
		"go build -o bin/spillway ./cmd/spillway": "mkdir bin && ln -s " + binary + " bin/spillway",
		"spillway serve": "spillway serve --port " + port,
		"-p 6380":        "-p " + port,
	} {
		if !strings.Contains(script, old) {
			t.Errorf("the tour has no %q", old)
		}
		script = strings.ReplaceAll(script, old, instead)
	}
	config, err := os.ReadFile("../../plugins.hcl")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "plugins.hcl"), config, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	cmd := exec.CommandContext(ctx, "bash")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(script)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = end
	t.Cleanup(func() { cancel(); _ = end() })
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Errorf("the paste: %v", err)
	}
	rest := out.String()
	for _, want := range []string{
		"PONG\n", "OK\n", "3\n", "OK\n", "OK\n", // the first block
		"PONG\n", "hello\nyes\n",
		"data/MANIFEST", "RDB looks OK!",
		"restorable", "PONG\n", "hello\n",
	} {
		var found bool
		if _, rest, found = strings.Cut(rest, want); !found {
			t.Errorf("the paste does not say %q where it should:\n%s\nand on stderr:\n%s", want, out.String(), log.String())
			break
		}
	}
	for _, bad := range []string{"No such file", "command not found", "[ERROR]", "already in use"} {
		if strings.Contains(log.String(), bad) {
			t.Errorf("stderr of the paste says %q:\n%s", bad, log.String())
		}
	}
	if n := strings.Count(log.String(), "bye"); n != 1 {
		t.Errorf("%d clean ends, want the last one:\n%s", n, log.String())
	}
}
