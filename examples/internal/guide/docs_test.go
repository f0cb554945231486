package guide_test

import (
	"testing"

	"github.com/spillwaydb/spillway/examples/internal/guide"
)

// TestPluginsGuide runs the commands of docs/plugins.md.
func TestPluginsGuide(t *testing.T) {
	out, _ := guide.Follow(t, "../../../docs/plugins.md", "../../..")
	guide.Wants(t, out, "is valid", "verified, start boot", "stage zstd: ok", "plugin started", "plugin_tools:state=running", "plugin_stage_zstd:plugin=tools,calls=", `"state":"running"`)
}
