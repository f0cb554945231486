package pythonstage

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/examples/internal/guide"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

// assemble puts the plugin together as README.md says, and returns its path.
func assemble(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"plugin.py", "spillway_plugin.py"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("protoc", "--python_out="+dir, "-I", "../../plugins/proto", "plugin.proto").CombinedOutput(); err != nil {
		t.Fatalf("protoc: %v; apt-get install protobuf-compiler\n%s", err, out)
	}
	return filepath.Join(dir, "plugin.py")
}

// TestConformance: what the Go stages promise holds for the one in Python.
func TestConformance(t *testing.T) {
	w := plugintest.Command(t, assemble(t))
	plugintest.TestStage(t, func(t testing.TB) sink.Stage {
		return w.Stage(t, "xz", map[string]int{"preset": 0})
	})
}

// TestXz: what is stored is what xz reads.
func TestXz(t *testing.T) {
	s := plugintest.Command(t, assemble(t)).Stage(t, "xz", nil)
	want := plugintest.Payload(3 << 20)
	var stored bytes.Buffer
	part := sink.Part{Job: 1, Kind: sink.KindSnapshot, Generation: 1, Shards: 1, Name: "shard-0000.rdb.xz"}
	if _, err := s.Encode(t.Context(), part, &stored, bytes.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("xz", "-dc")
	cmd.Stdin = &stored
	if got, err := cmd.Output(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("xz -d gives %d bytes, want %d: %v", len(got), len(want), err)
	}
}

// TestConfiguration: what the class refuses is told to the operator.
func TestConfiguration(t *testing.T) {
	w := plugintest.Command(t, assemble(t))
	for config, want := range map[string]string{`{"preset": 10}`: "preset wants a number from 0 to 9", `{"presett": 1}`: "presett"} {
		s := w.Plugin().Stage("xz", "xz", []byte(config))
		err := s.(interface{ Check(context.Context) error }).Check(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || !sink.IsPermanent(err) {
			t.Errorf("%s: %v, want a permanent error with %q", config, err, want)
		}
	}
}

// TestReadme does what README.md tells an author to do.
func TestReadme(t *testing.T) {
	out, _ := guide.Follow(t, "README.md", ".")
	guide.Wants(t, out, "is valid", "  stage xz: ok\n", "offers stage xz", "running for", ".rdb.xz\n", "\nhello\n", "RDB looks OK!")
}
