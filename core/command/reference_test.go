package command

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestCommandsReference: docs/reference-commands.md has every command as the table
// has it. go test ./core/command -run TestCommandsReference -rewrite writes it.
func TestCommandsReference(t *testing.T) {
	testutil.Document(t, "../../docs/reference-commands.md", "commands", reference(compatibilityNotes(t)))
}

// notes are the paragraphs of a section of docs/compatibility.md.
type notes struct {
	says, anchor string
	items        []string
}

// compatibilityNotes are what docs/compatibility.md says of single commands.
func compatibilityNotes(t *testing.T) []notes {
	t.Helper()
	src, err := os.ReadFile(filepath.FromSlash("../../docs/compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := []notes{
		{says: "Has options of later versions", anchor: "options-of-later-versions"},
		{says: "Differs from Redis in something", anchor: "what-differs-on-purpose"},
	}
	for i, heading := range []string{"\n## Options of later versions\n", "\n## What differs on purpose\n"} {
		_, section, ok := strings.Cut(string(src), heading)
		if !ok {
			t.Fatalf("docs/compatibility.md has no %q", strings.TrimSpace(heading))
		}
		section, _, _ = strings.Cut(section, "\n## ")
		for item := range strings.SplitSeq(section, "\n- ") {
			out[i].items = append(out[i].items, withoutTests(item))
		}
	}
	return out
}

// withoutTests is a paragraph without the names of tests of Redis's suite, which are
// quoted and have more than a word.
func withoutTests(item string) string {
	parts := strings.Split(strings.ReplaceAll(item, "\n ", ""), "`")
	for i := 1; i < len(parts); i += 2 {
		if strings.Contains(parts[i], " ") {
			parts[i] = ""
		}
	}
	return strings.Join(parts, "`")
}

// mentions tells whether a paragraph is about a command: it names it in capitals, and
// not as the last word of a subcommand's name.
func mentions(item, name string) bool {
	if strings.HasPrefix(item, "DEBUG has ") { // and names its subcommands
		return name == "DEBUG"
	}
	for rest := item; ; {
		before, after, ok := strings.Cut(rest, name)
		if !ok {
			return false
		}
		rest = after
		word := func(c byte) bool { return c >= 'A' && c <= 'Z' || c == '-' || c == '.' || c == '_' }
		if after != "" && word(after[0]) && after[0] != '.' || before != "" && word(before[len(before)-1]) {
			continue
		}
		words := strings.Fields(before)
		if len(words) > 0 && strings.HasSuffix(before, " ") {
			if c := Lookup([]byte(words[len(words)-1])); c != nil && len(c.Sub) > 0 && words[len(words)-1] == strings.ToUpper(c.Name) {
				continue
			}
		}
		if next := strings.Fields(after); len(next) > 0 && strings.HasPrefix(after, " ") {
			if c := Lookup([]byte(name)); c != nil && c.Resolve([][]byte{[]byte(name), []byte(strings.Trim(next[0], ",.:;"))}) != c {
				continue
			}
		}
		return true
	}
}

// reference is the document's part about commands, by groups.
func reference(about []notes) string {
	by := make(map[string][]*Command)
	var groups []string
	for _, cmd := range every {
		if by[cmd.Doc.Group] == nil {
			groups = append(groups, cmd.Doc.Group)
		}
		by[cmd.Doc.Group] = append(by[cmd.Doc.Group], cmd)
	}
	slices.Sort(groups)
	var b strings.Builder
	var links []string
	for _, g := range groups {
		links = append(links, fmt.Sprintf("[%s](#group-%s)", g, g))
	}
	fmt.Fprintf(&b, "%d commands and subcommands, by group: %s\n", len(every), strings.Join(links, ", "))
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## Group %s\n", g)
		for _, cmd := range by[g] {
			cmd.refer(&b, about)
		}
	}
	return b.String()
}

// spelled is the name as people type it.
func (cmd *Command) spelled() string {
	return strings.ToUpper(strings.ReplaceAll(cmd.Name, "|", " "))
}

// refer writes what is known of one command.
func (cmd *Command) refer(b *strings.Builder, about []notes) {
	d := cmd.Doc
	usage := cmd.Usage()
	if container, _, sub := strings.Cut(cmd.Name, "|"); sub {
		usage = strings.ToUpper(container) + " " + usage
	}
	if len(cmd.Sub) > 0 && cmd.Arity < -1 {
		usage += " <subcommand> ..."
	}
	fmt.Fprintf(b, "\n### %s\n\n`%s`\n\n%s\n\n", cmd.spelled(), usage, plainMarkdown.Replace(d.Summary))
	if d.Complexity != "" {
		fmt.Fprintf(b, "- Takes: %s\n", plainMarkdown.Replace(strings.TrimSuffix(d.Complexity, ".")))
	}
	fmt.Fprintf(b, "- Since: %s\n", cmd.since())
	for _, h := range d.History {
		fmt.Fprintf(b, "- %s: %s\n", h.Since, h.Text)
	}
	if names := namesOf(cmd.Categories, categoryNames); names != "" {
		fmt.Fprintf(b, "- ACL: %s\n", names)
	}
	if names := namesOf(cmd.Flags, flagNames); names != "" {
		fmt.Fprintf(b, "- Flags: %s\n", names)
	}
	for _, n := range about {
		if slices.ContainsFunc(n.items, func(item string) bool { return mentions(item, cmd.spelled()) }) {
			fmt.Fprintf(b, "- %s: [compatibility](compatibility.md#%s)\n", n.says, n.anchor)
		}
	}
}

// since says which server had the command first, and what took its place.
func (cmd *Command) since() string {
	d := cmd.Doc
	out := "Redis " + d.Since
	switch {
	case strings.HasPrefix(cmd.Name, "spillway."):
		out = "Spillway only"
	case strings.Contains(d.Summary, "(Valkey"):
		out = "Valkey " + d.Since
	}
	if d.DeprecatedSince != "" {
		out += ", deprecated since " + d.DeprecatedSince
		if d.ReplacedBy != "" {
			out += "; in its place: " + d.ReplacedBy
		}
	}
	return out
}

// namesOf are the names of the bits that are set, quoted.
func namesOf[F ~uint16 | ~uint32](set F, all []named[F]) string {
	var names []string
	for _, n := range all {
		if set&n.flag != 0 {
			names = append(names, "`"+n.name+"`")
		}
	}
	return strings.Join(names, " ")
}

// plainMarkdown keeps a text from being taken for markup.
var plainMarkdown = strings.NewReplacer("*", `\*`, "<", "&lt;", ">", "&gt;")

// TestMentions: a command is told from others whose names hold its own.
func TestMentions(t *testing.T) {
	for _, c := range []struct {
		item, name string
		want       bool
	}{
		{"XREAD takes `+`", "XREAD", true},
		{"XREADGROUP takes CLAIM", "XREAD", false},
		{"CONFIG SET appendonly", "SET", false},
		{"CONFIG SET appendonly", "CONFIG SET", true},
		{"SET takes IFEQ", "SET", true},
		{"FLUSHALL takes no snapshot", "FLUSHALL", true},
		{"so are DEBUG SET-ACTIVE-EXPIRE", "SET", false},
		{"MIGRATE sends while nobody waits", "MIGRATE", true},
		{"CONFIG REWRITE writes", "CONFIG", false},
		{"it ends with MIGRATE.", "MIGRATE", true},
	} {
		if got := mentions(c.item, c.name); got != c.want {
			t.Errorf("%q about %s: %v", c.item, c.name, got)
		}
	}
}
