package blob

import (
	"context"
	"crypto/md5" //nolint:gosec // what Azure computes; nothing is kept secret by it
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"os"
	"path"
	"path/filepath"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	azblobblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	gcblob "gocloud.dev/blob"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/plugins/internal/setstore"
)

// The names of checksums in receipts and errors.
const (
	sumCRC32  = "crc32"
	sumCRC32C = "crc32c"
	sumMD5    = "md5"
	sumETag   = "etag"
)

// newDialect finds the dialect of the store.
func (s *store) newDialect(b *gcblob.Bucket) dialect {
	var (
		client *s3.Client
		google *storage.Client
		plain  = plain{b}
	)
	switch {
	case b.As(&client):
		return &s3Dialect{plain: plain, client: client, bucket: bucketOf(s.Place), partSize: s.partSize, concurrency: s.concurrency}
	case b.As(&google):
		// By itself it repeats a request for as long as its context lives.
		google.SetRetry(storage.WithMaxAttempts(3))
		return gcsDialect{plain}
	case s.Scheme == "azblob":
		return azureDialect{plain, s.partSize}
	case s.Scheme == "file":
		return fileDialect{plain, s.Dir}
	}
	return plain
}

// plain is a store that says no more than size and ETag.
type plain struct{ b *gcblob.Bucket }

func (plain) prepare(string, *gcblob.WriterOptions) (map[string]hash.Hash, func() error, func() error) {
	return nil, nil, nil
}

func (p plain) stat(ctx context.Context, key string) (stat, error) {
	a, err := p.b.Attributes(ctx, key)
	if err != nil {
		return stat{}, err
	}
	return stat{bytes: a.Size, etag: a.ETag}, nil
}

func (plain) unfinished(context.Context, string, func(string, func(context.Context) error) error) error {
	return nil
}

func (plain) emptied(string) {}

func (plain) readable(string) error { return nil }

// gcsDialect is Google Cloud Storage.
type gcsDialect struct{ plain }

func (gcsDialect) prepare(string, *gcblob.WriterOptions) (map[string]hash.Hash, func() error, func() error) {
	return map[string]hash.Hash{sumCRC32C: crc32.New(crc32.MakeTable(crc32.Castagnoli))}, nil, nil
}

func (g gcsDialect) stat(ctx context.Context, key string) (stat, error) {
	a, err := g.b.Attributes(ctx, key)
	if err != nil {
		return stat{}, err
	}
	st := stat{bytes: a.Size, etag: a.ETag}
	var attrs storage.ObjectAttrs
	if a.As(&attrs) {
		st.sums = map[string][]byte{sumCRC32C: binary.BigEndian.AppendUint32(nil, attrs.CRC32C)}
	}
	return st, nil
}

// azureDialect is Azure Blob Storage. It checks each piece as it comes in; of
// what came in one piece it keeps the MD5.
type azureDialect struct {
	plain
	partSize int
}

func (d azureDialect) prepare(_ string, o *gcblob.WriterOptions) (map[string]hash.Hash, func() error, func() error) {
	o.BeforeWrite = func(as func(any) bool) error {
		var up *azblob.UploadStreamOptions
		if as(&up) {
			up.TransactionalValidation = azblobblob.TransferValidationTypeComputeCRC64()
		}
		return nil
	}
	return map[string]hash.Hash{sumMD5: &firstHash{md5.New(), d.partSize}}, nil, nil //nolint:gosec // what Azure computes
}

func (d azureDialect) stat(ctx context.Context, key string) (stat, error) {
	a, err := d.b.Attributes(ctx, key)
	if err != nil {
		return stat{}, err
	}
	st := stat{bytes: a.Size, etag: a.ETag}
	if a.Size <= int64(d.partSize) && len(a.MD5) == md5.Size {
		st.sums = map[string][]byte{sumMD5: a.MD5}
	}
	return st, nil
}

// firstHash is the hash of no more than the first bytes.
type firstHash struct {
	hash.Hash
	left int
}

// Write implements hash.Hash.
func (h *firstHash) Write(b []byte) (int, error) {
	k := min(len(b), h.left)
	h.left -= k
	h.Hash.Write(b[:k])
	return len(b), nil
}

// fileDialect is a directory. gocloud.dev/blob renames into place, and leaves
// what is durable to the operating system.
type fileDialect struct {
	plain
	dir string
}

func (d fileDialect) prepare(key string, o *gcblob.WriterOptions) (_ map[string]hash.Hash, before, after func() error) {
	var f *os.File
	o.BeforeWrite = func(as func(any) bool) error {
		as(&f)
		return nil
	}
	before = func() error { return f.Sync() } // set when the first byte is asked for
	after = func() error {
		for dir := path.Dir(key); ; dir = path.Dir(dir) {
			if err := syncPath(filepath.Join(d.dir, dir)); err != nil || dir == "." {
				return err
			}
		}
	}
	return nil, before, after
}

// dirs reads the directories themselves: a listing of gocloud.dev/blob passes
// over what it cannot read, and a set that is hidden would be one that is not
// there.
func (d fileDialect) dirs(prefix string) ([]setstore.Dir, error) {
	root := filepath.Join(d.dir, prefix)
	entries, err := os.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, sink.Permanent(err)
	}
	var dirs []setstore.Dir
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		found := setstore.Dir{Name: e.Name()}
		switch st, err := os.Stat(filepath.Join(root, e.Name(), sink.SetFile)); {
		case err == nil:
			found.Version = fmt.Sprintf("%d-%d-%o", st.Size(), st.ModTime().UnixNano(), st.Mode())
		case !errors.Is(err, os.ErrNotExist):
			found.Version = "unreadable" // reading it says why
		}
		dirs = append(dirs, found)
	}
	return dirs, nil
}

// readable refuses what is no file: to open a named pipe may take for ever, and
// gocloud.dev/blob says of a directory that it is not there.
func (d fileDialect) readable(key string) error {
	st, err := os.Stat(filepath.Join(d.dir, key))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil // which opening it says as well
	case err == nil:
		err = vfs.CheckRegular(st.Mode())
	}
	if err != nil {
		return sink.Permanent(err)
	}
	return nil
}

// emptied removes the directories that are left.
func (d fileDialect) emptied(prefix string) {
	_ = os.Remove(filepath.Join(d.dir, prefix)) // one that is not empty stays
}

func syncPath(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
