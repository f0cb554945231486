package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

//go:embed harness.tcl
var harness string

// run is what one run of a unit came to.
type run struct {
	unit   string
	passed map[string]bool // by the name of the test: false is a failed one
	why    map[string]string
	status string // "" when the unit ran to its end
	took   time.Duration
}

// What a run's status may be.
const (
	statusAbort   = "ABORT"   // an error outside of a test ended the unit
	statusTimeout = "TIMEOUT" // the unit took too long
	statusDown    = "DOWN"    // the server answers no more
)

// Names under which errors stand that are of no test.
const (
	outside = "(outside of a test)"
	whole   = "(the unit)"
)

// runUnit runs a unit of the suite against a server of its own, or has it start
// them. Logs of the unit and of that server stay in c.logs.
func (c *compat) runUnit(ctx context.Context, unit string) (*run, error) {
	dir, err := os.MkdirTemp("", "compat-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary one
	if err := c.layOut(dir); err != nil {
		return nil, err
	}
	name := filepath.Join(c.logs, strings.ReplaceAll(unit, "/", "_"))
	mode, down := portsOf(unit), func() bool { return false }
	if !c.profile.started {
		s, err := c.startServer(dir, name+".server.log")
		if err != nil {
			return nil, err
		}
		defer s.stop()
		mode, down = []string{"--host", "127.0.0.1", "--port", s.port}, func() bool { return !s.answers() }
	}
	log, err := os.Create(name + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()

	ctx, cancel := context.WithTimeout(ctx, c.unitLimit)
	defer cancel()
	r := &run{unit: unit, passed: map[string]bool{}, why: map[string]string{}}
	began := time.Now()
	err = c.interpret(ctx, dir, mode, log, r)
	r.took = time.Since(began)
	switch {
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		r.status = statusTimeout
	case down():
		r.status = statusDown
	case err != nil && r.status == "":
		return nil, err
	}
	return r, nil
}

// portsOf says which ports the servers have that a unit starts: none that another
// unit's have, which may run at the same time.
func portsOf(unit string) []string {
	const first, each = 21111, 100
	return []string{"--baseport", fmt.Sprint(first + each*slices.Index(startedUnits, unit)), "--portcount", fmt.Sprint(each)}
}

// layOut makes of dir what the suite takes for Redis's source: its tests, with a
// place of their own for temporary files, and the programs.
func (c *compat) layOut(dir string) error {
	tests := filepath.Join(c.suite, "tests")
	entries, err := os.ReadDir(tests)
	if err != nil {
		return err
	}
	for _, d := range []string{"tests/tmp", "src"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink(filepath.Join(c.suite, "utils"), filepath.Join(dir, "utils")); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "tmp" {
			if err := os.Symlink(filepath.Join(tests, e.Name()), filepath.Join(dir, "tests", e.Name())); err != nil {
				return err
			}
		}
	}
	for _, program := range []string{"redis-cli", "redis-benchmark", standInName} {
		find := exec.LookPath
		if program == standInName && c.standIn != nil {
			find = func(string) (string, error) { return os.Executable() }
		}
		if path, err := find(program); err == nil {
			if err := os.Symlink(path, filepath.Join(dir, "src", program)); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "harness.tcl"), []byte(harness), 0o600)
}

// interpret runs the unit and notes in r what its events say. It has ended, with
// all that it started, when interpret returns.
func (c *compat) interpret(ctx context.Context, dir string, mode []string, log io.Writer, r *run) error {
	events, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer events.Close()
	if c.standIn != nil {
		for _, name := range c.profile.endless {
			mode = append(mode, "--skiptest", name)
		}
	}
	cmd := exec.Command("tclsh", slices.Concat([]string{
		"harness.tcl", r.unit, fmt.Sprint(c.replyLimit.Milliseconds()), "--durable", "--dont-clean", "--tags", c.profile.tags(),
	}, mode, c.profile.options)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TERM=dumb")
	cmd.Env = append(cmd.Env, c.standIn...)
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	_ = w.Close() // the interpreter has its own
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what a test started in the background and left
		ended <- err
	}()
	stop := context.AfterFunc(ctx, func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	})
	defer stop()
	readErr := r.read(events, log)
	return errors.Join(readErr, <-ended)
}

// read notes the events of a unit until there are no more.
func (r *run) read(events io.Reader, log io.Writer) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		fields := strings.Fields(line)
		for len(fields) < 3 {
			fields = append(fields, "") // of an empty text
		}
		text, err := base64.StdEncoding.DecodeString(fields[2])
		if err != nil {
			return fmt.Errorf("an event of the unit, %q: %w", line, err)
		}
		fmt.Fprintf(log, "[%s] %s (%s ms)\n", fields[0], text, fields[1])
		r.note(fields[0], string(text))
	}
}

// note takes one event. A name stands for all tests that have it: they have
// passed when each of them has.
func (r *run) note(status, text string) {
	switch status {
	case "ok":
		if _, ok := r.passed[text]; !ok {
			r.passed[text] = true
		}
	case "err":
		name, why, ok := strings.Cut(text, " in tests/"+r.unit+".tcl\n")
		if !ok {
			name, why = outside, text
		}
		r.passed[name] = false
		if r.why[name] == "" {
			r.why[name] = why
		}
	case "exception":
		r.status = statusAbort
		r.passed[whole] = false
		r.why[whole] = text
	}
}
