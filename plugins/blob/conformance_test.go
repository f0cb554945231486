package blob_test

import (
	"maps"
	"os"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest/lives"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/blob"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
)

// remote is a server with buckets.
type remote interface {
	Bucket(t testing.TB) string
	URL(bucket, path string) string
}

func TestConformance(t *testing.T) {
	suite := func(t *testing.T, r remote) {
		t.Run("bucket", func(t *testing.T) {
			plugintest.TestSink(t, func(t testing.TB) sink.Sink { return mk(t, blob.Options{URL: r.URL(r.Bucket(t), "")}) })
		})
		t.Run("prefix, read again", func(t *testing.T) {
			plugintest.TestSink(t, func(t testing.TB) sink.Sink {
				return mk(t, blob.Options{URL: r.URL(r.Bucket(t), "/backups/of this/é"), Verify: true})
			})
		})
	}
	t.Run("s3", func(t *testing.T) {
		srv := servers.StartS3(t)
		suite(t, srv)
		t.Run("without checksums", func(t *testing.T) {
			plugintest.TestSink(t, func(t testing.TB) sink.Sink {
				return mk(t, blob.Options{URL: srv.URL(srv.Bucket(t), "") + "&request_checksum_calculation=when_required"})
			})
		})
	})
	t.Run("gcs", func(t *testing.T) { suite(t, servers.StartGCS(t)) })
	t.Run("azure", func(t *testing.T) { suite(t, servers.StartAzure(t)) })
	t.Run("file", func(t *testing.T) {
		plugintest.TestSink(t, func(t testing.TB) sink.Sink { return mk(t, blob.Options{URL: "file://" + t.TempDir()}) })
	})
	t.Run("mem", func(t *testing.T) {
		plugintest.TestSink(t, func(t testing.TB) sink.Sink { return mk(t, blob.Options{URL: "mem://"}) })
	})
}

// TestConformanceOverWire runs the sink in a process of its own.
func TestConformanceOverWire(t *testing.T) {
	srv := servers.StartS3(t)
	w := plugintest.LoopbackEnv(t, maps.Clone(srv.Env))
	plugintest.TestSink(t, func(t testing.TB) sink.Sink {
		return w.Sink(t, blob.Name, blob.Options{URL: srv.URL(srv.Bucket(t), "over/wire")})
	})
}

// TestLives: several lives and daemons in one bucket. What differs between the stores is
// who wins where two write one name, and what a list says.
func TestLives(t *testing.T) {
	at := func(url func(t testing.TB) string) lives.Make {
		return func(t testing.TB) lives.Store {
			u := url(t)
			return lives.Store{Open: func() sink.Sink { return mk(t, blob.Options{URL: u}) }}
		}
	}
	suite := func(r remote) lives.Make {
		return at(func(t testing.TB) string { return r.URL(r.Bucket(t), "/a place") })
	}
	t.Run("s3", func(t *testing.T) { lives.TestBrief(t, suite(servers.StartS3(t))) })
	t.Run("gcs", func(t *testing.T) {
		lives.TestScenarios(t, suite(servers.StartGCS(t)), "a copy runs beside the original", "numbers collide")
	})
	t.Run("azure", func(t *testing.T) {
		lives.TestScenarios(t, suite(servers.StartAzure(t)), "the disk is lost", "numbers collide")
	})
	t.Run("file", func(t *testing.T) {
		lives.TestScenarios(t, func(t testing.TB) lives.Store {
			dir := t.TempDir()
			s := at(func(testing.TB) string { return "file://" + dir })(t)
			s.Files = os.DirFS(dir)
			return s
		}, "a process dies before it has published")
	})
}
