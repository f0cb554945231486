// Package osfs is the filesystem of the operating system, contained in one
// directory.
//
// It owns containment: every path goes through os.Root, so neither ".." nor a
// symbolic link leads out of the root (the root itself may be one). It owns the
// permissions: whatever mode is asked for, group and others get nothing, which
// makes directories 0700 and files 0600. And it owns the lock of a data
// directory:
//
//	LOCK    flock(2), exclusive, not waiting; holds the pid in decimal and a
//	        newline while held, and is empty otherwise. It is never removed.
//
// It opens regular files and directories only, and waits for none: a named pipe
// or a socket in place of a file is an error that says so.
//
// Its files are vfs.Aside: on Linux they can be written and fsynced without keeping a processor of
// Go's meanwhile. Directories are fsynced and changed so always (names_linux.go), and a large file is removed after
// the system's cache has been emptied of it, step by step (FS.forget).
//
// It refuses to promise what the platform lacks: where directories cannot be
// synced, Caps says so and vfs.RequireData turns the directory away.
package osfs
