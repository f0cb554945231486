//go:build linux && (amd64 || arm64) && syscalls

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/sysfault"
)

// TestSyscallsRestore makes the file-changing calls of `spillway restore` fail,
// or be the last. What it leaves is told from a data directory, the same command
// finishes it, and the backup stays as it is.
func TestSyscallsRestore(t *testing.T) {
	needSysfault(t)
	src := newLife(t, true, new(fault))
	src.start()
	src.write(2)
	src.save()
	src.write(1)
	src.seal()
	src.write(2)
	src.stop() // archives the rest
	before := treeOf(t, src.root)

	r := func(t *testing.T, f *fault) *restoring {
		root := t.TempDir()
		return &restoring{t: t, fault: f, root: root, src: src, args: []string{
			"restore", "--quiet", "--from", filepath.Join(src.root, "vault"), "--from", filepath.Join(src.root, "archive"), "--to", filepath.Join(root, "data"),
		}}
	}
	all := sampled(t, trace(t, func(t *testing.T, f *fault) {
		whole := r(t, f)
		if out, code := whole.run(); code != 0 {
			t.Fatalf("exit %d\n%s", code, out)
		}
		whole.check()
	}))
	t.Run("faults", func(t *testing.T) {
		for _, c := range all {
			if c.strike.heal {
				continue // a command ends
			}
			t.Run(c.name(), func(t *testing.T) {
				t.Parallel()
				r(t, &fault{target: c.target, strike: c.strike}).survive()
			})
		}
	})
	if now := treeOf(t, src.root); now != before {
		t.Errorf("the backup has changed:\n%s\nwas\n%s", now, before)
	}
}

// restoring is one restore into a directory of its own.
type restoring struct {
	t     *testing.T
	fault *fault
	root  string
	src   *life
	args  []string
}

// run is the command, watched.
func (r *restoring) run() (string, int) {
	r.t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(binary, r.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.t.TempDir(), &out, &out
	w, err := sysfault.Start(cmd, r.root, r.fault.decide)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := w.Wait(); err != nil {
		r.t.Fatalf("%s: %v", r.fault, err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// survive runs it with the fault, looks at what is left, and runs it again.
func (r *restoring) survive() {
	r.t.Helper()
	out, code := r.run()
	r.fault.healed.Store(true)
	to := filepath.Join(r.root, "data")
	_, unmarked := os.Stat(filepath.Join(to, "RESTORE.json"))
	_, none := os.Stat(filepath.Join(to, "MANIFEST"))
	switch {
	case code == 0 && (unmarked == nil || none != nil):
		r.t.Fatalf("%s: it says that it is done, and is not:\n%s", r.fault, out)
	case unmarked == nil:
		said, code := spillway(r.t, "serve", "--port", "0", "--unixsocket", filepath.Join(r.root, "s"), "--dir", to)
		if code == 0 || !strings.Contains(said, "spillway restore ") {
			r.t.Fatalf("%s: a daemon on a half-restored directory: exit %d\n%s\nafter\n%s", r.fault, code, said, out)
		}
	}
	if unmarked == nil || none != nil { // else it was finished, but for the last words
		if out, code := spillway(r.t, r.args...); code != 0 {
			r.t.Fatalf("%s: the same command again: exit %d\n%s", r.fault, code, out)
		}
	}
	r.check()
}

// check starts on what is restored.
func (r *restoring) check() {
	r.t.Helper()
	l := &life{t: r.t, root: r.root, fault: r.fault, writes: slices.Clone(r.src.writes)}
	l.hcl = writeConfig(r.t, `server { fsync = "always" }`)
	l.flags = []string{"--dir", filepath.Join(r.root, "data")}
	l.restart()
	l.next = len(l.writes)
	l.mustWrite()
	l.kill()
}

// treeOf is every file below a directory, with its contents.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `cd "$1" && find . -type f | sort | xargs sha256sum`, "sh", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}
