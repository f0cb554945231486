package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
)

func pluginsLogsCommand() *cobra.Command {
	var o pluginTool
	cmd := o.register(&cobra.Command{
		Use: "logs [NAME...]", Short: "Show what the plugins of the running daemon logged last",
		Long: "logs asks the running daemon for the last lines that the named plugins, or all, have logged, and\n" +
			"that it logged about them. The daemon remembers 500 lines of each, those of its own log level.",
		RunE: func(cmd *cobra.Command, names []string) error {
			cfg, names, err := o.read(cmd, names)
			if err != nil {
				return err
			}
			if o.lines < 1 {
				return usageError{fmt.Errorf("--lines %d: want at least 1", o.lines)}
			}
			var all []string
			for _, n := range names {
				items, err := askDaemon(cmd.Context(), cfg, o.addr, "LOGS", n, o.lines)
				if err != nil {
					return err
				}
				all = append(all, items...)
			}
			return o.printLogs(cmd.OutOrStdout(), all)
		},
	}, true)
	cmd.Flags().IntVarP(&o.lines, "lines", "n", 50, "how many lines of each plugin")
	return cmd
}

// printLogs prints lines of JSON as they are, one a line, or as the daemon's
// own log has them.
func (o *pluginTool) printLogs(w io.Writer, all []string) error {
	for _, line := range all {
		if o.json {
			fmt.Fprintln(w, line)
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			return fmt.Errorf("the daemon's answer: %w", err)
		}
		printLine(w, fields)
	}
	return nil
}

// printLine has hclog format a line that it wrote as JSON.
func printLine(w io.Writer, fields map[string]any) {
	own := func(key string) string {
		s, _ := fields["@"+key].(string)
		delete(fields, "@"+key)
		return s
	}
	at, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", own("timestamp"))
	log := hclog.New(&hclog.LoggerOptions{
		Name: own("module"), Level: hclog.Trace, Output: w, DisableTime: err != nil, TimeFn: func() time.Time { return at },
	})
	level, msg := hclog.LevelFromString(own("level")), own("message")
	keys := make([]string, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, k, fields[k])
	}
	log.Log(level, msg, args...)
}
