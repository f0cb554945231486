package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/blob"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
)

// TestFailedUploads: on no store does an upload that is cancelled, or whose
// source fails, leave an object that could be taken for a part.
func TestFailedUploads(t *testing.T) {
	s3, gcs, azure := servers.StartS3(t), servers.StartGCS(t), servers.StartAzure(t)
	for scheme, url := range map[string]string{
		"s3": s3.URL(s3.Bucket(t), ""), "gs": gcs.URL(gcs.Bucket(t), ""), "azblob": azure.URL(azure.Bucket(t), ""),
		"file": "file://" + t.TempDir(), "mem": "mem://",
	} {
		t.Run(scheme, func(t *testing.T) {
			s := mk(t, blob.Options{URL: url})
			for _, n := range []int64{0, 100, 1 << 20, 8 << 20, 30 << 20} {
				for _, broken := range []error{errors.New("the encoder broke"), fmt.Errorf("broke: %w", io.EOF), io.ErrUnexpectedEOF} {
					if _, err := s.Put(bg, plugintest.OnePart(1), &plugintest.Stream{N: n, Err: broken}); !errors.Is(err, broken) {
						t.Errorf("%d bytes: %v", n, err)
					}
				}
				ctx, cancel := context.WithCancel(bg)
				if _, err := s.Put(ctx, plugintest.OnePart(1), &plugintest.Stream{N: n, After: n, At: cancel}); !errors.Is(err, context.Canceled) {
					t.Errorf("%d bytes: %v", n, err)
				}
				plugintest.WantAbsent(t, s, plugintest.OnePart(1))
			}
		})
	}
}

// TestKilled kills a server in the middle of an upload; S3 has a test that looks
// closer.
func TestKilled(t *testing.T) {
	gcs, azure := servers.StartGCS(t), servers.StartAzure(t) // whose index of what it holds does not survive that
	var wg sync.WaitGroup
	for _, c := range []struct {
		server *servers.Process
		url    string
	}{{gcs.Process, gcs.URL(gcs.Bucket(t), "")}, {azure.Process, azure.URL(azure.Bucket(t), "")}} {
		s := mk(t, blob.Options{URL: c.url, Attempts: 1})
		set := plugintest.PutOne(t, s, 1, []byte("before"))
		ctx, cancel := context.WithTimeout(bg, guard)
		defer cancel()
		refused := func(what string, call func() error) { // the client library takes its time to believe it
			if err := call(); err == nil || ctx.Err() != nil {
				t.Errorf("%s: %s without a server: %v", c.url, what, err)
			}
		}
		wg.Go(func() {
			refused("Put", func() error {
				_, err := s.Put(ctx, plugintest.OnePart(2), &plugintest.Stream{N: 64 << 20, After: 24 << 20, At: c.server.Kill})
				return err
			})
			wg.Go(func() { refused("Publish", func() error { return s.Publish(ctx, set) }) })
			wg.Go(func() { refused("Remove", func() error { return s.Remove(ctx, set.ID) }) })
		})
	}
	wg.Wait()
}

// TestReceipts: what a store computes of a part is compared, and in the receipt;
// of small parts and of those that go in pieces.
func TestReceipts(t *testing.T) {
	gcs, azure := servers.StartGCS(t), servers.StartAzure(t)
	for _, c := range []struct {
		scheme, url  string
		small, large string
	}{
		{"gs", gcs.URL(gcs.Bucket(t), "p"), `"check":"crc32c","sum":"9a71bb4c"`, `"check":"crc32c"`},
		{"azblob", azure.URL(azure.Bucket(t), "p"), `"check":"md5","sum":"5d41402abc4b2a76b9719d911017c592"`, `"check":"size"`},
		{"file", "file://" + t.TempDir(), `"check":"size"`, `"check":"size"`},
	} {
		t.Run(c.scheme, func(t *testing.T) {
			s := mk(t, blob.Options{URL: c.url})
			set := plugintest.PutOne(t, s, 1, []byte("hello"))
			if got := string(set.Parts[0].SinkReceipt); !strings.Contains(got, c.small) {
				t.Errorf("receipt %s, want one with %s", got, c.small)
			}
			src := &plugintest.Stream{N: 20<<20 + 1}
			data := src.All(t)
			large := plugintest.PutOne(t, s, 2, data)
			if got := string(large.Parts[0].SinkReceipt); !strings.Contains(got, c.large) {
				t.Errorf("receipt %s, want one with %s", got, c.large)
			}
			plugintest.Publish(t, s, large)
			plugintest.WantPart(t, s, large.Parts[0], data)
			set.Parts[0].SinkReceipt = sink.Receipt(`{"etag": "another"}`)
			if err := s.Publish(bg, set); !errors.Is(err, sink.ErrCorrupt) && c.scheme != "file" {
				t.Errorf("Publish with another's receipt: %v", err)
			}
		})
	}
}
