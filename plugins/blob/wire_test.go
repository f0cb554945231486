package blob_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/blob"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
)

// between is an S3 server behind a line that spoils things.
type between struct {
	*httptest.Server
	url string // of the bucket
	// request may answer by itself; then it returns true.
	request atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
	// response may change what the server answered.
	response atomic.Pointer[func(r *http.Response) error]
}

// spoiled starts one, with a sink behind it and one that goes straight.
func spoiled(t *testing.T) (line *between, s, straight sink.Sink) {
	t.Helper()
	srv := servers.StartS3(t)
	line = &between{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: srv.Addr()})
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: func(r *http.Response) error {
			if f := line.response.Load(); f != nil { //nolint:bodyclose // the proxy's
				return (*f)(r)
			}
			return nil
		},
	}
	line.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := line.request.Load(); f != nil && (*f)(w, r) {
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(line.Close)
	bucket := srv.Bucket(t)
	line.url = strings.ReplaceAll(srv.URL(bucket, ""), url.QueryEscape(srv.Addr()), url.QueryEscape(line.Listener.Addr().String()))
	return line, mk(t, blob.Options{URL: line.url}), mk(t, blob.Options{URL: srv.URL(bucket, "")})
}

// TestDamageOnTheWay: bytes that change on their way to the store are noticed,
// whatever the size of the part; so is a store that has others than were sent.
func TestDamageOnTheWay(t *testing.T) {
	line, s, straight := spoiled(t)
	flip := func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && r.ContentLength > 1000 {
			b, err := io.ReadAll(r.Body)
			if err == nil {
				b[len(b)/2] ^= 1
			}
			r.Body = io.NopCloser(bytes.NewReader(b))
		}
		return false
	}
	line.request.Store(&flip)
	for _, n := range []int64{5000, 20 << 20} {
		if _, err := s.Put(bg, plugintest.OnePart(1), &plugintest.Stream{N: n}); err == nil {
			t.Errorf("%d bytes were put that changed on their way", n)
		}
		plugintest.WantAbsent(t, straight, plugintest.OnePart(1))
	}
	line.request.Store(nil)

	lie := func(r *http.Response) error {
		if r.Request.Method == http.MethodHead && r.Header.Get("X-Amz-Checksum-Crc32") != "" {
			r.Header.Set("X-Amz-Checksum-Crc32", "AAAAAA==")
		}
		return nil
	}
	line.response.Store(&lie)
	if _, err := s.Put(bg, plugintest.OnePart(1), &plugintest.Stream{N: 5000}); !errors.Is(err, sink.ErrCorrupt) {
		t.Errorf("the store has another checksum: %v", err)
	}
}

// TestTruncatedOnTheWay: a download that breaks off is no end of the part.
func TestTruncatedOnTheWay(t *testing.T) {
	line, s, _ := spoiled(t)
	set := plugintest.PutOne(t, s, 1, plugintest.Payload(1<<20))
	cut := func(r *http.Response) error {
		if r.Request.Method == http.MethodGet && r.ContentLength > 1000 {
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.LimitReader(r.Body, r.ContentLength/2), r.Body}
		}
		return nil
	}
	line.response.Store(&cut)
	rc, err := s.Open(bg, set.Parts[0].Part, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, rc); err == nil {
		t.Errorf("half a part of %d bytes is read without an error", n)
	}
	rc.Close()
}

// TestBusyStore: requests that a store is too busy for are made again.
func TestBusyStore(t *testing.T) {
	line, s, _ := spoiled(t)
	var n atomic.Int64
	busy := func(w http.ResponseWriter, r *http.Request) bool {
		if n.Add(1)%2 == 0 {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "<Error><Code>SlowDown</Code><Message>please</Message></Error>")
		return true
	}
	line.request.Store(&busy)
	set := plugintest.PutOne(t, s, 1, []byte("hello"))
	plugintest.Publish(t, s, set)
	plugintest.WantGenerations(t, s, 1)
	plugintest.WantPart(t, s, set.Parts[0], []byte("hello"))
	if err := s.Remove(bg, set.ID); err != nil {
		t.Error(err)
	}
}

// TestStoreWithoutConditions: SET.json is put where a store knows no conditions,
// and does not replace another.
func TestStoreWithoutConditions(t *testing.T) {
	line, s, _ := spoiled(t)
	refuse := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("If-None-Match") == "" {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusNotImplemented)
		_, _ = io.WriteString(w, "<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented.</Message></Error>")
		return true
	}
	line.request.Store(&refuse)
	set := plugintest.PutOne(t, s, 1, []byte("hello"))
	plugintest.Publish(t, s, set)
	plugintest.Publish(t, s, set)
	set.Parts = nil
	if err := s.Publish(bg, set); !errors.Is(err, os.ErrExist) {
		t.Errorf("another set of the same name: %v", err)
	}
	plugintest.WantGenerations(t, s, 1)
}

// TestRangesOnTheWay: a large part is asked for in ranges, several at a time, of which one
// that breaks off is asked for again from there; what is read is what was put. A part of
// no more than part_size is read in one stream, and so is one of a store that knows no ranges.
func TestRangesOnTheWay(t *testing.T) {
	const piece, n = 5 << 20, 22 << 20
	line, s, _ := spoiled(t)
	content := plugintest.Payload(n)
	part := plugintest.PutOne(t, s, 1, content).Parts[0]
	small := plugintest.PutOne(t, s, 2, content[:piece]).Parts[0]

	var (
		mu      sync.Mutex
		changed = sync.NewCond(&mu)
		asked   []string
	)
	// Each range but the first, with which all begins, is answered when the one behind it
	// has been asked for.
	wait := func(_ http.ResponseWriter, r *http.Request) bool {
		header := r.Header.Get("Range")
		if r.Method != http.MethodGet || header == "" {
			return false
		}
		var first, last int
		if _, err := fmt.Sscanf(header, "bytes=%d-%d", &first, &last); err != nil {
			t.Errorf("Range: %s: %v", header, err)
		}
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, header)
		changed.Broadcast()
		behind := fmt.Sprintf("bytes=%d-", last+1)
		for first > 0 && last+1 < n && !slices.ContainsFunc(asked, func(h string) bool { return strings.HasPrefix(h, behind) }) {
			changed.Wait()
		}
		return false
	}
	var broken atomic.Bool
	cut := func(r *http.Response) error {
		if strings.HasPrefix(r.Request.Header.Get("Range"), fmt.Sprintf("bytes=%d-", 2*piece)) && !broken.Swap(true) {
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.LimitReader(r.Body, 1<<20), r.Body}
		}
		return nil
	}
	line.request.Store(&wait)
	line.response.Store(&cut)
	ranged := mk(t, blob.Options{URL: line.url, PartSize: piece})
	plugintest.WantPart(t, ranged, part, content)
	slices.Sort(asked)
	want := []string{
		fmt.Sprintf("bytes=%d-%d", 0, piece-1), fmt.Sprintf("bytes=%d-%d", 2*piece, 3*piece-1), fmt.Sprintf("bytes=%d-%d", 2*piece+1<<20, 3*piece-1),
		fmt.Sprintf("bytes=%d-%d", 3*piece, 4*piece-1), fmt.Sprintf("bytes=%d-%d", 4*piece, n-1), fmt.Sprintf("bytes=%d-%d", piece, 2*piece-1),
	}
	slices.Sort(want)
	if !slices.Equal(asked, want) {
		t.Errorf("these were asked for: %v\nand not: %v", asked, want)
	}

	asked = nil
	plugintest.WantPart(t, ranged, small, content[:piece])
	plugintest.WantPart(t, mk(t, blob.Options{URL: line.url, PartSize: piece, Concurrency: 1}), part, content)
	if len(asked) > 0 {
		t.Errorf("ranges were asked for without need: %v", asked)
	}

	ignore := func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("Range")
		return false
	}
	line.request.Store(&ignore)
	plugintest.WantPart(t, ranged, part, content)
}

// TestRangesOfStores: a part is what was put, in ranges from every kind of store.
func TestRangesOfStores(t *testing.T) {
	content := plugintest.Payload(11<<20 + 1)
	for name, r := range map[string]remote{"s3": servers.StartS3(t), "gcs": servers.StartGCS(t), "azure": servers.StartAzure(t)} {
		t.Run(name, func(t *testing.T) {
			s := mk(t, blob.Options{URL: r.URL(r.Bucket(t), "a/b"), PartSize: 5 << 20, Concurrency: 2})
			plugintest.WantPart(t, s, plugintest.PutOne(t, s, 1, content).Parts[0], content)
		})
	}
}
