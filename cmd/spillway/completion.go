package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/param"
)

// flagValues are the values of flags that are one of a few words; those of the
// parameters say theirs themselves.
var flagValues = map[string][]string{
	"loglevel":         {"debug", "verbose", "notice", "warning"},
	"log-format":       {"text", "json"},
	"tls-auth-clients": {"yes", "optional", "no"},
	"format":           {"rdb", "aof"},
	"at":               {"latest"},
}

// flagFiles are the flags whose value is a file, with the endings of its name.
var flagFiles = map[string][]string{
	"config": {"hcl"}, "fault-script": {}, "identity": {"key", "txt"}, "unixsocket": {"sock"},
	"cacert": {"pem", "crt"}, "migrate-cacert": {"pem", "crt"}, "to-cacert": {"pem", "crt"},
	"cert": {"pem", "crt"}, "migrate-cert": {"pem", "crt"}, "to-cert": {"pem", "crt"},
	"key": {"pem", "key"}, "migrate-key": {"pem", "key"}, "to-key": {"pem", "key"},
	"tls-cert-file": {"pem", "crt"}, "tls-key-file": {"pem", "key"}, "tls-ca-cert-file": {"pem", "crt"},
}

// addCompletions tells cobra what the values of all commands' flags, and the
// arguments, can be, for the completion of shells.
func addCompletions(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if complete := completionOf(cmd, f); complete != nil {
			if err := cmd.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
				panic(err) // a flag is registered twice: a test completes every one
			}
		}
	})
	switch {
	case cmd.Parent() == nil || cmd.HasSubCommands() || cmd.ValidArgsFunction != nil:
	case strings.HasPrefix(cmd.Use, "import "):
		cmd.ValidArgsFunction = places("redis://", "rediss://", "unix://")
	case strings.Contains(cmd.Use, "[NAME...]"):
		cmd.ValidArgsFunction = fromConfig(func(c *config.Config) (names []string) {
			for _, p := range c.Plugins {
				names = append(names, p.Name)
			}
			return names
		})
	case !strings.Contains(cmd.Use, "FILE"):
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, c := range cmd.Commands() {
		addCompletions(c)
	}
}

// completionOf is what completes the value of a flag; nil: the shell, with files.
func completionOf(cmd *cobra.Command, f *pflag.Flag) cobra.CompletionFunc {
	if p, ok := f.Value.(*paramFlag); ok {
		return oneOf(paramValues(p.param))
	}
	if values, ok := flagValues[f.Name]; ok {
		return oneOf(values)
	}
	if ends, ok := flagFiles[f.Name]; ok {
		return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(ends) == 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return ends, cobra.ShellCompDirectiveFilterFileExt
		}
	}
	switch f.Name {
	case "dir", "tmp", "to":
		if cmd.Name() == "export" && f.Name == "to" {
			return nil
		}
		return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
	case "from", "restore-from":
		if cmd.Name() == "import" {
			return places("redis://", "rediss://", "unix://")
		}
		sinks := fromConfig(sinkNames)
		if f.Name == "restore-from" {
			return sinks
		}
		stores := places("s3://", "gs://", "azblob://", "sftp://", "file://")
		return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			names, _ := sinks(cmd, args, begun)
			urls, directive := stores(cmd, args, begun)
			return append(names, urls...), directive
		}
	}
	if f.Value.Type() == "bool" {
		return nil
	}
	return cobra.NoFileCompletions
}

// paramValues are the values of a parameter, if they are few words.
func paramValues(p *param.Param) []string {
	switch t := p.Type.(type) {
	case param.Bool:
		return []string{"yes", "no"}
	case param.OneOf:
		return t
	}
	return nil
}

func oneOf(values []string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

// places are files, or URLs that begin in one of these ways.
func places(schemes ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return slices.Clone(schemes), cobra.ShellCompDirectiveNoSpace
	}
}

// fromConfig completes what the configuration has, which is that of --config; one
// that cannot be read has nothing.
func fromConfig(names func(*config.Config) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var o overrides
		if f := cmd.Flags().Lookup("config"); f != nil {
			o.config = f.Value.String()
		}
		quiet := &cobra.Command{}
		quiet.SetErr(io.Discard)
		cfg, _, err := o.parse(quiet)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(cfg), cobra.ShellCompDirectiveNoFileComp
	}
}

// sinkNames are the sinks beside the data directory.
func sinkNames(c *config.Config) (names []string) {
	for _, pl := range c.Pipelines() {
		for _, m := range pl.Mirrors {
			if !slices.Contains(names, m.Name) {
				names = append(names, m.Name)
			}
		}
	}
	return names
}
