// Package vfs is the filesystem seam of the engine: afero.Fs plus the few
// things durability needs and afero does not say.
//
// It owns the FS interface (directory sync, atomic replace, capabilities), the
// optional inter-process Locker, and the one recipe for replacing a file so
// that a crash sees the old content or the new and nothing else:
//
//	name.tmp      create, write, fsync, close     a crash leaves name as it was
//	name          Replace(name.tmp, name)         the commit point
//	dir of name   SyncDir                         the commit is now durable
//
// It refuses to guess. A backend says what it promises through Caps, and
// RequireData names what is missing when somebody points a data directory at a
// backend that cannot hold one. It has no implementation of its own: those live
// in fsbackends, and this package imports none of them.
//
// Paths are slash-separated and relative to the root of the filesystem. A
// leading slash means the same root; a path that would climb out of it is an
// error (ErrEscape), never a file somewhere else.
package vfs
