// Package fsbackends is the home of the filesystems Spillway can keep files on.
//
// Each is a package of its own under this one and passes the suite in fstest. A
// program imports the one it uses, so that it links no other; only the daemon has
// them all, by these locations:
//
//	file:///path, /path, path   osfs     a directory of the operating system
//	mem:                        memfs    memory, strict about POSIX, can crash
//	s3:, gs:, azblob:           blobfs   an object store: whole files, no more
//	sftp:                       sftpfs   a directory on an SFTP server
//	                            faultfs  wraps another one and fails on demand
//
// What each can do is in its Caps, and is all that fstest asks of it. What a data
// directory needs is vfs.Data; the remote ones lack some of it, and are refused
// there by name. As places for whole files, sink.NewFSSink works on all of them;
// the sinks in plugins/blob and plugins/sftp do the same faster, with digests that
// the stores check, and are what a configuration should name.
//
// It refuses to import plugins, and to be imported by them.
package fsbackends
