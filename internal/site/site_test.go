package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

var references = regexp.MustCompile(`(href|src)="([^"]*)"`)

// TestDocumentation: every link of the documentation leads somewhere, and the site is
// made of it.
func TestDocumentation(t *testing.T) {
	s, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := s.write(dir); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.pages {
		body, err := os.ReadFile(filepath.Join(dir, p.out))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range references.FindAllStringSubmatch(string(body), -1) {
			file, _, _ := strings.Cut(m[2], "#")
			if _, err := os.Stat(filepath.Join(dir, file)); err != nil && !(m[1] == "href" && strings.HasPrefix(m[2], "https://")) {
				t.Errorf("%s refers to %q", p.out, m[2])
			}
		}
		if strings.Contains(string(body), "<script") {
			t.Errorf("%s has a script", p.out)
		}
	}
}

// TestDeadLinks: what leads nowhere is named, each with its page.
func TestDeadLinks(t *testing.T) {
	_, err := load(fstest.MapFS{
		"docs/README.md": {Data: []byte("# Docs\n[a](a.md) [gone](gone.md) [file](../Makefile) [web](https://example.org/)")},
		"docs/a.md":      {Data: []byte("# A page\n## One `two`, three\n[ok](#one-two-three) [no](#four) [up](../nothing) [odd](http://example.org) [b](README.md#docs)")},
		"docs/lost.md":   {Data: []byte("# Lost")},
		"Makefile":       {},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"docs/README.md: open docs/gone.md", "no link to docs/lost.md", `docs/a.md: link "#four"`, `docs/a.md: link "../nothing"`, `docs/a.md: link "http://example.org": want https`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q:\n%v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 6 { // gone.md twice: it is no page, and there is no such file
		t.Errorf("%d complaints:\n%v", n, err)
	}
}

// TestRewritten: links between pages stay on the site, those to other files go to the forge.
func TestRewritten(t *testing.T) {
	s, err := load(fstest.MapFS{
		"docs/README.md": {Data: []byte("# Docs\n[a](a.md) [s](../README.md)")},
		"docs/a.md":      {Data: []byte("# A\n")},
		"README.md":      {Data: []byte("# Start\n## Two\n")},
		"plugins.hcl":    {},
	})
	if err != nil {
		t.Fatal(err)
	}
	for dest, want := range map[string]string{
		"../README.md#two": "start.html#two", "README.md": "index.html", "#a": "#a",
		"../plugins.hcl": forge + "plugins.hcl", "https://example.org/x.md": "https://example.org/x.md",
	} {
		if got := s.rewritten(s.byPath["docs/a.md"], dest); got != want {
			t.Errorf("%s is %s, want %s", dest, got, want)
		}
	}
}
