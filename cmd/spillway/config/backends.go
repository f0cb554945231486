package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/blobfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
	"github.com/spillwaydb/spillway/fsbackends/sftpfs"
)

// OpenFS returns the filesystem at location, of the one table of backends that the
// daemon and its tools have (a program that embeds the engine imports the backend
// that it uses): a plain path or file:///path for a
// directory of the operating system, created with mode 0700 when missing; mem:
// for an empty filesystem in memory, a new one with every call; or the URL of a
// remote one, which is an io.Closer and may be reached only at its first use.
func OpenFS(location string) (vfs.FS, error) {
	scheme, rest := scheme(location)
	switch {
	case location == "":
		return nil, fmt.Errorf("open filesystem: the location is empty; give a path, file:///path, mem: or a URL")
	case scheme == "":
		return osfs.New(location)
	case slices.Contains(blobfs.Schemes, scheme):
		fs, err := blobfs.Open(location)
		if err != nil {
			return nil, fmt.Errorf("open filesystem: %w", err)
		}
		return fs, nil
	case scheme == sftpfs.Scheme:
		fs, err := sftpfs.New(sftpfs.Options{URL: location})
		if err != nil {
			return nil, fmt.Errorf("open filesystem: %w", err)
		}
		return fs, nil
	case scheme == "mem":
		if strings.Trim(rest, "/") != "" {
			return nil, fmt.Errorf("open filesystem %q: mem: takes no path", location)
		}
		return memfs.New(), nil
	case scheme == "file":
		u, err := url.Parse(location)
		if err != nil {
			return nil, fmt.Errorf("open filesystem: %w", err)
		}
		if u.Host != "" && u.Host != "localhost" {
			return nil, fmt.Errorf("open filesystem %q: %q is read as a host; write file:///absolute/path", location, u.Host)
		}
		if u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("open filesystem %q: file: takes a path only; escape ? and # as %%3F and %%23", location)
		}
		p := u.Path
		if u.Opaque != "" { // file:relative/path
			if p, err = url.PathUnescape(u.Opaque); err != nil {
				return nil, fmt.Errorf("open filesystem %q: %w", location, err)
			}
		}
		return osfs.New(p)
	}
	return nil, fmt.Errorf("open filesystem %q: no backend for %q (there are file:, mem:, s3:, gs:, azblob: and sftp:); "+
		"a path with a colon in it starts with ./", location, scheme+":")
}

// scheme splits a location; a path has none, and one letter is a drive.
func scheme(location string) (scheme, rest string) {
	scheme, rest, found := strings.Cut(location, ":")
	if !found || strings.ContainsAny(scheme, `/\.`) || len(scheme) < 2 {
		return "", location
	}
	return scheme, rest
}

// RequireDataFS returns an error that names what the filesystem at location lacks
// for a data directory, or nil when it may hold one. It opens nothing, so it needs
// no credentials and no network.
func RequireDataFS(location string) error {
	scheme, _ := scheme(location)
	switch {
	case slices.Contains(blobfs.Schemes, scheme):
		return blobfs.Caps.RequireData(scheme + ":")
	case scheme == sftpfs.Scheme:
		return sftpfs.Caps.RequireData(scheme + ":")
	}
	return nil
}
