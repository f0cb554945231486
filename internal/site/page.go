package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// page is a Markdown file of the repository.
type page struct {
	path    string // in the repository
	out     string // the file of the site
	title   string
	source  []byte
	tree    ast.Node
	anchors map[string]bool
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// readPage reads and parses a file.
func readPage(repo fs.FS, name string) (*page, error) {
	source, err := fs.ReadFile(repo, name)
	if err != nil {
		return nil, err
	}
	p := &page{path: name, out: outName(name), source: source, anchors: make(map[string]bool)}
	p.tree = markdown.Parser().Parse(text.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(&slugs{p.anchors}))))
	for n := p.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok && h.Level == 1 {
			p.title = plain(h, source)
			break
		}
	}
	if p.title == "" {
		return nil, fmt.Errorf("%s: no title", name)
	}
	return p, nil
}

// outName is the site's file of a page: docs/x.md is x.html, and docs/README.md the first.
func outName(name string) string {
	switch name {
	case index:
		return "index.html"
	case "README.md":
		return "start.html"
	}
	return strings.ToLower(strings.TrimSuffix(path.Base(name), ".md")) + ".html"
}

// plain is the text of a node without its marks.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// links calls fn with every destination of a link or picture, and with how to change it.
func (p *page) links(fn func(dest string, change func(string))) {
	_ = ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			fn(string(n.Destination), func(to string) { n.Destination = []byte(to) })
		case *ast.Image:
			fn(string(n.Destination), func(to string) { n.Destination = []byte(to) })
		}
		return ast.WalkContinue, nil
	})
}

// html renders the page's body.
func (p *page) html() (string, error) {
	var b bytes.Buffer
	err := markdown.Renderer().Render(&b, p.source, p.tree)
	return b.String(), err
}

// slugs makes the anchors of headings as forges do: lower case, a dash for each space,
// no punctuation, and a number behind what is there already.
type slugs struct{ taken map[string]bool }

var _ parser.IDs = (*slugs)(nil)

func (s *slugs) Generate(value []byte, _ ast.NodeKind) []byte {
	slug := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(string(value)))
	unique := slug
	for n := 1; s.taken[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", slug, n)
	}
	s.taken[unique] = true
	return []byte(unique)
}

func (s *slugs) Put(value []byte) { s.taken[string(value)] = true }
