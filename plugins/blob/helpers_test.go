package blob_test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/blob"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, plugins.Sink(blob.Name, blob.New)) }

var bg = context.Background()

// guard ends what hangs.
const guard = 3 * time.Minute

func mk(t testing.TB, o blob.Options) sink.Sink {
	t.Helper()
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	s, err := blob.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
