package blob

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/internal/objstore"
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
var Schemes = objstore.Schemes

// Options configure the sink.
type Options struct {
	// URL says which store, and where in it; see the package comment.
	URL string `json:"url"`
	// PartSize is the size of the pieces an upload goes in, and a download is asked
	// for in, of at least 5 MiB. 0 means 8 MiB.
	PartSize option.Size `json:"part_size,omitempty"`
	// Concurrency is how many pieces of one part are on their way at once, to the
	// store or from it; 0 means 3.
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
		return nil, sink.BadOption("url", errors.New("blob: url is missing; want one as in url = \"s3://bucket/prefix?region=eu-central-1\""))
	case o.PartSize == 0:
		o.PartSize = defaultPartSize
	case o.PartSize < minPartSize, o.PartSize > maxPartSize:
		return nil, sink.BadOption("part_size", fmt.Errorf("blob: part_size is %d; want from %d (5mb) to %d (1gb)", o.PartSize, minPartSize, maxPartSize))
	}
	if o.Concurrency == 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Concurrency < 0 || o.Concurrency > 64 {
		return nil, sink.BadOption("concurrency", fmt.Errorf("blob: concurrency is %d; want from 1 to 64", o.Concurrency))
	}
	if o.Attempts < 0 || o.Attempts > 100 {
		return nil, sink.BadOption("attempts", fmt.Errorf("blob: attempts is %d; want from 1 to 100", o.Attempts))
	}
	st, err := openStore(ctx, o)
	if err != nil {
		return nil, err
	}
	return setstore.New(st, setstore.Options{
		Name: o.Name, Version: version, Attempts: o.Attempts, Timeout: o.Timeout.Or(0), Stall: o.StallTimeout.Or(0),
		RangeSize: int64(o.PartSize), Ranges: o.Concurrency, Verify: o.Verify, Logger: o.Logger,
	}), nil
}

// openStore opens the bucket and finds out what can be asked of it.
func openStore(ctx context.Context, o Options) (*store, error) {
	p, err := objstore.Parse(o.URL)
	if err != nil {
		return nil, sink.BadOption("url", err)
	}
	b, err := p.Open(ctx)
	if err != nil {
		return nil, err
	}
	s := &store{Place: p, blobs: b, partSize: int(o.PartSize), concurrency: o.Concurrency}
	s.dialect = s.newDialect(b)
	return s, nil
}
