package main

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	// index is the first page. The pages it links to are the site, in that order.
	index = "docs/README.md"
	// forge is where files are that are no pages.
	forge = "https://github.com/spillwaydb/spillway/blob/main/"
)

// site is the pages in the order in which they are read.
type site struct {
	repo   fs.FS
	pages  []*page
	byPath map[string]*page
}

// load reads the index and the pages that it links to, and checks every link. The
// error names each that leads nowhere, and each file of docs that the index forgets.
func load(repo fs.FS) (*site, error) {
	s := &site{repo: repo, byPath: make(map[string]*page)}
	first, err := s.add(index)
	if err != nil {
		return nil, err
	}
	var errs []error
	first.links(func(dest string, _ func(string)) {
		if name, _ := target(index, dest); strings.HasSuffix(name, ".md") && s.byPath[name] == nil {
			if _, err := s.add(name); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", index, err))
			}
		}
	})
	docs, err := fs.Glob(repo, "docs/*.md")
	if err != nil {
		return nil, err
	}
	for _, name := range docs {
		if s.byPath[name] == nil {
			errs = append(errs, fmt.Errorf("%s has no link to %s", index, name))
		}
	}
	for _, p := range s.pages {
		p.links(func(dest string, _ func(string)) {
			if err := s.check(p, dest); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", p.path, err))
			}
		})
	}
	return s, errors.Join(errs...)
}

func (s *site) add(name string) (*page, error) {
	p, err := readPage(s.repo, name)
	if err == nil {
		s.pages, s.byPath[name] = append(s.pages, p), p
	}
	return p, err
}

// target is the file in the repository that a link of a page leads to, and the anchor
// in it; "" for a link that leads elsewhere.
func target(from, dest string) (name, anchor string) {
	u, err := url.Parse(dest)
	if err != nil || u.Scheme != "" || u.Host != "" {
		return "", ""
	}
	if u.Path == "" {
		return from, u.Fragment
	}
	return path.Join(path.Dir(from), u.Path), u.Fragment
}

// check tells whether a link of a page leads anywhere. Pages on the Web are not asked.
func (s *site) check(p *page, dest string) error {
	if u, err := url.Parse(dest); err != nil || u.Scheme != "" && u.Scheme != "https" {
		return fmt.Errorf("link %q: want https, or a path", dest)
	}
	name, anchor := target(p.path, dest)
	if name == "" {
		return nil
	}
	to := s.byPath[name]
	if to == nil {
		if _, err := fs.Stat(s.repo, name); err != nil {
			return fmt.Errorf("link %q: there is no %s", dest, name)
		}
		if anchor == "" {
			return nil
		}
		var err error
		if to, err = readPage(s.repo, name); err != nil {
			return fmt.Errorf("link %q: %w", dest, err)
		}
	}
	if anchor != "" && !to.anchors[anchor] {
		return fmt.Errorf("link %q: %s has no heading of that name", dest, name)
	}
	return nil
}

//go:embed page.html
var layout string

//go:embed style.css
var style []byte

// write makes the site in a directory: a file for each page, and the style.
func (s *site) write(dir string) error {
	tmpl, err := template.New("page").Parse(layout)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for i, p := range s.pages {
		p.links(func(dest string, change func(string)) { change(s.rewritten(p, dest)) })
		body, err := p.html()
		if err != nil {
			return fmt.Errorf("%s: %w", p.path, err)
		}
		data := map[string]any{"Title": p.title, "Body": template.HTML(body), "Pages": s.contents(i)} //nolint:gosec // the repository's own text
		if i > 0 {
			data["Previous"] = s.pages[i-1].nav(false)
		}
		if i+1 < len(s.pages) {
			data["Next"] = s.pages[i+1].nav(false)
		}
		var out strings.Builder
		if err := tmpl.Execute(&out, data); err != nil {
			return fmt.Errorf("%s: %w", p.path, err)
		}
		if err := os.WriteFile(filepath.Join(dir, p.out), []byte(out.String()), 0o600); err != nil {
			return err
		}
	}
	return errors.Join(s.copyImages(dir), os.WriteFile(filepath.Join(dir, "style.css"), style, 0o600))
}

// copyImages puts the pictures of the pages where the pages look for them.
func (s *site) copyImages(dir string) error {
	images, err := fs.Glob(s.repo, "docs/images/*")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "images"), 0o750); err != nil {
		return err
	}
	for _, name := range images {
		b, err := fs.ReadFile(s.repo, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "images", path.Base(name)), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// rewritten is a link of a page as the site has it.
func (s *site) rewritten(p *page, dest string) string {
	name, anchor := target(p.path, dest)
	switch {
	case name == "", strings.HasPrefix(dest, "#"):
		return dest
	case strings.HasPrefix(name, "docs/images/"):
		name = strings.TrimPrefix(name, "docs/")
	case s.byPath[name] == nil:
		name = forge + name
	default:
		name = s.byPath[name].out
	}
	if anchor != "" {
		name += "#" + anchor
	}
	return name
}

type navItem struct {
	Title, File string
	Here        bool
}

func (p *page) nav(here bool) navItem { return navItem{p.title, p.out, here} }

// contents are all pages, seen from one of them.
func (s *site) contents(at int) (items []navItem) {
	for i, p := range s.pages {
		items = append(items, p.nav(i == at))
	}
	return items
}
