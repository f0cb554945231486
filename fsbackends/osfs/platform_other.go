//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package osfs

import (
	"errors"
	"os"
)

// A directory has no fsync and a file no flock here; Caps passes it on and
// vfs.RequireData refuses a data directory there.
const (
	canSyncDir = false
	canLock    = false
	openAtOnce = 0
)

var errNotDir = errors.New("not a directory")

func syncDir(*os.File) error { return nil }
