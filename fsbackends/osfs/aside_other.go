//go:build !linux

package osfs

import "os"

// syncAside is fsync(2): there is no other way here.
func syncAside(f *os.File) error { return f.Sync() }
