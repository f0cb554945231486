package core_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/spillwaydb/spillway/"

// law lists what each package of core imports of this module, in its code and not
// in its tests: it may import nothing else, and must import all of it. A package
// that is not listed may not exist.
var law = map[string][]string{
	"core/vfs":              {},
	"core/resp":             {},
	"core/param":            {},
	"core/sink":             {"core/vfs", "internal/turn"},
	"core/rdb/packed":       {},
	"core/rdb":              {"core/rdb/packed"},
	"core/manifest":         {"core/sink", "core/vfs"},
	"core/wal":              {"core/resp", "core/vfs"},
	"core/keyspace/arena":   {"internal/aside", "internal/turn"},
	"core/keyspace":         {"core/keyspace/arena", "core/rdb", "core/rdb/packed", "internal/turn"},
	"core/ticks":            {},
	"core/pubsub":           {"core/resp"},
	"core/tracking":         {"core/resp"},
	"core/command/hll":      {},
	"core/command/geo":      {},
	"core/command":          {"core/command/geo", "core/command/hll", "core/keyspace", "core/keyspace/arena", "core/param", "core/pubsub", "core/rdb", "core/resp", "core/tracking"},
	"core/command/spec":     {},
	"core/acl":              {"core/command"},
	"core/backup":           {"core/manifest", "core/rdb", "core/resp", "core/sink", "core/vfs", "core/wal"},
	"core/repair":           {"core/manifest", "core/sink", "core/vfs", "core/wal"},
	"core/apply":            {"core/command", "core/keyspace", "core/rdb", "core/resp", "core/wal"},
	"core/follow":           {"core/keyspace", "core/rdb", "core/resp", "core/wal"},
	"core/script":           {"core/resp"},
	"core/session":          {"core/acl", "core/command", "core/keyspace", "core/keyspace/arena", "core/pubsub", "core/resp", "core/script", "core/ticks", "core/tracking", "core/wal"},
	"core/persist":          {"core/keyspace", "core/manifest", "core/rdb", "core/resp", "core/sink", "core/vfs", "core/wal"},
	"core":                  {"fsbackends/osfs", "core/acl", "core/apply", "core/command", "core/follow", "core/keyspace", "core/manifest", "core/param", "core/persist", "core/pubsub", "core/rdb", "core/repair", "core/script", "core/session", "core/sink", "core/tracking", "core/vfs", "core/wal", "internal/turn"},
	"core/server":           {"core", "core/command", "core/keyspace/arena", "core/param", "core/resp", "core/session", "internal/turn"},
	"core/coretest/model":   {"core/resp"},
	"core/coretest":         {"core", "core/command", "core/coretest/model", "core/resp", "core/vfs", "core/wal", "fsbackends/faultfs", "fsbackends/memfs", "internal/testutil"},
	"core/coretest/lives":   {"core", "core/backup", "core/coretest", "core/manifest", "core/resp", "core/sink", "fsbackends/faultfs", "fsbackends/memfs", "internal/testutil"},
	"core/coretest/planted": {},
	"core/coretest/linear":  {"core/resp"},
}

// TestImportLaw keeps the data going one way, see ARCHITECTURE.md.
func TestImportLaw(t *testing.T) {
	list := packages(t, module+"...")
	if len(list) < len(law) {
		t.Fatalf("only %d packages listed", len(list))
	}
	for _, p := range list {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, isCore := law[name]
		if !isCore && (name == "core" || strings.HasPrefix(name, "core/")) {
			t.Errorf("%s is not in the import law", name)
		}
		for _, own := range allowed {
			if !slices.Contains(p.Imports, module+own) {
				t.Errorf("%s may import %s and does not: take the permission back", name, own)
			}
		}
		for _, i := range p.Imports {
			own, ours := strings.CutPrefix(i, module)
			switch {
			case isCore && ours && !slices.Contains(allowed, own):
				t.Errorf("%s must not import %s", name, own)
			case isCore && (strings.HasPrefix(i, "github.com/hashicorp/hcl") || strings.HasPrefix(i, "github.com/hashicorp/go-plugin") || strings.HasPrefix(i, "google.golang.org/grpc") || strings.HasPrefix(i, "go.opentelemetry.io")):
				t.Errorf("%s must not import %s", name, i)
			case strings.HasPrefix(name, "plugins/") && strings.HasPrefix(own, "fsbackends"), strings.HasPrefix(name, "fsbackends") && strings.HasPrefix(own, "plugins"):
				t.Errorf("%s must not import %s", name, own)
			case strings.HasPrefix(name, "internal/") && ours && own != "core/sink" && !strings.HasPrefix(own, "internal/"):
				t.Errorf("%s must not import %s", name, own)
			}
		}
	}
}

// TestEmbeddingIsSmall: a program that embeds the engine over a directory links a
// logger and a filesystem, and neither a cloud nor the daemon's libraries.
func TestEmbeddingIsSmall(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{end}}{{.ImportPath}}", module+"examples/embedded").Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		mod, pkg, foreign := strings.Cut(strings.TrimSpace(line), " ")
		if !foreign || strings.HasPrefix(pkg, module) {
			continue
		}
		n++
		for _, word := range []string{"aws", "azure", "google", "grpc", "hashicorp/hcl", "go-plugin", "opentelemetry"} {
			if strings.Contains(strings.ToLower(mod), word) {
				t.Errorf("it links %s", pkg)
			}
		}
	}
	if n == 0 || n >= 25 {
		t.Errorf("it links %d packages of other modules", n)
	}
}
