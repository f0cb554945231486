package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// printRow is a line of the table.
func (r result) printRow(out io.Writer) {
	var remarks []string
	if r.Status != "" {
		remarks = append(remarks, r.Status)
	}
	for _, n := range []struct {
		what  string
		tests []string
	}{{"regressed", r.Regressed}, {"new", r.New}, {"passed again", r.Again}} {
		if len(n.tests) > 0 {
			remarks = append(remarks, fmt.Sprintf("%d %s", len(n.tests), n.what))
		}
	}
	fmt.Fprintf(out, "%-30s %4d of %4d  %4.0f s  %s\n", r.Unit, r.Passed, r.Reference, r.Seconds, strings.Join(remarks, ", "))
}

// print is what stands below the table.
func (c *compat) print(out io.Writer, results []result, verbose bool) {
	passed, of := 0, c.reference.len(c.profile.units)
	for _, r := range results {
		passed += r.Passed
	}
	fmt.Fprintf(out, "%-30s %4d of %4d tests that redis-server 7.0.15 passes (profile %s)\n", "all", passed, of, c.profile.name)
	for _, section := range []struct {
		title string
		of    func(result) []string
	}{
		{"passed before and fail now", func(r result) []string { return r.Regressed }},
		{"failed once, and passed when their unit was run again", func(r result) []string { return r.Again }},
		{"pass now; --update adds them to the list", func(r result) []string { return r.New }},
	} {
		heading := section.title + ":\n"
		for _, r := range results {
			for _, name := range section.of(r) {
				fmt.Fprintf(out, "%s  %s: %s\n", heading, r.Unit, name)
				heading = ""
				if slices.Contains(r.Regressed, name) {
					printWhy(out, r.Failures[name])
				}
			}
		}
	}
	if !verbose {
		return
	}
	for _, r := range results {
		for _, name := range r.Missing {
			fmt.Fprintf(out, "missing: %s: %s\n", r.Unit, name)
			printWhy(out, r.Failures[name])
		}
		for _, name := range []string{outside, whole} {
			if why, ok := r.Failures[name]; ok {
				fmt.Fprintf(out, "error: %s %s\n", r.Unit, name)
				printWhy(out, why)
			}
		}
	}
}

// printWhy prints the beginning of a reason, indented.
func printWhy(out io.Writer, why string) {
	const most = 6
	lines := strings.Split(strings.TrimSpace(why), "\n")
	if why == "" {
		lines = []string{"(it did not run)"}
	}
	for _, line := range lines[:min(len(lines), most)] {
		if len(line) > 400 {
			line = line[:400] + "…"
		}
		fmt.Fprintf(out, "      %s\n", line)
	}
}
