package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/status"
	"github.com/spillwaydb/spillway/core/backup"
)

// statusPatience bounds a question to the running daemon.
const statusPatience = 10 * time.Second

// errNoDaemon is status's exit status 3: no daemon answers, which was said.
var errNoDaemon = errors.New("no daemon answers")

// statusTool is what status and top have in common.
type statusTool struct {
	file string
	at   daemonAt
}

func (o *statusTool) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.file, "config", "", "configuration file (default: plugins.hcl, if it is there)")
	o.at.register(cmd.Flags())
}

func (o *statusTool) config(cmd *cobra.Command) (*config.Config, error) {
	from := overrides{config: o.file}
	return from.read(cmd)
}

// ask has the running daemon report.
func (o *statusTool) ask(ctx context.Context, cfg *config.Config) (*status.Report, error) {
	answer, err := o.at.askOne(ctx, cfg, statusPatience, "SPILLWAY.STATUS")
	if err != nil {
		return nil, err
	}
	r := new(status.Report)
	if err := json.Unmarshal([]byte(answer), r); err != nil {
		return nil, fmt.Errorf("what SPILLWAY.STATUS says is not understood: %w", err)
	}
	return r, nil
}

// absent is what `status --json` prints where no daemon answers.
type absent struct {
	State     string     `json:"state"` // "absent"
	Error     string     `json:"error,omitempty"`
	Directory *inventory `json:"directory,omitempty"`
}

func statusCommand() *cobra.Command {
	var o statusTool
	var asJSON, serving bool
	var dir string
	cmd := &cobra.Command{
		Use: "status", Short: "Tell how the running daemon, or a data directory, stands", Args: noArgs,
		Long: "status asks the running daemon for throughput and latency, memory, the pipeline, checkpoints, the\n" +
			"archive, what can be restored, and what is wrong with what to do about it. Where none answers, or with\n" +
			"--dir, it shows what the data directory holds.\n\n" +
			"Exit status: 0 all is well, 1 something is wrong (or data is still loaded), 2 a mistake on the command\n" +
			"line, 3 no daemon answers. With --serving, for the health check of a container, it is 1 only while\n" +
			"clients are not served: data is loaded, writes are refused, or the daemon ends.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer interruptible(cmd)()
			cfg, err := o.config(cmd)
			if err != nil {
				return err
			}
			if dir != "" {
				return directoryStatus(cmd, dir, nil, asJSON)
			}
			r, err := o.ask(cmd.Context(), cfg)
			if unreachable(err) {
				return directoryStatus(cmd, cfg.Data.Root, err, asJSON)
			}
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), r)
			} else {
				err = r.Text(cmd.OutOrStdout())
			}
			if err == nil && (serving && !r.Serving || !serving && r.State != status.OK) {
				err = errReported
			}
			return err
		},
	}
	o.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&serving, "serving", false, "exit with 0 as long as clients are served, whatever else is wrong")
	cmd.Flags().StringVar(&dir, "dir", "", "look at this data directory and ask no daemon")
	return cmd
}

// directoryStatus shows what a data directory holds. why is why no daemon was asked
// for more, nil if none was to be.
func directoryStatus(cmd *cobra.Command, dir string, why error, asJSON bool) error {
	out := absent{State: "absent"}
	src := new(source)
	err := src.openDir(dir)
	if err == nil {
		defer src.close()
		var c *backup.Catalog
		if c, err = backup.List(cmd.Context(), src); err == nil {
			out.Directory = inventoryOf(dir, c, time.Now())
		}
	}
	if why == nil && err != nil {
		return err
	}
	out.Error = errorText(errors.Join(why, err))
	switch {
	case asJSON:
		err = writeJSON(cmd.OutOrStdout(), out)
	case out.Directory != nil:
		if why != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "spillway: no daemon answers:", why)
		}
		err = out.Directory.print(cmd.OutOrStdout(), false)
	default:
		fmt.Fprintln(cmd.ErrOrStderr(), "spillway: no daemon answers:", out.Error)
		err = nil
	}
	switch {
	case err != nil:
		return err
	case why != nil:
		return errNoDaemon
	case out.Directory.Unreadable != "":
		return errReported
	}
	return nil
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
