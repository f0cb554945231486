package fsbackends

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
)

// Open returns the filesystem at location: a plain path or file:///path for a
// directory of the operating system, created with mode 0700 when missing, or
// mem: for an empty filesystem in memory. Every call with mem: gives a new one.
func Open(location string) (vfs.FS, error) {
	scheme, rest, found := strings.Cut(location, ":")
	switch {
	case location == "":
		return nil, fmt.Errorf("open filesystem: the location is empty; give a path, file:///path or mem:")
	case !found || strings.ContainsAny(scheme, `/\.`) || len(scheme) < 2:
		return osfs.New(location) // a path; one letter is a drive
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
	return nil, fmt.Errorf("open filesystem %q: no backend for %q (there are file: and mem:); "+
		"a path with a colon in it starts with ./, and a remote store is a sink", location, scheme+":")
}
