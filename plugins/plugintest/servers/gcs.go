package servers

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// GCS is fake-gcs-server in memory.
type GCS struct {
	*Process
	// Env tells the client library where the server is; the test's process
	// knows already.
	Env map[string]string

	buckets atomic.Int32
}

// StartGCS starts a server that speaks as Google Cloud Storage does. It sets
// STORAGE_EMULATOR_HOST for the test.
func StartGCS(t testing.TB) *GCS {
	t.Helper()
	addr, port := freeAddr(t)
	env := setenv(t, map[string]string{"STORAGE_EMULATOR_HOST": addr})
	p := start(t, "fake-gcs-server", addr, nil, installed(t, "fake-gcs-server"), "-scheme", "http", "-host", "127.0.0.1", "-port", port,
		"-backend", "memory", "-public-host", addr, "-external-url", "http://"+addr, "-log-level", "warn")
	return &GCS{Process: p, Env: env}
}

// Bucket makes an empty bucket.
func (s *GCS) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	resp, err := http.Post("http://"+s.Addr()+"/storage/v1/b?project=test", "application/json", strings.NewReader(`{"name": "`+name+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("make bucket %s: %s\n%s", name, resp.Status, s.Log())
	}
	return name
}

// URL is the sink's URL of a place in a bucket; path may be "".
func (s *GCS) URL(bucket, path string) string { return "gs://" + bucket + "/" + path }
