package servers

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// S3 is versitygw over a directory.
type S3 struct {
	*Process
	// Env are the credentials, which the test's process has already.
	Env map[string]string

	buckets atomic.Int32
}

const (
	s3Key    = "spillwaytest"
	s3Secret = "spillway-test-secret-key"
	s3Region = "us-east-1"
)

// s3Env are the credentials, and no file that has others.
func s3Env() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": s3Key, "AWS_SECRET_ACCESS_KEY": s3Secret, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	}
}

// SetS3Env sets the AWS_* variables of this process for good, so that tests with StartS3
// may run in parallel. TestMain calls it.
func SetS3Env() error {
	for k, v := range s3Env() {
		if err := os.Setenv(k, v); err != nil {
			return err
		}
	}
	return nil
}

// StartS3 starts an S3 server. It sets the test's AWS_* variables, unless SetS3Env has.
func StartS3(t testing.TB) *S3 {
	t.Helper()
	env := setenv(t, s3Env())
	dir := t.TempDir()
	for _, sub := range []string{"data", "meta", "iam"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	addr, _ := freeAddr(t)
	p := start(t, "versitygw", addr, nil, installed(t, "versitygw"), "--port", addr, "--access", s3Key, "--secret", s3Secret,
		"--region", s3Region, "--keep-alive", "--quiet", "--iam-dir", filepath.Join(dir, "iam"),
		"posix", "--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "data"))
	return &S3{Process: p, Env: env}
}

// Client speaks to the server.
func (s *S3) Client() *s3.Client {
	return s3.New(s3.Options{
		Region: s3Region, Credentials: credentials.NewStaticCredentialsProvider(s3Key, s3Secret, ""),
		BaseEndpoint: aws.String("http://" + s.Addr()), UsePathStyle: true,
	})
}

// Bucket makes an empty bucket.
func (s *S3) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	if _, err := s.Client().CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("make bucket %s: %v\n%s", name, err, s.Log())
	}
	return name
}

// URL is the sink's URL of a place in a bucket; path may be "".
func (s *S3) URL(bucket, path string) string {
	q := url.Values{"endpoint": {"http://" + s.Addr()}, "region": {s3Region}, "use_path_style": {"true"}}
	return (&url.URL{Scheme: "s3", Host: bucket, Path: path, RawQuery: q.Encode()}).String()
}
