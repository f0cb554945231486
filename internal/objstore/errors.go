package objstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"

	"github.com/spillwaydb/spillway/core/sink"
)

// Classify gives an error of a store its class and takes the secrets out of its
// text. gocloud.dev's own classes are not enough: they call a name that does
// not resolve, and what may not be seen, "not found".
func Classify(err error) error {
	if err == nil {
		return nil
	}
	err = Scrub(err)
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &dns),
		errors.Is(err, sink.ErrCorrupt), errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrExist):
		return err
	}
	switch c := Code(err); c {
	case "NoSuchBucket", "ContainerNotFound":
		return sink.Permanent(fmt.Errorf("make the bucket first: %w", err))
	case "RequestTimeout", "BadDigest", "ContentChecksumMismatch", "Md5Mismatch", "Crc64Mismatch", "XAmzContentSHA256Mismatch", "ConditionalRequestConflict":
		return sink.Transient(err)
	case "BlobAlreadyExists", "PreconditionFailed", "ConditionNotMet":
		return as(err, os.ErrExist)
	}
	if errors.Is(err, storage.ErrBucketNotExist) {
		return sink.Permanent(fmt.Errorf("make the bucket first: %w", err))
	}
	switch s := status(err); {
	case s == http.StatusNotFound:
		return as(err, os.ErrNotExist)
	case s == http.StatusPreconditionFailed:
		return as(err, os.ErrExist)
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return sink.Permanent(as(err, os.ErrPermission))
	case s == http.StatusTooManyRequests, s == http.StatusRequestTimeout:
		return sink.Transient(err)
	case s == http.StatusNotImplemented, s >= 300 && s < 500:
		return sink.Permanent(err)
	case s >= 500:
		return sink.Transient(err)
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		return as(err, os.ErrNotExist)
	case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
		return as(err, os.ErrExist)
	case gcerrors.PermissionDenied:
		return sink.Permanent(as(err, os.ErrPermission))
	case gcerrors.InvalidArgument, gcerrors.Unimplemented:
		return sink.Permanent(err)
	}
	return err
}

// status is the HTTP status that an error reports; 0 without one.
func status(err error) int {
	var (
		a *awshttp.ResponseError
		g *googleapi.Error
		z *azcore.ResponseError
	)
	switch {
	case errors.As(err, &a):
		return a.HTTPStatusCode()
	case errors.As(err, &g):
		return g.Code
	case errors.As(err, &z):
		return z.StatusCode
	}
	return 0
}

// Code is the store's own word for an error; "" without one.
func Code(err error) string {
	var (
		a smithy.APIError
		z *azcore.ResponseError
	)
	switch {
	case errors.As(err, &a):
		return a.ErrorCode()
	case errors.As(err, &z):
		return z.ErrorCode
	}
	return ""
}

// NotImplemented tells whether the store says that it cannot do that.
func NotImplemented(err error) bool {
	return err != nil && (Code(err) == "NotImplemented" || status(err) == http.StatusNotImplemented)
}

// as makes errors.Is find is.
func as(err, is error) error { return fault{err.Error(), []error{err, is}} }

// fault is an error with a text of its own.
type fault struct {
	text string
	is   []error
}

func (f fault) Error() string   { return f.text }
func (f fault) Unwrap() []error { return f.is }

var (
	secretParam = regexp.MustCompile(`(?i)([?&](?:[a-z0-9-]*(?:sig|signature|credential|token|key|secret|password))=)[^&\s"']+`)
	hostID      = regexp.MustCompile(`,? *(?:HostID|Host ID|x-amz-id-2):? *[^\s,]*,?`) // hundreds of characters that only Amazon can read
	rule        = regexp.MustCompile(`-{20,}`)
	userInfo    = regexp.MustCompile(`://[^/@\s"']+@`)
)

// secretVars are the variables whose values must not show.
var secretVars = []string{
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN",
	"AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGEBLOB_CONNECTIONSTRING", "AZURE_CLIENT_SECRET",
}

// Scrub takes secrets out of the text of an error, and makes it one line.
func Scrub(err error) error {
	if err == nil {
		return nil
	}
	text, _, _ := strings.Cut(err.Error(), "<?xml") // Azure's errors are pages
	text = strings.Join(strings.Fields(rule.ReplaceAllString(text, " ")), " ")
	text = hostID.ReplaceAllString(text, ",")
	text = secretParam.ReplaceAllString(text, "${1}[redacted]")
	text = userInfo.ReplaceAllString(text, "://[redacted]@")
	for _, name := range secretVars {
		if v := os.Getenv(name); len(v) >= 6 {
			text = strings.ReplaceAll(text, v, "[redacted]")
		}
	}
	if text == err.Error() {
		return err
	}
	return fault{text, []error{err}}
}
