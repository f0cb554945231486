// Package guide runs what a README tells its reader to type, word for word: its
// ```sh blocks, in order, in one shell. It is for the tests of examples and
// docs.
//
// It refuses to know what the commands are: a document that leaves something
// out fails its test.
package guide

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is the hang guard of a whole document, which may have to compile the daemon
// on a machine that has other things to do.
const patience = 15 * time.Minute

var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```")

// Blocks are the fenced blocks of a document in a language.
func Blocks(t testing.TB, doc, language string) (out []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(doc))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllSubmatch(text, -1) {
		if string(m[1]) == language {
			out = append(out, string(m[2]))
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no ```%s", doc, language)
	}
	return out
}

// Follow runs the ```sh blocks of a document in the directory dir, and returns
// what they print and the directory that mktemp made its files in. The first
// command that fails ends them, and the test.
func Follow(t testing.TB, doc, dir string) (output, tmp string) {
	t.Helper()
	tmp, err := os.MkdirTemp("", "guide") // a short name: sockets are made in it
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	cmd := exec.CommandContext(ctx, "bash", "-euxo", "pipefail")
	cmd.Stdin = strings.NewReader(strings.Join(Blocks(t, doc, "sh"), "\n"))
	cmd.Dir = dir
	// What it builds has been compiled already, as a release is, whatever the test is
	// compiled with; the linker's debug information is nobody's.
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "CGO_ENABLED=0", "GOFLAGS="+os.Getenv("GOFLAGS")+" -ldflags=-s")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = end
	cmd.WaitDelay = 10 * time.Second
	t.Cleanup(func() {
		cancel()
		_ = end() // servers that a failure left behind
		_ = os.RemoveAll(tmp)
	})
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err = cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", doc, errors.Join(err, ctx.Err()), out.String())
	}
	return out.String(), tmp
}

// Wants fails t for every one of the texts that output lacks.
func Wants(t testing.TB, output string, texts ...string) {
	t.Helper()
	missing := false
	for _, w := range texts {
		if !strings.Contains(output, w) {
			t.Errorf("the output lacks %q", w)
			missing = true
		}
	}
	if missing {
		t.Log(output)
	}
}
