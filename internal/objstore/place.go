package objstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/fileblob"  // file://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/memblob"   // mem://
	_ "gocloud.dev/blob/s3blob"    // s3://
)

// Schemes are the URL schemes there are.
var Schemes = []string{"s3", "gs", "azblob", "file", "mem"}

// Place is what a URL says.
type Place struct {
	Scheme   string
	Bucket   string // the URL without our part of it, for gocloud
	Prefix   string // of all keys; "" or ending with a slash
	Location string // for errors: no query, no user
	Dir      string // of file://
}

// Parse reads a URL; see the documentation of the sink "blob". An error never
// shows a secret.
func Parse(raw string) (Place, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the URL itself may hold a secret
		}
		return Place{}, fmt.Errorf("blob: url: %w", err)
	}
	p := Place{Scheme: u.Scheme}
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
		p.Dir = path.Clean(u.Path)
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
		p.Prefix = inside + "/"
	}
	u.RawQuery = q.Encode()
	p.Bucket = u.String()
	p.Location = strings.TrimSuffix((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: path.Join("/", u.Path, inside)}).String(), "/")
	return p, nil
}

// Open opens the bucket. It speaks to the store only where credentials have to be
// fetched.
func (p Place) Open(ctx context.Context) (*blob.Bucket, error) {
	b, err := blob.OpenBucket(ctx, p.Bucket)
	if err != nil {
		return nil, fmt.Errorf("blob: open %s: %w", p.Location, Scrub(err))
	}
	return b, nil
}
