package sftp_test

import (
	"context"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/sftp"
)

func TestMain(m *testing.M) { plugintest.Main(m, plugins.Sink(sftp.Name, sftp.New)) }

var bg = context.Background()

func mk(t testing.TB, o sftp.Options) sink.Sink {
	t.Helper()
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	s, err := sftp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
