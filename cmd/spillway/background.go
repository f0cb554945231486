package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/internal/child"
)

// What the daemon does by the clock and which takes long, such as reading a whole backup,
// a process of its own does: a tool of this program, of the lowest priority, which the
// kernel ends first when memory is short. It is handed the configuration that is in
// force through a pipe, and ends when the other one, its standard input, does: with the
// daemon, however that ended.
//
//	daemon ── fd 3: the configuration, with its secrets ──▶ tool --background
//	       ── stdin: open as long as the daemon wants it ─▶
//	       ◀─ stdout: what it has found, an object of JSON ──

const (
	// configFD is where the tool finds the configuration.
	configFD = 3
	// backgroundPatience is how long one that is told to end may take to clean up.
	backgroundPatience = 10 * time.Second
	// outputKept bounds what is kept of what it says.
	outputKept = 1 << 20
)

// ownProgram is the path of this program; a test has it be that of a real one.
var ownProgram = os.Executable

// finding is what a tool tells the daemon that has started it.
type finding struct {
	Source  string  `json:"source"`
	OK      bool    `json:"ok"`
	Text    string  `json:"text"`
	Seconds float64 `json:"seconds,omitempty"` // until what a drill restored was ready
}

// background runs a tool for the daemon. The error is of a tool that could not do its
// work; its exit status is no matter when there is a finding.
func background(ctx context.Context, cfg *config.Config, args ...string) (*finding, error) {
	self, err := ownProgram()
	if err != nil {
		return nil, err
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	defer ours.Close()
	out, says := child.Output{Max: outputKept}, child.Output{Max: outputKept}
	cmd := exec.CommandContext(ctx, self, append(args, "--background", "--quiet", "--parallel", "1")...) //nolint:gosec // this very program
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stdout, cmd.Stderr = &out, &says
	cmd.SysProcAttr = child.OwnGroup()
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	cmd.Cancel, cmd.WaitDelay = lifeline.Close, backgroundPatience
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	_ = theirs.Close() // so that a write fails when the tool has ended
	_, werr := ours.Write(cfg.Whole())
	_ = ours.Close()
	err = cmd.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var f finding
	if jerr := json.Unmarshal(out.Bytes(), &f); jerr != nil {
		err = errors.Join(err, werr)
		if text := strings.TrimSpace(says.String()); text != "" {
			err = fmt.Errorf("%s (%w)", strings.TrimPrefix(text, "spillway: "), err)
		}
		return nil, err
	}
	return &f, nil
}

// servant is the flag of a tool that the daemon runs.
type servant struct{ on bool }

func (s *servant) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.on, "background", false, "what the daemon starts its tools with")
	_ = cmd.Flags().MarkHidden("background") // it is there
}

// begin is the beginning of a tool: it lowers the priority of this process, and has the
// command's context end with the daemon's interest.
func (s *servant) begin(cmd *cobra.Command) (stop func()) {
	if !s.on {
		return func() {}
	}
	lowerPriority()
	ctx, cancel := context.WithCancelCause(cmd.Context())
	cmd.SetContext(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel(errors.New("the daemon has called it off, or has ended"))
	}()
	return func() { cancel(nil) }
}

// config reads the configuration that the daemon has in force.
func (s *servant) config() (*config.Config, *config.File, error) {
	f := os.NewFile(configFD, "configuration")
	defer f.Close()
	src, err := io.ReadAll(f)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the configuration: %w", err)
	}
	cfg, file := config.Parse("background.hcl", src)
	return cfg, file, nil
}
