//go:build linux && (amd64 || arm64)

package sysfault_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/sysfault"
)

// needSysfault skips where a machine does not let a process be watched; make lab
// says so.
func needSysfault(t *testing.T) {
	t.Helper()
	if err := sysfault.Available(); err != nil {
		t.Skipf("NOT RUN: %v", err)
	}
}

// sh runs a shell script below dir, watched, and returns what it printed.
func sh(t *testing.T, dir, script string, decide func(sysfault.Call) sysfault.Verdict) (string, *os.ProcessState) {
	t.Helper()
	var out strings.Builder
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	w, err := sysfault.Start(cmd, dir, decide)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := w.Wait(); err != nil {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState
}

const script = `echo one > a
mkdir sub
mv a sub/b
cat sub/b > /dev/null
rm sub/b
echo done`

// TestCalls: what changes files below root is counted, children included; what
// reads, and what is elsewhere, is not.
func TestCalls(t *testing.T) {
	needSysfault(t)
	var got []string
	others := 0
	out, _ := sh(t, t.TempDir(), script, func(c sysfault.Call) sysfault.Verdict {
		if c.N == 0 {
			others++
			return sysfault.Pass
		}
		if c.N != len(got)+1 {
			t.Errorf("%s has number %d", c, c.N)
		}
		c.Name = strings.TrimSuffix(strings.TrimSuffix(c.Name, "2"), "at")
		got = append(got, c.String())
		return sysfault.Pass
	})
	want := []string{"open a", "write a", "mkdir sub", "rename a → sub/b", "unlink sub/b"}
	if !slices.Equal(got, want) || out != "done\n" || others == 0 {
		t.Errorf("%q and %d others, want %q; it said %q", got, others, want, out)
	}
}

// TestVerdicts: each call in turn fails, and is the last.
func TestVerdicts(t *testing.T) {
	needSysfault(t)
	for n := 1; n <= 5; n++ {
		dir := t.TempDir()
		out, _ := sh(t, dir, script, func(c sysfault.Call) sysfault.Verdict {
			if c.N == n {
				return sysfault.Fail(syscall.EIO)
			}
			return sysfault.Pass
		})
		if !strings.Contains(out, "I/O error") && !strings.Contains(out, "Input/output error") {
			t.Errorf("call %d failed, and the shell said %q", n, out)
		}
		dir = t.TempDir()
		seen := 0
		out, state := sh(t, dir, "exec 2>/dev/null; "+strings.ReplaceAll(script, "\n", " && "), func(c sysfault.Call) sysfault.Verdict {
			seen = max(seen, c.N)
			if c.N == n {
				return sysfault.Kill
			}
			return sysfault.Pass
		})
		if seen != n || out == "done\n" || state.Success() {
			t.Errorf("killed at call %d: %d were seen, it said %q and ended with %v", n, seen, out, state)
		}
		if _, err := os.Stat(filepath.Join(dir, "a")); (err == nil) != (n == 2 || n == 3 || n == 4) {
			t.Errorf("killed before call %d: %v", n, err)
		}
	}
}
