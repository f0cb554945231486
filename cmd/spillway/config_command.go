package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
)

// dumpTimeout bounds how long the daemon is waited for, which may be at a reload.
const dumpTimeout = time.Minute

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Look at the configuration", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(configDumpCommand())
	return cmd
}

func configDumpCommand() *cobra.Command {
	var at daemonAt
	var file string
	var asJSON, running bool
	cmd := &cobra.Command{
		Use: "dump [FILE]", Short: "Print the effective configuration, defaults included and secrets masked", Args: cobra.MaximumNArgs(1),
		Long: "dump prints all of a configuration, as HCL: what the file says, what the file of CONFIG REWRITE\n" +
			"says, and every default. With --running, or --addr, it is that of the daemon, as it is now: with\n" +
			"its flags, and with what CONFIG SET and ACL SETUSER have changed.\n" +
			"Secrets are shown as (redacted). Exit status: 0 printed, 1 no daemon there, 2 the file is not valid.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if file != "" && file != args[0] {
					return usageError{fmt.Errorf("two configuration files: %s and %s", file, args[0])}
				}
				file = args[0]
			}
			o := overrides{config: file, jsonErrors: asJSON}
			cfg, err := o.read(cmd)
			if err != nil {
				return err
			}
			text := dump(cfg, asJSON)
			if running || at.addr != "" {
				words := []any{"SPILLWAY.CONFIG", "DUMP"}
				if asJSON {
					words = append(words, "JSON")
				}
				if text, err = at.askOne(cmd.Context(), cfg, dumpTimeout, words...); err != nil {
					return err
				}
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "configuration file (default: plugins.hcl, if it is there)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&running, "running", false, "ask the running daemon")
	at.register(f)
	return cmd
}

func dump(cfg *config.Config, asJSON bool) string {
	if asJSON {
		return string(cfg.DumpJSON())
	}
	return string(cfg.Dump())
}

// inForce is the configuration as it is now, with what was changed at run time.
func (r *reloader) inForce() *config.Config {
	values := make(map[string]string)
	for _, p := range config.Params() {
		if p.HCL == "" || p.Fixed {
			continue
		}
		if live := r.live(p); !sameValue(p, r.cfg.Var(p).String(), live) {
			values[p.Name] = live
		}
	}
	return r.cfg.With(config.Kept{Params: values, Level: r.log.is.Load().Level, Listen: r.changedListen(), Users: r.db.Users()})
}
