package blob

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	gcblob "gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/fileblob"  // file://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/memblob"   // mem://
	_ "gocloud.dev/blob/s3blob"    // s3://

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/option"
	"github.com/spillwaydb/spillway/plugins/internal/setstore"
)

// Name is the name by which the plugin offers the sink.
const Name = "blob"

const (
	version            = "1"
	defaultPartSize    = 8 << 20
	minPartSize        = 5 << 20 // S3 refuses smaller pieces, but for the last one
	maxPartSize        = 1 << 30
	defaultConcurrency = 3
	openTimeout        = time.Minute
)

// Schemes are the URL schemes that the sink takes.
var Schemes = []string{"s3", "gs", "azblob", "file", "mem"}

// Options configure the sink.
type Options struct {
	// URL says which store, and where in it; see the package comment.
	URL string `json:"url"`
	// PartSize is the size of the pieces an upload goes in, of at least 5 MiB.
	// 0 means 8 MiB.
	PartSize option.Size `json:"part_size,omitempty"`
	// Concurrency is how many pieces of one part are on their way at once; 0
	// means 3.
	Concurrency int `json:"concurrency,omitempty"`
	// Verify has each part read again after it was put.
	Verify bool `json:"verify,omitempty"`
	// Attempts is how often a small request is made; 0 means 4. The client
	// libraries repeat requests on their own beneath that.
	Attempts int `json:"attempts,omitempty"`
	// Timeout bounds one attempt of a small request; 0 means 30 s.
	Timeout option.Duration `json:"timeout,omitempty"`
	// StallTimeout ends an upload or a download that stands still; 0 means
	// 5 minutes.
	StallTimeout option.Duration `json:"stall_timeout,omitempty"`

	// Name is what errors call the sink; "" means "blob".
	Name string `json:"-"`
	// Logger is told of requests that are repeated; nil means hclog.Default().
	Logger hclog.Logger `json:"-"`
}

// New returns the sink. It does not speak to the store yet: a store that cannot
// be reached is an error of the calls. The sink is an io.Closer and a
// sink.Sweeper.
func New(o Options) (sink.Sink, error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	return o.open(ctx)
}

// Open returns the sink at a URL, with the defaults for all else.
func Open(ctx context.Context, name, rawURL string) (sink.Sink, error) {
	return Options{URL: rawURL, Name: name}.open(ctx)
}

func (o Options) open(ctx context.Context) (sink.Sink, error) {
	if o.Name == "" {
		o.Name = Name
	}
	if o.Logger == nil {
		o.Logger = hclog.Default()
	}
	switch {
	case o.URL == "":
		return nil, errors.New("blob: url is missing; want one as in url = \"s3://bucket/prefix?region=eu-central-1\"")
	case o.PartSize == 0:
		o.PartSize = defaultPartSize
	case o.PartSize < minPartSize, o.PartSize > maxPartSize:
		return nil, fmt.Errorf("blob: part_size is %d; want from %d (5mb) to %d (1gb)", o.PartSize, minPartSize, maxPartSize)
	}
	if o.Concurrency == 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Concurrency < 0 || o.Concurrency > 64 {
		return nil, fmt.Errorf("blob: concurrency is %d; want from 1 to 64", o.Concurrency)
	}
	if o.Attempts < 0 || o.Attempts > 100 {
		return nil, fmt.Errorf("blob: attempts is %d; want from 1 to 100", o.Attempts)
	}
	st, err := openStore(ctx, o)
	if err != nil {
		return nil, err
	}
	return setstore.New(st, setstore.Options{
		Name: o.Name, Version: version, Attempts: o.Attempts, Timeout: o.Timeout.Or(0), Stall: o.StallTimeout.Or(0),
		Verify: o.Verify, Logger: o.Logger,
	}), nil
}

// place is what a URL says.
type place struct {
	scheme   string
	bucket   string // the URL without our part of it, for gocloud
	prefix   string // of all keys; "" or ending with a slash
	location string // for errors: no query, no user
	dir      string // of file://
}

func parse(raw string) (place, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the URL itself may hold a secret
		}
		return place{}, fmt.Errorf("blob: url: %w", err)
	}
	p := place{scheme: u.Scheme}
	if !slices.Contains(Schemes, u.Scheme) {
		return p, fmt.Errorf("blob: url: scheme %q is none of %s", u.Scheme, strings.Join(Schemes, ", "))
	}
	if u.User != nil {
		return p, errors.New("blob: url: it names a user; credentials come from the environment, see the documentation of the sink")
	}
	q := u.Query()
	inside := q.Get("prefix")
	q.Del("prefix")
	if q.Has("key") {
		return p, errors.New("blob: url: there is no parameter \"key\"")
	}
	if slices.Contains(strings.Split(u.Path+"/"+inside, "/"), "..") {
		return p, errors.New("blob: url: \"..\" in the path")
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" || !path.IsAbs(u.Path) {
			return p, fmt.Errorf("blob: url: want file:///DIRECTORY, with three slashes and an absolute path; this is file://%s%s", u.Host, u.Path)
		}
		u.Host = ""
		p.dir = path.Clean(u.Path)
		// Nothing beside the parts, and temporary files on the same filesystem.
		q.Set("metadata", "skip")
		q.Set("no_tmp_dir", "true")
		if !q.Has("dir_file_mode") {
			q.Set("dir_file_mode", "0700")
		}
	default:
		if u.Host == "" && u.Scheme != "mem" {
			return p, fmt.Errorf("blob: url: the bucket is missing; want %s://BUCKET/PREFIX", u.Scheme)
		}
		inside = path.Join(u.Path, inside)
		u.Path, u.RawPath = "", ""
	}
	if inside = strings.Trim(path.Clean("/"+inside), "/"); inside != "" {
		p.prefix = inside + "/"
	}
	u.RawQuery = q.Encode()
	p.bucket = u.String()
	p.location = strings.TrimSuffix((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: path.Join("/", u.Path, inside)}).String(), "/")
	return p, nil
}

// openStore opens the bucket and finds out what can be asked of it.
func openStore(ctx context.Context, o Options) (*store, error) {
	p, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	b, err := gcblob.OpenBucket(ctx, p.bucket)
	if err != nil {
		return nil, fmt.Errorf("blob: open %s: %w", p.location, scrub(err))
	}
	s := &store{place: p, bucket: b, partSize: int(o.PartSize), concurrency: o.Concurrency}
	s.dialect = s.newDialect(b)
	return s, nil
}
