package config

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/spillwaydb/spillway/core/param"
)

// secretName is what the names of attributes that hold secrets look like, a
// plugin's own and those of its environment included.
var secretName = regexp.MustCompile(`(?i)(secret|pass?w|pass?phrase|pwd|token|credential|api_?key|private_?key|access_?key|account_?key|identit|requirepass)`)

// holdsSecret tells whether an attribute of some name holds a secret: it looks like
// one, or is declared as one.
func holdsSecret(name []byte) bool {
	return secretName.Match(name) || slices.ContainsFunc(Params(), func(p *param.Param) bool { return p.Secret && p.HCL == string(name) })
}

// Secrets that are known by themselves: the password of a URL or of a user, what
// signs a request, and keys of age and PEM. The second group is the secret.
var secretText = []*regexp.Regexp{
	regexp.MustCompile(`(://[^/?#\s"'@:]*:)([^\s"'/?#]+)@`),
	regexp.MustCompile(`(?i)([?&](?:[\w.-]*(?:secret|passw|token|credential|key)[\w.-]*|sig|signature)=)([^&\s"'#]+)`),
	regexp.MustCompile(`("[<>])([^"\s]+)`), // a rule with a user's password
	regexp.MustCompile(`()(AGE-SECRET-KEY-1[0-9A-Za-z]+)`),
	regexp.MustCompile(`(-----BEGIN [A-Z ]*PRIVATE KEY-----)([^-]+)`),
}

// minSecret is the shortest literal that is looked for in messages.
const minSecret = 4

// secrets are the stretches of a document that no diagnostic may show. They are
// found by token, not in the tree: a document that does not parse is the one
// that is shown.
type secrets struct {
	spans  [][2]int
	values []string // longest first
}

func findSecrets(name string, src []byte) *secrets {
	s := &secrets{}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	inside := 0 // how deep in a block with headers
	for i, t := range tokens {
		switch {
		case t.Type == hclsyntax.TokenOBrace && (inside > 0 || i > 0 && hasHeaders(string(tokens[i-1].Bytes))):
			inside++
		case t.Type == hclsyntax.TokenCBrace && inside > 0:
			inside--
		}
		if t.Type == hclsyntax.TokenEqual || t.Type == hclsyntax.TokenColon {
			if inside == 1 && i > 0 && (string(tokens[i-1].Bytes) == "url" || string(tokens[i-1].Bytes) == "headers") {
				s.value(tokens[i+1:])
				continue
			}
			if i > 0 && holdsSecret(tokens[i-1].Bytes) || i > 1 && holdsSecret(tokens[i-2].Bytes) {
				s.value(tokens[i+1:])
			}
		}
	}
	for _, re := range secretText {
		for _, m := range re.FindAllSubmatchIndex(src, -1) {
			s.add(src, m[4], m[5])
		}
	}
	slices.SortFunc(s.values, func(a, b string) int { return len(b) - len(a) })
	return s
}

// value adds the literals of the expression that tokens begin with, which ends
// with the line or, for a list, an object or a heredoc, with that.
func (s *secrets) value(tokens hclsyntax.Tokens) {
	depth := 0
	for i, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrack, hclsyntax.TokenOBrace, hclsyntax.TokenOParen, hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp:
			depth++
		case hclsyntax.TokenCBrack, hclsyntax.TokenCBrace, hclsyntax.TokenCParen, hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenNewline, hclsyntax.TokenComma:
			if depth <= 0 {
				return
			}
		case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
			if !s.harmless(tokens[:i]) {
				s.values = append(s.values, strings.TrimSpace(string(t.Bytes)))
				s.spans = append(s.spans, [2]int{t.Range.Start.Byte, t.Range.End.Byte})
			}
		case hclsyntax.TokenEOF:
			return
		}
		if depth < 0 {
			return
		}
	}
}

// harmless tells whether a literal behind these tokens is the argument of
// file(), or the first of env() or credential(), which name a secret and are not one.
func (s *secrets) harmless(before hclsyntax.Tokens) bool {
	n := len(before)
	if n < 3 || before[n-1].Type != hclsyntax.TokenOQuote || before[n-2].Type != hclsyntax.TokenOParen {
		return false
	}
	f := string(before[n-3].Bytes)
	return f == "file" || f == "env" || f == "credential"
}

func (s *secrets) add(src []byte, from, to int) {
	s.values = append(s.values, string(src[from:to]))
	s.spans = append(s.spans, [2]int{from, to})
}

// document is src with a star for each byte of a secret: places stay what they
// are.
func (s *secrets) document(src []byte) []byte {
	out := bytes.Clone(src)
	for _, span := range s.spans {
		for i := span[0]; i < span[1]; i++ {
			if out[i] != '\n' {
				out[i] = '*'
			}
		}
	}
	return out
}

// text is a message without the secrets of the document, and without those that
// are known by themselves: they may have come from the environment.
func (s *secrets) text(msg string) string {
	for _, v := range s.values {
		if len(v) >= minSecret {
			msg = strings.ReplaceAll(msg, v, "***")
		}
	}
	for _, re := range secretText {
		msg = re.ReplaceAllStringFunc(msg, func(m string) string {
			g := re.FindStringSubmatch(m)
			return strings.Replace(m, g[1]+g[2], g[1]+"***", 1)
		})
	}
	return msg
}

// masked are the diagnostics and the documents as they may be shown.
func (f *File) masked() (hcl.Diagnostics, map[string]*hcl.File) {
	files := make(map[string]*hcl.File)
	found := &secrets{}
	for name, doc := range f.parser.Files() {
		here := findSecrets(name, doc.Bytes)
		shown := *doc
		shown.Bytes = here.document(doc.Bytes)
		files[name] = &shown
		found.values = append(found.values, here.values...)
	}
	slices.SortFunc(found.values, func(a, b string) int { return len(b) - len(a) })
	all := f.sorted()
	for i, d := range all {
		shown := *d
		shown.Summary, shown.Detail = found.text(d.Summary), found.text(d.Detail)
		shown.Expression, shown.EvalContext = nil, nil // values would be shown
		all[i] = &shown
	}
	return all, files
}
