package objstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/aws/smithy-go"
	"google.golang.org/api/googleapi"

	"github.com/spillwaydb/spillway/core/sink"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ url, bucket, prefix, location string }{
		{"s3://b", "s3://b", "", "s3://b"},
		{"s3://b/", "s3://b", "", "s3://b"},
		{"s3://b/a//c/?region=x&prefix=d", "s3://b?region=x", "a/c/d/", "s3://b/a/c/d"},
		{"s3://b/a?endpoint=https://key:secret@host", "s3://b?endpoint=https%3A%2F%2Fkey%3Asecret%40host", "a/", "s3://b/a"},
		{"gs://b/a%20b", "gs://b", "a b/", "gs://b/a%20b"},
		{"mem://", "mem:", "", "mem://"},
		{"file:///var/x/", "file:///var/x/?dir_file_mode=0700&metadata=skip&no_tmp_dir=true", "", "file:///var/x"},
		{"file:///var/x?create_dir=1&prefix=y", "file:///var/x?create_dir=1&dir_file_mode=0700&metadata=skip&no_tmp_dir=true", "y/", "file:///var/x/y"},
	} {
		p, err := Parse(c.url)
		if err != nil || p.Bucket != c.bucket || p.Prefix != c.prefix || p.Location != c.location {
			t.Errorf("%s: %+v, %v; want %+v", c.url, p, err, c)
		}
	}
	for _, bad := range []string{"", "b/a", "ftp://b", "s3://", "s3:///a", "s3://key:geheim@b/a", "s3://b/a/../c", "s3://b?prefix=../x", "s3://b?key=x", "file://host/x", "file:x", "s3://b/%zz?sig=geheim"} {
		if p, err := Parse(bad); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %+v, %v", bad, p, err)
		}
	}
}

func TestScrub(t *testing.T) {
	t.Setenv("AZURE_STORAGE_KEY", "azure-key==")
	err := fmt.Errorf("GET https://user:pa55@host/x?sv=1&sig=abc%%2F&X-Amz-Signature=def&x=1\nazure-key== refused: %w", errInner)
	got := Scrub(err)
	if got.Error() != "GET https://[redacted]@host/x?sv=1&sig=[redacted]&X-Amz-Signature=[redacted]&x=1 [redacted] refused: inner" {
		t.Error(got)
	}
	if !errors.Is(got, errInner) {
		t.Error("the cause is lost")
	}
}

// TestScrubHostID: what only the store's owner can read does not push what helps
// out of sight.
func TestScrubHostID(t *testing.T) {
	id := strings.Repeat("Ab3/", 120) + "="
	err := fmt.Errorf("operation error S3: PutObject, https response error StatusCode: 403, RequestID: 17A, HostID: %s, api error AccessDenied: Access Denied: %w", id, errInner)
	if got := Scrub(err).Error(); got != "operation error S3: PutObject, https response error StatusCode: 403, RequestID: 17A, api error AccessDenied: Access Denied: inner" {
		t.Error(got)
	}
}

var errInner = errors.New("inner")

// TestClassify: what gocloud.dev calls "not found" is not always that.
func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err       error
		is        error
		permanent bool
	}{
		{&net.DNSError{Err: "no such host", Name: "x"}, nil, false},
		{fmt.Errorf("x: %w", &googleapi.Error{Code: 403}), os.ErrPermission, true},
		{&googleapi.Error{Code: 404}, os.ErrNotExist, false},
		{&googleapi.Error{Code: 412}, os.ErrExist, false},
		{&googleapi.Error{Code: 429}, sink.ErrTransient, false},
		{&googleapi.Error{Code: 503}, sink.ErrTransient, false},
		{&googleapi.Error{Code: 400}, sink.ErrPermanent, true},
		{storage.ErrBucketNotExist, sink.ErrPermanent, true},
		{storage.ErrObjectNotExist, nil, false},
		{&azcore.ResponseError{StatusCode: 404, ErrorCode: "ContainerNotFound"}, sink.ErrPermanent, true},
		{&azcore.ResponseError{StatusCode: 409, ErrorCode: "BlobAlreadyExists"}, os.ErrExist, false},
		{&smithy.GenericAPIError{Code: "RequestTimeout"}, sink.ErrTransient, false},
		{&smithy.GenericAPIError{Code: "NoSuchBucket"}, sink.ErrPermanent, true},
		{context.Canceled, context.Canceled, false},
	} {
		got := Classify(c.err)
		if c.is != nil && !errors.Is(got, c.is) || sink.IsPermanent(got) != c.permanent || !errors.Is(got, c.err) {
			t.Errorf("%T %v: %v, permanent %v", c.err, c.err, got, sink.IsPermanent(got))
		}
		if errors.Is(got, os.ErrNotExist) != (c.is == os.ErrNotExist) {
			t.Errorf("%T %v is taken for an object that is not there", c.err, c.err)
		}
	}
}
