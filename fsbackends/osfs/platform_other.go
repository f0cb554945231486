//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package osfs

import (
	"errors"
	"os"
)

// canSyncDir is false where a directory has no fsync; Caps passes it on and
// vfs.RequireData refuses a data directory there.
const canSyncDir = false

var errNotDir = errors.New("not a directory")

func syncDir(*os.File) error { return nil }
