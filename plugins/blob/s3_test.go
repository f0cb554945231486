package blob_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/internal/testutil"
	"github.com/spillwaydb/spillway/plugins/blob"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
)

// uploads are the keys of unfinished uploads.
func uploads(t testing.TB, srv *servers.S3, bucket string) (keys []string) {
	t.Helper()
	out, err := srv.Client().ListMultipartUploads(bg, &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range out.Uploads {
		keys = append(keys, *u.Key)
	}
	return keys
}

// keys are the objects of a bucket.
func keys(t testing.TB, srv *servers.S3, bucket string) (keys []string) {
	t.Helper()
	out, err := srv.Client().ListObjectsV2(bg, &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

func TestS3Layout(t *testing.T) {
	srv := servers.StartS3(t)
	bucket := srv.Bucket(t)
	s := mk(t, blob.Options{URL: srv.URL(bucket, "/a/b/")})
	plugintest.Publish(t, s, plugintest.PutOne(t, s, 42, []byte("hello")))
	if got := strings.Join(keys(t, srv, bucket), " "); got != "a/b/checkpoints/00000042/SET.json a/b/checkpoints/00000042/shard-0000.rdb" {
		t.Errorf("objects: %s", got)
	}
	again, err := blob.Open(bg, "restore", srv.URL(bucket, "a/b"))
	if err != nil {
		t.Fatal(err)
	}
	plugintest.WantGenerations(t, again, 42)
	other := mk(t, blob.Options{URL: srv.URL(bucket, "a/c")})
	plugintest.WantGenerations(t, other)
	if _, err := s.Put(bg, plugintest.OnePart(42), strings.NewReader("x")); !errors.Is(err, os.ErrExist) || !sink.IsPermanent(err) {
		t.Errorf("Put into a published set: %v", err)
	}
	if err := s.Remove(bg, sink.SetID{Generation: 42, Kind: sink.KindRewrite}); err == nil {
		t.Error("a snapshot is removed as a rewrite")
	}
	set := plugintest.OneSet(42, []byte("hello"), nil)
	set.Parts = nil
	if err := s.Publish(bg, set); !errors.Is(err, os.ErrExist) || !sink.IsPermanent(err) {
		t.Errorf("another set of the same name: %v", err)
	}
	plugintest.WantGenerations(t, s, 42)
}

// TestS3Checksums: what the store computed is what was sent, of small parts and
// of those that go in pieces, and is in the receipt.
func TestS3Checksums(t *testing.T) {
	srv := servers.StartS3(t)
	for _, c := range []struct{ query, check string }{{"", "crc32"}, {"&request_checksum_calculation=when_required", "etag"}} {
		s := mk(t, blob.Options{URL: srv.URL(srv.Bucket(t), "") + c.query, PartSize: 5 << 20})
		for i, n := range []int{0, 1000, 5<<20 - 1, 5 << 20, 5<<20 + 1, 17 << 20} {
			set := plugintest.PutOne(t, s, uint64(i), plugintest.Payload(n))
			var r struct {
				Bytes       int64
				ETag, Check string
				Sum         string
			}
			if err := json.Unmarshal(set.Parts[0].SinkReceipt, &r); err != nil {
				t.Fatal(err)
			}
			if r.Bytes != int64(n) || r.ETag == "" || r.Check != c.check || (c.check == "crc32") != (r.Sum != "") {
				t.Errorf("%q, %d bytes: receipt %s, want one checked by %s", c.query, n, set.Parts[0].SinkReceipt, c.check)
			}
			plugintest.Publish(t, s, set)
		}
	}
}

// TestS3PartReplaced: a part that is not the one that was put is not published,
// even if it has its size.
func TestS3PartReplaced(t *testing.T) {
	srv := servers.StartS3(t)
	bucket := srv.Bucket(t)
	s := mk(t, blob.Options{URL: srv.URL(bucket, "")})
	set := plugintest.PutOne(t, s, 1, []byte("aaaa"))
	key := "checkpoints/00000001/shard-0000.rdb"
	if _, err := srv.Client().PutObject(bg, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("bbbb")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(bg, set); !errors.Is(err, sink.ErrCorrupt) {
		t.Errorf("Publish: %v", err)
	}
	plugintest.WantGenerations(t, s)
}

// TestS3ListTolerant: a document that cannot be read is an error beside the
// other sets.
func TestS3ListTolerant(t *testing.T) {
	srv := servers.StartS3(t)
	bucket := srv.Bucket(t)
	s := mk(t, blob.Options{URL: srv.URL(bucket, "")})
	for gen := uint64(1); gen <= 3; gen++ {
		plugintest.Publish(t, s, plugintest.PutOne(t, s, gen, []byte("x")))
	}
	plugintest.PutOne(t, s, 4, []byte("staged"))
	for key, body := range map[string]string{
		"checkpoints/00000002/SET.json": "{}", "checkpoints/00000009/SET.json": "x", "checkpoints/notes.txt": "x", "checkpoints/old/SET.json": "x",
	} {
		if _, err := srv.Client().PutObject(bg, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)}); err != nil {
			t.Fatal(err)
		}
	}
	sets, err := s.List(bg)
	if len(sets) != 2 || sets[0].ID.Generation != 1 || sets[1].ID.Generation != 3 {
		t.Errorf("sets %v", sets)
	}
	if !errors.Is(err, sink.ErrCorrupt) || !strings.Contains(err.Error(), "00000002") || !strings.Contains(err.Error(), "00000009") {
		t.Errorf("List: %v", err)
	}
	if err := s.Remove(bg, plugintest.OnePart(2).ID()); err != nil {
		t.Errorf("Remove of a damaged set: %v", err)
	}
}

// TestS3FailedUpload: an upload that is cancelled, or whose source fails, leaves
// no object. A piece that was on its way when the upload was aborted may bring it
// back, as S3 documents; that much is left to Sweep.
func TestS3FailedUpload(t *testing.T) {
	srv := servers.StartS3(t)
	bucket := srv.Bucket(t)
	s := mk(t, blob.Options{URL: srv.URL(bucket, "")})
	broken := errors.New("the encoder broke")
	for _, n := range []int64{1 << 20, 30 << 20} {
		if _, err := s.Put(bg, plugintest.OnePart(1), &plugintest.Stream{N: n, Err: broken}); !errors.Is(err, broken) {
			t.Errorf("%d bytes: %v", n, err)
		}
		ctx, cancel := context.WithCancel(bg)
		if _, err := s.Put(ctx, plugintest.OnePart(1), &plugintest.Stream{N: n, After: n, At: cancel}); !errors.Is(err, context.Canceled) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	// The server may be at a request yet that was cancelled: the next sweep has what it makes.
	testutil.Eventually(t, "nothing is left of the failed uploads", func() bool {
		if _, err := s.(sink.Sweeper).Sweep(bg, func(sink.SetID) bool { return false }); err != nil {
			t.Error(err)
		}
		return len(keys(t, srv, bucket))+len(uploads(t, srv, bucket)) == 0
	})
}

// TestS3Sweep: what nobody published goes, objects and unfinished uploads, but
// for what is in use.
func TestS3Sweep(t *testing.T) {
	srv := servers.StartS3(t)
	bucket := srv.Bucket(t)
	s := mk(t, blob.Options{URL: srv.URL(bucket, "p")})
	for gen := uint64(1); gen <= 3; gen++ {
		set := plugintest.PutOne(t, s, gen, []byte("x"))
		if gen == 1 {
			plugintest.Publish(t, s, set)
		}
	}
	for _, key := range []string{"p/checkpoints/00000001/late.rdb", "p/checkpoints/00000003/x.rdb", "p/checkpoints/00000004/y.rdb", "p/checkpoints/00000005/z.rdb", "q/checkpoints/00000004/theirs.rdb"} {
		if _, err := srv.Client().CreateMultipartUpload(bg, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	removed, err := s.(sink.Sweeper).Sweep(bg, func(id sink.SetID) bool { return id.Generation == 3 || id.Generation == 5 })
	if err != nil || strings.Join(removed, " ") != "checkpoints/00000002 checkpoints/00000004" {
		t.Errorf("removed %v, %v", removed, err)
	}
	if got := strings.Join(uploads(t, srv, bucket), " "); got != "p/checkpoints/00000003/x.rdb p/checkpoints/00000005/z.rdb q/checkpoints/00000004/theirs.rdb" {
		t.Errorf("uploads left: %s", got)
	}
	plugintest.WantGenerations(t, s, 1)
	plugintest.WantAbsent(t, s, plugintest.OnePart(2))
}

// TestS3Killed kills the server in the middle of an upload.
func TestS3Killed(t *testing.T) {
	srv := servers.StartS3(t)
	bucket := srv.Bucket(t)
	s := mk(t, blob.Options{URL: srv.URL(bucket, ""), Attempts: 2})
	plugintest.TestKilled(t, srv, s)
	if u := uploads(t, srv, bucket); len(u) != 0 {
		t.Errorf("unfinished uploads: %v", u)
	}
	plugintest.WantGenerations(t, s, 1, 2)
}

// TestS3Hangs: a server that does not answer holds a call up for as long as its
// deadline says, or for as long as a stream may stand still.
func TestS3Hangs(t *testing.T) {
	srv := servers.StartS3(t)
	s := mk(t, blob.Options{URL: srv.URL(srv.Bucket(t), "")})
	bucket := srv.Bucket(t)
	impatient := mk(t, blob.Options{URL: srv.URL(bucket, ""), Timeout: 1e9, Attempts: 2})
	restless := mk(t, blob.Options{URL: srv.URL(bucket, ""), StallTimeout: 2e9})
	plugintest.TestHangs(t, srv, s, impatient, restless)
}

// TestS3Memory: an upload holds some pieces, not the part.
func TestS3Memory(t *testing.T) {
	srv := servers.StartS3(t)
	const pieces = 5 * 8 << 20 // concurrency 3, and two
	plugintest.TestMemory(t, mk(t, blob.Options{URL: srv.URL(srv.Bucket(t), "")}), 2*pieces)
}

// TestS3Refused: what cannot work is permanent, says what to do, and shows no
// secret.
func TestS3Refused(t *testing.T) {
	srv := servers.StartS3(t)
	bucket := srv.Bucket(t)
	check := func(what string, err error, words string) {
		t.Helper()
		if err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want a permanent error with %q", what, err, words)
		}
		if err != nil && strings.Contains(err.Error(), "wrong-secret-key") {
			t.Errorf("%s: %v", what, err)
		}
	}
	gone := mk(t, blob.Options{URL: srv.URL("no-such-bucket", "")})
	_, err := gone.Put(bg, plugintest.OnePart(1), strings.NewReader("x"))
	check("no bucket", err, "make the bucket first")
	_, err = gone.List(bg)
	check("no bucket", err, "make the bucket first")

	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-key")
	s := mk(t, blob.Options{URL: srv.URL(bucket, "")})
	_, err = s.Put(bg, plugintest.OnePart(1), strings.NewReader("x"))
	check("put with a wrong key", err, "credentials")
	_, err = s.List(bg)
	check("list with a wrong key", err, "credentials")
	check("remove with a wrong key", s.Remove(bg, plugintest.OnePart(1).ID()), "credentials")
}

// TestFile: a directory has the layout of sink.FSSink, and nothing besides.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	s := mk(t, blob.Options{URL: "file://" + dir, Verify: true})
	data := plugintest.Payload(3 << 20)
	set := plugintest.PutOne(t, s, 7, data)
	plugintest.Publish(t, s, set)
	if _, err := s.Put(bg, plugintest.OnePart(8), &plugintest.Stream{N: 1 << 20, Err: errors.New("broken")}); err == nil {
		t.Error("a failed part is put")
	}
	var names []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(p, dir))
		}
		return err
	})
	if err != nil || strings.Join(names, " ") != "/checkpoints/00000007/SET.json /checkpoints/00000007/shard-0000.rdb" {
		t.Errorf("files %v, %v", names, err)
	}
	back, err := os.ReadFile(filepath.Join(dir, names[1]))
	if err != nil || !bytes.Equal(back, data) {
		t.Errorf("%d bytes, %v", len(back), err)
	}
	if err := s.Remove(bg, set.ID); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*7*")); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := blob.New(blob.Options{URL: "file://" + dir + "/not/mounted"}); err == nil {
		t.Error("a directory that is not there is made")
	}
}
