package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

func reloadCommand() *cobra.Command {
	var at daemonAt
	var file string
	var asJSON bool
	patience := reloadPatience + time.Minute
	cmd := &cobra.Command{
		Use: "reload", Short: "Have the running daemon read its configuration again", Args: noArgs,
		Long: "reload has the daemon read the file that it was started with, as SIGHUP does, and prints what\n" +
			"changed and what needs a restart. What differs from the file as it was read last is applied; what\n" +
			"CONFIG SET has changed meanwhile stays unless the file says something new about it. All of it is\n" +
			"applied or nothing. -config names the file that says where the daemon listens.\n" +
			"Exit status: 0 applied, or nothing had changed; 1 the daemon has refused it, and nothing has\n" +
			"changed, or it cannot be reached; 2 the file is not valid.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := overrides{config: file, jsonErrors: asJSON, plugins: true}
			cfg, err := o.read(cmd)
			if err != nil {
				return err
			}
			answer, err := at.askOne(cmd.Context(), cfg, patience, "SPILLWAY.CONFIG", "RELOAD")
			if err != nil {
				return err
			}
			var done reloaded
			if err := json.Unmarshal([]byte(answer), &done); err != nil {
				return fmt.Errorf("the daemon's answer: %w", err)
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), done)
			}
			printReload(cmd.OutOrStdout(), done)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "configuration file (default: plugins.hcl, if it is there)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.DurationVar(&patience, "timeout", patience, "how long to wait for the daemon")
	at.register(f)
	return cmd
}

func printReload(w io.Writer, done reloaded) {
	for _, c := range done.Changed {
		fmt.Fprintln(w, "changed:", c)
	}
	for _, c := range done.Restart {
		fmt.Fprintln(w, "needs a restart:", c)
	}
	for _, n := range done.Notes {
		fmt.Fprintln(w, "note:", n)
	}
	if len(done.Changed)+len(done.Restart) == 0 {
		fmt.Fprintf(w, "%s: nothing has changed\n", done.Config)
	}
}
