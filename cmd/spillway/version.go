package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// What the linker sets in a package, which is built without a repository.
var (
	version = "0.1.0-dev"
	commit  = "" // and "+changes" behind it where there were any that it lacks
	date    = "" // of the commit
)

// build is what this program was made of, as far as the linker was told or the go
// command has noted it.
type build struct {
	Version   string `json:"version"`
	Commit    string `json:"commit,omitempty"`
	Date      string `json:"date,omitempty"` // of the commit
	Modified  bool   `json:"modified"`       // there were changes that the commit lacks
	GoVersion string `json:"go_version"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
}

func buildInfo() build {
	b := build{Version: version, GoVersion: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if commit != "" {
		b.Date = date
		b.Commit, b.Modified = strings.CutSuffix(commit, "+changes")
		return b
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// commit is the short name of the commit, with what tells that it is not all.
func (b build) commit() string {
	short := b.Commit[:min(len(b.Commit), 12)]
	if short == "" {
		short = "unknown"
	}
	if b.Modified {
		short += "+changes"
	}
	return short
}

// String is the line that `spillway version` prints.
func (b build) String() string {
	words := []string{"commit " + b.commit()}
	if b.Date != "" {
		words = append(words, b.Date)
	}
	words = append(words, b.GoVersion, b.OS+"/"+b.Arch)
	return fmt.Sprintf("spillway %s (%s)", b.Version, strings.Join(words, ", "))
}

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return printVersion(cmd.OutOrStdout(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printVersion(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, buildInfo())
	}
	_, err := fmt.Fprintln(w, buildInfo())
	return err
}
