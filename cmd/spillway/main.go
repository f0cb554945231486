// Command spillway is the daemon and its tools.
//
//	spillway serve   run the server that plugins.hcl describes
//	spillway check   validate a configuration and print what it would run
//	spillway reload  have the running daemon read its configuration again
//	spillway config  print the effective configuration
//	spillway status  tell how a running daemon, or a data directory, stands
//	spillway top     follow that live
//	spillway repair  examine a data directory that does not start, and mend it
//	spillway restore make a data directory of a backup
//	spillway verify  read a backup to its last byte and tell what is damaged
//	spillway drill   restore a backup into a scratch directory and compare
//	spillway inspect show what a backup holds and what can be had back
//	spillway backups list the backups of a sink, remove old ones
//	spillway get     print what a key held
//	spillway scan    list the keys of a backup
//	spillway diff    list the keys in which two moments differ
//	spillway export  write one file that redis-server loads
//	spillway import  make a data directory of a Redis's data
//	spillway migrate watch a migration from a running Redis, and cut over
//	spillway plugins list plugins, ping them, show their logs, print checksums
//	spillway version print the version
//
// Exit status: 0 success, 1 a failure while running, 2 a mistake in the
// configuration or the command line; nothing was started. 3 is diff --exit-code's
// answer that there are differences, and status's that no daemon answers.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
)

// usageError is a mistake in the command line or the configuration: exit 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// errReported is a failure whose explanation is already on stderr.
var errReported = errors.New("reported")

func main() { os.Exit(run(os.Args[1:])) }

// rootCommand is the program: the daemon and its tools as cobra has them.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "spillway",
		Short: "A Redis-compatible in-memory store whose persistence is a pipeline",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				var names []string
				for _, c := range cmd.Commands() {
					names = append(names, c.Name())
				}
				return usageError{fmt.Errorf("unknown command %q for %q.%s", args[0], cmd.CommandPath(), config.DidYouMean(args[0], names))}
			}
			return nil
		},
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(serveCommand(), checkCommand(), reloadCommand(), configCommand(), statusCommand(), topCommand(), repairCommand(), restoreCommand(), verifyCommand(), drillCommand(), inspectCommand(), backupsCommand(), getCommand(), scanCommand(), diffCommand(), exportCommand(), importCommand(), migrateCommand(), pluginsCommand(), versionCommand(), manCommand())
	addCompletions(root)
	root.Version = buildInfo().String()
	root.SetVersionTemplate("{{.Version}}\n")
	return root
}

func run(args []string) int {
	root := rootCommand()
	root.SetArgs(longFlags(args))
	err := root.Execute()
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errDiffer), errors.Is(err, errNoDaemon):
		return 3
	case errors.As(err, &usage):
		if !errors.Is(err, errReported) {
			fmt.Fprintln(os.Stderr, "spillway:", err)
		}
		return 2
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintln(os.Stderr, "spillway:", err)
	}
	return 1
}

// flagError suggests a flag in place of one that does not exist.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usageError{err}
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return usageError{fmt.Errorf("%w.%s", err, config.DidYouMean("--"+unknown.GetSpecifiedName(), names))}
}

// longFlags lets "-config FILE" stand for "--config FILE", as Go programs and
// Redis's users write it.
func longFlags(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if len(a) > 2 && a[0] == '-' && a[1] != '-' && (a[1] < '0' || a[1] > '9') && !strings.ContainsAny(a[1:2], ".=") {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}

func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}
