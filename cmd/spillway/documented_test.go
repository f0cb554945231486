package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var (
	// quoted is what a page shows as something to type: a fenced block, or a span.
	quoted = regexp.MustCompile("(?s)```.*?\n```|`[^`\n]+`")
	// called is the program with a command, up to where a shell would end it.
	called = regexp.MustCompile("(?m)(?:^|[ (\"`/])spillway ([a-z][^`#|;&<>)\n]*)")
)

// TestDocumentedCommands: every command line of the program that the documentation
// shows has a command and flags that there are.
func TestDocumentedCommands(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"../../README.md", "../../docs/*.md", "../../examples/*/README.md", "../../packaging/monitoring/*.yml", "../../plugins.hcl", "../../examples/config/*.hcl"} {
		found, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		pages = append(pages, found...)
	}
	root, n := rootCommand(), 0
	root.InitDefaultHelpCmd()
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range quoted.FindAllString(string(text), -1) {
			for _, m := range called.FindAllStringSubmatch(strings.ReplaceAll(block, "\\\n", " "), -1) {
				words := strings.Fields(m[1])
				if strings.Contains(words[0], ".") { // chgrp spillway FILE
					continue
				}
				cmd, rest, err := root.Find(words)
				if err != nil || cmd == root {
					t.Errorf("%s: there is no command spillway %s", page, words[0])
					continue
				}
				n++
				checkFlags(t, page, cmd, rest)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d command lines were found", n)
	}
}

// checkFlags finds flags that a command does not have.
func checkFlags(t *testing.T, page string, cmd *cobra.Command, words []string) {
	t.Helper()
	for _, word := range words {
		name, isLong := strings.CutPrefix(strings.Trim(word, `"',.:`), "--")
		name, _, _ = strings.Cut(name, "=")
		if !isLong || name == "" || name == "help" || strings.ContainsAny(name, "…*") {
			continue
		}
		if cmd.Flag(name) == nil {
			t.Errorf("%s: spillway %s has no flag --%s", page, strings.TrimPrefix(cmd.CommandPath(), "spillway "), name)
		}
	}
}
