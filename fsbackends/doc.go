// Package fsbackends opens the filesystems Spillway can keep files on.
//
// It owns the mapping from a URL to a backend; each backend is a package of its
// own under this one and passes the suite in fstest:
//
//	file:///path, /path, path   osfs     a directory of the operating system
//	mem:                        memfs    memory, strict about POSIX, can crash
//	                            faultfs  wraps another one and fails on demand
//
// It refuses what cannot be a filesystem: object stores take whole parts, so
// they are sinks (plugins), not backends. Whether a backend is good enough for
// a data directory is not decided here but by vfs.RequireData.
package fsbackends
