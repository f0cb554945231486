package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// manCommand writes what the packages install. The date of the pages is
// $SOURCE_DATE_EPOCH where that is set, as everything that builds packages has it.
func manCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "man", Short: "Write the manual pages, one for each command", Args: noArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := os.MkdirAll(to, 0o755); err != nil { //nolint:gosec // pages are for everybody
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			root.InitDefaultCompletionCmd()
			plainText(root)
			return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "Spillway " + version, Manual: "Spillway"}, to)
		},
	}
	cmd.Flags().StringVar(&to, "to", "man", "directory to write them into")
	return cmd
}

// plainText keeps the texts of the commands from being taken for the Markdown that
// the pages are made of.
func plainText(cmd *cobra.Command) {
	if cmd.Name() != "completion" && (!cmd.HasParent() || cmd.Parent().Name() != "completion") { // those are cobra's, and Markdown
		cmd.Short, cmd.Long = markdown.Replace(cmd.Short), markdown.Replace(cmd.Long)
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = markdown.Replace(f.Usage) })
	for _, c := range cmd.Commands() {
		plainText(c)
	}
}

var markdown = strings.NewReplacer("*", `\*`, "_", `\_`, "<", `\<`, ">", `\>`, "`", "\\`", "#", `\#`, "[", `\[`)
