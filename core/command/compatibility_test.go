package command

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// neverHere says why commands of Redis 7.0 do not exist here and will not. There are
// none; those that are here only to be refused say so in their summaries.
var neverHere = map[string]string{}

// redisCommand is a command of Redis 7.0 that it documents.
type redisCommand struct{ group, name string }

// redisCommands are all of them: COMMAND DOCS of a redis-server 7.0.15.
func redisCommands(t *testing.T) (out []redisCommand) {
	t.Helper()
	f, err := os.Open(filepath.FromSlash("spec/redis-7.0.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		group, name, ok := strings.Cut(lines.Text(), "\t")
		if !ok {
			t.Fatalf("no tab in %q", lines.Text())
		}
		out = append(out, redisCommand{group, name})
	}
	return out
}

// TestCompatibilityDoc: docs/compatibility.md says of every command of Redis 7.0
// whether it is here, and names what is here and not there.
// go test ./core/command -run TestCompatibilityDoc -rewrite writes it.
func TestCompatibilityDoc(t *testing.T) {
	testutil.Document(t, "../../docs/compatibility.md", "commands", compatibility(t, redisCommands(t)))
}

// TestNeverHere: what is said never to be here is a command of Redis, and is not here.
func TestNeverHere(t *testing.T) {
	there := redisCommands(t)
	for name := range neverHere {
		if !slices.ContainsFunc(there, func(c redisCommand) bool { return c.name == name }) {
			t.Errorf("%s is no command of Redis 7.0", name)
		}
		if Lookup([]byte(name)) != nil {
			t.Errorf("%s is here", name)
		}
	}
}

// compatibility is the part of the document that the table of commands says.
func compatibility(t *testing.T, there []redisCommand) string {
	here := make(map[string]*Command)
	for _, cmd := range every {
		here[cmd.Name] = cmd
	}
	var groups []string
	known := make(map[string]bool)
	for _, c := range there {
		known[c.name] = true
		if !slices.Contains(groups, c.group) {
			groups = append(groups, c.group)
		}
	}
	var b strings.Builder
	count, total := 0, 0
	for _, group := range groups {
		var yes, not, later []string
		for _, c := range there {
			if c.group != group {
				continue
			}
			total++
			spelled := "`" + strings.ToUpper(strings.ReplaceAll(c.name, "|", " ")) + "`"
			container, _, _ := strings.Cut(c.name, "|")
			switch {
			case here[c.name] != nil:
				count++
				yes = append(yes, spelled)
			case neverHere[c.name] != "":
				not = append(not, spelled+": "+neverHere[c.name])
			case neverHere[container] == "":
				later = append(later, spelled)
			}
		}
		fmt.Fprintf(&b, "\n### %s\n", group)
		if len(yes) > 0 {
			fmt.Fprintf(&b, "\n%s\n", strings.Join(yes, ", "))
		}
		if len(later) > 0 {
			fmt.Fprintf(&b, "\nNot yet here: %s\n", strings.Join(later, ", "))
		}
		if len(not) > 0 {
			fmt.Fprintf(&b, "\nNot here:\n\n- %s\n", strings.Join(not, "\n- "))
		}
	}
	var more []string
	for _, cmd := range every {
		if !known[cmd.Name] {
			more = append(more, fmt.Sprintf("- `%s`: %s", strings.ToUpper(strings.ReplaceAll(cmd.Name, "|", " ")), cmd.Doc.Summary))
		}
	}
	return fmt.Sprintf("Of the %d commands and subcommands that Redis 7.0 documents, %d are here.\n%s\n### Not of Redis 7.0\n\n%s\n",
		total, count, b.String(), strings.Join(more, "\n"))
}
