package blob

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag is one; nothing is kept secret by it
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	gcblob "gocloud.dev/blob"

	"github.com/spillwaydb/spillway/internal/objstore"
)

// abortTimeout is how long the end of a failed upload may take. A pipeline
// waits for a sink that was cancelled no longer than its grace period.
const abortTimeout = 4 * time.Second

// s3Dialect is S3 and what is compatible with it.
type s3Dialect struct {
	plain
	client      *s3.Client
	bucket      string
	partSize    int
	concurrency int
}

// bucketOf is the bucket's name.
func bucketOf(p objstore.Place) string {
	u, err := url.Parse(p.Bucket)
	if err != nil {
		return "" // it was made from a URL
	}
	return u.Host
}

// checksums tells whether requests carry checksums.
func (d *s3Dialect) checksums() bool {
	return d.client.Options().RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired
}

func (d *s3Dialect) prepare(_ string, o *gcblob.WriterOptions) (map[string]hash.Hash, func() error, func() error) {
	sums := map[string]hash.Hash{sumETag: &etagHash{part: md5.New(), size: d.partSize}} //nolint:gosec // see above
	if d.checksums() {
		sums = map[string]hash.Hash{sumCRC32: crc32.NewIEEE()}
	}
	o.BeforeWrite = func(as func(any) bool) error {
		var up *transfermanager.UploadObjectInput
		if as(&up) && d.checksums() {
			up.ChecksumAlgorithm = tmtypes.ChecksumAlgorithmCrc32
			up.ChecksumType = tmtypes.ChecksumTypeFullObject
		}
		// gocloud.dev/blob makes a manager that aborts a cancelled upload with
		// the context that was cancelled, which leaves the pieces behind.
		var tm *transfermanager.Client
		if as(&tm) {
			*tm = *transfermanager.New(d.client, func(o *transfermanager.Options) {
				o.RequestChecksumCalculation = d.client.Options().RequestChecksumCalculation
				o.PartSizeBytes = int64(d.partSize)
				o.MultipartUploadThreshold = int64(d.partSize)
				o.Concurrency = d.concurrency
				o.FailTimeout = abortTimeout
			})
		}
		return nil
	}
	return sums, nil, nil
}

func (d *s3Dialect) stat(ctx context.Context, key string) (stat, error) {
	in := &s3.HeadObjectInput{Bucket: &d.bucket, Key: &key}
	if d.checksums() {
		in.ChecksumMode = types.ChecksumModeEnabled
	}
	h, err := d.client.HeadObject(ctx, in)
	if err != nil {
		return stat{}, err
	}
	st := stat{bytes: aws.ToInt64(h.ContentLength), etag: aws.ToString(h.ETag), sums: make(map[string][]byte)}
	st.sums[sumETag] = []byte(strings.Trim(st.etag, `"`))
	whole := h.ChecksumType == types.ChecksumTypeFullObject || (h.ChecksumType == "" && !strings.Contains(st.etag, "-"))
	if sum, err := base64.StdEncoding.DecodeString(aws.ToString(h.ChecksumCRC32)); whole && err == nil && len(sum) == crc32.Size {
		st.sums[sumCRC32] = sum
	}
	return st, nil
}

func (d *s3Dialect) unfinished(ctx context.Context, prefix string, f func(string, func(context.Context) error) error) error {
	pages := s3.NewListMultipartUploadsPaginator(d.client, &s3.ListMultipartUploadsInput{Bucket: &d.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if objstore.NotImplemented(err) {
			return nil // nobody can find any
		}
		if err != nil {
			return fmt.Errorf("list multipart uploads (wants the permission s3:ListBucketMultipartUploads): %w", err)
		}
		for _, u := range page.Uploads {
			if !strings.HasPrefix(aws.ToString(u.Key), prefix) { // some stores do not filter
				continue
			}
			err := f(aws.ToString(u.Key), func(ctx context.Context) error {
				_, err := d.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &d.bucket, Key: u.Key, UploadId: u.UploadId})
				if objstore.Code(err) == "NoSuchUpload" {
					return nil
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// etagHash computes what S3 makes of an object as its ETag, unless it encrypts
// with keys of its own: the MD5 of a small object, and of one that came in
// pieces the MD5 of their MD5s with their number.
type etagHash struct {
	part   hash.Hash
	filled int
	size   int
	sums   []byte
}

// Write implements hash.Hash.
func (h *etagHash) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		k := min(len(b), h.size-h.filled)
		h.part.Write(b[:k])
		b = b[k:]
		if h.filled += k; h.filled == h.size {
			h.sums = h.part.Sum(h.sums)
			h.part.Reset()
			h.filled = 0
		}
	}
	return n, nil
}

// Sum implements hash.Hash.
func (h *etagHash) Sum(b []byte) []byte {
	if len(h.sums) == 0 {
		return hex.AppendEncode(b, h.part.Sum(nil))
	}
	sums := h.sums
	if h.filled > 0 {
		sums = h.part.Sum(sums[:len(sums):len(sums)])
	}
	all := md5.Sum(sums) //nolint:gosec // see above
	return fmt.Appendf(hex.AppendEncode(b, all[:]), "-%d", len(sums)/md5.Size)
}

// Reset implements hash.Hash.
func (h *etagHash) Reset() {
	h.part.Reset()
	h.filled, h.sums = 0, nil
}

// Size implements hash.Hash.
func (h *etagHash) Size() int { return len(h.Sum(nil)) }

// BlockSize implements hash.Hash.
func (h *etagHash) BlockSize() int { return md5.BlockSize }
