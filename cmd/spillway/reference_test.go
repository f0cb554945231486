package main

import (
	"fmt"
	"strings"
	"testing"

	_ "github.com/cockroachdb/datadriven" // declares the flag -rewrite
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestToolsReference: docs/reference-tools.md has every command of the program with its
// help. go test ./cmd/spillway -run TestToolsReference -rewrite writes it.
func TestToolsReference(t *testing.T) {
	params := make(map[string]bool)
	for _, p := range config.Params() {
		if p.Flag() != "" {
			params[p.Flag()] = true
		}
	}
	root := rootCommand()
	var b strings.Builder
	for _, cmd := range root.Commands() {
		referTool(&b, cmd, params)
	}
	testutil.Document(t, "../../docs/reference-tools.md", "tools", b.String())
}

// referTool writes what help says of a command and of those below it.
func referTool(b *strings.Builder, cmd *cobra.Command, params map[string]bool) {
	if !cmd.IsAvailableCommand() || cmd.Name() == "completion" {
		return
	}
	if cmd.Runnable() && !cmd.HasAvailableSubCommands() { // those print their help
		long := cmd.Long
		if long == "" {
			long = cmd.Short + "."
		}
		fmt.Fprintf(b, "\n## %s\n\n```\n%s\n\n%s\n", cmd.CommandPath(), cmd.UseLine(), strings.TrimSpace(long))
		mine := pflag.NewFlagSet("", pflag.ContinueOnError)
		some := false
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			switch {
			case f.Name == "help":
			case params[f.Name]:
				some = true
			default:
				mine.AddFlag(f)
			}
		})
		if mine.HasAvailableFlags() {
			fmt.Fprintf(b, "\n%s", mine.FlagUsages())
		}
		b.WriteString("```\n")
		if some {
			b.WriteString("\nAnd a flag for each of [the parameters](configuration.md).\n")
		}
	}
	for _, sub := range cmd.Commands() {
		referTool(b, sub, params)
	}
}
