package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/child"
)

const (
	// outputKept bounds what is logged of what a command says.
	outputKept = 4 << 10
	// drain is how long its output is waited for when it has ended, which what it
	// has started may hold open.
	drain = time.Second
)

// environment is what a command gets: what a program needs to run, what the hook gives it,
// and the event.
func (h *Hook) environment(e *Event) []string {
	var env []string
	for _, k := range []string{"PATH", "HOME", "TMPDIR", "LANG", "TZ"} {
		if v, ok := os.LookupEnv(k); ok {
			env = append(env, k+"="+v)
		}
	}
	for k, v := range h.Env {
		env = append(env, k+"="+v) // the last one counts
	}
	return append(env, "SPILLWAY_EVENT="+e.Event, "SPILLWAY_RESULT="+e.Result, "SPILLWAY_TEXT="+e.Text,
		"SPILLWAY_TIME="+e.Time.UTC().Format(time.RFC3339), "SPILLWAY_DIR="+e.Directory)
}

// run runs the command, with the event on its standard input. What it prints is logged. It
// does not outlive its time, nor does what it has started.
func (h *Hook) run(ctx context.Context, e *Event, body []byte, log hclog.Logger) error {
	ctx, cancel := context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("it has not ended within %s", h.Timeout))
	defer cancel()
	out := child.Output{Max: outputKept}
	cmd := exec.CommandContext(ctx, h.Command[0], h.Command[1:]...) //nolint:gosec // what the operator names
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = h.environment(e), bytes.NewReader(body), &out, &out
	cmd.SysProcAttr = child.OwnGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = drain
	err := cmd.Run()
	said := oneLine(strings.TrimSpace(out.String()))
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended well, and left something behind
	}
	switch {
	case err != nil && said != "":
		return fmt.Errorf("%w: %s", err, said)
	case err == nil && said != "":
		log.Info("a hook says", "event", e.Event, "result", e.Result, "hook", h.String(), "output", said)
	}
	return err
}
